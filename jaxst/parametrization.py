"""What the solver moves, and the waveform that it stands for.

The waveform is optimized in a basis in which the style's spectrum is flat: x = irfft(M rfft(z)). Quiet bands then move
as easily as loud ones, and white noise z is noise with the right spectrum. With two channels M is, at each frequency, a
triangular 2 x 2 matrix (the Cholesky factor of the channels' coherence), so that white noise in two independent
channels also has the right stereo image, and a mono signal in two channels stays one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from jaxst.representation import Resolution, fast_length
from jaxst.spectrum import cross_spectrum, interpolate, power_spectrum

_FLOOR = 1e-3  # of the loudest frequency: what lies below is moved as if it had this level
_INCOHERENT = 1e-2  # share of independent noise that every pair of channels is taken to have


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Preconditioner:
    """Maps white parameters `z` of `(channels, fft_length)` to a waveform of `(channels, length)`.

    Attributes:
        level: `(channels, fft_length // 2 + 1)`, magnitude by which each frequency is scaled.
        mixing: `(channels, channels, fft_length // 2 + 1)`, lower triangular at each frequency, rows of unit power.
        length: samples in the waveform; the transform is longer, a size that is quick to transform.
    """

    level: Float[Array, "channels bins"]
    mixing: Complex[Array, "channels channels bins"]
    length: int = field(metadata={"static": True})

    @property
    def fft_length(self) -> int:
        """Number of parameters for each channel."""
        return 2 * (self.level.shape[-1] - 1)


def make_preconditioner(
    level_sources: Sequence[Float[Array, "_ _"]],
    image_source: Float[Array, "_ _"],
    resolution: Resolution,
    length: int,
) -> Preconditioner:
    """Take levels and image from recordings.

    Args:
        level_sources: recordings whose long-term power spectra are added up, with one channel for all or one for each.
        image_source: the recording whose coherence between channels is kept; its number of channels is that of the
            waveform.
        resolution: the STFT that the spectra are measured with.
        length: samples of the waveform to make.
    """
    fft_length = fast_length(length)
    bins, n_channels = fft_length // 2 + 1, image_source.shape[0]
    powers = [power_spectrum(source, resolution) for source in level_sources]
    power = sum(jnp.broadcast_to(power, (n_channels, power.shape[1])) for power in powers)
    level = interpolate(jnp.sqrt(power), bins)
    level = level / jnp.sqrt(jnp.mean(level**2, axis=-1, keepdims=True))
    mixing = jnp.linalg.cholesky(_coherence(cross_spectrum(image_source, resolution)))
    return Preconditioner(level, interpolate(jnp.moveaxis(mixing, 0, -1), bins), length)


def to_waveform(
    z: Float[Array, "channels fft_length"], preconditioner: Preconditioner
) -> Float[Array, "channels length"]:
    """x = irfft(level * mixing rfft(z)), cut to the waveform's length."""
    spectrum = preconditioner.level * jnp.einsum("cdf,df->cf", preconditioner.mixing, jnp.fft.rfft(z))
    return jnp.fft.irfft(spectrum, n=preconditioner.fft_length)[:, : preconditioner.length]


def from_waveform(
    x: Float[Array, "channels length"], preconditioner: Preconditioner
) -> Float[Array, "channels fft_length"]:
    """Parameters of a waveform: the inverse of `to_waveform` but for frequencies under -60 dB of the loudest."""
    level = preconditioner.level
    padded = jnp.pad(x, [(0, 0), (0, preconditioner.fft_length - x.shape[1])])
    spectrum = jnp.fft.rfft(padded) / (level + _FLOOR * jnp.max(level, axis=-1, keepdims=True))
    mixing = jnp.moveaxis(preconditioner.mixing, -1, 0)
    unmixed = jax.lax.linalg.triangular_solve(mixing, spectrum.T[..., None], left_side=True, lower=True)
    return jnp.fft.irfft(unmixed[..., 0].T, n=preconditioner.fft_length)


def _coherence(cross):
    power = cross.diagonal(axis1=1, axis2=2).real
    scale = jnp.where(power > 0, jax.lax.rsqrt(jnp.where(power > 0, power, 1)), 0)
    identity = jnp.eye(cross.shape[-1])[None]
    normalized = cross * scale[:, :, None] * scale[:, None, :]
    return identity + (1 - _INCOHERENT) * (1 - identity) * normalized
