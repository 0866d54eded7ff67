"""Run a job under a progress bar, and write what it made."""

import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from jaxst import audio, environment
from jaxst.audio import Recording
from jaxst.bin.command import INTERRUPTED, fail
from jaxst.bin.flags import Outputs
from jaxst.report import Clip, render_page
from jaxst.solver import OnProgress, Progress, Status
from jaxst.transfer import Result


def execute(job: Callable[[OnProgress], Result], recordings: Mapping[str, Recording], outputs: Outputs) -> int:
    """Run a job, write its files and say so.

    Args:
        job: takes a progress callback and returns the result.
        recordings: the inputs by role.
        outputs: where to write.

    Returns:
        The exit status: 0, or 130 after an interruption, or 1 after a divergence; in both the best so far is written.
    """
    with _progress_bar() as on_progress:
        result = job(on_progress)
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    audio.write(outputs.audio, result.audio, overwrite=outputs.overwrite)
    if outputs.json is not None:
        _write_text(outputs.json, _as_json(result, recordings, outputs, command))
    if outputs.report is not None:
        outputs.report.parent.mkdir(exist_ok=True)
        _write_text(outputs.report, _as_page(result, recordings, outputs, command))
    _summarize(result, outputs)
    if result.status == Status.DIVERGED:
        return fail(f"{result.message}; lower --learning_rate or use --optimizer=lbfgs", 1)
    return INTERRUPTED if result.status == Status.STOPPED else 0


def _as_json(result: Result, recordings: Mapping[str, Recording], outputs: Outputs, command: str) -> str:
    content = {
        "complete": result.complete,
        "message": result.message,
        "command": command,
        "inputs": {role: recording.name for role, recording in recordings.items()},
        "output": str(outputs.audio),
        "sample_rate": result.audio.sample_rate,
        "samples": result.audio.samples.shape[1],
        "config": asdict(result.config),
        "timings": result.timings,
        "environment": environment.describe(),
        "history": {name: [_number(value) for value in values] for name, values in result.history.items()},
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if abs(value) < float("inf") else None


def _as_page(result: Result, recordings: Mapping[str, Recording], outputs: Outputs, command: str) -> str:
    inputs = [Clip(role, Path(r.name).name, r.samples, r.sample_rate) for role, r in recordings.items()]
    names = " and ".join(Path(r.name).stem for role, r in recordings.items() if role != "content")
    content = Path(recordings["content"].name).stem if "content" in recordings else "Texture"
    return render_page(
        title=f"{content} in the style of {names}",
        clips=[*inputs, Clip("output", outputs.audio.name, result.audio.samples, result.audio.sample_rate)],
        history=result.history,
        config=asdict(result.config),
        facts=environment.describe(),
        timings=result.timings,
        command=command,
        notes=[] if result.complete else [result.message],
    )


def _write_text(path: Path, text: str) -> None:
    with audio.write_atomically(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def _summarize(result: Result, outputs: Outputs) -> None:
    style, seconds = result.history["style"], sum(result.timings.values())
    losses = f"style loss {style[0]:.3g} -> {style[-1]:.3g}"
    print(f"{outputs.audio}: {result.audio.duration:.2f} s of audio in {seconds:.1f} s; {result.message}; {losses}")
    if outputs.report is not None:
        print(f"{outputs.report}: open it in a browser")


@contextmanager
def _progress_bar() -> Iterator[OnProgress]:
    """A bar with step, losses and time left; the first Ctrl-C ends the run with what there is, the second at once."""
    bar: tqdm | None = None
    interrupted = False

    def interrupt(signum: int, frame: object) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True
        tqdm.write("interrupted: writing what there is (again to quit at once)", file=sys.stderr)

    def on_progress(progress: Progress) -> bool:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=progress.steps, unit="step", dynamic_ncols=True)
            bar.set_description("compiling (cached for the next run)")
        if progress.losses:
            if bar.n == 0:
                bar.unpause()
                bar.set_description("solving")
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
