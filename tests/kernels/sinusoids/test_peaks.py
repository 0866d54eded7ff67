"""Sinusoids of known frequency, magnitude and phase are found where they are."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.kernels.sinusoids.peaks import find_peaks

RATE = 16_000
TRANSFORM = {"sample_rate": RATE, "n_fft": 1024, "hop_length": 256, "max_peaks": 20}
MIDDLE = 20  # a frame away from either end
CENTER = MIDDLE * TRANSFORM["hop_length"] / RATE
TIMES = np.arange(11_000) / RATE


def tone(frequency, magnitude=0.5, phase=0.0):
    return magnitude * np.cos(2 * np.pi * frequency * TIMES + phase)


@cache
def compiled(**options):
    return jax.jit(partial(find_peaks, **{**TRANSFORM, **options}))


def peaks_of(x, **options):
    return compiled(**options)(jnp.asarray(x, jnp.float32))


def middle(peaks):
    """Frequencies, magnitudes and phases of the peaks of one frame, empty slots left out, by frequency."""
    rows = np.stack([np.asarray(values[MIDDLE]) for values in peaks])
    rows = rows[:, rows[0] > 0]
    return rows[:, np.argsort(rows[0])]


def decibels(ratio):
    return 20 * np.log10(ratio)


@pytest.mark.parametrize(
    ("window", "win_length", "n_fft"),
    [("hann", 1024, 1024), ("hann", 801, 1024), ("blackmanharris", 1024, 1024), (("kaiser", 9.0), 700, 1023)],
)
def test_a_tone_is_found(window, win_length, n_fft):
    """Within 0.1 Hz and 0.1 dB is asked for; it is a good deal better, at any place between two bins."""
    for frequency in 1000.3 + np.linspace(0, RATE / n_fft, 5):
        peaks = peaks_of(tone(frequency, 0.5, 1.0), window=window, win_length=win_length, n_fft=n_fft)
        found = [float(values[MIDDLE, 0]) for values in peaks]
        assert abs(found[0] - frequency) < 0.01
        assert abs(decibels(found[1] / 0.5)) < 0.01
        assert abs(np.angle(np.exp(1j * (found[2] - 2 * np.pi * frequency * CENTER - 1)))) < 1e-3


def test_two_tones_100_hz_apart_are_separated():
    frequency, magnitude, _ = middle(peaks_of(tone(1000, 0.4) + tone(1100, 0.1), window="hann"))
    np.testing.assert_allclose(frequency[:2], [1000, 1100], atol=0.5)
    np.testing.assert_allclose(decibels(magnitude[:2]), decibels(np.array([0.4, 0.1])), atol=0.1)


def test_peaks_come_loudest_first_and_no_more_than_there_are_slots():
    x = sum(tone(frequency, 0.01 * k) for k, frequency in enumerate((500, 1500, 2500, 3500, 4500, 5500), 1))
    peaks = peaks_of(x, max_peaks=4)
    np.testing.assert_allclose(peaks.frequency[MIDDLE], [5500, 4500, 3500, 2500], atol=0.1)
    np.testing.assert_allclose(peaks.magnitude[MIDDLE], [0.06, 0.05, 0.04, 0.03], rtol=1e-3)


def test_the_threshold_is_in_decibels_of_full_scale():
    x = tone(1000, 0.01) + tone(3000, 0.0001)
    for threshold, expected in ((-90, 2), (-70, 1), (-30, 0)):
        assert middle(peaks_of(x, threshold=threshold)).shape[1] == expected


def test_silence_has_no_peaks():
    peaks = peaks_of(np.zeros(4000))
    assert not any(np.any(values) for values in peaks)


def test_a_frame_before_the_end_of_silence_hears_the_sound_only_in_its_window():
    x = np.where(np.arange(TIMES.size) < 4000, 0, tone(1000))
    magnitude = np.asarray(peaks_of(x).magnitude[:, 0])
    hop, half = TRANSFORM["hop_length"], TRANSFORM["n_fft"] // 2
    assert not magnitude[: (4000 - half) // hop].any()
    np.testing.assert_allclose(magnitude[(4000 + half) // hop + 1 : -3], 0.5, rtol=1e-3)


def test_gradients_tell_how_the_waveform_moves_a_peak():
    """Around one tone, the derivative along a change of its magnitude, phase and frequency is that change."""

    def moved(step):
        values = (0.5 + step[0]) * jnp.cos(2 * np.pi * (1000 + step[1]) * (TIMES - CENTER) + 1 + step[2])
        peaks = find_peaks(values, **TRANSFORM, window="hann")
        return jnp.stack([peaks.magnitude[MIDDLE, 0], peaks.frequency[MIDDLE, 0], peaks.phase[MIDDLE, 0]])

    with jax.enable_x64(True):
        jacobian = jax.jit(jax.jacrev(moved))(jnp.zeros(3))
    np.testing.assert_allclose(jacobian, np.eye(3), atol=2e-3)


def test_windows_without_a_main_lobe_are_refused():
    with pytest.raises(ValueError, match="win_length=7 must be at least 8"):
        find_peaks(jnp.zeros(2000), **TRANSFORM, win_length=7)


@pytest.mark.parametrize("max_peaks", [0, 512])
def test_the_number_of_slots_is_checked(max_peaks):
    with pytest.raises(ValueError, match=f"max_peaks={max_peaks} must be between 1 and 511"):
        find_peaks(jnp.zeros(2000), **{**TRANSFORM, "max_peaks": max_peaks})
