"""Waveform to features.

A representation is a dataclass of settings. Its `fit` learns levels from the style and returns an analysis for each
resolution, whose `features` turns waveforms `(channels, time)` into `(channels, frames, frequency, planes)`,
differentiably, and whose `waveform` goes back.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float, Key

from jaxst.representation.log_magnitude import LogMagnitude, LogMagnitudes
from jaxst.representation.real_imaginary import RealImaginary, RealImaginaryParts
from jaxst.representation.resolution import Resolution, fast_length, magnitudes, resolution_at
from jaxst.representation.sinusoids import Sinusoids, SinusoidTracks

Representation = LogMagnitude | RealImaginary | Sinusoids

REPRESENTATIONS: Mapping[str, Representation] = {
    "log-magnitude": LogMagnitude(),
    "mel": LogMagnitude(n_mels=80, windows=(64.0,), hops=(16.0,), whitening=0.0, centering=0.0, compression=3.0),
    "real-imaginary": RealImaginary(),
    "sinusoids": Sinusoids(),
}


@runtime_checkable
class Analysis(Protocol):
    """A representation that is fitted, at one resolution. A pytree."""

    @property
    def resolution(self) -> Resolution:
        """Its STFT."""
        ...

    def features(self, x: Float[Array, "channels time"]) -> Float[Array, "channels frames frequency planes"]:
        """What networks see of a waveform."""
        ...

    def waveform(
        self,
        features: Float[Array, "channels frames frequency planes"],
        length: int,
        key: Key[Array, ""],
        iterations: int,
    ) -> Float[Array, "channels time"]:
        """A waveform of about these features."""
        ...


def long_term_resolution(representation: Representation, sample_rate: int) -> Resolution:
    """Of long-term spectra: that of a representation's first window, usually its longest."""
    return resolution_at(representation.windows[0], representation.hops[0], sample_rate)


__all__ = [
    "REPRESENTATIONS",
    "Analysis",
    "LogMagnitude",
    "LogMagnitudes",
    "RealImaginary",
    "RealImaginaryParts",
    "Representation",
    "Resolution",
    "SinusoidTracks",
    "Sinusoids",
    "fast_length",
    "long_term_resolution",
    "magnitudes",
    "resolution_at",
]
