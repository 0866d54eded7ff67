"""The gallery of a sweep: one page on which every entry can be heard, seen, compared and made again."""

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import soundfile

from jaxst import audio
from jaxst.errors import AudioError
from jaxst.report import figures, markup
from jaxst.report.markup import MINUS
from jaxst.report.parts import Clip
from jaxst.report.table import number_text

EMBEDDED_BYTES = 64 * 2**20  # of audio that a page holds itself: browsers open more slowly or not at all
CURVE_POINTS = 100  # of a loss curve: as many as one can see
ROWS, COLUMNS = 48, 144  # of a thumbnail
EXPECTED = ("complete", "converged")  # need no mark
MEDIA_TYPES = {".flac": "audio/flac", ".wav": "audio/wav", ".ogg": "audio/ogg", ".mp3": "audio/mpeg"}
SMALL = 0.1  # where a column reaches no further, three decimals would say too little
EXACT = 2**53  # up to here a script's numbers hold every integer


@dataclass(frozen=True)
class Entry:
    """One result of a sweep.

    Attributes:
        name: unique.
        settings: what varies over the sweep, option to number or text; the same options for all entries.
        status: how the run ended; anything but "complete" and "converged" is marked.
        values: numbers by key of a column; none where it is missing, `None` or not finite.
        losses: total loss before the first step and after each; may be empty, and hold zero, negative, infinite and NaN
            values, which the plot leaves out.
        path: of the audio file. Where it is missing or unreadable the page says so.
        command: the command line that repeats this entry alone.
    """

    name: str
    settings: Mapping[str, object]
    status: str
    values: Mapping[str, float | None]
    losses: Sequence[float] | np.ndarray
    path: Path
    command: str


@dataclass(frozen=True)
class Column:
    """One number of the table.

    Attributes:
        key: under which entries and references hold it.
        name: heading, with the unit.
        better: "low", "high", or "" where neither is.
        meaning: how to read it, in one line.
        marked: whether it is part of the loss that was minimized, and weak evidence therefore.
    """

    key: str
    name: str
    better: str
    meaning: str
    marked: bool


@dataclass(frozen=True)
class Reference:
    """A recording beside which the numbers make sense, such as the untouched content.

    Attributes:
        name: what the table calls it.
        values: numbers by key of a column, as an entry's.
        clip: the recording itself, if it is to be heard.
    """

    name: str
    values: Mapping[str, float | None]
    clip: Clip | None


class _Setting(NamedTuple):
    """One option over all entries: its values to sort by, and to read."""

    name: str
    values: list[float | int | str | None]
    texts: list[str]


class _Numbers(NamedTuple):
    """A column's numbers.

    Attributes:
        values: of every entry, as far as they are finite.
        best: NaN, which equals nothing, where all are the same or none is better.
        small: whether they want significant digits rather than decimals.
    """

    column: Column
    values: list[float | None]
    best: float
    small: bool

    def text(self, value: float | None) -> str:
        """A number of this column in the page's typography."""
        if value is None or not self.small:
            return markup.cell(number_text(value))
        return markup.cell(f"{value:.3g}").replace(f"e{MINUS}0", f"e{MINUS}")


class _Sound(NamedTuple):
    """What a row plays and shows.

    Attributes:
        url: of the audio.
        seconds: its duration.
        levels: its spectrogram in dB.
    """

    url: str
    seconds: float
    levels: np.ndarray


def render_gallery(
    *,
    title: str,
    folder: Path,
    entries: Sequence[Entry],
    columns: Sequence[Column],
    ranked_by: str,
    references: Sequence[Reference] = (),
    config: Mapping[str, object],
    facts: Mapping[str, object],
    command: str,
    notes: Sequence[str] = (),
) -> str:
    """Render the gallery of a sweep.

    A page holds the audio itself up to 64 MiB in all. Beyond that it refers to the files, by paths relative to
    `folder`, and says so.

    Args:
        title: the page's heading.
        folder: where the page will be.
        entries: what was made, in any order.
        columns: the table's numbers.
        ranked_by: key of the column that ranks the entries at first.
        references: rows at the table's foot.
        config: what all entries have in common, by name; mappings inside are shown as "outer.inner".
        facts: anything else about the sweep, by name.
        command: the command line that repeats the whole sweep.
        notes: what the reader must know first: shown as banners.

    Returns:
        An HTML document that needs no network.

    Raises:
        ValueError: if two entries have one name, entries have different settings, or no column is `ranked_by`.
    """
    place = _place(entries, columns, ranked_by)
    entries = _ranked(entries, columns[place])
    settings = [_setting(name, entries) for name in (entries[0].settings if entries else ())]
    numbers = [_numbers(entries, column) for column in columns]
    embedded = sum(_size(entry.path) for entry in entries) <= EMBEDDED_BYTES
    limit = _frequency_limit(entries)
    sounds, reasons = _entry_sounds(entries, folder, limit, embedded=embedded)
    heard = _reference_sounds(references, limit)
    limits = figures.color_limits([sound.levels for sound in (*sounds.values(), *heard.values())])
    files = "" if embedded else f"The audio is not in this page: it plays {len(sounds)} files beside it."
    return markup.render(
        "gallery.html",
        title=title,
        notes=[*notes, *filter(None, [files])],
        media="data:" if embedded else "data: 'self' file:",
        summary=_summary(entries, numbers[place]),
        colors=markup.gradient(figures.COLOR_MAP),
        scale=[f"{level:.0f}".replace("-", MINUS) for level in limits],
        settings=settings,
        columns=columns,
        ranking=columns[place],
        rows=[
            {
                "name": entry.name,
                "status": "" if entry.status in EXPECTED else entry.status,
                "sound": _player(sounds.get(entry.name), limits),
                "reason": reasons.get(entry.name),
                "settings": [setting.texts[index] for setting in settings],
                "numbers": [(n.text(n.values[index]), n.values[index] == n.best) for n in numbers],
                "command": entry.command,
            }
            for index, entry in enumerate(entries)
        ],
        references=[
            {
                "name": reference.name,
                "sound": _player(heard.get(index), limits),
                "numbers": [n.text(_number(reference, n.column)) for n in numbers],
            }
            for index, reference in enumerate(references)
        ],
        config=list(markup.pairs(config)),
        facts=list(markup.pairs(facts)),
        command=command,
        data={
            "settings": [setting._asdict() for setting in settings],
            "columns": [
                {"name": n.column.name, "better": n.column.better, "values": n.values, "small": n.small}
                for n in numbers
            ],
            "ranking": place,
            "entries": [
                {"name": entry.name, "status": entry.status, "losses": _thinned(entry.losses)} for entry in entries
            ],
            "colors": figures.LINE_COLORS,
        },
    )


def _place(entries: Sequence[Entry], columns: Sequence[Column], ranked_by: str) -> int:
    """Where the column is that ranks; and a refusal of what the page could not show."""
    if repeated := [name for name, count in Counter(entry.name for entry in entries).items() if count > 1]:
        raise ValueError(f"entries must have unique names: {repeated[0]!r} is there twice")
    for entry in entries:
        if list(entry.settings) != list(entries[0].settings):
            raise ValueError(f"{entry.name}: settings {list(entry.settings)} must be {list(entries[0].settings)}")
    keys = [column.key for column in columns]
    if ranked_by not in keys:
        raise ValueError(f"ranked_by={ranked_by!r} must be one of {', '.join(keys)}")
    return keys.index(ranked_by)


def _ranked(entries: Sequence[Entry], column: Column) -> list[Entry]:
    """The best first, those without a number last."""
    sign = -1 if column.better == "high" else 1
    numbers = {entry.name: _number(entry, column) for entry in entries}
    return sorted(entries, key=lambda e: math.inf if (number := numbers[e.name]) is None else sign * number)


def _number(row: Entry | Reference, column: Column) -> float | None:
    value = row.values.get(column.key)
    return None if value is None or not math.isfinite(value) else float(value)


def _numbers(entries: Sequence[Entry], column: Column) -> _Numbers:
    values = [_number(entry, column) for entry in entries]
    found = {value for value in values if value is not None}
    best = math.nan if not column.better or len(found) < 2 else max(found) if column.better == "high" else min(found)
    return _Numbers(column, values, best, max(map(abs, found), default=1.0) < SMALL)


def _setting(name: str, entries: Sequence[Entry]) -> _Setting:
    values = [markup.scalar(entry.settings[name]) for entry in entries]
    texts = list(map(markup.text, values))
    if all(text.lower().endswith(audio.READABLE) for text in texts):
        texts = _without_shared_folders(texts)
    return _Setting(name, list(map(_sortable, values)), texts)


def _without_shared_folders(paths: Sequence[str]) -> list[str]:
    """What tells them apart."""
    folders = zip(*(path.split("/")[:-1] for path in paths), strict=False)
    shared = len(list(takewhile(lambda names: len(set(names)) == 1, folders)))
    return ["/".join(path.split("/")[shared:]) for path in paths]


def _sortable(value: object) -> float | int | str | None:
    """What a script can compare: a number that it holds exactly, or text."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= EXACT):
        return value
    return markup.text(value)


def _summary(entries: Sequence[Entry], ranking: _Numbers) -> str:
    """How many there are, how they ended, and which is best."""
    ends = Counter(entry.status for entry in entries if entry.status not in EXPECTED)
    counts = [f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}"]
    counts += [f"{count} {status}" for status, count in ends.items()]
    text = ", ".join(counts) + f", ranked by {ranking.column.name}"
    if entries and ranking.values[0] is not None:
        text += f": {entries[0].name} is first with {ranking.text(ranking.values[0])}"
    return text


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _frequency_limit(entries: Sequence[Entry]) -> float:
    """Half the highest sample rate in Hz; references are shown on the same axis."""
    rates = []
    for entry in entries:
        try:
            rates.append(soundfile.info(entry.path).samplerate)
        except (soundfile.LibsndfileError, OSError):
            continue
    return max(rates, default=0) / 2


def _entry_sounds(
    entries: Sequence[Entry], folder: Path, limit: float, *, embedded: bool
) -> tuple[dict[str, _Sound], dict[str, str]]:
    """By name: the sounds that there are, and why others are not."""
    sounds, reasons = {}, {}
    for entry in entries:
        try:
            recording = audio.read(entry.path)
            url = _embedded(entry.path) if embedded else _relative(entry.path, folder)
        except (AudioError, OSError) as error:
            reasons[entry.name] = str(error).removeprefix(f"{entry.path}: ")
        else:
            sounds[entry.name] = _sound(url, recording.samples, recording.sample_rate, limit)
    return sounds, reasons


def _reference_sounds(references: Sequence[Reference], limit: float) -> dict[int, _Sound]:
    """By place in the list."""
    return {
        index: _sound(
            markup.data_uri("audio/flac", markup.flac(clip.samples, clip.sample_rate)),
            clip.samples,
            clip.sample_rate,
            limit or clip.sample_rate / 2,
        )
        for index, reference in enumerate(references)
        if (clip := reference.clip) is not None
    }


def _embedded(path: Path) -> str:
    return markup.data_uri(MEDIA_TYPES.get(path.suffix.lower(), "audio/flac"), path.read_bytes())


def _relative(path: Path, folder: Path) -> str:
    """An address that a page in `folder` finds the file under; bytes, since a name need not be UTF-8."""
    return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))


def _sound(url: str, samples: np.ndarray, sample_rate: int, limit: float) -> _Sound:
    """Levels on a coarse grid up to `limit` Hz, NaN above half the sample rate, over the whole duration."""
    seconds = samples.shape[1] / sample_rate
    edges = figures.frequency_edges(limit, rows=ROWS)
    covered = np.searchsorted(edges, sample_rate / 2)  # rows, the last one in part
    bands = np.minimum(edges[: covered + 1], sample_rate / 2)
    levels = figures.spectrogram(samples, sample_rate, bands=bands, times=np.linspace(0, seconds, COLUMNS + 1))
    return _Sound(url, seconds, np.pad(levels, ((0, ROWS - len(levels)), (0, 0)), constant_values=np.nan))


def _player(sound: _Sound | None, limits: tuple[float, float]) -> dict[str, object] | None:
    """What the template needs of a sound."""
    if sound is None:
        return None
    image = markup.data_uri("image/png", figures.thumbnail(sound.levels, limits))
    return {"url": sound.url, "seconds": sound.seconds, "image": image}


def _thinned(losses: Sequence[float] | np.ndarray) -> dict[str, object]:
    """A history of at most `CURVE_POINTS` values with four digits: every `stride`-th, and the last one."""
    values = figures.plottable(np.asarray(losses, np.float64))
    last = max(len(values) - 1, 0)
    stride = max(math.ceil(last / (CURVE_POINTS - 1)), 1)
    steps = [*range(0, last, stride), last] if len(values) else []
    return {
        "last": last,
        "stride": stride,
        "values": [None if math.isnan(values[step]) else float(f"{values[step]:.4g}") for step in steps],
    }
