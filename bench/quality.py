"""How good the default is, and if it beats every preset at equal wall time: `python -m jaxst.bench.quality FOLDER`.

FOLDER holds the recordings that `bench/clips.py` names. Three parts, as Markdown on standard output:

* textures: the default beside noise with the style's spectrum (ratios are to it) and the style's own other half;
* pairs: how much closer to the style than the content the default's output is, and what it kept of the content;
* a ranking of all presets at their published settings, each for as many seconds of solving as the default took on that
  very clip just before. Compilation, analysis and making a waveform in the end are not counted. A preset is stopped at
  the first report of progress after that time, which comes twice a second, or once a step if steps take longer: no
  preset gets less, unless its published steps are done before.

Per clip methods are ranked by McDermott distance and Gram distance to the style, and on pairs by onset correlation with
the content as well, for who drops the content is near the style easily; the three count alike. A run that fails counts
with what it kept, one without any result is last. `*` marks what a method's own loss contains; Gram matrices of other
networks are near relatives of what nearly all of these methods minimize. TexStat and Fréchet distance are in no loss.
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from jaxst import environment
from jaxst.bench.clips import PAIRS, PITCHED, RATE, SECONDS, TEXTURES, missing
from jaxst.bench.runs import Column, Row, mean, pair_rows, texture_rows, values
from jaxst.bench.tables import markdown
from jaxst.config import options
from jaxst.evaluation import optimized_measures
from jaxst.evaluation.measures import BY_KEY
from jaxst.methods import METHODS

DEFAULT = "arccos"
RANKED = {"textures": ("texture", "gram"), "pairs": ("texture", "gram", "onsets")}


TEXTURE_COLUMNS = (
    Column("McDermott", "texture", "noise"),
    Column("Gram", "gram", "noise"),
    Column("TexStat", "texstat", "noise"),
    Column("Fréchet", "frechet", "noise"),
    Column("copying", "peak_correlation"),
)
PAIR_COLUMNS = (
    Column("McDermott", "texture", "content", closer=True),
    Column("Gram", "gram", "content", closer=True),
    Column("TexStat", "texstat", "content", closer=True),
    Column("onsets", "onsets"),
    Column("chroma, pitched", "chroma", of=PITCHED),
    Column("copying", "peak_correlation"),
)
STEPS, CLOCK = Column("steps", "steps", digits=0), Column("seconds", "seconds", digits=1)
SHARE = Column("time", "seconds", DEFAULT)
SCALES = {  # what stands beside the default's own values
    "textures": (
        Column("McDermott, other half", "texture", "noise", what="other half"),
        Column("copying, other half", "peak_correlation", what="other half"),
        Column("copying, two seeds", "peak_correlation", what="two seeds"),
    ),
    "pairs": (
        Column("onsets, style", "onsets", what="style"),
        Column("chroma, style", "chroma", what="style", of=PITCHED),
    ),
}
CLIPS = {"textures": TEXTURES, "pairs": PAIRS}
COLUMNS = {"textures": TEXTURE_COLUMNS, "pairs": PAIR_COLUMNS}


class Requirement(NamedTuple):
    """A bound on a column's values.

    Attributes:
        text: what is required.
        column: of what.
        limit: the bound.
        above: whether it is the least, not the most, that is allowed.
        every: whether each clip has to keep it, not the mean.
    """

    text: str
    column: Column
    limit: float
    above: bool = False
    every: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value keeps the bound; NaN does not."""
        return value >= self.limit if self.above else value <= self.limit


REQUIREMENTS = {
    "textures": (
        Requirement("McDermott distance over that of shaped noise, mean, at most", TEXTURE_COLUMNS[0], 0.4),
        Requirement(
            "peak cross-correlation with the reference, every clip, at most", TEXTURE_COLUMNS[4], 0.2, every=True
        ),
        Requirement("seconds of solving, every clip, at most", CLOCK, 20, every=True),
    ),
    "pairs": (
        Requirement("closer to the style in McDermott distance, mean, at least", PAIR_COLUMNS[0], 0.4, above=True),
        Requirement("closer to the style in held-out Gram distance, mean, at least", PAIR_COLUMNS[1], 0.4, above=True),
        Requirement("onset correlation with the content, mean, at least", PAIR_COLUMNS[3], 0.6, above=True),
        Requirement("chroma similarity to pitched content, mean, at least", PAIR_COLUMNS[4], 0.7, above=True),
    ),
}


def optimized(method: str, part: str) -> frozenset[str]:
    """Keys of measures that a preset's loss contains; of references none."""
    if method not in METHODS:
        return frozenset()
    preset = METHODS[method]
    return optimized_measures(options(preset.texture if part == "textures" else preset.transfer))


def ranks(rows: Sequence[Row], methods: Sequence[str], key: str) -> dict[str, float]:
    """Mean over clips of each method's rank by a measure, 1 for the best; equal ones share theirs, missing ones are
    last."""
    sign = 1 if BY_KEY[key].better == "low" else -1
    by_method = [values(rows, method, Column("", key)) for method in methods]
    numbers = np.array([[sign * found[name] for name in by_method[0]] for found in by_method])
    placed = rankdata(np.nan_to_num(numbers, nan=np.inf), axis=0)
    return dict(zip(methods, placed.mean(axis=1).tolist(), strict=True))


def text(value: float, digits: int = 2) -> str:
    """A table's cell."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def clip_table(rows: Sequence[Row], columns: Sequence[Column], part: str, references: Sequence[str]) -> str:
    """The default on each clip, its means, and means of references."""
    marked = optimized(DEFAULT, part)
    by_column = [values(rows, DEFAULT, column) for column in columns]
    lines = [
        [name, *(text(found.get(name, math.nan), c.digits) for c, found in zip(columns, by_column, strict=True))]
        for name in by_column[0]
    ]
    lines.append(
        ["**mean**", *(text(mean(found.values()), c.digits) for c, found in zip(columns, by_column, strict=True))]
    )
    for what in references:
        found = [{} if c.what else values(rows, what, c) for c in columns]
        means = [text(mean(f.values()), c.digits) for c, f in zip(columns, found, strict=True)]
        lines.append([f"{what}, mean of {max(map(len, found))}", *means])
    headings = [c.heading + "*" * (c.key in marked and not c.what) for c in columns]
    return markdown([part.removesuffix("s"), *headings], lines)


def method_table(rows: Sequence[Row], columns: Sequence[Column], part: str, methods: Sequence[str]) -> str:
    """Mean ranks and means of all methods."""
    by_key = {key: ranks(rows, methods, key) for key in RANKED[part]}
    lines = []
    for method in sorted(methods, key=lambda method: sum(placed[method] for placed in by_key.values())):
        marked = optimized(method, part)
        means = [text(mean(values(rows, method, c).values()), c.digits) + "*" * (c.key in marked) for c in columns]
        lines.append([method, *(text(placed[method], 1) for placed in by_key.values()), *means])
    names = {"texture": "McDermott", "gram": "Gram", "onsets": "onsets"}
    headings = ["method", *(f"rank: {names[key]}" for key in by_key), *(c.heading for c in columns)]
    return markdown(headings, lines)


def overall(rows: Mapping[str, Sequence[Row]], methods: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Mean rank of each method on textures and on pairs, over the measures that these are ranked by."""
    by_part = {part: [ranks(rows[part], methods[part], key) for key in RANKED[part]] for part in rows}
    return {
        method: {part: mean([one[method] for one in placed]) for part, placed in by_part.items() if method in placed[0]}
        for method in methods["textures"]
    }


def overall_table(places: Mapping[str, Mapping[str, float]]) -> str:
    """Mean ranks, the best first; methods that were not published for both last."""
    ordered = sorted(places, key=lambda method: (-len(places[method]), mean(places[method].values())))
    lines = [
        [method, *(text(places[method].get(part, math.nan)) for part in RANKED), text(both(places[method]))]
        for method in ordered
    ]
    return markdown(["method", *RANKED, "mean of both"], lines)


def both(places: Mapping[str, float]) -> float:
    """Mean rank of what was published for both."""
    return mean(places.values()) if len(places) == len(RANKED) else math.nan


def verdict(rows: Sequence[Row], requirement: Requirement) -> str:
    """One line: whether the default meets a requirement, with its mean, its worst clip, and how many clips do."""
    found = values(rows, DEFAULT, requirement.column)
    kept = sum(map(requirement.holds, found.values()))
    met = kept == len(found) if requirement.every else requirement.holds(mean(found.values()))
    worst = (min if requirement.above else max)(found, key=lambda name: found[name])
    numbers = f"mean {text(mean(found.values()))}, worst {text(found[worst])} ({worst}), {kept} of {len(found)} clips"
    return f"- {'met' if met else 'MISSED'}: {requirement.text} {requirement.limit:g}: {numbers}"


def superiority(places: Mapping[str, Mapping[str, float]]) -> str:
    """One line: whether the default is before every preset, in the mean of what both were published for."""
    own = places[DEFAULT]
    before = [
        method
        for method, other in places.items()
        if method != DEFAULT and mean(other.values()) <= mean([own[part] for part in other])
    ]
    count = len(places) - 1
    if before:
        return f"- MISSED: the default beats every preset: not {', '.join(before)} ({count - len(before)} of {count})"
    return f"- met: the default beats every preset ({count} of {count})"


def report(part: str, rows: Sequence[Row]) -> str:
    """What the default reaches in one part."""
    what = {
        "textures": "distances relative to those of noise with the style's spectrum",
        "pairs": "how much closer to the style than the content is, 1 for no distance",
    }
    columns = [*COLUMNS[part], *SCALES[part], CLOCK]
    lines = [verdict(rows, requirement) for requirement in REQUIREMENTS[part]]
    heading = f"## The default on {part}: {what[part]}"
    references = ("other half",) if part == "textures" else ()
    return "\n".join([heading, "", clip_table(rows, columns, part, references), "", *lines, ""])


def ranking(rows: Mapping[str, Sequence[Row]], methods: Mapping[str, Sequence[str]]) -> str:
    """All tables of the ranking."""
    places = overall(rows, methods)
    counts = {part: len({row.clip for row in rows[part]}) for part in rows}
    amount = " and ".join(f"the first {counts[part]} of {len(CLIPS[part])} {part}" for part in rows)
    sections = [f"## Ranking at equal wall time: {amount}", "", overall_table(places), "", superiority(places), ""]
    for part in rows:
        columns = [*COLUMNS[part], STEPS, CLOCK, SHARE]
        sections += [f"### {part.capitalize()}", "", method_table(rows[part], columns, part, methods[part]), ""]
        failed = [
            f"{row.what} on {row.clip}: {row.status}"
            for row in rows[part]
            if row.status.startswith(("diverged", "no result"))
        ]
        sections += [f"- {line}" for line in failed] + [""] * bool(failed)
    sections += ["time: of solving, relative to the default's; * part of the method's own loss", ""]
    return "\n".join(sections)


def as_json(rows: Mapping[str, Sequence[Row]], places: Mapping[str, Mapping[str, float]]) -> str:
    """All values."""

    def plain(row: Row) -> dict[str, object]:  # JSON has no NaN
        values = {key: None if math.isnan(value) else value for key, value in row.values.items()}
        return asdict(replace(row, values=values))

    found = {part: [plain(row) for row in of_part] for part, of_part in rows.items()}
    return json.dumps({"environment": environment.describe(), "ranks": places, **found}, indent=1)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(prog="python -m jaxst.bench.quality", description="Quality of the default method.")
    parser.add_argument("folder", type=Path, help="with the recordings that bench/clips.py names")
    parser.add_argument(
        "--clips", type=int, default=5, help="textures and pairs that methods are ranked on (%(default)s)"
    )
    parser.add_argument("--measured", type=int, default=10, help="those that the default is measured on (%(default)s)")
    parser.add_argument("--methods", default=",".join(METHODS), help="to rank, separated by commas; default all")
    parser.add_argument("--output", type=Path, help="folder for quality.json, with every value")
    arguments = parser.parse_args()
    if absent := missing(arguments.folder):
        parser.error(f"{arguments.folder}: has no recording of {', '.join(absent)}")
    if unknown := set(arguments.methods.split(",")) - set(METHODS):
        parser.error(f"--methods: {', '.join(unknown)}: no such method; there are {', '.join(METHODS)}")

    environment.enable_compilation_cache()
    textured = [DEFAULT, *(name for name in METHODS if name in arguments.methods.split(",") and name != DEFAULT)]
    methods = {"textures": textured, "pairs": [name for name in textured if not METHODS[name].texture_only]}
    jobs = {"textures": (TEXTURES, texture_rows), "pairs": (PAIRS, pair_rows)}
    print(", ".join(f"{name} {value}" for name, value in environment.describe().items()))
    print(f"\n# Quality: at most {SECONDS} s, mono, at {RATE} Hz\n", flush=True)
    rows: dict[str, list[Row]] = {}
    ranked: dict[str, list[Row]] = {}
    for part, (names, measure) in jobs.items():
        rows[part], ranked[part] = [], []
        for index, name in enumerate(names[: max(arguments.measured, arguments.clips, 1)]):
            found = list(measure(arguments.folder, name, methods[part] if index < arguments.clips else [DEFAULT]))
            rows[part] += found
            ranked[part] += found if index < arguments.clips else []
        print(report(part, rows[part]), flush=True)
    if arguments.clips:
        print(ranking(ranked, methods))
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        places = overall(ranked, methods) if arguments.clips else {}
        (arguments.output / "quality.json").write_text(as_json(rows, places), encoding="utf-8")


if __name__ == "__main__":
    main()
