"""What the binaries share: flags, the progress bar, results to files, and what a user sees when something is wrong."""

import json
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from absl import flags
from tqdm import tqdm

from jaxst import audio, environment
from jaxst.audio import Recording
from jaxst.config import OPTIMIZERS
from jaxst.errors import ConfigError, JaxstError, OutputError
from jaxst.methods import METHODS
from jaxst.report import Clip, render_page
from jaxst.solver import OnProgress, Progress, Status
from jaxst.transfer import Result

STYLE = flags.DEFINE_list("style", None, "Recording to take the style from; several, separated by commas, are pooled.")
STYLE_MIX = flags.DEFINE_list("style_mix", None, "Weight of each style, such as 0.7,0.3. Default: all equal.")
OUTPUT = flags.DEFINE_string("output", None, "File to write: .wav, .flac or .ogg.")
SAMPLE_RATE = flags.DEFINE_integer("sample_rate", None, "Rate in Hz of processing and of the output.")
METHOD = flags.DEFINE_string("method", "arccos", "Preset to run; 'help' lists them.")
STYLE_WEIGHT = flags.DEFINE_float("style_weight", None, "Weight of the style term.")
STEPS = flags.DEFINE_integer("steps", None, "Steps of the optimizer.")
OPTIMIZER = flags.DEFINE_string("optimizer", None, f"One of {', '.join(OPTIMIZERS)}.")
LEARNING_RATE = flags.DEFINE_float("learning_rate", None, "Step size of Adam; L-BFGS finds its own.")
SEED = flags.DEFINE_integer("seed", None, "Seed of the noise in the start: another seed, another result.")
REPORT = flags.DEFINE_string("report", None, "Folder for report.html: players, spectrograms, losses, settings.")
JSON = flags.DEFINE_string("json", None, "File for losses, settings and timings as JSON.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace files that exist.")
DEBUG = flags.DEFINE_bool("debug", False, "Show a traceback instead of one line when something fails.")
HELP = flags.DEFINE_bool("help", False, "Show this text.")

INTERRUPTED = 130


def run(main: Callable[[], int], module: str, usage: str) -> None:
    """Parse the command line, run `main` and exit with its status; every mistake becomes one line and status 2.

    Args:
        main: takes its options from flags and returns the exit status.
        module: name of the module that defines the binary's own flags, for `--help`.
        usage: first lines of `--help`.
    """

    _parse(module, usage)
    sys.exit(_guarded(main))


def _parse(module: str, usage: str) -> None:
    try:
        rest = flags.FLAGS(sys.argv)
    except flags.Error as error:
        sys.exit(_fail(str(error)))
    if HELP.value:
        print(f"{usage}\n\n{flags.FLAGS.module_help(module)}\n\n{flags.FLAGS.module_help(__name__)}")
        sys.exit(0)
    if METHOD.value == "help":
        print("\n".join(f"{name}: {method.summary} [{method.source}]" for name, method in METHODS.items()))
        sys.exit(0)
    if rest[1:]:
        sys.exit(_fail(f"{rest[1]!r} is not a flag; options are written --name=value, see --help"))


def _guarded(main: Callable[[], int]) -> int:
    try:
        return main()
    except JaxstError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        return _fail(f"unexpected {type(error).__name__}: {error}; run with --debug for a traceback", 1)


def _fail(message: str, status: int = 2) -> int:
    if sys.exc_info()[0] is not None and flags.FLAGS.is_parsed() and DEBUG.value:
        traceback.print_exc()
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status


def common_options() -> dict[str, object]:
    """Values of the flags that both jobs hand on, as keyword arguments."""
    return {
        "method": METHOD.value,
        "style_mix": _style_mix(),
        "sample_rate": SAMPLE_RATE.value,
        "style_weight": STYLE_WEIGHT.value,
        "steps": STEPS.value,
        "optimizer": OPTIMIZER.value,
        "learning_rate": LEARNING_RATE.value,
        "seed": SEED.value,
    }


def _style_mix() -> list[float] | None:
    try:
        return None if STYLE_MIX.value is None else [float(weight) for weight in STYLE_MIX.value]
    except ValueError as error:
        raise ConfigError(f"style_mix={','.join(STYLE_MIX.value)} must be numbers separated by commas") from error


def read_styles() -> list[Recording]:
    """The recordings that `--style` names."""
    return [audio.read(path) for path in STYLE.value]


def style_roles(styles: Sequence[Recording]) -> dict[str, Recording]:
    """What each style is called in the report."""
    if len(styles) == 1:
        return {"style": styles[0]}
    return {f"style {index} of {len(styles)}": style for index, style in enumerate(styles, 1)}


def check_paths() -> None:
    """Refuse outputs that could not be written, before any work is done for them."""
    if not STYLE.value or not all(STYLE.value):
        raise ConfigError("--style lacks a name; give the recording to take the style from")
    if not OUTPUT.value:
        raise ConfigError("--output is missing; name the file to write")
    audio.check_writable(OUTPUT.value, overwrite=OVERWRITE.value)
    if JSON.value:
        audio.check_target(JSON.value, overwrite=OVERWRITE.value)
    if REPORT.value:
        folder = Path(REPORT.value)
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: is a file; --report takes a folder")
        audio.check_target(folder / "report.html" if folder.exists() else folder, overwrite=OVERWRITE.value)
    targets = [Path(name).resolve() for name in (OUTPUT.value, JSON.value) if name]
    if len(set(targets)) < len(targets):
        raise OutputError(f"{JSON.value}: --json and --output name the same file")


def execute(job: Callable[[OnProgress], Result], recordings: dict[str, Recording]) -> int:
    """Run a job under a progress bar, write what it made, and say so.

    Args:
        job: takes a progress callback and returns the result.
        recordings: the inputs by role, for the report.

    Returns:
        0, or 130 after an interruption, or 1 after a divergence; in both cases the best result so far is written.
    """
    with _progress_bar() as on_progress:
        result = job(on_progress)
    summary = {
        "complete": result.complete,
        "message": result.message,
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "inputs": {role: recording.name for role, recording in recordings.items()},
        "output": OUTPUT.value,
        "sample_rate": result.audio.sample_rate,
        "samples": result.audio.samples.shape[1],
        "config": asdict(result.config),
        "timings": result.timings,
        "environment": environment.describe(),
    }
    audio.write(OUTPUT.value, result.audio, overwrite=OVERWRITE.value)
    if JSON.value:
        history = {name: [float(value) for value in values] for name, values in result.history.items()}
        _write_text(JSON.value, json.dumps({**summary, "history": history}, indent=2) + "\n")
    if REPORT.value:
        Path(REPORT.value).mkdir(exist_ok=True)
        _write_text(str(_report_path()), _page(result, recordings, summary))
    return _say_goodbye(result)


def _report_path() -> Path:
    return Path(REPORT.value) / "report.html"


def _write_text(path: str, text: str) -> None:
    with audio.write_atomically(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def _page(result: Result, recordings: dict[str, Recording], summary: dict[str, object]) -> str:
    clips = [Clip(role, Path(r.name).name, r.samples, r.sample_rate) for role, r in recordings.items()]
    clips.append(Clip("output", Path(OUTPUT.value).name, result.audio.samples, result.audio.sample_rate))
    return render_page(
        title=f"{Path(OUTPUT.value).name}",
        clips=clips,
        history=result.history,
        config=asdict(result.config),
        facts=summary["environment"],
        timings=result.timings,
        command=summary["command"],
        notes=[] if result.complete else [result.message],
    )


def _say_goodbye(result: Result) -> int:
    first, last = result.history["style"][0], result.history["style"][-1]
    seconds = sum(result.timings.values())
    print(f"{OUTPUT.value}: {result.audio.duration:.2f} s of audio in {seconds:.1f} s; {result.message}; ", end="")
    print(f"style loss {first:.3g} -> {last:.3g}")
    if REPORT.value:
        print(f"{_report_path()}: open it in a browser")
    if result.status == Status.DIVERGED:
        return _fail(f"{result.message}; lower --learning_rate or use --optimizer=lbfgs", 1)
    return INTERRUPTED if result.status == Status.STOPPED else 0


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
