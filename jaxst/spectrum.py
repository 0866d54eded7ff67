"""Long-term spectra: measuring them, and filtering a waveform to have another's."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxst.kernels.stft import stft
from jaxst.representation import Resolution, fast_length

_QUIETEST = 1e-6  # of the strongest frequency's power: what is weaker counts as having this power
_MAX_BOOST = 100.0  # of power: filtering may not lift what is hardly there out of the noise by more


def cross_spectrum(
    x: Float[Array, "channels _"], resolution: Resolution
) -> Complex[Array, "frequency channels channels"]:
    """Mean of X X^H over the frames of an STFT; the diagonal is the power of each channel."""
    spectra = stft(x, n_fft=resolution.n_fft, hop_length=resolution.hop_length)
    return jnp.einsum("ctf,dtf->fcd", spectra, spectra.conj(), precision="highest") / spectra.shape[1]


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
    smoothing = jnp.asarray(_auditory_smoothing(len(source), sample_rate), source.dtype)
    source, target = (_floored(jnp.matmul(smoothing, power, precision="highest")) for power in (source, target))
    power_gain = jnp.minimum(target / source, _MAX_BOOST) ** strength
    length = fast_length(x.shape[1])
    gain = jnp.exp(interpolate(jnp.log(power_gain) / 2, length // 2 + 1))
    return jnp.fft.irfft(jnp.fft.rfft(x, n=length) * gain[None], n=length)[:, : x.shape[1]]


def _floored(power):
    return jnp.maximum(power, _QUIETEST * jnp.max(power) + jnp.finfo(power.dtype).tiny)


def _auditory_smoothing(n_bins: int, sample_rate: int) -> np.ndarray:
    """Averages over an equivalent rectangular bandwidth, 24.7 (4.37 f / kHz + 1) Hz (Glasberg & Moore 1990)."""
    frequency = np.linspace(0, sample_rate / 2, n_bins)
    bandwidth = np.maximum(24.7 * (4.37 * frequency / 1000 + 1), 2 * frequency[1])
    weights = np.exp(-2 * ((frequency[:, None] - frequency) / bandwidth[:, None]) ** 2)
    return weights / weights.sum(axis=1, keepdims=True)
