"""Evaluations as tables and as what JSON and CSV files hold."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxst.evaluation.measures import BY_KEY, GROUPS, MEASURES, OVERVIEW, Measure
from jaxst.evaluation.run import ROWS, Evaluation
from jaxst.report.table import MISSING, Table, TableGroup, TableRow, number_text

MARK = "*"
_MARKED = f"{MARK} part of the loss that the output was made with: weak evidence"
_EXPLAINED = {
    "noise": "noise: Gaussian, with the style's spectrum",
    "other_half": "other half: second half of the style, compared with the first alone",
}
# The three questions, each by the measure that tells most.
_RANKED = {"style taken": "texture", "content kept": "onsets", "no copy": "windows"}

Numbers = Mapping[str, Mapping[str, float | None]]
"""By row and by key."""


def numbers(evaluation: Evaluation) -> Numbers:
    """The values alone."""
    return {row: {key: value.value for key, value in values.items()} for row, values in evaluation.rows.items()}


def means(evaluations: Sequence[Evaluation]) -> tuple[Numbers, Mapping[str, Mapping[str, int]]]:
    """Mean over all evaluations that have a value, and how many have."""
    found: dict[str, dict[str, list[float]]] = {}
    for evaluation in evaluations:
        for row, values in numbers(evaluation).items():
            for key, value in values.items():
                found.setdefault(row, {}).setdefault(key, []).extend([] if value is None else [value])
    ordered = {row: found[row] for row in ROWS if row in found}
    mean = {row: {k: float(np.mean(v)) if v else None for k, v in values.items()} for row, values in ordered.items()}
    return mean, {row: {k: len(v) for k, v in values.items()} for row, values in ordered.items()}


def evaluation_table(evaluation: Evaluation, heading: str) -> Table:
    """Every measure of one output beside its references."""
    values = numbers(evaluation)
    return Table(
        heading,
        _columns(values),
        [_seconds([evaluation], values), *_groups(values, evaluation.measures, evaluation.optimized)],
        lead=_rankings(values, evaluation.optimized),
        notes=[
            *([_MARKED] if evaluation.optimized & set(values["output"]) else []),
            *(text for row, text in _EXPLAINED.items() if row in values),
            *(f"no {ROWS[row]}: {reason}" for row, reason in evaluation.absent.items()),
            *_gaps(evaluation),
        ],
    )


def mean_table(evaluations: Sequence[Evaluation]) -> Table:
    """Every measure, averaged over outputs."""
    mean, counts = means(evaluations)
    marked = _all_optimized(evaluations)
    found = {values[m.key] for row, values in counts.items() for m in _compared(row) if m.key in values}
    return Table(
        f"Mean of {len(evaluations)} outputs",
        _columns(mean),
        [_seconds(evaluations, mean), *_groups(mean, _all_measures(evaluations), marked)],
        lead=_rankings(mean, marked),
        notes=[
            *([_MARKED] if marked else []),
            *(text for row, text in _EXPLAINED.items() if row in mean),
            *([f"{MISSING} no output has a value: the JSON says why"] if 0 in found else []),
            *(["some means are of fewer outputs: the JSON says how many"] if found - {0, len(evaluations)} else []),
        ],
    )


def overview_table(names: Sequence[str], evaluations: Sequence[Evaluation]) -> Table:
    """A few measures of every output."""
    measures = [m for m in _all_measures(evaluations) if m.key in OVERVIEW]
    marked = _all_optimized(evaluations)

    def cell(evaluation: Evaluation, m: Measure) -> str:
        return _marked(number_text(numbers(evaluation)["output"].get(m.key)), m.key, evaluation.optimized)

    rows = [
        TableRow(name, "", "", [cell(evaluation, m) for m in measures])
        for name, evaluation in zip(names, evaluations, strict=True)
    ]
    better = TableRow("better", "", "", [m.better for m in measures])
    return Table(
        "Outputs",
        [_marked(m.key, m.key, marked) for m in measures],
        [TableGroup("", [better, *rows])],
        notes=[_MARKED] if marked & {m.key for m in measures} else [],
    )


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """All that an evaluation tells, but for the measures' descriptions."""
    return {
        "sample_rate": evaluation.sample_rate,
        "optimized": sorted(evaluation.optimized),
        "rows": {
            name: {
                "seconds": evaluation.seconds[name],
                "values": {
                    key: {
                        "value": value.value,
                        **({"parts": dict(value.parts)} if value.parts else {}),
                        **({"reason": value.reason} if value.reason else {}),
                    }
                    for key, value in values.items()
                },
            }
            for name, values in evaluation.rows.items()
        },
        "absent": dict(evaluation.absent),
    }


def measures_as_json(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """What each measure is, by key, and whether any output's loss contained it."""
    marked = _all_optimized(evaluations)
    return {
        m.key: {
            "name": m.name,
            "unit": m.unit,
            "better": m.better or None,
            "group": m.group,
            "meaning": m.meaning,
            "optimized": m.key in marked,
        }
        for m in _all_measures(evaluations)
    }


CSV_COLUMNS = ("output", "row", "seconds", "measure", "value", "unit", "better", "optimized")


def csv_lines(name: str, evaluation: Evaluation) -> Iterator[tuple[object, ...]]:
    """A line for each row and measure, as `CSV_COLUMNS` says; nothing where there is no value."""
    for row, values in evaluation.rows.items():
        for m in evaluation.measures:
            yield (
                *(name, row, evaluation.seconds[row], m.key, values[m.key].value, m.unit, m.better),
                m.key in evaluation.optimized,
            )


def _compared(row: str) -> list[Measure]:
    """Those that there could be of a row."""
    return [m for m in MEASURES if row != "other_half" or GROUPS[m.group].against != "content"]


def _all_measures(evaluations: Sequence[Evaluation]) -> list[Measure]:
    return [m for m in MEASURES if any(m in evaluation.measures for evaluation in evaluations)]


def _all_optimized(evaluations: Sequence[Evaluation]) -> frozenset[str]:
    return frozenset(key for e in evaluations for key in e.optimized if BY_KEY[key] in e.measures)


def _seconds(evaluations: Sequence[Evaluation], values: Numbers) -> TableGroup:
    """Durations, on which distances depend."""
    durations = {row: [e.seconds[row] for e in evaluations if row in e.seconds] for row in values}
    cells = [number_text(float(np.mean(seconds))) for seconds in durations.values()]
    return TableGroup("", [TableRow("Duration [s]", "", "distances grow as recordings get shorter", cells)])


def _columns(values: Numbers) -> list[str]:
    return [ROWS[row] for row in values]


def _marked(text: str, key: str, optimized: Collection[str]) -> str:
    return f"{text}{MARK}" if key in optimized else text


def _groups(values: Numbers, measures: Sequence[Measure], optimized: Collection[str]) -> list[TableGroup]:
    groups = []
    for key, group in GROUPS.items():
        rows = [
            TableRow(
                _marked(f"{m.name} [{m.unit}]" if m.unit else m.name, m.key, optimized),
                m.better,
                m.meaning,
                [number_text(row.get(m.key)) for row in values.values()],
            )
            for m in measures
            if m.group == key
        ]
        groups += [TableGroup(group.title, rows)] if rows else []
    return groups


def _rankings(values: Numbers, optimized: Collection[str]) -> list[str]:
    """One line for each question: all rows, the best first."""
    lines = []
    for question, key in _RANKED.items():
        low = BY_KEY[key].better == "low"
        found = [(value, name) for name, row in values.items() if (value := row.get(key)) is not None]
        if values["output"].get(key) is not None and len(found) > 1:
            ranked = sorted(found, reverse=not low)
            order = (" < " if low else " > ").join(f"{ROWS[name]} {number_text(value)}" for value, name in ranked)
            lines.append(f"{question}? {_marked(key, key, optimized)}: {order}")
    return lines


def _gaps(evaluation: Evaluation) -> Iterator[str]:
    """Each reason for a missing value once, with the rows and the measures that it concerns; what there could never be
    needs none."""
    concerned: dict[str, tuple[list[str], list[str]]] = {}
    for row, values in evaluation.rows.items():
        for m in (m for m in _compared(row) if m in evaluation.measures and values[m.key].reason):
            name, _, complaint = values[m.key].reason.partition(": ")
            for known, new in zip(concerned.setdefault(complaint, ([], [])), (name, m.key), strict=True):
                known += [new] if new not in known else []
    for complaint, (names, keys) in concerned.items():
        what = ", ".join(keys) if len(keys) < 5 else f"{len(keys)} measures"
        yield f"{MISSING} {', '.join(names)}: {complaint} ({what})"
