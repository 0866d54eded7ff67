"""Envelopes in auditory bands, as the cochlea passes them on, at a low rate."""

from collections.abc import Callable
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jaxtyping import Array, Complex, Float

FRAME_RATE = 400  # Hz, about: the modulations that are left are those below 200 Hz
_RING = 0.5  # seconds of zeros after the signal: what the narrowest filters ring on does not come round
_FLOOR = 1e-14
_CUT = 0.9  # of half the frame rate, where the low pass begins to fall


def erb_number(hz: Float[np.ndarray, "*shape"] | float) -> Float[np.ndarray, "*shape"]:
    """Number of equivalent rectangular bandwidths below a frequency in Hz (Glasberg & Moore 1990, ears' resolution)."""
    return np.asarray(9.265 * np.log1p(np.asarray(hz, float) / (24.7 * 9.265)))


def cosine_filters(
    frequencies: Float[np.ndarray, " frequency"],
    *,
    low: float,
    high: float,
    n_bands: int,
    scale: Callable[[Float[np.ndarray, " _"]], Float[np.ndarray, " _"]],
) -> Float[np.ndarray, "n_bands frequency"]:
    """Magnitude responses: half cosines, evenly spaced on a scale, each from its lower to its upper neighbor's center.

    Squares add up to 1 between the first and the last center.

    Args:
        frequencies: in Hz.
        low, high: where the first one begins and the last one ends, in Hz.
        n_bands: number of filters.
        scale: Hz to the scale, such as `erb_number` or `np.log2`.
    """
    first, last = scale(np.array([low, high], float))
    edges = np.linspace(first, last, n_bands + 2)
    place = scale(np.maximum(frequencies, 1e-9))
    distance = (place[None] - edges[1:-1, None]) / (edges[1] - edges[0])
    return np.where(np.abs(distance) < 1, np.cos(np.pi / 2 * np.clip(distance, -1, 1)), 0)


def decimation(sample_rate: int) -> int:
    """Samples in a frame of envelopes."""
    return max(1, round(sample_rate / FRAME_RATE))


def band_powers(
    x: Float[Array, "*batch time"], *, sample_rate: int, n_bands: int = 30, low: float = 20.0, high: float = 10_000.0
) -> Float[Array, "*batch bands"]:
    """Mean square magnitude of the analytic signal in each band of `band_envelopes`."""
    plan = _plan(x.shape[-1], sample_rate, n_bands, low, high)
    spectrum = jnp.fft.rfft(x, plan.n_fft)
    power = spectrum.real**2 + spectrum.imag**2
    scale = 4 / (plan.n_fft * x.shape[-1])
    return jnp.stack(
        [scale * jnp.sum(_passband(power, band) * _row(band.response**2, power), axis=-1) for band in plan.bands],
        axis=-1,
    )


def band_envelopes(
    x: Float[Array, "*batch time"],
    floor: Float[Array, " bands"] | None = None,
    *,
    sample_rate: int,
    n_bands: int = 30,
    low: float = 20.0,
    high: float = 10_000.0,
    exponent: float = 0.3,
) -> Float[Array, "*batch frames bands"]:
    """Compressed magnitudes of the analytic signal in bands of `cosine_filters` on the ERB scale, below 200 Hz.

    The envelopes of McDermott & Simoncelli (2011). The spectrum of each band is brought down to 0 Hz and transformed
    back in as few samples as its envelope needs: an order of magnitude less than with as many as the signal has. The
    signal is taken to be zero before its start and after its end.

    Args:
        x: the signal.
        floor: power that is added to the squared magnitudes of each band, so that derivatives stay bounded where it is
            silent; default -140 dB of full scale.
        sample_rate: in Hz.
        n_bands: number of bands.
        low, high: where they begin and end in Hz, at most at half the sample rate.
        exponent: of the magnitudes.

    Returns:
        One frame every `decimation(sample_rate)` samples, `frames = time // decimation`.
    """
    time = x.shape[-1]
    plan = _plan(time, sample_rate, n_bands, low, high)
    floors = jnp.full(n_bands, _FLOOR, x.dtype) if floor is None else floor
    spectrum = jnp.fft.rfft(x, plan.n_fft)
    envelopes = []
    for size in sorted({band.size for band in plan.bands}):  # bands that are transformed together; wider ones later
        group = [index for index, band in enumerate(plan.bands) if band.size == size]
        rows = jnp.stack([_baseband(spectrum, plan.bands[index]) for index in group], axis=-2)
        real, imaginary = (part * (size / plan.n_fft) for part in analytic(rows, size=size))
        added = jnp.expand_dims(floors[group[0] : group[-1] + 1, None], range(x.ndim - 1))
        squares = real**2 + imaginary**2 + added
        compressed = jnp.exp(exponent / 2 * jnp.log(squares))  # a power, and on a CPU several times faster than `**`
        envelopes.append(_slow(compressed, plan.n_frames))
    return jnp.moveaxis(jnp.concatenate(envelopes, axis=-2), -1, -2)[..., : time // plan.step, :]


def analytic(
    spectrum: Complex[Array, "*batch frequencies"], *, size: int
) -> tuple[Float[Array, "*batch {size}"], Float[Array, "*batch {size}"]]:
    """Real and imaginary part of the inverse DFT of a spectrum without negative frequencies.

    By two real transforms. On CPUs the last bits of a complex one depend on how many rows a thread has: the same
    program would give another result every time.

    Args:
        spectrum: from 0 Hz on.
        size: of the transform in samples, even, at least the number of frequencies.
    """
    n_lower = size // 2 + 1
    index = np.arange(min(spectrum.shape[-1], n_lower))
    edge = (index == 0) | (2 * index == size)  # a real transform has these frequencies once, and real
    lower = spectrum[..., :n_lower]
    whole, half = _row(np.where(edge, 1, 0.5), lower), _row(np.where(edge, 0, 0.5), lower)
    real, imaginary = lower.real, lower.imag
    parts = jax.lax.complex(real * whole, imaginary * half), jax.lax.complex(imaginary * whole, -real * half)
    if spectrum.shape[-1] > n_lower:  # what lies above half the sample rate is a negative frequency
        above = jnp.flip(spectrum[..., n_lower:], axis=-1)
        margins = [(0, 0)] * (spectrum.ndim - 1) + [(size - spectrum.shape[-1] + 1, 1)]
        real, imaginary = jnp.pad(above.real / 2, margins), jnp.pad(above.imag / 2, margins)
        parts = parts[0] + jax.lax.complex(real, -imaginary), parts[1] + jax.lax.complex(imaginary, real)
    return jnp.fft.irfft(parts[0], size), jnp.fft.irfft(parts[1], size)


class _Band(NamedTuple):
    """One filter: its first frequency, its response from there on, and the size of its transform."""

    start: int
    response: Float[np.ndarray, " frequencies"]
    size: int


class _Plan(NamedTuple):
    """Sizes: samples in a frame, frames with those of zeros, samples in the transform of the signal."""

    step: int
    n_frames: int
    n_fft: int
    bands: tuple[_Band, ...]


def _plan(time: int, sample_rate: int, n_bands: int, low: float, high: float) -> _Plan:
    step = decimation(sample_rate)
    seconds = time / sample_rate + _RING
    n_frames = 2 * cast(int, scipy.fft.next_fast_len(int(np.ceil(seconds * sample_rate / step / 2)), real=True))
    n_fft = step * n_frames
    frequencies = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    filters = cosine_filters(frequencies, low=low, high=min(high, sample_rate / 2), n_bands=n_bands, scale=erb_number)
    return _Plan(step, n_frames, n_fft, tuple(_band(response, n_frames) for response in filters))


def _band(response: np.ndarray, n_frames: int) -> _Band:
    inside = np.flatnonzero(response > 0)
    response = response[inside[0] : inside[-1] + 1] if len(inside) else response[:1]
    size = 2 * n_frames
    while size < 2 * len(response):  # the squared magnitude is twice as wide
        size *= 2
    return _Band(int(inside[0]) if len(inside) else 0, response, size)


def _row(values: np.ndarray, like: Array) -> Array:
    """Over the last axis, for an array of any dimensions."""
    return jnp.expand_dims(jnp.asarray(values, like.real.dtype), range(like.ndim - 1))


def _passband(values, band):
    """Those at the frequencies that a band passes."""
    return values[..., band.start : band.start + len(band.response)]


def _baseband(spectrum, band):
    part = _passband(spectrum, band)
    padding = [(0, 0)] * (spectrum.ndim - 1) + [(0, band.size // 2 - len(band.response))]
    return jnp.pad(part * _row(2 * band.response, part), padding)


def _slow(values, n_frames):
    """Low-passed and resampled, over the last axis."""
    half = n_frames // 2 + 1
    place = np.arange(half) / (half - 1)
    response = np.cos(np.pi / 2 * np.clip((place - _CUT) / (1 - _CUT), 0, 1)) ** 2
    spectrum = jnp.fft.rfft(values)[..., :half]
    return jnp.fft.irfft(spectrum * _row(response, spectrum), n_frames) * (n_frames / values.shape[-1])
