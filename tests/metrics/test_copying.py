"""Correlations against scipy's and against a loop; copies score as copies, noise does not."""

import numpy as np
import pytest
import scipy.signal
from recordings import RATE, clip, halves, shaped_noise

from jaxst.errors import AudioError
from jaxst.metrics.copying import peak_cross_correlation, window_cross_correlation

NOISE = 0.1 * np.random.default_rng(0).standard_normal((3, 2 * RATE))


def test_peak_is_scipys():
    x, y = clip("water", 1.0), clip("speech", 2.0)[RATE:]
    correlation = scipy.signal.correlate(x, y, method="direct")
    wanted = np.abs(correlation).max() / np.linalg.norm(x) / np.linalg.norm(y)
    assert peak_cross_correlation(x, y, RATE) == pytest.approx(wanted, rel=1e-9)


def test_windows_are_those_of_a_loop():
    x, y, length = clip("speech", 1.0), clip("speech", 3.0)[2 * RATE :], 4_000
    positions = np.lib.stride_tricks.sliding_window_view(y, length)
    scale = np.maximum(np.linalg.norm(positions, axis=1), 1e-3 * np.linalg.norm(positions, axis=1).max())
    windows = x.reshape(-1, length)
    wanted = [np.max(np.abs(positions @ w) / scale) / np.linalg.norm(w) for w in windows]
    mean, peak = window_cross_correlation(x, y, RATE)
    assert mean == pytest.approx(np.mean(wanted), abs=1e-4)
    assert peak == pytest.approx(np.max(wanted), abs=1e-4)


@pytest.mark.parametrize("gain", [-1, 0.01, 1e-7, 5])
@pytest.mark.parametrize("recording", ["water", "speech"])
def test_a_shifted_copy_is_a_copy_at_any_gain_and_sign(recording, gain):
    style = clip(recording, 3.0)
    copy = gain * np.concatenate([style[5_000:], np.zeros(777)])
    left = np.linalg.norm(style[5_000:]) / np.linalg.norm(style)
    assert peak_cross_correlation(copy, style, RATE) == pytest.approx(left, abs=1e-3)
    assert window_cross_correlation(copy, style, RATE).mean > 0.95


def test_independent_noise_is_none():
    assert peak_cross_correlation(NOISE[0], NOISE[1], RATE) < 0.05
    assert window_cross_correlation(NOISE[0], NOISE[1], RATE).peak < 0.1
    assert window_cross_correlation(shaped_noise(clip("water")), clip("water"), RATE).mean < 0.2


def test_only_windows_find_a_quotation_and_a_collage():
    style, output = NOISE[0], NOISE[1].copy()
    output[4_000:8_000] = style[10_100:14_100]
    assert peak_cross_correlation(output, style, RATE) < 0.15
    mean, peak = window_cross_correlation(output, style, RATE)
    assert peak == pytest.approx(1, abs=1e-4)
    assert mean == pytest.approx(1 / 8 + 7 / 8 * window_cross_correlation(NOISE[1], style, RATE).mean, abs=0.01)
    collage = np.concatenate(np.split(style, 8)[::-1])
    assert peak_cross_correlation(collage, style, RATE) < 0.5
    assert window_cross_correlation(collage, style, RATE).mean == pytest.approx(1, abs=1e-4)


def test_a_recordings_other_half_is_no_copy_but_a_loops_is():
    assert window_cross_correlation(*halves(clip("water")), RATE).mean < 0.2
    assert window_cross_correlation(*halves(clip("tabla")), RATE).peak > 0.9


def test_lengths_and_rates_may_be_any():
    assert window_cross_correlation(NOISE[0, :100], NOISE[0], RATE) == pytest.approx((1, 1), abs=1e-4)
    assert window_cross_correlation(NOISE[0], NOISE[1, :1], RATE) == pytest.approx((1, 1), abs=1e-4)
    assert peak_cross_correlation(NOISE[:2], NOISE[:2], 44_100) == pytest.approx(1)


def test_silence_is_no_copy_and_parts_of_it_are_skipped():
    silence = np.zeros(RATE)
    for pair in [(silence, NOISE[0]), (NOISE[0], silence), (silence, silence)]:
        assert peak_cross_correlation(*pair, RATE) == 0
        assert window_cross_correlation(*pair, RATE) == (0, 0)
    padded = np.concatenate([silence, NOISE[0]])
    assert window_cross_correlation(padded, NOISE[0], RATE).mean == pytest.approx(1, abs=1e-4)


def test_nan_is_refused():
    with pytest.raises(AudioError, match="output: holds NaN"):
        peak_cross_correlation(np.full(100, np.nan), NOISE[0], RATE)
