import librosa
import numpy as np
import pytest

from jaxst.metrics.signal import signal_to_noise, spectral_convergence

NOISE = 0.1 * np.random.default_rng(0).standard_normal((2, 2, 5_000)).astype(np.float32)


@pytest.mark.parametrize("decibels", [-20, 0, 6, 100])
def test_noise_of_known_power_has_its_ratio(decibels):
    signal, noise = NOISE.astype(np.float64)
    noise *= np.linalg.norm(signal) / np.linalg.norm(noise) * 10 ** (-decibels / 20)
    assert signal_to_noise(signal, signal + noise) == pytest.approx(decibels, abs=1e-6)


def test_no_difference_counts_as_float32s_rounding():
    assert signal_to_noise(NOISE[0], NOISE[0]) == pytest.approx(144.5, abs=0.1)


@pytest.mark.parametrize("length", [1, 100, 5_000])
def test_spectral_convergence_is_librosas(length):
    """The next quickly transformed multiple of the hop to 46 ms at 48 kHz is 2304 samples."""
    signal, other = NOISE[..., :length]
    padded = np.pad(np.stack([signal, other]), [(0, 0), (0, 0), (1152, 1152)])
    first, second = np.abs(librosa.stft(padded, n_fft=2304, hop_length=576, center=False))
    wanted = np.linalg.norm(first - second) / np.linalg.norm(first)
    assert spectral_convergence(signal, other, 48_000) == pytest.approx(wanted, rel=1e-4)


def test_spectral_convergence_knows_no_signs_and_silence_is_1():
    assert spectral_convergence(NOISE[0], -NOISE[0], 48_000) == 0
    assert spectral_convergence(NOISE[0], np.zeros_like(NOISE[0]), 48_000) == 1
