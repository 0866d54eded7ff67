"""Run a job under a progress bar, and write what it made."""

import json
import math
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jaxst import audio, environment
from jaxst.audio import Recording
from jaxst.bin.command import INTERRUPTED, fail
from jaxst.bin.flags import Outputs
from jaxst.errors import JaxstError
from jaxst.evaluation import Evaluation
from jaxst.evaluation.tables import as_json, evaluation_table, measures_as_json
from jaxst.report import Clip, Measure, Table, Tracks
from jaxst.solver import OnProgress, Progress, Status

SHOWN_SECONDS = 60.0  # of a recording, in reports, and in evaluations of results


@dataclass(frozen=True)
class Account:
    """What a run made, and what to tell of it.

    Attributes:
        title: heading of the report.
        inputs: the recordings by role.
        audio: the result.
        config: every option by name.
        history: curves by name, a value before the first step and one after each.
        timings: seconds by name.
        status: why the run ended.
        message: that in one line.
        summary: what follows on stdout.
        curves: what the history shows, the heading of its plot.
        advice: what to do after a divergence.
        parts: what the result consists of, by name.
        measures: how good it is.
        tracks: lines to draw over the first input's spectrogram.
        extras: what else to write after the audio: a function for each path.
        evaluate: measures the result beside references, for JSON and report; raises `JaxstError` where that cannot be.
    """

    title: str
    inputs: Mapping[str, Recording]
    audio: Recording
    config: Mapping[str, object]
    history: Mapping[str, np.ndarray]
    timings: Mapping[str, float]
    status: Status
    message: str
    summary: str
    curves: str = "Loss over the steps"
    advice: str = ""
    parts: Mapping[str, Recording] = field(default_factory=dict)
    measures: Sequence[Measure] = ()
    tracks: Tracks | None = None
    extras: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    evaluate: Callable[[Recording], Evaluation] | None = None


@dataclass(frozen=True)
class _Unevaluated:
    """Why a result that was to be evaluated was not."""

    reason: str


def execute(job: Callable[[OnProgress], Account], outputs: Outputs) -> int:
    """Run a job, write its files and say so.

    Args:
        job: takes a progress callback, and returns what it made.
        outputs: where to write.

    Returns:
        The exit status: 0, or 130 after an interruption, or 1 after a divergence; in both the best so far is written.
    """
    with progress_bar() as on_progress:
        account = job(on_progress)
    account, notes = _without_clipping(account)
    command, machine = command_line(), environment.describe()
    # Each file is announced once it is there, so that where the next one fails it is clear what was written.
    audio.write(outputs.audio, account.audio, overwrite=outputs.overwrite)
    print("; ".join([f"{outputs.audio}: {_summary(account)}", *notes]))
    for name, path in outputs.parts.items():
        path.parent.mkdir(exist_ok=True)
        audio.write(path, account.parts[name], overwrite=outputs.overwrite)
        print(f"{path}: {name}")
    for path, write in account.extras.items():
        write()
        print(f"{path}: written")
    evaluation = None
    if outputs.json is not None or outputs.report is not None:
        account, evaluation = _evaluated(account)
    if outputs.json is not None:
        audio.write_text(outputs.json, _as_json(account, evaluation, outputs, command, machine))
    if outputs.report is not None:
        write_page(outputs.report, _as_page(account, evaluation, outputs, notes, command, machine))
    if account.status == Status.DIVERGED:
        return fail(f"{account.message}; {account.advice}", 1)
    return INTERRUPTED if account.status == Status.STOPPED else 0


def _without_clipping(account: Account) -> tuple[Account, list[str]]:
    """Result and parts, all turned down alike if a file could not hold the peaks of one; and what to say of it."""
    gain = audio.headroom([account.audio, *account.parts.values()])
    if gain == 1:
        return account, []
    quiet = {name: audio.scaled(part, gain) for name, part in account.parts.items()}
    note = f"turned down by {-20 * math.log10(gain):.1f} dB, so that no peak is clipped"
    return replace(account, audio=audio.scaled(account.audio, gain), parts=quiet), [note]


def _evaluated(account: Account) -> tuple[Account, Evaluation | _Unevaluated | None]:
    """The evaluation, if wanted, and the account with the time that it took. The audio is there by now: Ctrl-C leaves
    only the evaluation out."""
    if account.evaluate is None:
        return account, None
    if account.status == Status.STOPPED:
        return account, _Unevaluated("the run was interrupted")
    print("evaluating the result (--noevaluate leaves that out)", file=sys.stderr)
    began = time.perf_counter()
    try:
        evaluation = account.evaluate(beginning(account.audio))
    except JaxstError as error:
        evaluation = _Unevaluated(str(error))
    except KeyboardInterrupt:
        evaluation = _Unevaluated("interrupted")
    return replace(account, timings={**account.timings, "evaluate": time.perf_counter() - began}), evaluation


def _as_json(
    account: Account,
    evaluation: Evaluation | _Unevaluated | None,
    outputs: Outputs,
    command: str,
    machine: dict[str, str],
) -> str:
    content = {
        "complete": account.status.complete,
        "message": account.message,
        "command": command,
        "inputs": {role: recording.name for role, recording in account.inputs.items()},
        "output": str(outputs.audio),
        "parts": {name: str(path) for name, path in outputs.parts.items()},
        "sample_rate": account.audio.sample_rate,
        "samples": account.audio.samples.shape[1],
        "config": account.config,
        "measures": {measure.key: _number(measure.value) for measure in account.measures},
        "evaluation": _evaluation_as_json(evaluation),
        "timings": account.timings,
        "environment": machine,
        "history": {name: [_number(value) for value in values] for name, values in account.history.items()},
    }
    return json_text(content)


def json_text(content: Mapping[str, object]) -> str:
    """As files hold it; NaN is refused."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _evaluation_as_json(evaluation: Evaluation | _Unevaluated | None) -> dict[str, object] | None:
    if isinstance(evaluation, _Unevaluated):
        return {"reason": evaluation.reason}
    return None if evaluation is None else {**as_json(evaluation), "measures": measures_as_json([evaluation])}


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if abs(value) < float("inf") else None


def _as_page(
    account: Account,
    evaluation: Evaluation | _Unevaluated | None,
    outputs: Outputs,
    notes: list[str],
    command: str,
    machine: dict[str, str],
) -> str:
    inputs = [clip(role, Path(recording.name).name, recording) for role, recording in account.inputs.items()]
    inputs[:1] = [replace(first, tracks=account.tracks) for first in inputs[:1]]
    parts = [
        clip(name, outputs.parts[name].name if name in outputs.parts else f"{name} alone", part)
        for name, part in account.parts.items()
        if not np.array_equal(part.samples, account.audio.samples)  # what is the output itself is shown once
    ]
    from jaxst.report.page import render_page  # here: it loads matplotlib

    return render_page(
        title=account.title,
        clips=[*inputs, clip("output", outputs.audio.name, account.audio), *parts],
        history=account.history,
        curves=account.curves,
        config=account.config,
        measures=account.measures,
        tables=_evaluation_tables(evaluation),
        facts=machine,
        timings=account.timings,
        command=command,
        notes=[*([] if account.status.complete else [account.message]), *notes],
    )


def _evaluation_tables(evaluation: Evaluation | _Unevaluated | None) -> list[Table]:
    if isinstance(evaluation, _Unevaluated):
        return [Table("Evaluation", (), (), lead=[f"not evaluated: {evaluation.reason}"])]
    return [] if evaluation is None else [evaluation_table(evaluation, "Evaluation")]


def clip(role: str, name: str, recording: Recording) -> Clip:
    """A recording as reports show it, of a long one the beginning."""
    shown = beginning(recording)
    if recording.in_excerpts:
        name = f"{name}, {recording.duration:g} s in excerpts"
    elif shown is not recording:
        name = f"{name}, the first {SHOWN_SECONDS:g} s"
    return Clip(role, name, shown.samples, shown.sample_rate)


def beginning(recording: Recording) -> Recording:
    """As much of a recording as is shown and evaluated."""
    if recording.duration <= SHOWN_SECONDS:
        return recording
    return replace(recording, samples=recording.samples[:, : round(SHOWN_SECONDS * recording.sample_rate)])


def write_page(path: Path, html: str) -> None:
    """Write a report, its folder too, and say so."""
    path.parent.mkdir(exist_ok=True)
    audio.write_text(path, html)
    print(f"{path}: open it in a browser")


def command_line() -> str:
    """What the user typed, for a shell."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _summary(account: Account) -> str:
    seconds = sum(account.timings.values())
    return f"{account.audio.duration:.2f} s of audio in {seconds:.1f} s; {account.message}; {account.summary}"


@contextmanager
def progress_bar(unit: str = "step", *, shown: bool = True) -> Iterator[OnProgress]:
    """A bar with step, losses and time left; the first Ctrl-C ends the run with what there is, the second at once."""
    bar: tqdm | None = None
    interrupted = False

    def interrupt(signum: int, frame: object) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True
        tqdm.write("interrupted: writing what there is, if anything (again to quit at once)", file=sys.stderr)

    def on_progress(progress: Progress) -> bool:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=progress.steps, unit=unit, dynamic_ncols=True, disable=not shown)
        if bar.n == 0 and unit == "step":  # what was compiled meanwhile says nothing of the time left
            bar.unpause()
        bar.set_description(progress.stage)
        bar.set_postfix({name: f"{value:.3g}" for name, value in progress.losses.items()}, refresh=False)
        bar.update(progress.step - bar.n)
        return interrupted

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield on_progress
    finally:
        signal.signal(signal.SIGINT, previous)
        if bar is not None:
            bar.close()
