"""Recordings and what is made of them to see whether measures rank as ears do."""

import functools

import numpy as np

import jaxst
import jaxst.audio

RATE = 16_000


@functools.cache
def clip(name: str, seconds: float = 5.0) -> np.ndarray:
    """The beginning of a bundled recording, mono, at 16 kHz."""
    recording = jaxst.audio.resample(jaxst.read(jaxst.example(name)), RATE)
    return recording.samples.mean(axis=0)[: round(seconds * RATE)].astype(np.float64)


def halves(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle = len(samples) // 2
    return samples[:middle], samples[middle : 2 * middle]


def shaped_noise(samples: np.ndarray, seed: int = 0) -> np.ndarray:
    """Noise of the same spectrum: the magnitudes stay, phases are random."""
    magnitudes = np.abs(np.fft.rfft(samples))
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, magnitudes.shape)
    return np.fft.irfft(magnitudes * np.exp(1j * phases), len(samples))


def white_noise(samples: np.ndarray, seed: int = 1) -> np.ndarray:
    """As long and as loud."""
    noise = np.random.default_rng(seed).standard_normal(len(samples))
    return noise * np.linalg.norm(samples) / np.linalg.norm(noise)


def with_noise(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Noise of the same spectrum added at a signal-to-noise ratio."""
    noise = shaped_noise(samples)
    return samples + noise * np.linalg.norm(samples) / np.linalg.norm(noise) * 10 ** (-decibels / 20)


def tone(frequency: float, seconds: float = 1.0, *, harmonics: int = 1, rate: int = RATE) -> np.ndarray:
    """Harmonics of amplitudes 1, 1/2, 1/3, ... times 0.2."""
    time = np.arange(round(seconds * rate)) / rate
    return 0.2 * sum(np.sin(2 * np.pi * frequency * h * time) / h for h in range(1, harmonics + 1))
