"""Real and imaginary parts of the STFT, compressed: magnitude and phase together (Caracalla & Roebel 2020)."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxst.kernels.spectrogram import from_real_imaginary, real_imaginary
from jaxst.kernels.stft import istft, stft
from jaxst.representation.resolution import Resolution, resolution_at

_FULL = 1 - 1e-6  # of what compression tends to: where it is undone, no part is larger


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class RealImaginary:
    """2 sigmoid(steepness x) - 1 of both parts x of the STFT, relative to the style's largest (arXiv 1910.09497).

    Attributes:
        steepness: of the compression.
        windows: STFT windows in milliseconds, one for each resolution; a window holds a whole number of hops.
        hops: STFT hops in milliseconds.
    """

    steepness: float | Float[Array, "..."] = 10.0
    windows: tuple[float, ...] = dataclasses.field(default=(32.0,), metadata={"static": True})
    hops: tuple[float, ...] = dataclasses.field(default=(16.0,), metadata={"static": True})

    def fit(self, styles: Sequence[Float[Array, " _"]], sample_rate: int) -> tuple["RealImaginaryParts", ...]:
        """An analysis for each resolution, its level learned from style waveforms."""
        resolutions = [resolution_at(*size, sample_rate) for size in zip(self.windows, self.hops, strict=True)]
        return tuple(self._fit(styles, resolution) for resolution in resolutions)

    def _fit(self, styles: Sequence[Array], resolution: Resolution) -> "RealImaginaryParts":
        largest = jnp.max(jnp.stack([jnp.max(jnp.abs(_parts(style, resolution))) for style in styles]))
        return RealImaginaryParts(self.steepness / largest, resolution)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RealImaginaryParts:
    """The analysis at one resolution.

    Attributes:
        gain: what both parts are multiplied by before the sigmoid.
        resolution: the STFT.
    """

    gain: Float[Array, ""]
    resolution: Resolution = dataclasses.field(metadata={"static": True})

    def features(self, x: Float[Array, "*channels time"]) -> Float[Array, "*channels frames frequency 2"]:
        """2 sigmoid(y) - 1 = tanh(y / 2)."""
        return jnp.tanh(self.gain / 2 * _parts(x, self.resolution))

    def waveform(
        self, features: Float[Array, "*channels frames frequency 2"], length: int, key: Key[Array, ""], iterations: int
    ) -> Float[Array, "*channels time"]:
        """The waveform whose STFT is nearest; phases are there already, so `key` and `iterations` go unused."""
        parts = jnp.arctanh(jnp.clip(features, -_FULL, _FULL)) * (2 / self.gain)
        spectrum = from_real_imaginary(parts)
        return istft(spectrum, n_fft=self.resolution.n_fft, hop_length=self.resolution.hop_length, length=length)


def _parts(x: Float[Array, "*channels time"], resolution: Resolution) -> Float[Array, "*channels frames frequency 2"]:
    return real_imaginary(stft(x, n_fft=resolution.n_fft, hop_length=resolution.hop_length))
