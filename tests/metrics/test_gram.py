"""Gram matrices against the limit of infinitely many filters; the distance on recordings."""

import jax.numpy as jnp
import librosa
import numpy as np
import pytest
from recordings import RATE, clip, halves, shaped_noise, white_noise

from jaxst.errors import AudioError
from jaxst.metrics.gram import WIDTHS, draw_banks, gram_distance, gram_statistics

LENGTH = 32_000  # samples of all signals here, so that programs are compiled once


def test_gram_matrices_have_the_means_of_infinitely_many_filters():
    """For w of variance 2 / n, E relu(w.u)^2 = |u|^2 / n; for two filters E relu(w.u) relu(v.u) = |u|^2 / (n pi)."""
    x = clip("water", LENGTH / RATE)
    levels = np.log1p(np.abs(librosa.stft(x / np.sqrt(np.mean(x**2)), n_fft=512, hop_length=128, pad_mode="reflect")))
    power = np.mean(levels**2, axis=0)
    ratios = []
    for gram, width in zip(gram_statistics(x, RATE), WIDTHS, strict=True):
        mean = np.mean(np.convolve(power, np.ones(width) / width, mode="valid"))
        gram = np.asarray(gram)
        assert gram.shape == (512, 512)
        ratios.append([np.mean(np.diag(gram)) / mean, np.mean(gram[~np.eye(512, dtype=bool)]) / mean * np.pi])
    # Deviation of a mean over 512 filters: 10 % and more where all frames are alike.
    np.testing.assert_allclose(ratios, 1, atol=0.4)
    np.testing.assert_allclose(np.mean(ratios, axis=0), 1, atol=0.1)


@pytest.fixture(scope="module")
def banks():
    """As drawn for each call that is given none."""
    return tuple(draw_banks())


@pytest.mark.parametrize("recording", ["water", "speech", "tabla"])
def test_the_other_half_is_nearer_than_noise_of_its_spectrum_than_white_noise(recording, banks):
    style, other = halves(clip(recording, 2 * LENGTH / RATE))
    wanted, *others = (
        gram_statistics(x, RATE, banks=banks) for x in (style, other, shaped_noise(style), white_noise(style))
    )
    half, shaped, white = (gram_distance(statistics, wanted) for statistics in others)
    assert gram_distance(wanted, wanted) == (0, (0,) * 6)
    assert 0.05 < half.mean < 0.7 * shaped.mean
    assert shaped.mean < 0.7 * white.mean


def test_the_distance_is_relative_and_the_mean_of_all_networks():
    first, second = (tuple(scale * jnp.eye(2) for scale in scales) for scales in ([2, 3], [1, 4]))
    assert gram_distance(first, second) == (0.625, (1.0, 0.25))


def test_gain_does_not_matter_and_draws_are_always_the_same(banks):
    samples = clip("water", LENGTH / RATE)
    assert gram_distance(gram_statistics(0.01 * samples, RATE, banks=banks), gram_statistics(samples, RATE)).mean < 1e-4


def test_what_is_too_short_for_the_longest_filter_or_silent_is_refused():
    with pytest.raises(AudioError, match="is silent"):
        gram_statistics(np.zeros(LENGTH), RATE)
    with pytest.raises(AudioError, match=r"lasts 1\.000 s, but this measure needs 1\.1 s"):
        gram_statistics(clip("water", 1.0), RATE)
    gram_statistics(clip("water", 1.1), RATE)
