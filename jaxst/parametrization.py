"""What the solver moves, and the waveform that it stands for.

A variable turns a waveform into parameters and back, and gives the features that losses are taken of. By default the
waveform is moved in a basis in which the style's spectrum is flat: x = irfft(M rfft(z)). Quiet bands then move as
easily as loud ones, and white noise z is noise with the right spectrum. With two channels M is, at each frequency, a
triangular 2 x 2 matrix (the Cholesky factor of the channels' coherence), so that white noise in two independent
channels also has the right stereo image, and a mono signal in two channels stays one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Key

from jaxst.representation import Analysis, fast_length
from jaxst.representation.log_magnitude import LEVEL
from jaxst.spectrum import coherence, interpolate

_FLOOR = 1e-3  # of the loudest frequency: what lies below is moved as if it had this level
_FEATURE_NOISE = 1e-3  # deviation of a start from noise where features are moved (Ulyanov & Lebedev 2016)

Waveform = Float[Array, "channels length"]


@runtime_checkable
class Listener(Protocol):
    """What takes features of a waveform: an `Analysis`, or what is heard."""

    def features(self, x: Waveform) -> Any:
        """Of any kind."""
        ...


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Preconditioned:
    """White parameters `z` of `(channels, fft_length)` for a waveform of `(channels, length)`.

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

    def waveform(self, z: Float[Array, "channels fft_length"]) -> Waveform:
        """x = irfft(level * mixing rfft(z)), cut to the waveform's length."""
        spectrum = self.level * jnp.einsum("cdf,df->cf", self.mixing, jnp.fft.rfft(z), precision="highest")
        return jnp.fft.irfft(spectrum, n=self.fft_length)[:, : self.length]

    def parameters(self, x: Waveform) -> Float[Array, "channels fft_length"]:
        """The inverse of `waveform` but for frequencies under -60 dB of the loudest."""
        padded = jnp.pad(x, [(0, 0), (0, self.fft_length - x.shape[1])])
        floor = _FLOOR * jnp.max(self.level, axis=-1, keepdims=True)
        spectrum = jnp.fft.rfft(padded) / (self.level + floor)
        unmixed: list[Array] = []  # forward substitution; LAPACK's, on several CPU devices at once, waits for ever
        for row, value in zip(self.mixing, spectrum, strict=True):
            known = sum((weight * other for weight, other in zip(row, unmixed, strict=False)), jnp.zeros_like(value))
            unmixed.append((value - known) / row[len(unmixed)])
        return jnp.fft.irfft(jnp.stack(unmixed), n=self.fft_length)

    def noise(self, key: Key[Array, ""], z: Float[Array, "channels fft_length"]) -> Float[Array, "channels fft_length"]:
        """White, of unit deviation."""
        return jax.random.normal(key, z.shape, z.dtype)

    def features(self, z: Float[Array, "channels fft_length"], analyses: Sequence[Listener]) -> list[Any]:
        """Those of the waveform."""
        return _analyzed(self.waveform(z), analyses)


def precondition(
    power: Float[Array, "#channels frequency"], image: Complex[Array, "frequency channels channels"], length: int
) -> Preconditioned:
    """Take levels and stereo image from long-term spectra.

    Args:
        power: power at each frequency, of one channel for all or of each.
        image: cross-spectra of the recording whose coherence between channels is kept; its number of channels is that
            of the waveform.
        length: samples of the waveform to make.
    """
    fft_length = fast_length(length)
    bins, n_channels = fft_length // 2 + 1, image.shape[-1]
    level = interpolate(jnp.sqrt(jnp.broadcast_to(power, (n_channels, power.shape[1]))), bins)
    level = level / jnp.sqrt(jnp.mean(level**2, axis=-1, keepdims=True))
    mixing = jnp.linalg.cholesky(coherence(image))
    return Preconditioned(level, interpolate(jnp.moveaxis(mixing, 0, -1), bins), length)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Samples:
    """The waveform itself, at -20 dB RMS, as published codes move it."""

    def waveform(self, z: Waveform) -> Waveform:
        """At unit RMS."""
        return z / LEVEL

    def parameters(self, x: Waveform) -> Waveform:
        """The inverse of `waveform`."""
        return x * LEVEL

    def noise(self, key: Key[Array, ""], z: Waveform) -> Waveform:
        """White."""
        return LEVEL * jax.random.normal(key, z.shape, z.dtype)

    def features(self, z: Waveform, analyses: Sequence[Listener]) -> list[Any]:
        """Those of the waveform."""
        return _analyzed(self.waveform(z), analyses)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pinned:
    """A waveform that goes over into what is given on either side of it, and is compared together with that.

    Attributes:
        free: what is moved.
        given: `(channels, length)`, what is not, faded out where the other fades in.
        share: `(length,)`, gain of what is moved: 0 where all is given, 1 where nothing is.
    """

    free: "Preconditioned | Samples"
    given: Waveform
    share: Float[Array, " length"]

    def waveform(self, z: Float[Array, "channels _"]) -> Waveform:
        """Both together."""
        return self.given + self.share[None] * self.free.waveform(z)

    def parameters(self, x: Waveform) -> Float[Array, "channels _"]:
        """Those of what is moved."""
        return self.free.parameters(x)

    def noise(self, key: Key[Array, ""], z: Float[Array, "channels _"]) -> Float[Array, "channels _"]:
        """As what is moved has it."""
        return self.free.noise(key, z)

    def features(self, z: Float[Array, "channels _"], analyses: Sequence[Listener]) -> list[Any]:
        """Those of the waveform."""
        return _analyzed(self.waveform(z), analyses)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Features:
    """Features of one analysis: a spectrogram, or the parameters of partials.

    Attributes:
        analysis: whose features they are.
        length: samples in the waveform.
        phase_iterations: rounds of the search for phases, where features lack them.
        direct: whether losses are taken of these features, else of those of their waveform.
    """

    analysis: Analysis
    length: int = field(metadata={"static": True})
    phase_iterations: int = field(metadata={"static": True})
    direct: bool = field(default=True, metadata={"static": True})

    def waveform(self, z: Float[Array, "channels frames frequency planes"]) -> Waveform:
        """The waveform of about these features, the same every time."""
        return self.analysis.waveform(z, self.length, jax.random.key(0), self.phase_iterations)

    def parameters(self, x: Waveform) -> Float[Array, "channels frames frequency planes"]:
        """The waveform's features."""
        return self.analysis.features(x)

    def noise(self, key: Key[Array, ""], z: Any) -> Float[Array, "channels frames frequency planes"]:
        """Independent in each feature, weak."""
        return _FEATURE_NOISE * jax.random.normal(key, z.shape, z.dtype)

    def features(self, z: Float[Array, "channels frames frequency planes"], analyses: Sequence[Listener]) -> list[Any]:
        """The parameters themselves, if they are what is compared."""
        return [z] if self.direct else _analyzed(self.waveform(z), analyses)


Variable = Preconditioned | Samples | Pinned | Features


def _analyzed(x: Waveform, analyses: Sequence[Listener]) -> list[Any]:
    return [analysis.features(x) for analysis in analyses]
