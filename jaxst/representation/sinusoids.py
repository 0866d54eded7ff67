"""The sinusoidal model as features: `[frame, partial, (frequency, magnitude, phase)]` (Ordiales & Barrera 2019)."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxst.kernels.sinusoids.partials import Partials, from_tensor, to_tensor, track_partials
from jaxst.kernels.sinusoids.peaks import find_peaks
from jaxst.kernels.sinusoids.synthesis import accumulate_phase, synthesize_oscillators
from jaxst.representation.resolution import Resolution, resolution_at

_COMPRESSION = 100.0  # C in log1p(C m) of a partial's magnitude m, 1 being a sinusoid of full scale
_LEAST_SCALE = 1e-6  # of a plane without any value, which nothing can be divided by


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Sinusoids:
    """Tracked partials: frequency over half the sample rate, log1p(100 magnitude) and phase over pi, each divided by
    its root mean square over the style.

    The analysis decides which peaks are partials and has no useful derivative: it serves as a variable, which begins at
    a recording and is moved itself, not for waveforms that are moved.

    Attributes:
        n_partials: slots, the loudest peaks of each frame. 16 to 32 sounded better to Ordiales & Barrera than 150.
        threshold: least magnitude in dB of full scale.
        windows: Blackman-Harris windows in milliseconds; only one.
        hops: from one to the next, in milliseconds.
    """

    n_partials: int = dataclasses.field(default=32, metadata={"static": True})
    threshold: float = dataclasses.field(default=-90.0, metadata={"static": True})
    windows: tuple[float, ...] = dataclasses.field(default=(46.4,), metadata={"static": True})
    hops: tuple[float, ...] = dataclasses.field(default=(5.8,), metadata={"static": True})

    def fit(self, styles: Sequence[Float[Array, " _"]], sample_rate: int) -> tuple["SinusoidTracks", ...]:
        """One analysis, the scale of its three planes learned from style waveforms."""
        resolution = resolution_at(self.windows[0], self.hops[0], sample_rate)
        unscaled = SinusoidTracks(jnp.ones(3), resolution, sample_rate, self.n_partials, self.threshold)
        planes = jnp.concatenate([unscaled.features(style) for style in styles])
        scale = jnp.sqrt(jnp.mean(planes**2, axis=(0, 1)))
        return (dataclasses.replace(unscaled, scale=jnp.maximum(scale, _LEAST_SCALE)),)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SinusoidTracks:
    """The analysis, for samples of unit RMS.

    Attributes:
        scale: `(3,)`, what the planes are divided by.
        resolution: window and hop.
        sample_rate: in Hz.
        n_partials: slots.
        threshold: in dB.
    """

    scale: Float[Array, " 3"]
    resolution: Resolution = dataclasses.field(metadata={"static": True})
    sample_rate: int = dataclasses.field(metadata={"static": True})
    n_partials: int = dataclasses.field(metadata={"static": True})
    threshold: float = dataclasses.field(metadata={"static": True})

    def features(self, x: Float[Array, "*channels time"]) -> Float[Array, "*channels frames partials 3"]:
        """Peaks, tracked; zeros where a partial rests."""
        n_fft, hop_length = self.resolution
        peaks = find_peaks(
            x,
            sample_rate=self.sample_rate,
            n_fft=n_fft,
            hop_length=hop_length,
            max_peaks=min(self.n_partials, n_fft // 2 - 1),
            threshold=self.threshold,
        )
        partials = track_partials(peaks, frame_rate=self.sample_rate / hop_length, max_partials=self.n_partials)
        frequency, magnitude, phase = partials
        planes = Partials(frequency * (2 / self.sample_rate), jnp.log1p(_COMPRESSION * magnitude), phase / np.pi)
        return jnp.swapaxes(to_tensor(planes), -2, -3) / self._expanded(x.ndim)

    def waveform(
        self,
        features: Float[Array, "*channels frames partials 3"],
        length: int,
        key: Key[Array, ""] | None = None,
        iterations: int = 0,
    ) -> Float[Array, "*channels time"]:
        """Oscillators through the frequencies, differentiable; `key` and `iterations` go unused.

        Their phases follow from their frequencies, beginning with those of the features: the phases of later frames
        would contradict frequencies that were moved.
        """
        hop_length = self.resolution.hop_length
        planes = jnp.swapaxes(features * self._expanded(features.ndim - 2), -2, -3)
        frequency, magnitude, phase = from_tensor(planes)
        frequency = jax.nn.relu(frequency) * (self.sample_rate / 2)
        magnitude = jnp.expm1(jax.nn.relu(magnitude)) / _COMPRESSION
        phase = np.pi * phase[..., :1] + accumulate_phase(
            frequency, sample_rate=self.sample_rate, hop_length=hop_length
        )
        partials = Partials(frequency, magnitude, phase)
        return synthesize_oscillators(partials, sample_rate=self.sample_rate, hop_length=hop_length, length=length)

    def _expanded(self, n_axes: int) -> Array:
        """The scale against an array with so many axes before the planes, less one."""
        return jnp.expand_dims(self.scale, range(n_axes + 1))
