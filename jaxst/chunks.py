"""Long audio: cut into chunks that are solved one after another or side by side, at a cost that grows with its length.

Chunks overlap. Every other one is solved for itself; those in between are then solved with the ends of their neighbors
given: they fade into them, and their statistics are those of the whole window, the neighbors' ends included. So seams
are part of what is optimized, and there is one waveform at all times, never two that are mixed afterwards. (In the
theory of domain decomposition: one sweep of a multiplicative Schwarz method with two colors.)

A content is brought to a level that is the same everywhere before, in windows of `CHUNK_SECONDS`, and given its own
levels back in the end: a quiet passage keeps its level, and has the style's sound.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxst import problem
from jaxst.audio import Recording
from jaxst.config import Config, moves_a_waveform
from jaxst.parametrization import Pinned, Preconditioned, Samples
from jaxst.spectrum import mean_power
from jaxst.style import Style, shortest_duration
from jaxst.task import Task, analysis_key, beginning, compiled_for, pose

# At most, unless a style needs more: a step's time grows with the square of what is solved together.
CHUNK_SECONDS = 8.0
GRAIN_SECONDS = 0.5  # sizes are multiples of it, but for loops: few programs then serve recordings of all lengths
GIVEN_SECONDS = 0.5  # of a neighbor, at either end: more than filters span
FADE_SECONDS = 1.0  # next to them
_MARGIN_SECONDS = 0.5  # to either side of what is filtered: filters ring less
_LEVEL_RATE = 100  # Hz
_QUIETEST = 1e-2  # of the loudest level: what is 40 dB below is not brought up further


class Seams(NamedTuple):
    """Samples at either end of a chunk: so many are given, and so many more fade."""

    given: int
    fade: int


@dataclass(frozen=True)
class Cut:
    """How a signal is cut up.

    Attributes:
        length: of the signal in samples.
        size: of every chunk.
        starts: of each chunk. The last ones of a loop go on at its beginning.
        seams: at the ends of every second chunk.
        loop: whether the end is to lead on to the beginning.
    """

    length: int
    size: int
    starts: tuple[int, ...]
    seams: Seams
    loop: bool

    def places(self, index: int) -> np.ndarray:
        """The samples of a chunk."""
        return (self.starts[index] + np.arange(self.size)) % self.length

    def share(self, index: int) -> np.ndarray:
        """Gain of what is new in a chunk, rising like a sine from what its neighbors give, with `sqrt(1 - share^2)` for
        that: all 1 in every second chunk."""
        share = np.ones(self.size)
        if index % 2:
            ramp = np.clip((np.arange(self.size) - self.seams.given + 0.5) / self.seams.fade, 0, 1)
            rise = np.sin(np.pi / 2 * ramp)
            share *= rise
            if self.loop or index < len(self.starts) - 1:
                share *= rise[::-1]
        return share

    def rounds(self, side_by_side: int) -> Iterator[list[int]]:
        """Chunks that can be solved side by side, at most so many, in an order in which a beginning is soon done."""
        count = len(self.starts)
        for first in range(0, count, 2 * side_by_side):
            block = range(first, min(first + 2 * side_by_side, count), 2)
            yield list(block)
            # Those in between that have both neighbors now: the one before the block, too.
            last = block[-1] + 1
            ready = [index for index in range(max(first - 1, 0), last) if index % 2]
            if last == count - 1:
                ready.append(last)
            if ready:
                yield ready


def cut_up(task: Task) -> Cut | None:
    """How a task is cut up, if it is long or a loop, and can be."""
    if not moves_a_waveform(task.config):
        return None
    rate = task.style.sample_rate
    return cut(
        task.samples.shape[1], rate, loop=task.loop, least=math.ceil(shortest_duration(task.config, rate) * rate)
    )


def cut(length: int, sample_rate: int, *, loop: bool = False, least: int = 1) -> Cut | None:
    """Cut up a signal, if it is longer than a chunk or a loop.

    Args:
        length: in samples.
        sample_rate: in Hz.
        loop: whether the end is to lead on to the beginning.
        least: samples that a chunk must have.
    """
    lengths = CHUNK_SECONDS, GIVEN_SECONDS, FADE_SECONDS, GRAIN_SECONDS
    size, given, fade, grain = (round(seconds * sample_rate) for seconds in lengths)
    size = max(size, least)
    new = size - given - fade
    if not loop:
        if length <= size:
            return None
        count = 1 + -(-(length - size) // new)
        needed = -(-(length + (count - 1) * (given + fade)) // count)
        size = min(size, max(-(-needed // grain) * grain, least))
        starts = np.linspace(0, length - size, count).round().astype(int)
        return Cut(length, size, tuple(starts.tolist()), Seams(given, fade), loop)
    count = 2 * max(1, -(-length // (2 * new)))
    overlap = min(given + fade, length // count)
    given = min(given, overlap // 3)
    size = max(-(-length // count) + overlap, min(least, length))
    starts = (np.arange(count) * length / count).round().astype(int)
    return Cut(length, size, tuple(starts.tolist()), Seams(given, overlap - given), loop)


@dataclass(frozen=True)
class Chunk:
    """A part of a run. Its attributes are those of a `Task`, but for:

    Attributes:
        index: which chunk.
        offset: where it begins.
        content: the content as it is to be kept, or silence.
        given: what its neighbors give, faded out.
        share: gain of what is new.
    """

    config: Config
    style: Style
    has_content: bool
    index: int
    offset: int
    content: Float[np.ndarray, "channels time"]
    given: Float[np.ndarray, "channels time"]
    share: Float[np.ndarray, " time"]
    tapered: bool = False  # not in every chunk

    @property
    def program(self) -> Config:
        """As of a `Task`."""
        return compiled_for(self.config)

    @property
    def problem_key(self) -> Any:
        """No two chunks have the same problem."""
        return analysis_key(self.config), self.index

    @cached_property
    def _posed(self) -> tuple[problem.Problem, Array]:
        content = jnp.asarray(self.content)
        posed = pose(self.program, self.style, content, has_content=self.has_content)
        assert isinstance(posed.variable, Preconditioned | Samples), "refused before"
        variable = Pinned(posed.variable, jnp.asarray(self.given), jnp.asarray(self.share))
        return replace(posed, variable=variable, image=None), content  # the whole is given its image, in the end

    def pose(self) -> tuple[problem.Problem, Array]:
        """The problem, and the content as it is to be kept."""
        return self._posed

    def beginning(self, content: Float[Array, "channels time"]) -> tuple[Float[Array, "channels time"], float]:
        """As of a `Task`."""
        return beginning(self.config, self.style, content, self.offset)

    def result(self, samples: np.ndarray) -> Recording:
        """The waveform, in the level that it was solved in."""
        return Recording(samples, self.style.sample_rate, f"chunk {self.index}")


def chunk(task: Task, how: Cut, index: int, kept: "Kept", signal: np.ndarray) -> Chunk:
    """Prepare one.

    Args:
        task: the whole.
        how: it is cut up.
        index: which chunk.
        kept: what is kept of the content.
        signal: `(channels, time)`, what is solved by now.
    """
    places, share = how.places(index), how.share(index).astype(np.float32)
    seed = task.config.seed
    if index:  # noise of its own
        seed = int(np.random.SeedSequence([int(seed), index]).generate_state(1)[0] >> 1)
    return Chunk(
        config=replace(task.config, seed=seed),
        style=task.style,
        has_content=task.has_content,
        index=index,
        offset=how.starts[index],
        content=kept.content(index),
        given=signal[:, places] * np.sqrt(1 - share**2),
        share=share,
    )


class Levels(NamedTuple):
    """A curve of levels.

    Attributes:
        values: at equal distances.
        step: samples that each of them stands for.
    """

    values: np.ndarray
    step: float

    def at(self, start: int, size: int) -> Float[np.ndarray, "1 size"]:
        """At so many samples, whatever the number of channels."""
        places = (np.arange(len(self.values)) + 0.5) * self.step
        return np.interp(np.arange(start, start + size), places, self.values).astype(np.float32)[None]


class Kept(NamedTuple):
    """What is kept of a content.

    Attributes:
        content: gives that of a chunk, at an even level.
        levels: what the result is multiplied by, if there is a content.
        spectra: `(frequency, channels, channels)`, its long-term cross-spectra at unit level, or the style's.
    """

    content: Callable[[int], np.ndarray]
    levels: Levels | None
    spectra: Complex[Array, "frequency channels channels"]


def keep(task: Task, how: Cut) -> Kept:
    """Look through a content for what depends on all of it."""
    silence = np.zeros((task.samples.shape[0], how.size), np.float32)
    if not task.has_content:
        return Kept(lambda index: silence, None, task.style.image)
    samples, rate = task.samples, task.style.sample_rate
    step = rate // _LEVEL_RATE
    spectra = _long_term(task, samples, how)
    power = mean_power(spectra)

    def filtered(block: Array) -> Array:
        strength, wanted = task.config.equalization, task.style.spectrum
        return problem.filtered(block, power, wanted, sample_rate=rate, strength=strength)

    loudness = np.empty(-(-how.length // step), np.float32)
    for start, block in _filtered_blocks(samples, how.size, rate, filtered):
        found = _powers(block, step)
        loudness[start // step : start // step + len(found)] = found[: len(loudness) - start // step]
    even = _levels(loudness, step, floor=_QUIETEST)

    def content(index: int) -> np.ndarray:
        start = how.starts[index]
        return filtered_window(samples, start, how.size, rate, filtered) / even.at(start, how.size)

    return Kept(content, _levels(_powers(samples, step), step, floor=0.0), spectra)


def finish(task: Task, how: Cut, kept: Kept, signal: np.ndarray) -> np.ndarray:
    """The whole, from a signal that is used up: the image is that of content or style again; levels and, as far as is
    wanted, spectrum are the content's."""
    strength, rate = task.config.content_spectrum, task.style.sample_rate
    if kept.levels is not None:
        for start in range(0, how.length, how.size):
            block = signal[:, start : start + how.size]
            block *= kept.levels.at(start, block.shape[1])
    if len(signal) == 2:
        own = _long_term(task, signal, how)
        _filter(signal, how.size, rate, lambda x: problem.placed(x, own, kept.spectra, sample_rate=rate))
    if kept.levels is not None and strength is not None:
        level = float(np.mean(_powers(signal, rate // _LEVEL_RATE)))
        powers = mean_power(_long_term(task, signal, how)) / (level or 1.0), mean_power(kept.spectra)
        _filter(signal, how.size, rate, lambda x: problem.filtered(x, *powers, sample_rate=rate, strength=strength))
    return signal


def _long_term(task: Task, samples: np.ndarray, how: Cut) -> Array:
    """Cross-spectra, chunk by chunk."""
    rate = task.style.sample_rate
    spectra = [
        problem.long_term(task.program, jnp.asarray(samples[:, how.places(index)]), sample_rate=rate)
        for index in range(len(how.starts))
    ]
    return jnp.mean(jnp.stack(spectra), axis=0)


def _filter(signal: np.ndarray, size: int, sample_rate: int, filtered: Callable[[Array], Array]) -> None:
    """In place, block by block."""
    last, done = 0, signal[:, :0]
    for start, block in _filtered_blocks(signal, size, sample_rate, filtered):
        signal[:, last : last + done.shape[1]] = done  # only now: this block's filter has seen what was there
        last, done = start, block
    signal[:, last : last + done.shape[1]] = done


def _filtered_blocks(
    samples: np.ndarray, size: int, sample_rate: int, filtered: Callable[[Array], Array]
) -> Iterator[tuple[int, np.ndarray]]:
    """One after another: where it begins, and a filtered block."""
    for start in range(0, samples.shape[1], size):
        block = filtered_window(samples, start, size, sample_rate, filtered)
        yield start, block[:, : samples.shape[1] - start]


def filtered_window(
    samples: np.ndarray, start: int, size: int, sample_rate: int, filtered: Callable[[Array], Array]
) -> np.ndarray:
    """A window of what a filter makes of a signal, always of the same size: zeros after the end."""
    margin = round(_MARGIN_SECONDS * sample_rate)
    window = np.zeros((samples.shape[0], size + 2 * margin), np.float32)
    first = max(start - margin, 0)
    part = samples[:, first : start + size + margin]
    window[:, first - start + margin :][:, : part.shape[1]] = part
    return np.asarray(filtered(jnp.asarray(window)))[:, margin : margin + size]


def _powers(samples: np.ndarray, step: int) -> np.ndarray:
    """Mean square of every `step` samples, over channels; the last ones alone if there are fewer."""
    whole = samples.shape[1] // step * step
    blocks = samples[:, :whole].reshape(samples.shape[0], -1, step)
    means = np.einsum("cbt,cbt->b", blocks, blocks) / (samples.shape[0] * step)
    return means if whole == samples.shape[1] else np.append(means, np.mean(np.square(samples[:, whole:])))


def _levels(powers: np.ndarray, step: int, *, floor: float) -> Levels:
    """Root of the powers under a Hann window of `CHUNK_SECONDS`; at least `floor` of the largest."""
    window = np.hanning(round(CHUNK_SECONDS * _LEVEL_RATE) + 2)[1:-1]
    smooth = np.convolve(powers, window, mode="same") / np.convolve(np.ones_like(powers), window, mode="same")
    level = np.sqrt(np.maximum(smooth, 0))
    return Levels(np.maximum(level, floor * level.max()), step)
