"""The models that take a sound apart into partials and what they leave.

Analysis and synthesis go in blocks of frames, one after another. Results are exactly those of the whole at once, but
the transforms of minutes are never held together, progress is told in between, and the same compiled programs serve all
lengths. Only peaks are tracked, and noise is made, for the whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.errors import ConfigError
from jaxst.kernels.pitch import yin
from jaxst.kernels.sinusoids.partials import from_tensor, harmonic_partials, to_tensor, track_partials
from jaxst.kernels.sinusoids.peaks import Peaks, find_peaks
from jaxst.kernels.sinusoids.residual import stochastic_envelope, synthesize_noise
from jaxst.kernels.sinusoids.synthesis import synthesize_lobes, synthesize_oscillators
from jaxst.representation import resolution_at
from jaxst.resynthesis.models import Synthesis, announce, transform_at
from jaxst.solver import OnProgress, Progress

_BLOCK_SECONDS = 3.0
_SHORTEST_HOP = 8  # samples: what both kinds of synthesis need
_NOISE_WINDOW, _NOISE_HOP = 12.0, 3.0  # in ms: short, so that attacks stay sharp
_SYNTHESES = {"lobes": synthesize_lobes, "oscillators": synthesize_oscillators}


def sines(
    samples: Float[np.ndarray, "channels time"],
    sample_rate: int,
    options: Mapping[str, Any],
    on_progress: OnProgress,
) -> Synthesis:
    """Partials: sinusoids that last. They and the residual add up to the recording."""
    grid = _grid(samples, sample_rate, options)
    n = grid.n_blocks
    steps = _announced(on_progress, {"finding peaks": n, "tracking partials": 1, "synthesizing": n})
    return _without_noise(samples, grid, _tracked(samples, grid, options, steps), options, steps)


def harmonic(
    samples: Float[np.ndarray, "channels time"],
    sample_rate: int,
    options: Mapping[str, Any],
    on_progress: OnProgress,
) -> Synthesis:
    """Partials at multiples of one pitch for each channel and frame, where there is one."""
    if options["f_max"] > sample_rate / 2:
        raise ConfigError(f"f_max={options['f_max']:g} must be at most half the sample rate, {sample_rate / 2:g} Hz")
    grid = _grid(samples, sample_rate, options)
    steps = _announced(on_progress, {"finding harmonics": grid.n_blocks, "synthesizing": grid.n_blocks})
    tensors = []
    frame_length = max(grid.n_fft, 2 * int(np.ceil(sample_rate / options["f_min"])))
    if frame_length > 128 * grid.hop_length:
        raise ConfigError(
            f"hop={options['hop']:g} ms is too short for pitches from f_min={options['f_min']:g} Hz, "
            f"which take {frame_length / sample_rate * 1000:.0f} ms; at least a 128th of that"
        )
    for segment, lead in _segments(samples, grid, frame_length):
        next(steps)
        tensor = _harmonics(
            segment,
            options["max_aperiodicity"],
            frames=(lead, lead + grid.per_block),
            frame_length=frame_length,
            f_min=options["f_min"],
            f_max=options["f_max"],
            n_harmonics=options["max_partials"],
            **_analysis(grid, options),
        )
        tensors.append(np.asarray(tensor))
    tensor = np.concatenate(tensors, axis=2)[:, :, : grid.n_frames]
    return _without_noise(samples, grid, tensor, options, steps)


def sms(
    samples: Float[np.ndarray, "channels time"],
    sample_rate: int,
    options: Mapping[str, Any],
    on_progress: OnProgress,
) -> Synthesis:
    """Partials, and noise in place of what they leave."""
    grid = _grid(samples, sample_rate, options)
    n = grid.n_blocks
    steps = _announced(on_progress, {"finding peaks": n, "tracking partials": 1, "synthesizing": n, "making noise": 1})
    deterministic = _without_noise(samples, grid, _tracked(samples, grid, options, steps), options, steps)
    next(steps)
    residual = deterministic.parts["residual"]
    padded = np.pad(residual, [(0, 0), (0, grid.padded_frames * grid.hop_length - residual.shape[1])])
    noise = _noise(padded, options["seed"], sample_rate=sample_rate, n_bands=options["n_bands"])
    stochastic = np.asarray(noise)[:, : residual.shape[1]]
    return Synthesis(
        deterministic.samples + stochastic,
        parts={**deterministic.parts, "stochastic": stochastic},
        partials=deterministic.partials,
        frame_rate=deterministic.frame_rate,
    )


@dataclass(frozen=True)
class _Grid:
    """Frames of a recording: the last one lies at its end or after it, so that every sample is between two."""

    sample_rate: int
    n_fft: int
    hop_length: int
    n_frames: int
    per_block: int

    @property
    def n_blocks(self) -> int:
        return -(-self.n_frames // self.per_block)

    @property
    def padded_frames(self) -> int:
        return self.n_blocks * self.per_block


def _grid(samples: np.ndarray, sample_rate: int, options: Mapping[str, Any]) -> _Grid:
    n_fft, hop_length = transform_at(options, sample_rate)
    if hop_length < _SHORTEST_HOP:
        raise ConfigError(
            f"hop={options['hop']:g} ms is less than the {_SHORTEST_HOP} samples that partials need at {sample_rate} Hz"
        )
    n_frames = 1 + -(-samples.shape[1] // hop_length)
    # Not smaller than what its outermost frames see of its neighbors, lest most of the work be done twice.
    per_block = max(round(_BLOCK_SECONDS * sample_rate / hop_length), n_fft // hop_length)
    return _Grid(sample_rate, n_fft, hop_length, n_frames, per_block)


def _announced(on_progress: OnProgress, stages: Mapping[str, int]) -> Iterator[None]:
    """One item before each step of each stage, which it tells of.

    Raises:
        KeyboardInterrupt: when it is told to stop: before the last step there is nothing to keep.
    """
    names = [stage for stage, count in stages.items() for _ in range(count)]
    for step, stage in enumerate(names):
        announce(on_progress, Progress(step, len(names), {}, stage))
        yield


def _segments(samples: np.ndarray, grid: _Grid, frame_length: int) -> Iterator[tuple[Array, int]]:
    """What the frames of each block see; and how many frames of its own the segment has before the block's first."""
    lead = -(-frame_length // (2 * grid.hop_length))
    stride = grid.per_block * grid.hop_length
    length = stride + (2 * lead - 1) * grid.hop_length
    before = lead * grid.hop_length
    padded = np.pad(samples, [(0, 0), (before, length)])
    for start in range(0, grid.padded_frames * grid.hop_length, stride):
        yield jnp.asarray(padded[:, start : start + length]), lead


def _analysis(grid: _Grid, options: Mapping[str, Any]) -> dict[str, Any]:
    """What shapes the search for peaks."""
    return {
        "sample_rate": grid.sample_rate,
        "n_fft": grid.n_fft,
        "hop_length": grid.hop_length,
        "window": options["window_shape"],
        "max_peaks": min(options["max_partials"], grid.n_fft // 2 - 1),
        "threshold": options["threshold"],
    }


def _tracked(samples: np.ndarray, grid: _Grid, options: Mapping[str, Any], steps: Iterator[None]) -> np.ndarray:
    """Partials of `(channels, partials, frames, 3)`."""
    blocks = []
    for segment, lead in _segments(samples, grid, grid.n_fft):
        next(steps)
        frames = (lead, lead + grid.per_block)
        peaks = _peaks(segment, frames=frames, **_analysis(grid, options))
        blocks.append(jax.block_until_ready(peaks))
    peaks = Peaks(*(jnp.concatenate(values, axis=1) for values in zip(*blocks, strict=True)))
    next(steps)
    tensor = _track(
        peaks,
        frame_rate=grid.sample_rate / grid.hop_length,
        deviation=options["deviation"],
        deviation_slope=options["deviation_slope"],
        min_duration=options["min_duration"] / 1000,
        max_partials=options["max_partials"],
    )
    return np.asarray(tensor)[:, :, : grid.n_frames]


def _without_noise(
    samples: np.ndarray, grid: _Grid, tensor: np.ndarray, options: Mapping[str, Any], steps: Iterator[None]
) -> Synthesis:
    """The sound of partials, and what they leave of the recording."""
    padded = np.pad(tensor, [(0, 0), (0, 0), (0, grid.padded_frames + 1 - grid.n_frames), (0, 0)])
    blocks = []
    for start in range(0, grid.padded_frames, grid.per_block):
        next(steps)
        block = jnp.asarray(padded[:, :, start : start + grid.per_block + 1])
        sound = _synthesize(
            block, sample_rate=grid.sample_rate, hop_length=grid.hop_length, synthesis=options["synthesis"]
        )
        blocks.append(np.asarray(sound))
    sound = np.concatenate(blocks, axis=1)[:, : samples.shape[1]]
    return Synthesis(
        sound,
        parts={"sines": sound, "residual": samples - sound},
        partials=tensor,
        frame_rate=grid.sample_rate / grid.hop_length,
    )


_ANALYSIS = ("frames", "sample_rate", "n_fft", "hop_length", "window", "max_peaks", "threshold")


@partial(jax.jit, static_argnames=_ANALYSIS)
def _peaks(segment: Float[Array, "channels time"], *, frames: tuple[int, int], **analysis: Any) -> Peaks:
    return jax.tree.map(lambda values: values[:, slice(*frames)], find_peaks(segment, **analysis))


@partial(jax.jit, static_argnames=(*_ANALYSIS, "frame_length", "f_min", "f_max", "n_harmonics"))
def _harmonics(
    segment: Float[Array, "channels time"],
    max_aperiodicity: float | Float[Array, ""],
    *,
    frames: tuple[int, int],
    frame_length: int,
    f_min: float,
    f_max: float,
    n_harmonics: int,
    sample_rate: int,
    hop_length: int,
    **analysis: Any,
) -> Float[Array, "channels partials frames 3"]:
    peaks = _peaks(segment, frames=frames, sample_rate=sample_rate, hop_length=hop_length, **analysis)
    pitch = yin(
        segment, sample_rate=sample_rate, f_min=f_min, f_max=f_max, hop_length=hop_length, frame_length=frame_length
    )
    f0 = jnp.where(pitch.aperiodicity <= max_aperiodicity, pitch.f0, 0)[:, slice(*frames)]
    return to_tensor(harmonic_partials(peaks, f0, n_harmonics=n_harmonics))


@partial(jax.jit, static_argnames=("frame_rate", "max_partials", "deviation", "deviation_slope", "min_duration"))
def _track(peaks: Peaks, **continuation: Any) -> Float[Array, "channels partials frames 3"]:
    return to_tensor(track_partials(peaks, **continuation))


@partial(jax.jit, static_argnames=("sample_rate", "hop_length", "synthesis"))
def _synthesize(
    tensor: Float[Array, "channels partials frames 3"], *, sample_rate: int, hop_length: int, synthesis: str
) -> Float[Array, "channels time"]:
    return _SYNTHESES[synthesis](from_tensor(tensor), sample_rate=sample_rate, hop_length=hop_length)


@partial(jax.jit, static_argnames=("sample_rate", "n_bands"))
def _noise(
    residual: Float[Array, "channels time"], seed: int | Array, *, sample_rate: int, n_bands: int
) -> Float[Array, "channels time"]:
    """Noise with the power of the residual in every band at every time, and with its long-term stereo image: what both
    channels have in common comes from one noise, the rest of the second channel from another."""
    n_fft, hop_length = resolution_at(_NOISE_WINDOW, _NOISE_HOP, sample_rate)
    length = residual.shape[1]

    def power(x):
        x = jnp.pad(x, (0, n_fft))  # the shortest recordings fill a window
        return stochastic_envelope(x, sample_rate=sample_rate, n_fft=n_fft, hop_length=hop_length, n_bands=n_bands)

    def noise(power, key):
        return synthesize_noise(power, key, sample_rate=sample_rate, n_fft=n_fft, hop_length=hop_length, length=length)

    first, second = jax.random.split(jax.random.key(seed))
    powers = jax.lax.map(power, residual)
    if len(residual) == 1:
        return noise(powers[0], first)[None]
    left, right = powers
    mean_left, mean_right, mean_sum = (jnp.mean(x, axis=0) for x in (left, right, power(residual.sum(axis=0))))
    cross = jnp.maximum(mean_sum - mean_left - mean_right, 0) / 2  # Re L R*; out of phase counts as unrelated
    common = (cross / jnp.where(mean_left > 0, mean_left, 1)) * (cross / jnp.where(mean_right > 0, mean_right, 1))
    common = jnp.minimum(common, 1)[None]
    return jnp.stack([noise(left, first), noise(common * right, first) + noise((1 - common) * right, second)])
