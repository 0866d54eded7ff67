"""Long-term spectra and stereo images: measuring them, and filtering a waveform to have another's."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxst.kernels.stft import stft
from jaxst.representation import Resolution, fast_length

_QUIETEST = 1e-6  # of the strongest frequency's power: what is weaker counts as having this power
_MAX_BOOST = 100.0  # of power: filtering may not lift what is hardly there out of the noise by more
_INCOHERENT = 1e-2  # share of independent noise that every pair of channels is taken to have


def cross_spectrum(
    x: Float[Array, "channels _"], resolution: Resolution
) -> Complex[Array, "frequency channels channels"]:
    """Mean of X X^H over the frames of an STFT; the diagonal is the power of each channel."""
    spectra = stft(x, n_fft=resolution.n_fft, hop_length=resolution.hop_length)
    return jnp.einsum("ctf,dtf->fcd", spectra, spectra.conj(), precision="highest") / spectra.shape[1]


def mean_power(cross: Complex[Array, "frequency channels channels"]) -> Float[Array, " frequency"]:
    """Power at each frequency, averaged over channels."""
    return jnp.mean(cross.diagonal(axis1=1, axis2=2).real, axis=1)


def coherence(cross: Complex[Array, "frequency channels channels"]) -> Complex[Array, "frequency channels channels"]:
    """Cross-spectra of channels of unit power, with a hundredth of independent noise in each: never singular. A channel
    that is silent is coherent with none."""
    power = cross.diagonal(axis1=1, axis2=2).real
    scale = jnp.where(power > 0, jax.lax.rsqrt(jnp.where(power > 0, power, 1)), 0)
    identity = jnp.eye(cross.shape[-1])[None]
    normalized = cross * scale[:, :, None] * scale[:, None, :]
    return identity + (1 - _INCOHERENT) * (1 - identity) * normalized


def power_spectrum(x: Float[Array, "channels _"], resolution: Resolution) -> Float[Array, "channels frequency"]:
    """Mean power of each channel at each frequency of an STFT."""
    return cross_spectrum(x, resolution).diagonal(axis1=1, axis2=2).real.T


def interpolate(values: Array, bins: int) -> Array:
    """Linear interpolation of `(..., frequency)`, real or complex, to `(..., bins)` over the same range."""
    position = jnp.linspace(0, values.shape[-1] - 1, bins)
    left = jnp.clip(jnp.floor(position).astype(int), 0, values.shape[-1] - 2)
    fraction = jnp.expand_dims(position - left, range(values.ndim - 1))
    return values[..., left] + (values[..., left + 1] - values[..., left]) * fraction


def equalize(
    x: Float[Array, "channels time"],
    source: Float[Array, " frequency"],
    target: Float[Array, " frequency"],
    *,
    sample_rate: int,
    strength: Float[Array, ""] | float = 1.0,
) -> Float[Array, "channels time"]:
    """Filter a waveform of one long-term spectrum to have another's, as the ear resolves them.

    The filter is linear, has no phase, is the same for all channels, boosts by at most 20 dB and follows the spectra
    smoothed over auditory bands, so that single partials stay what they are.

    Args:
        x: the waveform.
        source: its power spectrum, on a regular grid from 0 to half the sample rate.
        target: the power spectrum to give it, on the same grid, of the same total.
        sample_rate: in Hz.
        strength: share of the way, in decibels, that is gone; 0 leaves the waveform as it is.
    """
    source, target = (_floored(_smoothed(power, sample_rate)) for power in (source, target))
    power_gain = jnp.minimum(target / source, _MAX_BOOST) ** strength
    length = fast_length(x.shape[1])
    gain = jnp.exp(interpolate(jnp.log(power_gain) / 2, length // 2 + 1))
    return jnp.fft.irfft(jnp.fft.rfft(x, n=length) * gain[None], n=length)[:, : x.shape[1]]


def place(
    x: Float[Array, "2 time"],
    source: Complex[Array, "frequency 2 2"],
    target: Complex[Array, "frequency 2 2"],
    *,
    sample_rate: int,
) -> Float[Array, "2 time"]:
    """Filter two channels of one stereo image to have another's: its coherence at each frequency, as ears resolve it.

    Each channel keeps its long-term spectrum, and one stays as it is where the other is silent. Of all linear maps that
    do this it is the one that changes channels of equal power least: S^-1 # T, the geometric mean of the source's
    inverse coherence and the target's (optimal transport between Gaussians: Olkin & Pukelsheim 1982), which for 2 x 2
    matrices takes no decomposition.

    Args:
        x: the waveform.
        source: its cross-spectra, on a regular grid from 0 to half the sample rate.
        target: cross-spectra of the image to give it, on the same grid, at any levels.
        sample_rate: in Hz.
    """
    smooth = _smoothed(source, sample_rate)
    own, wanted = coherence(smooth), coherence(_smoothed(target, sample_rate))
    mixing = _geometric_mean(_adjugate(own) / _determinant(own), wanted)
    level = jnp.sqrt(smooth.diagonal(axis1=1, axis2=2).real)
    both = jnp.all(level > 0, axis=1)[:, None, None]
    mixing = jnp.where(both, mixing * level[:, :, None] / jnp.where(both[:, 0], level, 1)[:, None, :], jnp.eye(2)[None])
    length = fast_length(x.shape[1])
    response = interpolate(jnp.moveaxis(mixing, 0, -1), length // 2 + 1)
    mixed = jnp.einsum("cdf,df->cf", response, jnp.fft.rfft(x, n=length), precision="highest")
    return jnp.fft.irfft(mixed, n=length)[:, : x.shape[1]]


def _geometric_mean(a, b):
    """A # B = A (A^-1 B)^(1/2) of positive 2 x 2 matrices: with determinants of 1, their sum, scaled to one of 1."""
    roots = [jnp.sqrt(_determinant(matrix)) for matrix in (a, b)]
    total = a / roots[0] + b / roots[1]
    return total * jnp.sqrt(roots[0] * roots[1] / _determinant(total))


def _determinant(matrix):
    """Of Hermitian 2 x 2 matrices, `(..., 1, 1)`."""
    return (matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0]).real[:, None, None]


def _adjugate(matrix):
    return jnp.stack(
        [jnp.stack([matrix[:, 1, 1], -matrix[:, 0, 1]], -1), jnp.stack([-matrix[:, 1, 0], matrix[:, 0, 0]], -1)], -2
    )


def _smoothed(values, sample_rate):
    """Over frequency, the first axis, as the ear resolves it."""
    smoothing = jnp.asarray(_auditory_smoothing(len(values), sample_rate), values.real.dtype)
    return jnp.tensordot(smoothing, values, 1, precision="highest")


def _floored(power):
    return jnp.maximum(power, _QUIETEST * jnp.max(power) + jnp.finfo(power.dtype).tiny)


def _auditory_smoothing(n_bins: int, sample_rate: int) -> np.ndarray:
    """Averages over an equivalent rectangular bandwidth, 24.7 (4.37 f / kHz + 1) Hz (Glasberg & Moore 1990)."""
    frequency = np.linspace(0, sample_rate / 2, n_bins)
    bandwidth = np.maximum(24.7 * (4.37 * frequency / 1000 + 1), 2 * frequency[1])
    weights = np.exp(-2 * ((frequency[:, None] - frequency) / bandwidth[:, None]) ** 2)
    return weights / weights.sum(axis=1, keepdims=True)
