"""Methods on one clip after another, each for as long as the first took, and what is measured of their outputs."""

import math
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

import jaxst
from jaxst.bench.clips import SECONDS, clip
from jaxst.errors import JaxstError
from jaxst.evaluation.measures import BY_KEY, Signal
from jaxst.evaluation.references import SHORTEST_HALF, shaped_noise
from jaxst.metrics.gram import draw_banks
from jaxst.solver import OnProgress, Progress

STYLE = ("texture", "gram", "texstat", "frechet", "peak_correlation")  # what is measured against it
CONTENT = ("onsets", "chroma")
signal = partial(Signal, "output", banks=cache(lambda: tuple(draw_banks())))


@dataclass(frozen=True)
class Row:
    """What was measured of one signal.

    Attributes:
        clip: the texture's name, or both names of a pair.
        what: name of the method, or of a reference.
        values: by key of the measure, with `seconds` and `steps` of solving.
        status: how a run ended.
    """

    clip: str
    what: str
    values: Mapping[str, float]
    status: str = ""


def measured(keys: Sequence[str], x: Signal, reference: Signal) -> dict[str, float]:
    """Measures of one signal against another."""

    def number(key: str) -> float:
        value, field = BY_KEY[key].function(x, reference), BY_KEY[key].field
        return float(getattr(value, field) if field else value)

    return {key: number(key) for key in keys}


def stop_after(seconds: float) -> OnProgress:
    """Stops a run at its first report after so many seconds of solving."""
    began: list[float] = []

    def stop(progress: Progress) -> bool:
        if progress.stage != "solving":
            return False
        began.append(time.perf_counter())
        return began[-1] - began[0] >= seconds

    return stop


def solved(
    job: Callable[..., jaxst.Result], names: Sequence[str], name: str, measure: Callable[[Signal], dict[str, float]]
) -> Iterator[Row]:
    """One clip by several methods: the first takes its time, and the others get as much."""
    budget = None
    for method in names:
        try:
            result = job(method=method, on_progress=None if budget is None else stop_after(budget))
            values = measure(signal(result.audio))
        except JaxstError as error:
            row = Row(name, method, {}, f"no result: {error}")
        else:
            seconds = result.timings["solve"]
            budget = seconds if budget is None else budget
            run = {"seconds": seconds, "steps": float(len(result.history["total"]) - 1)}
            row = Row(name, method, values | run, result.status.name.lower())
        if budget is None:
            raise SystemExit(f"{method} on {name}: {row.status}")
        found = "  ".join(f"{key} {value:.3g}" for key, value in row.values.items())
        print(f"{name}: {method}  {found}  {row.status}", file=sys.stderr, flush=True)
        yield row


def texture_rows(folder: Path, name: str, methods: Sequence[str]) -> Iterator[Row]:
    """A texture by the methods and, as references, noise, the other half, and the first method with another seed."""
    style, half = clip(folder, name), clip(folder, name, SECONDS)
    wanted = signal(style)
    yield Row(name, "noise", measured(STYLE, signal(shaped_noise(style, style, seed=0)), wanted))
    if half.duration >= SHORTEST_HALF:
        yield Row(name, "other half", measured(STYLE, signal(half), wanted))
    made: list[Signal] = []

    def measure(x: Signal) -> dict[str, float]:
        made.append(x)
        return measured(STYLE, x, wanted)

    yield from solved(partial(jaxst.texture, style), methods, name, measure)
    another = signal(jaxst.texture(style, method=methods[0], seed=1).audio)
    yield Row(name, "two seeds", measured(["peak_correlation"], another, made[0]))


def pair_rows(folder: Path, names: tuple[str, str], methods: Sequence[str]) -> Iterator[Row]:
    """A pair by the methods and, as references, the untouched recordings."""
    content, style = (clip(folder, name) for name in names)
    kept, wanted = signal(content), signal(style)

    def measure(x: Signal) -> dict[str, float]:
        return measured(STYLE, x, wanted) | measured(CONTENT, x, kept)

    name = " + ".join(names)
    yield Row(name, "content", measure(kept))
    yield Row(name, "style", measured(CONTENT, wanted, kept))
    yield from solved(partial(jaxst.transfer, content, style), methods, name, measure)


class Column(NamedTuple):
    """Of a table: a value, or its ratio to a reference's.

    Attributes:
        heading: of the column.
        key: of the value.
        reference: whose value it is divided by, if any.
        closer: 1 minus the ratio instead.
        what: whose value it is, if it is the same in all rows.
        of: contents that it is asked of; empty for all.
        digits: after the point.
    """

    heading: str
    key: str
    reference: str = ""
    closer: bool = False
    what: str = ""
    of: Collection[str] = ()
    digits: int = 2


def values(rows: Sequence[Row], what: str, column: Column) -> dict[str, float]:
    """A column's value for each clip, of a method or reference; NaN where there is none."""
    by_clip = {(row.clip, row.what): row.values.get(column.key, math.nan) for row in rows}
    found = {name: value for (name, other), value in by_clip.items() if other == (column.what or what)}
    if column.of:
        found = {name: value for name, value in found.items() if name.split(" + ")[0] in column.of}
    if column.reference:
        found = {name: value / by_clip[name, column.reference] for name, value in found.items()}
    return {name: 1 - value for name, value in found.items()} if column.closer else found


def mean(found: Collection[float]) -> float:
    """Of those that there are."""
    return math.nan if all(map(math.isnan, found)) else float(np.nanmean(list(found)))
