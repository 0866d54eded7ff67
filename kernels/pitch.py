"""Fundamental frequency by YIN (de Cheveigné & Kawahara 2002, "YIN, a fundamental frequency estimator").

A signal of period T equals itself T later. YIN takes d, the mean squared difference between the signal and itself a lag
later, divides it by its own mean over all shorter lags, which gives d' (eq. 8), and looks for the first deep dip.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import scipy
from jaxtyping import Array, Float

from jaxst.kernels.stft import frame


class Pitch(NamedTuple):
    """Pitch of every frame.

    Attributes:
        f0: fundamental frequency in Hz, between `f_min` and `f_max` whether there is a pitch or not.
        aperiodicity: d' at the dip, between 0 for a periodic signal and 1 for silence: about the share of power that
            does not repeat after 1 / f0.
    """

    f0: Float[Array, "*batch frames"]
    aperiodicity: Float[Array, "*batch frames"]


def yin(
    x: Float[Array, "*batch time"],
    *,
    sample_rate: float,
    f_min: float,
    f_max: float,
    hop_length: int,
    frame_length: int = 2048,
    threshold: float = 0.1,
) -> Pitch:
    """Fundamental frequency, and how far to believe it; frame t is centered on sample `t * hop_length`, as in `stft`.

    Unlike the paper's, d is the mean over all pairs of samples of the frame, so that all lags are estimated at the
    frame's center. The place and depth of a dip are those of a parabola through d and its neighbors (step 5);
    gradients pass through the parabola, not through the choice of the dip. Frames without a dip, as in silence, give
    `f_max` and aperiodicity 1.

    Args:
        x: signal, any batch dimensions in front, taken to be zero before its start and after its end.
        sample_rate: in Hz.
        f_min, f_max: range of the fundamental in Hz.
        hop_length: samples between frames.
        frame_length: samples of a frame, two periods of `f_min` or more (2048 samples = 128 ms at 16 kHz). Long frames
            withstand noise, short ones follow a glide.
        threshold: the first dip below it is taken or, if there is none, the lowest. For this, a dip at a lag of tau
            samples counts as `tau / (2 * frame_length)` higher than it is: twice the period is as good a period, and
            only noise would decide between the two.

    Raises:
        ValueError: unless `0 < f_min < f_max <= sample_rate / 2`; for a frame of fewer than two periods of `f_min`; for
            a hop that is not positive.
    """
    if not 0 < f_min < f_max <= sample_rate / 2:
        raise ValueError(f"f_min={f_min} and f_max={f_max} must be in ascending order within 0 to {sample_rate / 2} Hz")
    shortest, longest = math.floor(sample_rate / f_max), math.ceil(sample_rate / f_min)
    if frame_length < 2 * longest:
        raise ValueError(
            f"frame_length={frame_length} is shorter than two periods of f_min={f_min} Hz: use {2 * longest} or more"
        )
    half = frame_length // 2
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)])
    frames = _normalized(frame(x, frame_length=frame_length, hop_length=hop_length))

    # The square of the rounding unit, of a peak of 1, is what rounding leaves of a constant: no period is found in it.
    floor = jnp.finfo(x.dtype).eps ** 2
    difference = _mean_squared_difference(frames, longest + 1) + floor
    lag = jnp.broadcast_to(jnp.arange(1, longest + 2, dtype=x.dtype), difference.shape)
    over_mean = (lag / jnp.cumsum(difference, axis=-1))[..., shortest - 1 : longest]
    lag = lag[..., shortest - 1 : longest]

    before, here, after = (difference[..., shortest - 2 + i : longest - 1 + i] for i in range(3))
    dip = (here < before) & (here <= after)
    slope, curvature = (after - before) / 2, before + after - 2 * here + floor
    shift = jnp.where(dip, -slope / jnp.where(dip, curvature, 1), 0)
    depth = jnp.clip((here + slope * shift / 2) * over_mean, 0, 1)

    height = jnp.where(dip, depth + lag / (2 * frame_length), jnp.inf)
    below = height <= jnp.maximum(jnp.min(height, axis=-1, keepdims=True), threshold)
    chosen = jnp.argmax(below, axis=-1, keepdims=True)

    def at_chosen(values):
        return jnp.take_along_axis(values, chosen, axis=-1)[..., 0]

    return Pitch(jnp.clip(sample_rate / at_chosen(lag + shift), f_min, f_max), at_chosen(depth))


def _normalized(frames):
    """Peak 1, then mean 0: neither changes the result, both keep rounding small. The peak's own gradient is zero."""
    peak = jax.lax.stop_gradient(jnp.max(jnp.abs(frames), axis=-1, keepdims=True))
    frames = frames / jnp.where(peak == 0, 1, peak)
    return frames - jnp.mean(frames, axis=-1, keepdims=True)


def _mean_squared_difference(frames, longest):
    """Mean of (x[m] - x[m + lag])^2 over all m of the frame, for lags 1 to `longest`.

    The sum is that of the squares of either side minus twice the autocorrelation, which takes one FFT.
    """
    frame_length = frames.shape[-1]
    n_fft = scipy.fft.next_fast_len(frame_length + longest, real=True)
    spectrum = jnp.fft.rfft(frames, n=n_fft, axis=-1)
    correlation = jnp.fft.irfft(spectrum.real**2 + spectrum.imag**2, n=n_fft, axis=-1)[..., 1 : longest + 1]
    squares = frames**2
    # What the two sides leave out of the frame: its first and its last `lag` samples.
    left_out = jnp.cumsum(squares[..., :longest] + squares[..., : -longest - 1 : -1], axis=-1)
    total = 2 * jnp.sum(squares, axis=-1, keepdims=True) - left_out - 2 * correlation
    count = jnp.arange(frame_length - 1, frame_length - longest - 1, -1, dtype=frames.dtype)
    return jnp.maximum(total, 0) / jnp.broadcast_to(count, total.shape)
