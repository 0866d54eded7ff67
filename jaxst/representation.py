"""Waveform to features: compressed log magnitudes at one time-frequency resolution."""

from dataclasses import dataclass
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import scipy.fft
from jaxtyping import Array, Float

from jaxst.kernels.spectrogram import magnitude
from jaxst.kernels.stft import stft

_QUIETEST = 1e-3  # of the loudest frequency's mean: below, the style is taken as having no level of its own


class Resolution(NamedTuple):
    """One STFT: transform length and hop, in samples."""

    n_fft: int
    hop_length: int


def resolution_at(window: float, hop: float, sample_rate: int) -> Resolution:
    """The STFT of about `window` and `hop` milliseconds whose length is an even, quickly transformed multiple of the
    hop.

    At 16 kHz, 64 and 16 ms are 1024 and 256 samples; at 44.1 kHz they become 2880 and 720.
    """
    hop_length = fast_length(round(hop * sample_rate / 1000))
    return Resolution(round(window / hop) * hop_length, hop_length)


def fast_length(length: int) -> int:
    """The next even length that is quickly transformed."""
    return 2 * cast(int, scipy.fft.next_fast_len((length + 1) // 2, real=True))


def magnitudes(x: Float[Array, "*channels time"], resolution: Resolution) -> Float[Array, "*channels frames frequency"]:
    """STFT magnitudes; frame t is centered on sample `t * hop_length`, the edges are reflected."""
    return magnitude(stft(x, n_fft=resolution.n_fft, hop_length=resolution.hop_length))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scale:
    """How the magnitudes of one resolution become features, learned from the style.

    Attributes:
        gain: `(frequency,)`, what magnitudes are multiplied by before the logarithm.
        offset: `(frequency,)`, what is subtracted after it.
        constant: scalar, the value of one more feature, the same in every frame.
    """

    gain: Float[Array, " frequency"]
    offset: Float[Array, " frequency"]
    constant: Float[Array, ""]


def fit_scale(
    style_magnitudes: Float[Array, "frames frequency"],
    *,
    whitening: Float[Array, ""] | float,
    compression: Float[Array, ""] | float,
    centering: Float[Array, ""] | float,
    bias: Float[Array, ""] | float,
) -> Scale:
    """Compensate levels, so that quiet bands show beside loud ones, and center.

    The gain is C / mu^whitening, mu the style's mean magnitude at a frequency, at least -60 dB of the loudest; C makes
    the mean of gain * |X| over the style equal to `compression`. The offset is `centering` times the style's mean log
    magnitude: what is left are deviations from the mean spectrum, which would else be nearly all that the kernel sees.
    The constant is `bias` times the root mean square norm of what is left of the style's frames. Without it the kernel
    is homogeneous, and Gram matrices do not tell a steady texture from one that deviates with twice the power half of
    the time and is frozen else.
    """
    mean = jnp.mean(style_magnitudes, axis=0)
    gain = jnp.maximum(mean, _QUIETEST * jnp.max(mean)) ** -whitening
    gain = compression * gain / jnp.mean(mean * gain)
    logarithms = jnp.log1p(style_magnitudes * gain[None])
    offset = centering * jnp.mean(logarithms, axis=0)
    norm = jnp.sqrt(jnp.mean(jnp.sum((logarithms - offset[None]) ** 2, axis=1)))
    return Scale(gain, offset, bias * norm)


def log_magnitudes(
    linear: Float[Array, "*channels frames frequency"], scale: Scale
) -> Float[Array, "*channels frames frequency+1"]:
    """Features log1p(gain * |STFT|) - offset, and the constant."""
    gain, offset = (jnp.expand_dims(row, range(linear.ndim - 1)) for row in (scale.gain, scale.offset))
    features = jnp.log1p(linear * gain) - offset
    return jnp.concatenate([features, jnp.broadcast_to(scale.constant, (*linear.shape[:-1], 1))], axis=-1)
