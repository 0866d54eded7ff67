"""Statistics against a second implementation in NumPy and SciPy and against made signals; distances on recordings."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.signal
import scipy.stats
from published import envelope_statistics, erb, half_cosines, subbands
from recordings import RATE, clip, halves, shaped_noise, white_noise

from jaxst.errors import AudioError
from jaxst.metrics.texture import (
    statistics_at,
    texstat_distance,
    texstat_statistics,
    texture_distance,
    texture_statistics,
)
from jaxst.statistics.texture import MODULATIONS

MEASURES = {
    "mcdermott": (texture_statistics, texture_distance),
    "texstat": (texstat_statistics, texstat_distance),
}
LENGTH = 40_000  # samples of most signals here, so that programs are compiled once


def second_implementation(x, rate):
    """McDermott & Simoncelli's statistics in the time domain and double precision."""
    x = 0.1 * x / np.sqrt(np.mean(x**2))
    bands = subbands(x, rate, np.linspace(erb(20), erb(min(10_000, rate / 2)), 32))
    s = np.abs(scipy.signal.hilbert(bands))[:, : len(x)] ** 0.3
    return envelope_statistics(scipy.signal.resample_poly(s, 1, rate // 400, axis=1)[:, 40:-40], 400)


@pytest.mark.parametrize("rate", [RATE, 20_000])
def test_statistics_are_those_of_the_time_domain(rate):
    x = clip("water", LENGTH / RATE)
    computed = texture_statistics(x, rate)
    tolerance = (2e-4, 5e-4, 0.01, 0.03, 2e-3, 2e-3, 0.01, 0.01)
    for name, block, wanted, least in zip(
        computed._fields, computed, second_implementation(x, rate), tolerance, strict=True
    ):
        np.testing.assert_allclose(block, wanted, atol=least, rtol=2e-3, err_msg=name)


def test_a_modulation_shows_in_its_band():
    time = np.arange(LENGTH) / RATE
    carrier = np.random.default_rng(0).standard_normal(LENGTH)
    x = (1 + np.sin(2 * np.pi * 8 * time)) * carrier
    power = np.asarray(texture_statistics(x, RATE).modulation_power)
    nearest = np.argmin(np.abs(MODULATIONS - 8))
    assert (np.argmax(power[10:], axis=1) == nearest).all()
    assert np.median(power[10:, nearest]) > 0.3


def test_what_is_modulated_together_is_correlated():
    generator = np.random.default_rng(0)
    slow = np.interp(np.arange(LENGTH), np.arange(0, LENGTH, 400), generator.uniform(size=LENGTH // 400))
    noise = generator.standard_normal(LENGTH)
    together, apart = texture_statistics(slow**2 * noise, RATE), texture_statistics(noise, RATE)
    far = np.subtract(*np.triu_indices(30, 1)) < -3  # bands that share no frequencies
    assert np.median(np.asarray(together.correlation)[far]) > 0.7
    assert abs(np.median(np.asarray(apart.correlation)[far])) < 0.05
    assert np.median(together.modulation_c1[2]) > 0.9


def test_played_backward_attacks_are_decays():
    time = np.arange(40 * 1000 + 1)
    x = np.random.default_rng(0).standard_normal(len(time)) * np.exp(-(time % 4000) / 800)
    forward, backward = (np.asarray(texture_statistics(y, RATE).modulation_c2) for y in (x, x[::-1].copy()))
    np.testing.assert_allclose(forward * [1, -1], backward, atol=5e-3)
    assert np.abs(forward[..., 1]).max() > 0.5


def test_a_batch_is_its_signals():
    batch = np.stack([clip("water", LENGTH / RATE), clip("speech", LENGTH / RATE)])
    batch = jnp.asarray(batch, jnp.float32)
    together = jax.vmap(lambda x: statistics_at(x, sample_rate=RATE))(batch)
    for index in range(2):
        alone = statistics_at(batch[index], sample_rate=RATE)
        for block, wanted in zip(together, alone, strict=True):
            np.testing.assert_allclose(block[index], wanted, rtol=1e-3, atol=1e-3)


def test_texstat_is_that_of_the_time_domain():
    x = clip("water", LENGTH / RATE)
    bands = subbands(x / np.sqrt(np.mean(x**2)), RATE, np.linspace(erb(20), erb(8000), 18))
    s = np.abs(scipy.signal.hilbert(bands))[:, : len(x)]
    slow = scipy.signal.resample_poly(scipy.stats.zscore(s, axis=1), 1, 4, axis=1)
    slow -= slow.mean(axis=1, keepdims=True)
    frequencies = np.fft.rfftfreq(slow.shape[1], 4 / RATE)
    filters = half_cosines(np.log(np.maximum(frequencies, 1e-9)), np.linspace(np.log(10), np.log(1000), 8))
    modulated = np.fft.irfft(np.fft.rfft(slow)[:, None] * filters, slow.shape[1])
    pairs, modulation_pairs = np.triu_indices(16, 1), np.triu_indices(6, 1)
    wanted = (
        np.stack([
            s.mean(axis=1),
            s.var(axis=1) / s.mean(axis=1) ** 2 / 10,
            scipy.stats.skew(s, axis=1) / 100,
            scipy.stats.kurtosis(s, axis=1, fisher=False) / 1000,
        ]),
        np.corrcoef(s)[pairs],
        modulated.std(axis=2) / slow.std(axis=1)[:, None],
        np.stack([np.corrcoef(modulated[:, n])[pairs] for n in range(6)], axis=1),
        np.stack([np.corrcoef(modulated[k])[modulation_pairs] for k in range(16)]),
    )  # fmt: skip
    for block, values in zip(texstat_statistics(x, RATE), wanted, strict=True):
        np.testing.assert_allclose(block, values, atol=2e-3)


@pytest.mark.parametrize("recording", ["water", "speech", "tabla"])
@pytest.mark.parametrize("name", MEASURES)
def test_the_other_half_is_nearer_than_noise_of_its_spectrum_than_white_noise(name, recording):
    measure, distance = MEASURES[name]
    style, other = halves(clip(recording, 2 * LENGTH / RATE))
    wanted = measure(style, RATE)
    half, shaped, white = (
        distance(measure(x, RATE), wanted)[0] for x in (other, shaped_noise(style), white_noise(style))
    )
    assert distance(wanted, wanted)[0] == 0
    assert 0.05 < half < 0.7 * shaped
    assert shaped < 0.98 * white


@pytest.mark.parametrize("name", MEASURES)
def test_gain_does_not_matter(name):
    measure, distance = MEASURES[name]
    samples = clip("water", LENGTH / RATE)
    assert distance(measure(0.01 * samples, RATE), measure(samples, RATE))[0] < 1e-4


def test_relative_errors_are_of_each_block():
    style, other = halves(clip("water", 2 * LENGTH / RATE))
    first, second = texture_statistics(other, RATE), texture_statistics(style, RATE)
    distance = texture_distance(first, second)
    wanted = np.linalg.norm(first.level - second.level) / np.linalg.norm(second.level)
    assert distance.level == pytest.approx(wanted, rel=1e-5)
    assert distance.mean == pytest.approx(np.mean(distance[1:-1]))


@pytest.mark.parametrize("statistics", [texture_statistics, texstat_statistics])
def test_what_has_no_statistics_is_refused(statistics):
    with pytest.raises(AudioError, match="is silent"):
        statistics(np.zeros(LENGTH), RATE)
    with pytest.raises(AudioError, match=r"lasts 0\.400 s"):
        statistics(clip("water", 0.4), RATE)


def test_clicks_and_tones_have_finite_statistics():
    click = np.zeros(LENGTH)
    click[LENGTH // 2] = 1
    wave = np.sin(2 * np.pi * 440 * np.arange(LENGTH) / RATE)
    for x in (click, wave):
        for block in (*texture_statistics(x, RATE), *texstat_statistics(x, RATE)):
            assert np.isfinite(block).all()


def test_stereo_is_its_mean_and_high_rates_are_lowered():
    x = 0.1 * np.random.default_rng(0).standard_normal((2, 96_000))
    lowered = librosa.resample(x.mean(axis=0), orig_sr=48_000, target_sr=20_000, res_type="soxr_hq")
    assert len(lowered) == LENGTH
    for block, values in zip(texture_statistics(x, 48_000), texture_statistics(lowered, 20_000), strict=True):
        np.testing.assert_allclose(block, values, atol=1e-4)
