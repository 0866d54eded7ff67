"""How close one signal is to another, sample by sample and magnitude by magnitude."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.compiling import jit_quickly
from jaxst.errors import AudioError
from jaxst.kernels.stft import stft
from jaxst.representation import Resolution, resolution_at

WINDOW, HOP = 46.0, 11.5  # in ms, of the transform whose magnitudes are compared
_FINEST = 2.0**-48  # power of float32's rounding error relative to the signal's: 144 dB below it


def signal_to_noise(
    reference: Float[np.ndarray, "channels time"], estimate: Float[np.ndarray, "channels time"]
) -> float:
    """Power of a signal over that of an estimate's difference to it, in dB: at most 144, what float32 resolves."""
    reference = reference.astype(np.float64)
    power, error = np.sum(reference**2), np.sum((estimate - reference) ** 2)
    return 10 * math.log10(power / max(error, _FINEST * power))


def spectral_convergence(
    reference: Float[np.ndarray, "channels time"], estimate: Float[np.ndarray, "channels time"], sample_rate: int
) -> float:
    """|| |X| - |Y| || / || |X| || over all STFT bins of all channels (Sturmel & Daudet 2011): 0 where all magnitudes
    agree, 1 for silence."""
    resolution = resolution_at(WINDOW, HOP, sample_rate)
    difference, total = _sums(jnp.asarray(reference), jnp.asarray(estimate), resolution=resolution)
    return math.sqrt(np.sum(np.asarray(difference, np.float64)) / np.sum(np.asarray(total, np.float64)))


@jit_quickly(static_argnames="resolution", level=1)
def _sums(
    reference: Float[Array, "channels time"], estimate: Float[Array, "channels time"], *, resolution: Resolution
) -> tuple[Float[Array, " channels"], Float[Array, " channels"]]:
    """For each channel the sum of squared differences of magnitudes, and of squared magnitudes of the reference."""

    def magnitudes(x):
        return jnp.abs(stft(x, **resolution._asdict(), pad_mode="constant"))

    def compare(pair):
        first, second = map(magnitudes, pair)
        return jnp.sum((first - second) ** 2), jnp.sum(first**2)

    return jax.lax.map(compare, (reference, estimate))  # one channel at a time, for memory's sake


class Spectral(NamedTuple):
    """One STFT of a multi-resolution distance, in samples."""

    n_fft: int
    hop_length: int
    win_length: int


AURALOSS = (Spectral(1024, 120, 600), Spectral(2048, 240, 1200), Spectral(512, 50, 240))
DDSP = tuple(Spectral(n_fft, n_fft // 4, n_fft) for n_fft in (2048, 1024, 512, 256, 128, 64))


class MultiResolution(NamedTuple):
    """Terms of a multi-resolution STFT distance, and what they add up to; 0 if all magnitudes agree, lower is better.

    Attributes:
        total: what the library that it is from calls the loss.
        linear: its term of magnitudes.
        logarithmic: its term of natural logarithms of magnitudes.
    """

    total: float
    linear: float
    logarithmic: float


def multi_resolution_auraloss(
    reference: Float[np.ndarray, "channels time"], estimate: Float[np.ndarray, "channels time"]
) -> MultiResolution:
    """auraloss' `MultiResolutionSTFTLoss` with its defaults (Steinmetz & Reiss 2020; Yamamoto, Song & Kim 2020).

    Mean over three STFTs of the spectral convergence || |X| - |Y| || / || |X| ||, mean over channels, and of the mean
    |log |X| - log |Y||, X the reference's. Magnitudes are sqrt(max(|X|^2, 1e-8)), transforms of 1024, 2048 and 512
    samples, hops of 120, 240 and 50, Hann windows of 600, 1200 and 240, at whatever rate; edges are reflected. Gain
    matters.

    Raises:
        AudioError: for 1024 samples or fewer.
    """
    if reference.shape[1] <= 1024:
        raise AudioError(f"reference: holds {reference.shape[1]} samples, but this measure needs 1025 or more")
    linear, logarithmic = np.mean(_differences(reference, estimate, settings=AURALOSS, relative=True), axis=0)
    return MultiResolution(float(linear + logarithmic), float(linear), float(logarithmic))


def multi_resolution_ddsp(
    reference: Float[np.ndarray, "channels time"], estimate: Float[np.ndarray, "channels time"]
) -> MultiResolution:
    """DDSP's multi-scale spectral loss (Engel, Hantrakul, Gu & Roberts 2020, eq. 4, with alpha = 1).

    Sum over six STFTs of the mean ||X| - |Y|| and of the mean |log |X| - log |Y||, magnitudes floored at 1e-5 for the
    logarithm. Transforms of 2048, 1024, 512, 256, 128 and 64 samples with Hann windows as long and hops of a quarter,
    at whatever rate; frames begin at the first sample, and zeros follow the last. Gain matters.
    """
    linear, logarithmic = np.sum(_differences(reference, estimate, settings=DDSP, relative=False), axis=0)
    return MultiResolution(float(linear + logarithmic), float(linear), float(logarithmic))


def _differences(
    reference: np.ndarray, estimate: np.ndarray, *, settings: Sequence[Spectral], relative: bool
) -> Float[np.ndarray, "settings 2"]:
    """Linear and logarithmic term of each setting, mean over channels; `relative` as auraloss, else as DDSP."""
    x, y = jnp.asarray(reference, jnp.float32), jnp.asarray(estimate, jnp.float32)
    return np.array([_difference(x, y, setting=setting, relative=relative) for setting in settings], np.float64)


@jit_quickly(static_argnames=("setting", "relative"), level=1)
def _difference(
    x: Float[Array, "channels time"], y: Float[Array, "channels time"], *, setting: Spectral, relative: bool
) -> Float[Array, " 2"]:
    def magnitudes(signal):
        if relative:
            spectrum = stft(signal, **setting._asdict())
            return jnp.sqrt(jnp.maximum(spectrum.real**2 + spectrum.imag**2, 1e-8))
        missing = (-(-signal.shape[0] // setting.hop_length) - 1) * setting.hop_length + setting.n_fft
        return jnp.abs(stft(jnp.pad(signal, (0, missing - signal.shape[0])), **setting._asdict(), center=False))

    def compare(pair):
        first, second = map(magnitudes, pair)
        difference = first - second
        linear = jnp.linalg.norm(difference) / jnp.linalg.norm(first) if relative else jnp.mean(jnp.abs(difference))
        logarithms = jnp.log(jnp.maximum(first, 1e-5)) - jnp.log(jnp.maximum(second, 1e-5))
        return jnp.stack([linear, jnp.mean(jnp.abs(logarithms))])

    return jnp.mean(jax.lax.map(compare, (x, y)), axis=0)  # one channel at a time, for memory's sake
