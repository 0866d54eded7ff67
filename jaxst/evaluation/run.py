"""The job: an output, what it was made of, and the references that give each of its numbers a scale."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jaxst import audio
from jaxst.audio import Recording, Source
from jaxst.errors import AudioError, ConfigError
from jaxst.evaluation.measures import GROUPS, MEASURES, Banks, Measure, Signal, kept_banks
from jaxst.evaluation.references import StyleSignals, shaped_noise
from jaxst.excerpts import excerpted
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
        seconds: how long each of them lasts.
        absent: why a reference is missing, by row.
        optimized: keys of the measures that the output's loss contained.
        sample_rate: at which all was measured, in Hz.
    """

    measures: tuple[Measure, ...]
    rows: Mapping[str, Mapping[str, Value]]
    recordings: Mapping[str, Recording]
    seconds: Mapping[str, float]
    absent: Mapping[str, str]
    optimized: frozenset[str]
    sample_rate: int


class References(NamedTuple):
    """What gives an output's numbers a scale.

    Attributes:
        rows: values by row, in the order of `ROWS`, and by the measure's key.
        recordings: what each row is of.
        absent: why one is missing, by row.
    """

    rows: Mapping[str, Mapping[str, Value]]
    recordings: Mapping[str, Recording]
    absent: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What outputs of one sample rate are compared with: measured when that is first needed, once for all outputs.

    Comparisons may share a style or a content, and so what was measured of it.

    Attributes:
        sample_rate: of the outputs, too, in Hz.
        style: without it nothing is measured of style and copying.
        content: without it nothing is measured of content and signal.
        banks: gives the filters of the Gram matrices.
    """

    sample_rate: int
    style: StyleSignals | None
    content: Signal | None
    banks: Banks

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Those that style and content allow."""
        given = {"", *self._against}
        return tuple(measure for measure in MEASURES if GROUPS[measure.group].against in given)

    def measure(self, output: Recording) -> dict[str, Value]:
        """All measures of an output alone, by key.

        Raises:
            AudioError: for another sample rate.
        """
        self._check_rate(output)
        return _values(Signal("output", output, self.banks), self._against, self.measures)

    def references(self, like: Recording, *, seed: int = 0) -> References:
        """The rows of `evaluate` beside an output's own. Only the noise is measured anew each time.

        Args:
            like: an output: the noise is as long and as loud.
            seed: of the noise.

        Raises:
            AudioError: for another sample rate.
        """
        self._check_rate(like)
        against = self._against
        rows = {name: (against[name], against) for name in ("content", "style") if name in against}
        absent = {}
        if self.style is not None:
            try:
                noise = shaped_noise(self.style.whole.recording, like, seed)
                rows["noise"] = Signal("noise", noise, self.banks), against
            except AudioError as error:
                absent["noise"] = str(error)
            try:
                first, second = self.style.halves
                rows["other_half"] = second, {"style": first}
            except AudioError as error:
                absent["other_half"] = str(error)
        return References(
            {name: _values(*row, self.measures) for name, row in rows.items()},
            {name: signal.recording for name, (signal, _) in rows.items()},
            absent,
        )

    def evaluate(self, output: Recording, *, optimized: Collection[str] = (), seed: int = 0) -> Evaluation:
        """An output beside its references, as `evaluate` says.

        Raises:
            AudioError: for another sample rate.
            ConfigError: for an unknown measure or a bad seed.
        """
        check_options(optimized, seed)
        row, references = self.measure(output), self.references(output, seed=seed)
        recordings = {"output": output, **references.recordings}
        return Evaluation(
            measures=self.measures,
            rows={"output": row, **references.rows},
            recordings=recordings,
            seconds={name: recording.duration for name, recording in recordings.items()},
            absent=references.absent,
            optimized=frozenset(optimized),
            sample_rate=self.sample_rate,
        )

    @property
    def _against(self) -> dict[str, Signal]:
        """By what groups of measures call it."""
        style = {} if self.style is None else {"style": self.style.whole}
        return style if self.content is None else style | {"content": self.content}

    def _check_rate(self, output: Recording) -> None:
        if output.sample_rate != self.sample_rate:
            raise AudioError(
                f"{output.name}: has {output.sample_rate} Hz, but is compared at {self.sample_rate} Hz; resample it"
            )


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
    first, and count by their lengths; one of more than 30 s counts as 30 s, in excerpts (`jaxst.excerpts`). Content
    measures compare as much as both signals have. Some 10 s of each take seconds.

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
    comparison = compare_with(style=style, content=content, sample_rate=result.sample_rate)
    return comparison.evaluate(result, optimized=optimized, seed=seed)


def compare_with(
    *, style: Source | Sequence[Source] | None = None, content: Source | None = None, sample_rate: int
) -> Comparison:
    """What to `measure` or `evaluate` any number of outputs against, at their sample rate in Hz.

    Style, content and what is raised are as for `evaluate`, and a sample rate that is not handled is a `ConfigError`.
    """
    banks = kept_banks()
    return Comparison(
        sample_rate, load_style(style, sample_rate, banks), load_content(content, sample_rate, banks), banks
    )


def load_style(style: Source | Sequence[Source] | None, sample_rate: int, banks: Banks) -> StyleSignals | None:
    """A style for several `Comparison`s; raises what `compare_with` does."""
    sources = [] if style is None else as_sources(style)
    return StyleSignals(tuple(load(excerpted(source), sample_rate) for source in sources), banks) if sources else None


def load_content(content: Source | None, sample_rate: int, banks: Banks) -> Signal | None:
    """A content for several `Comparison`s; raises what `compare_with` does."""
    return None if content is None else Signal("content", load(content, sample_rate), banks)


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


def _values(x: Signal, against: Mapping[str, Signal], measures: Sequence[Measure]) -> dict[str, Value]:
    """A row: measures of a signal, compared with what there is for it."""

    def result(measure: Measure) -> Any:
        role = GROUPS[measure.group].against
        if role and role not in against:
            return AudioError("compared with the style's first half alone")
        return x.measured(measure.function, against.get(role))

    return {measure.key: _value(measure, result(measure), x.name) for measure in measures}


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
