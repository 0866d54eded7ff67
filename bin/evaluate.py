"""jaxst-evaluate: whether outputs took the style, kept the content and are no copies, in numbers."""

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from absl import flags

from jaxst import audio, environment
from jaxst.audio import Recording, Source
from jaxst.bin import command, job, report_flags
from jaxst.bin import flags as shared
from jaxst.errors import AudioError, ConfigError
from jaxst.evaluation import Comparison, Evaluation, optimized_measures
from jaxst.evaluation.measures import kept_banks
from jaxst.evaluation.run import ROWS, check_options, load, load_content, load_style
from jaxst.evaluation.tables import (
    CSV_COLUMNS,
    as_json,
    csv_lines,
    evaluation_table,
    mean_table,
    means,
    measures_as_json,
    overview_table,
)
from jaxst.excerpts import excerpted
from jaxst.report import Table
from jaxst.report.table import as_text
from jaxst.solver import Progress

OUTPUT = flags.DEFINE_string("output", None, "Recording to evaluate, or a folder of them.")
CONTENT = flags.DEFINE_string(
    "content",
    None,
    "Recording that the output was to keep the content of; for a folder of outputs one for all, or a folder with a "
    "recording for each, of the same name up to the suffix. None for textures.",
)
STYLE = flags.DEFINE_list(
    "style", None, "Recording that the output was to take the style of, or a folder, likewise; several by commas."
)
OPTIMIZED = flags.DEFINE_list(
    "optimized",
    None,
    "Measures that the outputs' loss contained, by the keys in the JSON, to be marked. Default: what follows from the "
    "JSON of jaxst-transfer or jaxst-texture beside an output, of the same name up to the suffix.",
)
SEED = flags.DEFINE_integer("seed", 0, "Seed of the noise that is evaluated, too.")
CSV = flags.DEFINE_string("csv", None, "File for all numbers as CSV, one a line.")

_KEPT = 4  # styles, and as many contents

USAGE = """Say in numbers whether an output took the style, kept the content and is no copy. The same is measured of the
content and the style untouched, of noise with the style's spectrum and of the style's other half.

  jaxst-evaluate --content=speech.wav --style=rain.wav --output=result.wav --report=result
  jaxst-evaluate --content=contents --style=styles --output=results --json=results.json"""


@dataclass(frozen=True)
class Triple:
    """An output with what it was made of.

    Attributes:
        output: a file.
        content: a file, if it was made of one.
        styles: files.
    """

    output: Path
    content: Path | None
    styles: tuple[Path, ...]

    @property
    def paths(self) -> set[Path]:
        """All of them."""
        return {self.output, *self.styles, *([] if self.content is None else [self.content])}

    @property
    def files(self) -> Mapping[str, str | list[str] | None]:
        """By role, as text."""
        content = None if self.content is None else str(self.content)
        return {"output": str(self.output), "content": content, "style": [str(path) for path in self.styles]}


def main() -> int:
    """Flags to tables and files; returns the exit status."""
    triples = find_triples()
    check_options(OPTIMIZED.value or (), SEED.value)
    report = report_flags.report_page()
    written = {"json": report_flags.JSON.value, "csv": CSV.value, "report": report}
    read = {path for triple in triples for path in triple.paths}
    shared.check_files(
        [(flag, path) for flag, path in written.items() if path], [("output, --content or --style", p) for p in read]
    )
    common = load_common(triples)
    environment.enable_compilation_cache()
    began = time.perf_counter()
    evaluations = evaluate_all(triples, common)
    seconds = time.perf_counter() - began
    done = triples[: len(evaluations)]
    tables = _tables(done, evaluations)
    print("\n\n".join(map(as_text, tables)))
    if report_flags.JSON.value:
        audio.write_text(Path(report_flags.JSON.value), job.json_text(_as_json(done, evaluations, len(triples))))
    if CSV.value:
        audio.write_text(Path(CSV.value), _as_csv(done, evaluations))
    if report is not None:
        notes = [] if len(done) == len(triples) else [_incomplete(done, triples)]
        job.write_page(report, _as_page(done, evaluations, tables, seconds, notes))
    return 0 if len(done) == len(triples) else command.INTERRUPTED


def find_triples() -> list[Triple]:
    """What the flags name.

    Raises:
        ConfigError: if one is missing, or a folder lacks what belongs to an output or has several of it.
        AudioError: for a folder of outputs without any.
    """
    if not OUTPUT.value:
        raise ConfigError("--output is missing; name the recording to evaluate, or a folder of them")
    if STYLE.value is not None and not (STYLE.value and all(STYLE.value)):
        raise ConfigError("--style lacks a name; give the recording that the output was to take the style of")
    if not STYLE.value and not CONTENT.value:
        raise ConfigError("--style and --content are missing; name at least one recording to compare with")
    folder = Path(OUTPUT.value)
    if not folder.is_dir():
        styles = tuple(map(Path, STYLE.value or ()))
        return [Triple(folder, Path(CONTENT.value) if CONTENT.value else None, styles)]
    outputs = _recordings(folder)
    if not outputs:
        raise AudioError(f"{folder}: holds no recordings ({', '.join(audio.READABLE)})")
    problems: list[str] = []
    columns = [_counterparts("style", Path(name), outputs, problems) for name in STYLE.value or ()]
    contents = _counterparts("content", Path(CONTENT.value), outputs, problems) if CONTENT.value else [None]
    if problems:
        raise ConfigError(f"{'; '.join(problems)}; every output needs one recording of its name in each folder")
    contents = contents * (len(outputs) // len(contents))
    styles = list(zip(*columns, strict=True)) if columns else [()] * len(outputs)
    return [Triple(*files) for files in zip(outputs, contents, styles, strict=True)]


def _recordings(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in audio.READABLE and not p.name.startswith("."))


def _counterparts(flag: str, path: Path, outputs: Sequence[Path], problems: list[str]) -> list[Path]:
    """A file for every output; what hinders goes to `problems`."""
    if not path.is_dir():
        return [path] * len(outputs)
    by_stem: dict[str, list[Path]] = {}
    for recording in _recordings(path):
        by_stem.setdefault(recording.stem, []).append(recording)
    found = [by_stem.get(output.stem, []) for output in outputs]
    lacking = [output.name for output, files in zip(outputs, found, strict=True) if not files]
    several = [file.name for files in found if len(files) > 1 for file in files]
    problems += [f"--{flag}={path} has nothing for {', '.join(lacking)}"] if lacking else []
    problems += [f"--{flag}={path} has several of a name: {', '.join(several)}"] if several else []
    return [files[0] for files in found if files]


def load_common(triples: Sequence[Triple]) -> dict[Path, Recording]:
    """Recordings that all outputs are measured with. The others are read, too, so that what cannot be used is refused
    before anything is measured, but not kept: there may be thousands. Of long styles there are excerpts."""
    users = Counter(path for triple in triples for path in triple.paths)
    whole = {path for triple in triples for path in (triple.output, triple.content)}
    common = {}
    for path in sorted(users):
        recording = load(path if path in whole else excerpted(path))
        if users[path] == len(triples):
            common[path] = recording
    return common


def evaluate_all(triples: Sequence[Triple], common: Mapping[Path, Recording]) -> list[Evaluation]:
    """One after another, under a progress bar; after Ctrl-C, those that there are. Only the first, which may be the
    only one, keeps its recordings."""
    comparison = _comparisons(common)
    evaluations = []
    with job.progress_bar(unit="output") as on_progress:
        for index, triple in enumerate(triples):
            if on_progress(Progress(index, len(triples), {}, stage=triple.output.name)):
                break
            output = load(common.get(triple.output, triple.output))
            optimized = OPTIMIZED.value if OPTIMIZED.value is not None else _optimized_beside(triple.output)
            evaluation = comparison(triple, output.sample_rate).evaluate(output, optimized=optimized, seed=SEED.value)
            evaluations.append(replace(evaluation, recordings={}) if evaluations else evaluation)
        on_progress(Progress(len(evaluations), len(triples), {}, stage=""))
    if not evaluations:
        raise KeyboardInterrupt
    return evaluations


def _comparisons(common: Mapping[Path, Recording]) -> Callable[[Triple, int], Comparison]:
    """Gives what an output is compared with at its sample rate. Styles and contents that were used last are kept, with
    all that was measured of them: enough for what outputs have in common, whose rates may differ."""
    banks = kept_banks()

    def source(path: Path) -> Source:
        return common.get(path, path)

    @lru_cache(maxsize=_KEPT)
    def style(paths: tuple[Path, ...], sample_rate: int):
        return load_style([source(path) for path in paths], sample_rate, banks)

    @lru_cache(maxsize=_KEPT)
    def content(path: Path | None, sample_rate: int):
        return load_content(None if path is None else source(path), sample_rate, banks)

    def comparison(triple: Triple, sample_rate: int) -> Comparison:
        return Comparison(sample_rate, style(triple.styles, sample_rate), content(triple.content, sample_rate), banks)

    return comparison


def _optimized_beside(output: Path) -> frozenset[str]:
    """What the run's own JSON tells, if there is one beside the output."""
    try:
        facts = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return frozenset()
    if not isinstance(facts, dict) or not isinstance(facts.get("config"), dict):
        return frozenset()
    return optimized_measures(facts["config"]) if Path(str(facts.get("output"))).name == output.name else frozenset()


def _tables(triples: Sequence[Triple], evaluations: Sequence[Evaluation]) -> list[Table]:
    if len(evaluations) == 1:
        return [evaluation_table(evaluations[0], f"{triples[0].output}, measured at {evaluations[0].sample_rate} Hz")]
    names = [triple.output.name for triple in triples]
    return [mean_table(evaluations), overview_table(names, evaluations)]


def _as_json(triples: Sequence[Triple], evaluations: Sequence[Evaluation], wanted: int) -> dict[str, Any]:
    mean, counts = means(evaluations)
    return {
        "complete": len(evaluations) == wanted,
        "command": job.command_line(),
        "seed": SEED.value,
        "measures": measures_as_json(evaluations),
        "evaluations": [{**t.files, **as_json(e)} for t, e in zip(triples, evaluations, strict=True)],
        "means": {
            row: {key: {"mean": value, "count": counts[row][key]} for key, value in values.items()}
            for row, values in mean.items()
        },
        "environment": environment.describe(),
    }


def _as_csv(triples: Sequence[Triple], evaluations: Sequence[Evaluation]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for triple, evaluation in zip(triples, evaluations, strict=True):
        writer.writerows(csv_lines(str(triple.output), evaluation))
    return text.getvalue()


def _as_page(
    triples: Sequence[Triple],
    evaluations: Sequence[Evaluation],
    tables: Sequence[Table],
    seconds: float,
    notes: Sequence[str],
) -> str:
    """With players for the rows if there is one output only."""
    clips = []
    if len(evaluations) == 1:
        files = triples[0].files
        names = {"output": triples[0].output.name, "content": Path(str(files["content"])).name}
        names["style"] = " and ".join(path.name for path in triples[0].styles)
        recordings = evaluations[0].recordings
        clips = [job.clip(ROWS[row], names.get(row, ROWS[row]), recording) for row, recording in recordings.items()]
    from jaxst.report.page import render_page  # here: it loads matplotlib

    return render_page(
        title=f"Evaluation of {OUTPUT.value}",
        clips=clips,
        history={},
        config={},
        tables=tables,
        facts={"outputs": len(evaluations), "seed": SEED.value, **environment.describe()},
        timings={"evaluate": seconds},
        command=job.command_line(),
        notes=notes,
    )


def _incomplete(done: Sequence[Triple], triples: Sequence[Triple]) -> str:
    return f"interrupted after {len(done)} of {len(triples)} outputs"


def run() -> None:
    """Entry point of the console script."""
    command.run(main, USAGE, modules=(__name__, report_flags.__name__), listing=lambda: None)


if __name__ == "__main__":
    run()
