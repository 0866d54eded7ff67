"""The job: an output, what it was made of, and the references that give each of its numbers a scale."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, NamedTuple

from jaxst import audio
from jaxst.audio import Recording, Source
from jaxst.errors import AudioError, ConfigError
from jaxst.evaluation.measures import GROUPS, MEASURES, Measure, Signal
from jaxst.evaluation.references import halves, joined, shaped_noise
from jaxst.metrics.gram import draw_banks
from jaxst.style import as_sources

SHORTEST = 0.1  # seconds
ROWS: Mapping[str, str] = {
    "output": "output",
    "content": "content",
    "style": "style",
    "noise": "noise",
    "other_half": "other half",
}


@dataclass(frozen=True)
class Value:
    """A measure of one row.

    Attributes:
        value: the number; `None` where there is none.
        parts: what else the measure tells, by name.
        reason: why there is none.
    """

    value: float | None
    parts: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Evaluation:
    """All measures of an output and of its references.

    Attributes:
        measures: those that what was given allows.
        rows: values by row, in the order of `ROWS`, and by the measure's key.
        recordings: what each row is of.
        absent: why a reference is missing, by row.
        optimized: keys of the measures that the output's loss contained.
        sample_rate: at which all was measured, in Hz.
    """

    measures: tuple[Measure, ...]
    rows: Mapping[str, Mapping[str, Value]]
    recordings: Mapping[str, Recording]
    absent: Mapping[str, str]
    optimized: frozenset[str]
    sample_rate: int


class _Row(NamedTuple):
    """A signal, and what it is compared with where a group of measures asks for it."""

    signal: Signal
    against: Mapping[str, Signal]


def evaluate(
    output: Source,
    *,
    style: Source | Sequence[Source] | None = None,
    content: Source | None = None,
    optimized: Collection[str] = (),
    seed: int = 0,
) -> Evaluation:
    """Measure whether an output took the style, kept the content and is no copy, beside references.

    The rows are the output; the content and the style, each untouched as if it were the output; Gaussian noise of the
    style's long-term spectrum, as long and as loud as the output; and the second half of the style, compared with the
    first half, if they last 2 s. Distances grow as recordings get shorter: mind the rows' durations.

    All is brought to the output's sample rate. Several styles are joined into one recording, each at the level of the
    first, and count by their lengths. Content measures compare as much as both signals have. Some 10 s of each take
    seconds; a style of 5 min, 5 min and 5 GB.

    Args:
        output: a recording or a path.
        style: one recording or path, or several; without it nothing is measured of style and copying.
        content: likewise, of content and signal.
        optimized: keys of the measures that the output's loss contained, to be marked; see `optimized_measures`.
        seed: of the noise.

    Returns:
        All numbers. One that cannot be had, of a row too short for it or without pitch, say, is `None`, with a reason.

    Raises:
        AudioError: for a recording that cannot be read, is silent or lasts less than 0.1 s.
        ConfigError: for an unknown measure or a bad seed.
    """
    check_options(optimized, seed)
    result = load(output)
    styles = [] if style is None else [load(source, result.sample_rate) for source in as_sources(style)]
    original = None if content is None else load(content, result.sample_rate)

    signal = partial(Signal, banks=cache(lambda: tuple(draw_banks())))
    rows, absent = _rows(result, styles, original, seed, signal)
    given = {"", *rows["output"].against}
    measures = tuple(measure for measure in MEASURES if GROUPS[measure.group].against in given)
    return Evaluation(
        measures=measures,
        rows={name: _measured(row, measures) for name, row in rows.items()},
        recordings={name: row.signal.recording for name, row in rows.items()},
        absent=absent,
        optimized=frozenset(optimized),
        sample_rate=result.sample_rate,
    )


def check_options(optimized: Collection[str], seed: int) -> None:
    """Refuse what is no measure's key, and a bad seed.

    Raises:
        ConfigError: for either.
    """
    if not 0 <= seed < 2**31:
        raise ConfigError(f"seed={seed} must be from 0 to {2**31 - 1}")
    known = [measure.key for measure in MEASURES]
    for key in optimized:
        if key not in known:
            raise ConfigError(f"optimized={key}: no such measure; there are {', '.join(known)}")


def load(source: Source, sample_rate: int | None = None) -> Recording:
    """A recording that something can be measured of; raises what `evaluate` does."""
    recording = audio.load(source, sample_rate)
    if recording.duration < SHORTEST:
        raise AudioError(
            f"{recording.name}: lasts {recording.duration:.3g} s, but at least {SHORTEST:g} s are needed to measure "
            "anything; choose a longer recording"
        )
    return recording


def _rows(
    output: Recording,
    styles: Sequence[Recording],
    content: Recording | None,
    seed: int,
    signal: Callable[[str, Recording], Signal],
) -> tuple[dict[str, _Row], dict[str, str]]:
    """Every row that there is, and why others are not."""
    against, absent = {}, {}
    if styles:
        against["style"] = signal("style", joined(styles))
    if content is not None:
        against["content"] = signal("content", content)
    rows = {"output": _Row(signal("output", output), against)}
    rows |= {name: _Row(against[name], against) for name in ("content", "style") if name in against}
    if styles:
        try:
            noise = shaped_noise(against["style"].recording, output, seed)
            rows["noise"] = _Row(signal("noise", noise), against)
        except AudioError as error:
            absent["noise"] = str(error)
        try:
            first, second = (signal(*named) for named in zip(("first half", "other half"), halves(styles), strict=True))
            rows["other_half"] = _Row(second, {"style": first})
        except AudioError as error:
            absent["other_half"] = str(error)
    return rows, absent


def _measured(row: _Row, measures: Sequence[Measure]) -> dict[str, Value]:
    """Each measure's value; a function that several measures are of runs once."""

    @cache
    def result(function: Callable[..., Any], against: str) -> Any:
        if against and against not in row.against:
            return AudioError("compared with the style's first half alone")
        references = [row.against[against]] if against else []
        try:
            return function(row.signal, *references)
        except AudioError as error:
            return AudioError(_explained(str(error), row.signal, *references))

    return {m.key: _value(m, result(m.function, GROUPS[m.group].against), row.signal.name) for m in measures}


def _explained(message: str, signal: Signal, reference: Signal | None = None) -> str:
    """A measure's complaint, with the row's names for those that the measure has for its arguments."""
    name, _, complaint = message.partition(": ")
    names = {"recording": signal.name, "output": signal.name}
    if reference is not None:
        names |= {"reference": reference.name, "style": reference.name}
    return f"{names.get(name, name)}: {complaint}"


def _value(measure: Measure, result: Any, name: str) -> Value:
    if isinstance(result, AudioError):
        return Value(None, reason=str(result))
    number = float(getattr(result, measure.field) if measure.field else result)
    if not math.isfinite(number):
        return Value(None, reason=f"{name}: has no finite value here")
    return Value(number, {name: _plain(getattr(result, name)) for name in measure.parts})


def _plain(part: Any) -> Any:
    """What JSON can hold: it has no NaN."""
    if isinstance(part, tuple):
        return [_plain(value) for value in part]
    return part if isinstance(part, str) else (float(part) if math.isfinite(part) else None)
