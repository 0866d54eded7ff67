"""What is seen of a complex spectrum: magnitude, power, decibels, phase, instantaneous frequency.

Everything is finite at silence, and so are the derivatives: roots, angles and logarithms alone are not.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxst.kernels.stft import check_bins, check_hop


def power(spectrum: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """|spectrum|^2."""
    return spectrum.real**2 + spectrum.imag**2


def magnitude(spectrum: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """|spectrum|, with gradient zero where the spectrum is zero: JAX has it so, which the root of `power` would not."""
    return jnp.abs(spectrum)


def decibels(
    magnitude: Float[Array, "*shape"],
    *,
    reference: Float[Array, ""] | float = 1.0,
    floor: float = 1e-5,
    top_db: float | None = None,
) -> Float[Array, "*shape"]:
    """20 log10(magnitude / reference), as `librosa.amplitude_to_db`.

    Args:
        magnitude: not negative, any shape.
        reference: magnitude that is 0 dB.
        floor: least magnitude told apart, for the reference too; 1e-5 is -100 dB. What is below has gradient zero.
        top_db: greatest distance to the loudest value in the last two axes (frames and frequencies; batch dimensions
            are apart); what is below is raised to it. Default no such limit.

    Raises:
        ValueError: if `floor` is not positive or `top_db` is negative.
    """
    if not floor > 0:
        raise ValueError(f"floor={floor} must be positive")
    levels = 20 * (jnp.log10(jnp.maximum(magnitude, floor)) - jnp.log10(jnp.maximum(reference, floor)))
    if top_db is None:
        return levels
    if top_db < 0:
        raise ValueError(f"top_db={top_db} must not be negative")
    return jnp.maximum(levels, jnp.max(levels, axis=range(-min(2, levels.ndim), 0), keepdims=True) - top_db)


def log_compress(magnitude: Float[Array, "*shape"], constant: Float[Array, ""] | float = 1.0) -> Float[Array, "*shape"]:
    """log(1 + C magnitude): linear where C times the magnitude is below 1, logarithmic above."""
    return jnp.log1p(constant * magnitude)


def log_expand(compressed: Float[Array, "*shape"], constant: Float[Array, ""] | float = 1.0) -> Float[Array, "*shape"]:
    """The magnitude that `log_compress` made `compressed` of."""
    return jnp.expm1(compressed) / constant


def real_imaginary(spectrum: Complex[Array, "*shape"]) -> Float[Array, "*shape 2"]:
    """Real and imaginary part along a new last axis."""
    return jnp.stack([spectrum.real, spectrum.imag], axis=-1)


def from_real_imaginary(parts: Float[Array, "*shape 2"]) -> Complex[Array, "*shape"]:
    """The spectrum that `real_imaginary` took apart."""
    return jax.lax.complex(parts[..., 0], parts[..., 1])


def phase(spectrum: Complex[Array, "*shape"], *, floor: float = 1e-6) -> Float[Array, "*shape"]:
    """Angle in radians, between -pi and pi; zero at silence.

    The derivative of an angle is 1 / |spectrum| and knows no bound. Here it is |spectrum| / max(|spectrum|, floor)^2:
    the true one above the floor, below it falling to zero at silence, at most 1 / floor.

    Args:
        spectrum: any shape.
        floor: magnitude; the default is about the rounding error of a full-scale signal's transform in float32.
    """
    return _angle(floor, spectrum.real, spectrum.imag)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _angle(floor, real, imaginary):
    # Zeros have signs, and atan2(0, -0) is pi.
    return jnp.where((real == 0) & (imaginary == 0), 0, jnp.arctan2(imaginary, real))


@_angle.defjvp
def _angle_jvp(floor, primals, tangents):
    real, imaginary = primals
    d_real, d_imaginary = tangents
    scale = 1 / jnp.maximum(real**2 + imaginary**2, floor**2)
    return _angle(floor, real, imaginary), scale * real * d_imaginary - scale * imaginary * d_real


def instantaneous_frequency(
    spectrum: Complex[Array, "*batch frames frequency"],
    *,
    hop_length: int,
    n_fft: int,
    sample_rate: float,
    floor: float = 1e-6,
) -> Float[Array, "*batch frames-1 frequency"]:
    """Frequency in Hz that each bin's phase advances with from one frame to the next.

    The phase vocoder's estimate (Flanagan & Golden 1966): the bin's own frequency, plus what the phase advanced more
    than that frequency does in a hop. It is that of a stationary sinusoid for all bins of the window's main lobe, as
    long as these are within `sample_rate / (2 * hop_length)` of it: a Hann window wants `hop_length <= n_fft // 4`.
    Where either frame is silent it is the bin's own frequency.

    Args:
        spectrum: of `stft`, at least two frames.
        hop_length, n_fft: as in the analysis.
        sample_rate: in Hz.
        floor: magnitude below which derivatives fall to zero, as for `phase`.

    Returns:
        Entry t of the frames is what lies between frames t and t + 1.

    Raises:
        ValueError: if `hop_length` is not positive, or `n_fft` is that of another number of frequencies.
    """
    check_hop(hop_length)
    check_bins(spectrum.shape[-1], n_fft)
    bins = np.arange(spectrum.shape[-1])
    # Whole turns are dropped in integers: the advance of high bins would cost digits.
    expected, centers = (
        jax.lax.expand_dims(jnp.asarray(values, spectrum.real.dtype), range(spectrum.ndim - 1))
        for values in (bins * hop_length % n_fft / n_fft, bins * sample_rate / n_fft)
    )
    turns = phase(spectrum, floor=floor) / (2 * np.pi)
    advance = turns[..., 1:, :] - turns[..., :-1, :] - expected
    sounding = (spectrum[..., 1:, :] != 0) & (spectrum[..., :-1, :] != 0)
    deviation = jnp.where(sounding, advance - jnp.round(advance), 0)
    return centers + deviation * (sample_rate / hop_length)
