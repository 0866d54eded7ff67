"""Distances against closed forms and scipy's matrix root; the built-in embedding against librosa; recordings' ranks."""

import librosa
import numpy as np
import pytest
import scipy.linalg
from recordings import RATE, clip, halves, shaped_noise, white_noise

from jaxst.errors import AudioError, ConfigError
from jaxst.metrics.frechet import (
    Embedding,
    frechet_audio_distance,
    frechet_distance,
    frechet_infinite,
    log_mel_embedding,
)

GENERATOR = np.random.default_rng(0)
MIX = GENERATOR.standard_normal((6, 6))
FIRST, SECOND = GENERATOR.standard_normal((200, 6)) @ MIX, 2 + GENERATOR.standard_normal((300, 6))


def test_distance_is_that_of_the_matrix_root():
    means = FIRST.mean(axis=0) - SECOND.mean(axis=0)
    first, second = np.cov(FIRST.T), np.cov(SECOND.T)
    root = scipy.linalg.sqrtm(first @ second)
    wanted = means @ means + np.trace(first + second - 2 * root).real
    assert frechet_distance(FIRST, SECOND) == pytest.approx(wanted, rel=1e-9)
    assert frechet_distance(SECOND, FIRST) == pytest.approx(wanted, rel=1e-9)


def test_one_dimension_is_the_difference_of_means_and_of_deviations():
    x, y = FIRST[:, :1], SECOND[:, :1]
    wanted = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y) == pytest.approx(wanted)


def test_no_distance_to_itself_even_with_fewer_points_than_dimensions():
    assert frechet_distance(FIRST, FIRST) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(FIRST[:3], FIRST[:3]) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(FIRST[:3] + 1, FIRST[:3]) == pytest.approx(6, abs=1e-6)


def test_extrapolation_removes_most_of_the_bias_of_small_samples():
    """Points of one and the same Gaussian: the true distance is 0."""
    reference = np.random.default_rng(1).standard_normal((20_000, 20))
    biased, corrected = [], []
    for seed in range(5):
        points = np.random.default_rng(10 + seed).standard_normal((300, 20))
        biased.append(frechet_distance(points, reference))
        infinite, slope, fit = frechet_infinite(points, reference)
        corrected.append(infinite)
        assert slope > 0
        assert fit > 0.95
    assert np.mean(biased) > 0.3
    assert abs(np.mean(corrected)) < 0.2 * np.mean(biased)


@pytest.mark.parametrize(
    "wrong", [{"smallest": 1}, {"smallest": 200}, {"steps": 1}, {"draws": 0}], ids=lambda wrong: next(iter(wrong))
)
def test_impossible_subsets_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}"):
        frechet_infinite(FIRST, SECOND, **wrong)


@pytest.mark.parametrize("points", [FIRST[:1], np.full((5, 6), np.nan)])
def test_one_point_or_nan_is_refused(points):
    with pytest.raises(ConfigError, match="must be finite and at least two"):
        frechet_distance(points, SECOND)


def test_the_embedding_is_librosas_log_mel():
    x = clip("speech", 2.0)
    scaled = 0.1 * x / np.sqrt(np.mean(x**2))
    mel = librosa.feature.melspectrogram(
        y=scaled, sr=RATE, n_fft=512, hop_length=160, n_mels=32, pad_mode="reflect", power=2.0
    )
    levels = librosa.power_to_db(mel, top_db=80, amin=1e-12) / 10
    levels -= levels.mean()
    patches = np.stack([levels[:, start : start + 48] for start in range(0, levels.shape[1] - 47, 12)])
    wanted = np.concatenate([patches.mean(axis=2), patches.std(axis=2)], axis=1)
    np.testing.assert_allclose(log_mel_embedding(x, RATE), wanted, atol=2e-3)
    np.testing.assert_allclose(log_mel_embedding(0.01 * x, RATE), wanted, atol=2e-3)


@pytest.mark.parametrize("recording", ["water", "speech", "tabla"])
def test_the_other_half_is_nearer_than_noise_of_its_spectrum_than_white_noise(recording):
    style, other = halves(clip(recording))
    half, shaped, white = (
        frechet_audio_distance([x], [style], RATE) for x in (other, shaped_noise(style), white_noise(style))
    )
    assert half.embedding == "log-mel patches"
    for kind in ("distance", "infinite"):
        assert getattr(half, kind) < 0.7 * getattr(shaped, kind)
        assert getattr(shaped, kind) < 0.6 * getattr(white, kind)


def test_any_embedding_of_several_recordings():
    def steps(samples, sample_rate):
        return samples.reshape(-1, 2) * sample_rate

    result = frechet_audio_distance(
        [FIRST[:, 0], FIRST[:, 1]], [SECOND[:, 0]], 10, embedding=Embedding("steps of two", steps)
    )
    points = 10 * np.concatenate([FIRST[:, 0].reshape(-1, 2), FIRST[:, 1].reshape(-1, 2)])
    assert result.embedding == "steps of two"
    assert result.distance == pytest.approx(frechet_distance(points, 10 * SECOND[:, 0].reshape(-1, 2)))


def test_silence_short_recordings_and_none_are_refused():
    water = clip("water")
    with pytest.raises(AudioError, match="is silent"):
        frechet_audio_distance([np.zeros(RATE)], [water], RATE)
    with pytest.raises(AudioError, match=r"lasts 0\.700 s"):
        frechet_audio_distance([clip("water", 0.7)], [water], RATE)
    with pytest.raises(AudioError, match="0 outputs"):
        frechet_audio_distance([], [water], RATE)
    assert np.isfinite(frechet_audio_distance([clip("water", 0.75)], [water], RATE)[1:]).all()
