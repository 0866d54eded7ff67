"""Mel spectrograms, mel-frequency cepstral coefficients, and the way back to a spectrum and to sound.

A filter bank is a NumPy constant, made once by `mel_filters` and given to what uses it:

    filters = mel_filters(sample_rate=16_000, n_fft=512, n_mels=40)
    mel = mel_spectrogram(power(stft(x, n_fft=512, hop_length=128)), filters=filters)
    coefficients = mfcc(log_mel(mel))
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jaxtyping import Array, Float

from jaxst.kernels.griffin_lim import Inversion, griffin_lim
from jaxst.kernels.spectrogram import decibels

# Slaney 1998, "Auditory Toolbox": 3 mels in 200 Hz up to 1 kHz, from there 27 mels for each factor of 6.4.
_MELS_PER_HZ, _CORNER_HZ, _MELS_PER_LOG = 3 / 200, 1000.0, 27 / np.log(6.4)
_CORNER_MEL = _CORNER_HZ * _MELS_PER_HZ


def hz_to_mel(hz: Float[np.ndarray, "*shape"] | float, *, htk: bool = False) -> Float[np.ndarray, "*shape"]:
    """Hertz to mels.

    Args:
        hz: frequencies, not negative.
        htk: the scale of the Hidden Markov Model Toolkit, 2595 log10(1 + hz / 700); default is that of Slaney's
            Auditory Toolbox (1998), linear up to 1 kHz = 15 mel and logarithmic above.
    """
    hz = np.asarray(hz, float)
    if htk:
        return np.asarray(2595 * np.log10(1 + hz / 700))
    above = _CORNER_MEL + _MELS_PER_LOG * np.log(np.maximum(hz, _CORNER_HZ) / _CORNER_HZ)
    return np.where(hz < _CORNER_HZ, hz * _MELS_PER_HZ, above)


def mel_to_hz(mel: Float[np.ndarray, "*shape"] | float, *, htk: bool = False) -> Float[np.ndarray, "*shape"]:
    """Mels to hertz, the inverse of `hz_to_mel`."""
    mel = np.asarray(mel, float)
    if htk:
        return np.asarray(700 * (10 ** (mel / 2595) - 1))
    above = _CORNER_HZ * np.exp((np.maximum(mel, _CORNER_MEL) - _CORNER_MEL) / _MELS_PER_LOG)
    return np.where(mel < _CORNER_MEL, mel / _MELS_PER_HZ, above)


def mel_filters(
    *,
    sample_rate: float,
    n_fft: int,
    n_mels: int,
    f_min: float = 0.0,
    f_max: float | None = None,
    htk: bool = False,
    norm: str | None = "slaney",
) -> Float[np.ndarray, "n_mels frequency"]:
    """Triangular filters, evenly spaced and each half overlapping the next on the mel scale, as `librosa.filters.mel`.

    Args:
        sample_rate: in Hz.
        n_fft: transform length of the spectra to filter; there are `n_fft // 2 + 1` frequencies.
        n_mels: number of filters.
        f_min, f_max: where the first begins and the last ends, in Hz; default 0 to half the sample rate.
        htk: the mel scale, as in `hz_to_mel`.
        norm: `slaney` for an area of 1 (divided by half the width in Hz), None for a peak of 1.

    Raises:
        ValueError: for a range that is empty or beyond half the sample rate, no filters, or some that are so narrow
            that they hold no frequency of the transform and would always be silent.
    """
    if norm not in ("slaney", None):
        raise ValueError(f"norm={norm!r} must be 'slaney' or None")
    f_max = sample_rate / 2 if f_max is None else f_max
    if not 0 <= f_min < f_max <= sample_rate / 2:
        raise ValueError(f"f_min={f_min} and f_max={f_max} must rise within 0 to {sample_rate / 2} Hz")
    if n_mels < 1:
        raise ValueError(f"n_mels={n_mels} must be a positive integer")
    edges = mel_to_hz(np.linspace(hz_to_mel(f_min, htk=htk), hz_to_mel(f_max, htk=htk), n_mels + 2), htk=htk)
    frequencies = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    filters = np.stack([np.interp(frequencies, edges[m : m + 3], [0, 1, 0]) for m in range(n_mels)])
    empty = np.flatnonzero(filters.max(axis=1) == 0)
    if len(empty):
        raise ValueError(
            f"{len(empty)} of n_mels={n_mels} filters hold no frequency of n_fft={n_fft}, the first one of them from "
            f"{edges[empty[0]]:.1f} to {edges[empty[0] + 2]:.1f} Hz: use fewer filters or a longer n_fft"
        )
    return filters if norm is None else filters * (2 / (edges[2:] - edges[:-2]))[:, None]


def mel_spectrogram(
    spectrum: Float[Array, "*batch frames frequency"], *, filters: Float[np.ndarray, "n_mels frequency"]
) -> Float[Array, "*batch frames n_mels"]:
    """Energy, or magnitude, in each mel band: `librosa.feature.melspectrogram` transposed.

    Args:
        spectrum: power (librosa's default) or magnitude.
        filters: from `mel_filters`.
    """
    return _project(spectrum, filters)


def log_mel(
    mel: Float[Array, "*batch frames n_mels"],
    *,
    reference: Float[Array, ""] | float = 1.0,
    floor: float = 1e-10,
    top_db: float | None = 80.0,
) -> Float[Array, "*batch frames n_mels"]:
    """Decibels of mel bands of power, 10 log10(mel / reference), as `librosa.power_to_db`; of magnitudes: `decibels`.

    Args:
        mel: from `mel_spectrogram`.
        reference: power that is 0 dB.
        floor: least power told apart (librosa's `amin`). What is below has gradient zero.
        top_db: what is further below the loudest band of all frames is raised to that distance; None for no such limit.
            Every batch entry has its own loudest band, while librosa takes one for all.

    Raises:
        ValueError: if `floor` is not positive or `top_db` is negative.
    """
    return decibels(mel, reference=reference, floor=floor, top_db=None if top_db is None else 2 * top_db) / 2


def mfcc(
    levels: Float[Array, "*batch frames n_mels"], *, n_mfcc: int = 20, lifter: float = 0.0
) -> Float[Array, "*batch frames n_mfcc"]:
    """Mel-frequency cepstral coefficients: an orthonormal cosine transform (type II) of log-mel levels.

    Equal to `librosa.feature.mfcc` transposed (Davis & Mermelstein 1980).

    Args:
        levels: from `log_mel`, in decibels.
        n_mfcc: coefficients to keep.
        lifter: if positive, the n-th coefficient, counted from 1, is multiplied by 1 + lifter / 2 sin(pi n / lifter).

    Raises:
        ValueError: for more coefficients than mel bands, or a negative lifter.
    """
    n_mels = levels.shape[-1]
    if not 1 <= n_mfcc <= n_mels:
        raise ValueError(f"n_mfcc={n_mfcc} must be between 1 and the number of mel bands, {n_mels}")
    if lifter < 0:
        raise ValueError(f"lifter={lifter} must not be negative")
    basis = np.asarray(scipy.fft.dct(np.eye(n_mels), axis=0, norm="ortho"))[:n_mfcc]
    if lifter > 0:
        basis = basis * (1 + lifter / 2 * np.sin(np.pi * np.arange(1, n_mfcc + 1) / lifter))[:, None]
    return _project(levels, basis)


def invert_mel(
    mel: Float[Array, "*batch frames n_mels"],
    *,
    filters: Float[np.ndarray, "n_mels frequency"],
    iterations: int = 200,
) -> Float[Array, "*batch frames frequency"]:
    """A spectrum that is not negative and has the given mel spectrogram: argmin |F s - mel|^2 over s >= 0.

    By the alternating direction method of multipliers (Boyd et al. 2011, "Distributed optimization and statistical
    learning via the alternating direction method of multipliers", sections 3.4.3 and 5), from zero. Its inner system is
    the same in every iteration and frame, so that an iteration is two products with constants. Of the many minimizers
    it finds a smooth one; active-set methods put all of a band into a line or two.

    Mel spectrograms of recordings are met to 1e-6 of their norm where they are of magnitudes; of power, whose range is
    wider, to 2e-4 or better.

    Args:
        mel: bands of power or of magnitudes; the result is the same.
        filters: those that made it. Frequencies that none reaches are zero.
        iterations: reverse-mode derivatives go through all of them and keep a mask of the spectrum for each.
    """
    gram = filters @ filters.T
    penalty = 0.01 * np.linalg.norm(gram, 2)  # 0.1 and 0.001 converge more slowly
    solution = np.linalg.solve(gram + penalty * np.eye(len(gram)), filters).T

    def iterate(carry, _):
        spectrum, dual = carry
        near = spectrum - dual
        near = near + _project(mel - _project(near, filters), solution)  # argmin |F s - mel|^2 + penalty |s - near|^2
        ahead = dual + 1.6 * near - 0.6 * spectrum
        spectrum = jax.nn.relu(ahead)  # its derivative at 0 is 0, that of jnp.maximum 1/2
        return (spectrum, ahead - spectrum), None

    zeros = jnp.zeros((*mel.shape[:-1], filters.shape[1]), mel.dtype)
    (spectrum, _), _ = jax.lax.scan(iterate, (zeros, zeros), length=iterations)
    return spectrum


def mel_to_audio(
    mel: Float[Array, "*batch frames n_mels"],
    *,
    filters: Float[np.ndarray, "n_mels frequency"],
    power: float = 2.0,
    **options: Any,
) -> Inversion:
    """A waveform with the given mel spectrogram: `invert_mel`, then `griffin_lim`.

    Args:
        mel: bands of magnitudes to the `power`.
        filters: those that made it.
        power: 2 for bands of power, 1 for bands of magnitudes.
        options: of `griffin_lim`, `n_fft` and `hop_length` at least.

    Raises:
        ValueError: if `power` is not positive, or as `griffin_lim`.
    """
    if not power > 0:
        raise ValueError(f"power={power} must be positive")
    spectrum = invert_mel(mel, filters=filters)
    silent = spectrum == 0
    magnitude = jnp.where(silent, 0, jnp.where(silent, 1, spectrum) ** (1 / power))  # the root's slope at 0 is infinite
    return griffin_lim(magnitude, **options)


def _project(x, rows: np.ndarray):
    """Inner products of the last axis with the rows of a constant."""
    return jnp.einsum("...f,mf->...m", x, jnp.asarray(rows, x.dtype), precision=jax.lax.Precision.HIGHEST)
