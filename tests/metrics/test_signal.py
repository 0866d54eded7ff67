import librosa
import numpy as np
import pytest

from jaxst.errors import AudioError
from jaxst.metrics.signal import (
    multi_resolution_auraloss,
    multi_resolution_ddsp,
    signal_to_noise,
    spectral_convergence,
)

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


def stft_magnitudes(x, n_fft, hop_length, win_length):
    """torch.stft's defaults, in NumPy: reflected edges, periodic Hann window in the middle of the transform."""
    window = np.pad(np.hanning(win_length + 1)[:-1], (n_fft - win_length) // 2)
    padded = np.pad(x, n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
    return np.sqrt(np.maximum(np.abs(np.fft.rfft(frames * window)) ** 2, 1e-8))


def test_auraloss_is_its_formula():
    x, y = NOISE.astype(np.float64)
    terms = []
    for setting in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        for channel in range(2):
            first, second = (stft_magnitudes(signal[channel], *setting) for signal in (x, y))
            convergence = np.linalg.norm(first - second) / np.linalg.norm(first)
            terms.append([convergence, np.mean(np.abs(np.log(first) - np.log(second)))])
    linear, logarithmic = np.mean(terms, axis=0)
    result = multi_resolution_auraloss(NOISE[0], NOISE[1])
    assert result == pytest.approx((linear + logarithmic, linear, logarithmic), rel=1e-4)


def test_ddsp_is_its_formula():
    x, y = NOISE.astype(np.float64)
    linear = logarithmic = 0
    for size in (2048, 1024, 512, 256, 128, 64):
        magnitudes = []
        for signal in (x, y):
            starts = range(0, signal.shape[1], size // 4)
            padded = np.pad(signal, [(0, 0), (0, size)])
            frames = np.stack([padded[:, start : start + size] for start in starts], axis=1)
            magnitudes.append(np.abs(np.fft.rfft(frames * np.hanning(size + 1)[:-1])))
        linear += np.mean(np.abs(magnitudes[0] - magnitudes[1]))
        logarithmic += np.mean(np.abs(np.diff(np.log(np.maximum(magnitudes, 1e-5)), axis=0)))
    result = multi_resolution_ddsp(NOISE[0], NOISE[1])
    assert result == pytest.approx((linear + logarithmic, linear, logarithmic), rel=1e-3)


@pytest.mark.parametrize("distance", [multi_resolution_auraloss, multi_resolution_ddsp])
def test_multi_resolution_distances_grow_with_the_error_and_are_finite_for_silence(distance):
    signal, other = NOISE
    values = [distance(signal, signal + scale * other).total for scale in (0, 0.01, 0.1, 1)]
    assert values[0] == 0
    assert values == sorted(set(values))
    assert np.isfinite(distance(np.zeros_like(signal), signal)).all()
    assert np.isfinite(distance(signal, np.zeros_like(signal))).all()


def test_auraloss_refuses_what_it_cannot_reflect():
    with pytest.raises(AudioError, match="holds 1024 samples"):
        multi_resolution_auraloss(NOISE[0, :, :1024], NOISE[1, :, :1024])
    assert np.isfinite(multi_resolution_auraloss(NOISE[0, :, :1025], NOISE[1, :, :1025]).total)
    assert np.isfinite(multi_resolution_ddsp(NOISE[0, :, :1], NOISE[1, :, :1]).total)
