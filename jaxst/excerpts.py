"""What stands for a long style: a few excerpts, read from their places in the file, and never all of it."""

from collections.abc import Callable, Iterable
from functools import partial, reduce

import numpy as np

from jaxst import audio
from jaxst.audio import Recording, Source

MAX_SECONDS = 30.0  # a style that lasts longer is taken in excerpts, which together last so long
EXCERPT_SECONDS = 3.0
_COUNT = round(MAX_SECONDS / EXCERPT_SECONDS)
_TRIES = 4  # at an excerpt that sounds
_SEED = 0
_CROSSFADE = 0.01  # seconds

_Read = Callable[[int, int], np.ndarray]  # the samples from one to before another, `(channels, time)`


def excerpted(source: Source) -> Recording:
    """A recording of at most 30 s as it is, or 30 s of a longer one: ten excerpts of 3 s, crossfaded over 10 ms.

    Each tenth of the recording has one excerpt, somewhere: at equal distances they could all be the same beat of a
    loop. The places are drawn by a seed that never changes. What is silent is drawn anew, at most three times, and then
    left out; where nothing was found so, the first 3 s that sound stand for the whole.

    Args:
        source: a recording, or the path of one, whose excerpts alone are read; or, where nothing was found, one stretch
            after another.

    Raises:
        AudioError: as `jaxst.read` does, but for NaN and infinite samples between the excerpts.
    """
    if isinstance(source, Recording):
        if source.in_excerpts or source.duration <= MAX_SECONDS:
            return source
        length, read = source.samples.shape[1], lambda start, stop: source.samples[:, start:stop]
        return _excerpts(read, length, source.sample_rate, source.name)
    with audio.opened(source) as file:
        length, read = audio.length(file), partial(audio.part, file)
        if length <= MAX_SECONDS * file.samplerate:
            return Recording(read(0, length), file.samplerate, file.name)
        read(length - 1, length)  # what is cut off ends before, wherever the excerpts are
        return _excerpts(read, length, file.samplerate, file.name)


def _excerpts(read: _Read, length: int, sample_rate: int, name: str) -> Recording:
    """Joined, so that each begins at a multiple of `EXCERPT_SECONDS`."""
    size, overlap = (round(seconds * sample_rate) for seconds in (EXCERPT_SECONDS, _CROSSFADE))
    longer = size + overlap
    drawn = (_sounding(read, places, longer) for places in _places(length, longer))
    found = [excerpt for excerpt in drawn if excerpt is not None]
    if not found:
        everywhere = [*range(0, length - longer, longer), length - longer]
        first = _sounding(read, everywhere, longer)
        found = [read(0, longer) if first is None else first]
    joined = reduce(partial(audio.crossfaded, overlap=overlap), found)
    return Recording(joined[:, : len(found) * size], sample_rate, name, in_excerpts=True)


def _places(length: int, size: int) -> list[list[int]]:
    """Where each excerpt of `size` samples may begin, in the order to try, drawn from the excerpt's share of all."""
    share = length / _COUNT
    room = max(0.0, share - size)
    starts = np.arange(_COUNT)[:, None] * share + np.random.default_rng(_SEED).random((_COUNT, _TRIES)) * room
    return np.minimum(starts.astype(int), length - size).tolist()


def _sounding(read: _Read, places: Iterable[int], size: int) -> np.ndarray | None:
    """The first of the excerpts at some places that is not silent, if there is one."""
    excerpts = (read(place, place + size) for place in places)
    return next((excerpt for excerpt in excerpts if not np.abs(excerpt).max() < audio.SILENCE), None)
