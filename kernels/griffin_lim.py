"""A waveform from magnitudes alone: Griffin-Lim, classic and fast, L-BFGS on the waveform, and phases to start from.

Start phases are arrays in radians like the magnitude: zeros, `random_phase`, `single_pass_phase`, or the phase of
another recording, `spectrogram.phase(stft(x))`.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Key

from jaxst.kernels.optimizers import evaluator, lbfgs
from jaxst.kernels.spectrogram import magnitude as magnitude_of
from jaxst.kernels.spectrogram import power
from jaxst.kernels.stft import Window, check_bins, check_hop, istft, stft, stft_window

SILENCE = 1e-15  # norm of magnitudes that count as none: the derivatives of a division by less overflow in float32


class Inversion(NamedTuple):
    """A waveform and how well its magnitudes are those asked for.

    Attributes:
        waveform: `(*batch, time)`.
        convergence: `(*batch, iterations)`, spectral convergence || |STFT(x)| - S || / ||S|| of the waveform after each
            iteration (Frobenius norms); not divided where S is silent.
    """

    waveform: Float[Array, "*batch time"]
    convergence: Float[Array, "*batch iterations"]


def griffin_lim(
    magnitude: Float[Array, "*batch frames frequency"],
    *,
    n_fft: int,
    hop_length: int,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: str = "reflect",
    length: int | None = None,
    iterations: int = 32,
    momentum: float = 0.99,
    phase: Float[Array | np.ndarray, "*batch frames frequency"] | None = None,
) -> Inversion:
    """Find a waveform with the given STFT magnitudes S by alternating projections.

    An iteration is `project`, an inverse transform and a transform: Griffin & Lim's (1984) algorithm where `momentum`
    is zero, else the fast one of Perraudin, Balazs & Sondergaard (2013). From the same phase it makes what
    `librosa.griffinlim` makes. Differentiable; silence gives silence.

    Args:
        magnitude: S, `(..., frames, n_fft // 2 + 1)`, not negative.
        n_fft, hop_length, win_length, window, center, pad_mode: of the transform, as for `stft`. Without `center` the
            waveform's ends can be far too loud: see `istft`.
        length: of the waveform, in samples; it must give as many frames as S has. Default as for `istft`.
        iterations: each costs a transform and an inverse.
        momentum: not negative. Above 1 it may not converge.
        phase: to start from, in radians; default zero.

    Raises:
        ValueError: for a transform that `stft` or `istft` refuses, a `length` of another number of frames, or a
            negative `momentum`.
    """
    if momentum < 0:
        raise ValueError(f"momentum={momentum} must not be negative")
    check_hop(hop_length)
    check_bins(magnitude.shape[-1], n_fft)
    n_frames = magnitude.shape[-2]
    if length is None:
        length = (n_frames - 1) * hop_length + n_fft - (2 * (n_fft // 2) if center else 0)
    _check_frames(n_frames, length, n_fft, hop_length, center)
    transform: dict[str, Any] = {"n_fft": n_fft, "hop_length": hop_length, "win_length": win_length, "window": window}
    analyze = partial(stft, **transform, center=center, pad_mode=pad_mode)
    synthesize = partial(istft, **transform, center=center, length=length)
    norm = _level(magnitude)

    def iterate(carry, _):
        rebuilt, before = carry[1:]
        waveform = synthesize(project(magnitude, rebuilt, before, momentum=momentum))
        after = analyze(waveform)
        return (waveform, after, rebuilt), _norm(magnitude_of(after) - magnitude) / norm

    zeros = jnp.zeros_like(magnitude)
    start = jax.lax.complex(magnitude, zeros) if phase is None else _with_phase(magnitude, phase)
    waveform = synthesize(start)
    carry = waveform, analyze(waveform), jax.lax.complex(zeros, zeros)
    # Two iterations at a time: spectra then swap places in the carry instead of being copied.
    (waveform, *_), convergence = jax.lax.scan(iterate, carry, length=iterations, unroll=2)
    return Inversion(waveform, jnp.moveaxis(convergence, 0, -1))


def project(
    magnitude: Float[Array, "*batch frames frequency"],
    spectrum: Complex[Array, "*batch frames frequency"],
    before: Complex[Array, "*batch frames frequency"],
    *,
    momentum: Float[Array, ""] | float,
) -> Complex[Array, "*batch frames frequency"]:
    """The next guess at the spectrum whose magnitude is S: the phases of the last one that was a signal's.

    S u / |u|, u = `spectrum` - a / (1 + a) `before`, a = `momentum`; zero where u is (in float32, below 1e-19).

    Args:
        magnitude: S.
        spectrum: transform of the last waveform.
        before: transform of the waveform before it; zeros if there is none.
        momentum: not negative; without, `before` plays no part.
    """
    if isinstance(momentum, jax.Array) or momentum != 0:
        spectrum = spectrum - momentum / (1 + momentum) * before
    unit = _unit(spectrum)
    return jax.lax.complex(magnitude * unit.real, magnitude * unit.imag)


@jax.custom_jvp
def _unit(spectrum):
    """u / |u|; zero where |u|^2 is."""
    scale = _reciprocal_root(power(spectrum))
    return jax.lax.complex(scale * spectrum.real, scale * spectrum.imag)


@_unit.defjvp
def _unit_jvp(primals, tangents):
    """A turn by the part of du / |u| across u: what JAX would write divides by |u|^3, which underflows."""
    (spectrum,), (tangent,) = primals, tangents
    unit = _unit(spectrum)
    turn = _reciprocal_root(power(spectrum)) * (unit.real * tangent.imag - unit.imag * tangent.real)
    return unit, jax.lax.complex(-turn * unit.imag, turn * unit.real)


def _reciprocal_root(x):
    return jnp.where(x == 0, 0, jax.lax.rsqrt(_nonzero(x)))


def invert_magnitude(
    magnitude: Float[Array, "*batch frames frequency"],
    start_waveform: Float[Array, "*batch time"],
    *,
    n_fft: int,
    hop_length: int,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: str = "reflect",
    iterations: int = 32,
) -> Inversion:
    """Find a waveform with the given STFT magnitudes by L-BFGS on its samples (Decorsiere, Sondergaard et al. 2015).

    What is minimized is the squared spectral convergence, which never rises; use it to refine what `griffin_lim` found.
    Elements of a batch have their own directions and line searches, and wait for each other. Not differentiable in
    reverse: the line search is a loop of no fixed length.

    Args:
        magnitude: S, `(..., frames, n_fft // 2 + 1)`, not negative.
        start_waveform: to start from, of a length that gives as many frames as S has. Not silence: there the gradient
            is zero.
        n_fft, hop_length, win_length, window, center, pad_mode: of the transform, as for `stft`.
        iterations: steps of L-BFGS. A step that fails, as at the minimum, leaves the waveform as it is.

    Raises:
        ValueError: for a transform that `stft` refuses, or a start of another number of frames.
    """
    check_hop(hop_length)
    check_bins(magnitude.shape[-1], n_fft)
    *batch, n_frames, _ = magnitude.shape
    length = start_waveform.shape[-1]
    _check_frames(n_frames, length, n_fft, hop_length, center)
    transform: dict[str, Any] = {"n_fft": n_fft, "hop_length": hop_length, "win_length": win_length, "window": window}
    analyze = partial(stft, **transform, center=center, pad_mode=pad_mode)
    values = stft_window(window, win_length or n_fft, n_fft)
    gain = float(np.sqrt(n_fft / 2 * np.sum(values**2) / hop_length))  # from a waveform's norm to its transform's
    optimizer = lbfgs()

    def invert(magnitude, start):
        # The search goes the same way at all levels, and its first step is no longer than it should be, if S and what
        # moves have norms of about one.
        level = _level(magnitude)
        target = magnitude / level

        def loss(x):
            return 0.5 * jnp.sum((magnitude_of(analyze(x / gain)) - target) ** 2), {}

        def iterate(carry, _):
            point, state, _ = optimizer.step(evaluate, *carry)
            return (point, state), _root(2 * point.value)

        evaluate = evaluator(loss)
        carry = evaluate(gain / level * start), optimizer.init(start)
        (point, _), convergence = jax.lax.scan(iterate, carry, length=iterations)
        return Inversion(level / gain * point.parameters, convergence)

    lanes = jax.vmap(invert)(magnitude.reshape(-1, *magnitude.shape[-2:]), start_waveform.reshape(-1, length))
    return jax.tree.map(lambda leaf: leaf.reshape(*batch, leaf.shape[-1]), lanes)


def random_phase(key: Key[Array, ""], magnitude: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Independent phases, uniform from 0 to 2 pi, of the magnitude's shape. `key` is used for nothing else."""
    return jax.random.uniform(key, magnitude.shape, magnitude.dtype, 0, 2 * np.pi)


def single_pass_phase(
    magnitude: Float[Array, "*batch frames frequency"], *, n_fft: int, hop_length: int
) -> Float[Array, "*batch frames frequency"]:
    """Phases of the sinusoids that the peaks of each frame stand for (Beauregard, Harish & Wyse 2015, SPSI).

    A peak's frequency, by a parabola through the logarithms of its three magnitudes, says how far the phase advances
    from one frame to the next. The first and the last bin can be peaks, too, at their own frequencies. All bins from
    trough to trough move with their peak; from bin to bin the phase is turned by pi, as in the main lobe of a window
    whose middle is the frame's. A frame without peaks advances by each bin's own frequency. The phases of the first
    frame's peaks are zero.

    Args:
        magnitude: `(..., frames, n_fft // 2 + 1)`.
        n_fft, hop_length: of the transform.

    Returns:
        Radians, not wrapped into one turn.

    Raises:
        ValueError: if `hop_length` is not positive, or `n_fft` is that of another number of frequencies.
    """
    check_hop(hop_length)
    n_bins = magnitude.shape[-1]
    check_bins(n_bins, n_fft)
    peak, offset = _interpolated_peaks(magnitude)
    bins = np.arange(n_bins)
    # Turns of each bin's frequency in a hop. Whole ones are dropped in integers: they would cost digits.
    own = jnp.asarray(bins * hop_length % n_fft / n_fft, magnitude.dtype)
    advance = jnp.take(own, peak) + jnp.take_along_axis(offset, peak, axis=-1) * (hop_length / n_fft)

    def step(turns, frame):
        peak, advance = frame
        turns = jnp.take_along_axis(turns, peak, axis=-1) + advance
        turns = turns - jnp.floor(turns)
        return turns, turns

    frames = jnp.moveaxis(peak, -2, 0), jnp.moveaxis(advance.at[..., 0, :].set(0), -2, 0)
    _, turns = jax.lax.scan(step, jnp.zeros_like(magnitude[..., 0, :]), frames)
    alternating = jnp.asarray(bins % 2 / 2, magnitude.dtype)
    return 2 * np.pi * (jnp.moveaxis(turns, 0, -2) + jax.lax.expand_dims(alternating, range(magnitude.ndim - 1)))


def _interpolated_peaks(magnitude):
    """The peak that each bin belongs to, itself where the frame has none; how far peaks lie from their bins, else 0."""
    n_bins = magnitude.shape[-1]
    left, middle, right = magnitude[..., :-2], magnitude[..., 1:-1], magnitude[..., 2:]
    is_peak = (middle >= left) & (middle > right)
    # Logarithms relative to the peak, at least -60 dB.
    peak = jnp.where(is_peak, middle, 1)
    below, above = (jnp.log(jnp.maximum(side, 1e-3 * peak)) - jnp.log(peak) for side in (left, right))
    curvature = below + above
    is_peak = is_peak & (curvature < 0)
    offset = jnp.where(is_peak, 0.5 * (below - above) / jnp.where(is_peak, curvature, 1), 0)
    first, last = magnitude[..., :1] > magnitude[..., 1:2], magnitude[..., -1:] > magnitude[..., -2:-1]
    is_peak = jnp.concatenate([first, is_peak, last], axis=-1)
    offset = jnp.pad(offset, [(0, 0)] * (magnitude.ndim - 1) + [(1, 1)])
    bins = jnp.broadcast_to(jnp.arange(n_bins), magnitude.shape)
    axis = magnitude.ndim - 1
    last_peak = jax.lax.cummax(jnp.where(is_peak, bins, -1), axis=axis)
    next_peak = jax.lax.cummin(jnp.where(is_peak, bins, n_bins), axis=axis, reverse=True)
    falling = jnp.diff(magnitude, axis=-1, prepend=magnitude[..., :1]) <= 0  # still on the slope of the last peak
    of_last = (last_peak >= 0) & (falling | (next_peak == n_bins))
    return jnp.where(of_last, last_peak, jnp.where(next_peak < n_bins, next_peak, bins)), offset


def _check_frames(n_frames: int, length: int, n_fft: int, hop_length: int, center: bool) -> None:
    given = 1 + (length + (2 * (n_fft // 2) if center else 0) - n_fft) // hop_length
    if given != n_frames:
        raise ValueError(f"{length} samples give {given} frames, the magnitude has {n_frames}")


def _with_phase(magnitude, phase):
    return jax.lax.complex(magnitude * jnp.cos(phase), magnitude * jnp.sin(phase))


def _norm(x):
    """Frobenius norm of the last two axes."""
    return _root(jnp.sum(x**2, axis=(-2, -1)))


def _root(x):
    """Square root, with derivative zero at zero."""
    return jnp.where(x == 0, 0, jnp.sqrt(_nonzero(x)))


def _level(magnitude):
    """The norm, one for silence."""
    norm = _norm(magnitude)
    return jnp.where(norm < SILENCE, 1, norm)


def _nonzero(x):
    return jnp.where(x == 0, 1, x)
