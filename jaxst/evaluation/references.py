"""What an output is measured beside, so that its numbers have a scale."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxst.audio import Recording, crossfaded
from jaxst.compiling import jit_quickly
from jaxst.errors import AudioError
from jaxst.evaluation.measures import Banks, Signal
from jaxst.metrics.samples import mono
from jaxst.parametrization import precondition
from jaxst.representation import Resolution, resolution_at
from jaxst.spectrum import power_spectrum

SHORTEST_HALF = 2.0  # seconds: fewer tell little of a texture
_WINDOW, _HOP = 64.0, 16.0  # ms, of the transform that the long-term spectrum is of
_CROSSFADE = 0.01  # seconds


@dataclass(frozen=True, eq=False)
class StyleSignals:
    """A style that outputs are compared with, and its halves, which are compared with each other.

    Attributes:
        recordings: one or more, of one rate.
        banks: gives the filters of the Gram matrices.
    """

    recordings: tuple[Recording, ...]
    banks: Banks

    @cached_property
    def whole(self) -> Signal:
        """All of them, `joined`."""
        return Signal("style", joined(self.recordings), self.banks)

    @cached_property
    def halves(self) -> tuple[Signal, Signal]:
        """The `halves` of all; raises what that does."""
        first, second = halves(self.recordings)
        return Signal("first half", first, self.banks), Signal("other half", second, self.banks)


def joined(recordings: Sequence[Recording]) -> Recording:
    """Several recordings of one rate as one: each at the level of the first, one after another, crossfaded over 10 ms
    at equal power. Stereo ones are mixed down where others are mono."""
    first, *others = recordings
    channels = min(recording.channels for recording in recordings)
    samples = _with_channels(first.samples, channels)
    for other in others:
        gain = first.rms / other.rms if other.rms > 0 else 0.0
        samples = crossfaded(
            samples, _with_channels(other.samples, channels) * gain, round(_CROSSFADE * first.sample_rate)
        )
    name = " and ".join(recording.name for recording in recordings)
    in_excerpts = any(recording.in_excerpts for recording in recordings)
    return replace(first, samples=samples, name=name, in_excerpts=in_excerpts)


def _with_channels(samples: np.ndarray, channels: int) -> np.ndarray:
    return samples if len(samples) == channels else samples.mean(axis=0, keepdims=True)


def halves(recordings: Sequence[Recording]) -> tuple[Recording, Recording]:
    """The first and the second halves of all recordings, joined.

    Raises:
        AudioError: if they last less than 2 s.
    """
    middles = [recording.samples.shape[1] // 2 for recording in recordings]
    seconds = sum(middles) / recordings[0].sample_rate
    if seconds < SHORTEST_HALF:
        raise AudioError(f"half of the style lasts {seconds:.3g} s; {SHORTEST_HALF:g} s or more are needed")
    pairs = list(zip(recordings, middles, strict=True))
    first = joined([replace(recording, samples=recording.samples[:, :middle]) for recording, middle in pairs])
    second = joined(
        [replace(recording, samples=recording.samples[:, middle : 2 * middle]) for recording, middle in pairs]
    )
    return first, second


def shaped_noise(style: Recording, output: Recording, seed: int) -> Recording:
    """Gaussian noise with a style's long-term power spectrum: what a filter alone makes of noise.

    Args:
        style: whose channels' mean is taken.
        output: of the same rate; the noise is as long and as loud, and the same in as many channels.
        seed: another seed, another noise.

    Raises:
        AudioError: for a style that is shorter than a window, or whose channels cancel each other.
    """
    samples = mono(style.samples, style.sample_rate, shortest=_WINDOW / 1000, name="style")
    resolution = resolution_at(_WINDOW, _HOP, style.sample_rate)
    noise = np.asarray(
        _shaped(
            jnp.asarray(samples, jnp.float32),
            jax.random.key(seed),
            length=output.samples.shape[1],
            resolution=resolution,
        )
    )
    noise = noise * (output.rms / np.sqrt(np.mean(noise**2, dtype=np.float64)))
    return Recording(np.repeat(noise, output.channels, axis=0), style.sample_rate, "noise")


@jit_quickly(static_argnames=("length", "resolution"))
def _shaped(
    samples: Float[Array, " time"], key: Key[Array, ""], *, length: int, resolution: Resolution
) -> Float[Array, "1 length"]:
    power = power_spectrum(samples[None], resolution)
    variable = precondition(power, jnp.ones((power.shape[1], 1, 1), jnp.complex64), length)
    return variable.waveform(jax.random.normal(key, (1, variable.fft_length)))
