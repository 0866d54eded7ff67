"""Long audio: seams, repetition, and how time and memory grow: `python -m jaxst.bench.long FOLDER`.

FOLDER holds the recordings that `bench/clips.py` names. Four parts, as Markdown on standard output:

* seams: spectral flux and level where chunks meet, beside the same measures elsewhere in the same sound. If seams are
  like the rest, as many lie outside of the middle 95 % of the rest as by chance, one in twenty.
* repetition: the largest autocorrelation of a minute of texture from 4 s of style, at any lag of at least 0.5 s.
* agreement: the style loss of a short recording solved in chunks over that of the same solved whole.
* growth: seconds of solving and peak memory of transfers of several durations, each in a process of its own, at the
  rate and in the channels that `--rate` and `--channels` give; the slope of a line through their logarithms.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import ks_2samp

import jaxst
from jaxst import audio, chunks, environment
from jaxst.audio import Recording
from jaxst.bench.clips import RATE, clip, path
from jaxst.bench.tables import markdown
from jaxst.config import HEARING
from jaxst.losses import loss_terms
from jaxst.statistics.rhythm import autocorrelation
from jaxst.task import Task, texture_config, texture_task, transfer_config, transfer_task
from jaxst.transfer import run_task

TEXTURES = ("water", "fire_large", "raving_crowd01")
PAIR = ("guitar_em9", "fire_small")
SECONDS = 45.0
MINUTE = 60.0
WINDOW = 0.2  # seconds that flux and level are averaged over


def seams_and_rest(samples: np.ndarray, how: chunks.Cut) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Spectral flux and level in dB of windows that hold the middle of a seam or one of its ends, and of all others."""
    size, hop = 512, 128
    frames = np.lib.stride_tricks.sliding_window_view(samples.mean(axis=0), size)[::hop] * np.hanning(size)
    spectra = np.log(np.abs(np.fft.rfft(frames)) + 1e-4)
    flux = np.mean(np.abs(np.diff(spectra, axis=0)), axis=1)
    level = 10 * np.log10(np.mean(frames[1:] ** 2, axis=1) + 1e-12)
    width = round(WINDOW * RATE / hop)
    overlap = how.seams.given + how.seams.fade
    places = [start + at for start in how.starts[1::2] for at in (how.seams.given, overlap // 2, overlap)]
    places += [start + how.size - at for start in how.starts[1:-1:2] for at in (how.seams.given, overlap // 2, overlap)]
    chosen = {min(place // hop // width, len(flux) // width - 1) for place in places}
    found = {}
    for name, values in (("flux", flux), ("level", level)):
        means = values[: len(values) // width * width].reshape(-1, width).mean(axis=1)
        at = np.isin(np.arange(len(means)), list(chosen))
        found[name] = means[at], means[~at]
    return found


def repetition(samples: np.ndarray, sample_rate: int) -> tuple[float, float]:
    """The largest normalized autocorrelation at a lag of at least 0.5 s, each lag over the samples that it has, up to
    half of the duration; and that lag in seconds."""
    x = jnp.asarray(samples.mean(axis=0), jnp.float32)[:, None]
    sums = np.abs(autocorrelation(x, len(x) // 2)[:, 0])
    correlation = sums / sums[0]
    first = sample_rate // 2
    lag = first + int(np.argmax(correlation[first:]))
    return float(correlation[lag]), lag / sample_rate


def style_loss(task: Task, samples: np.ndarray) -> float:
    """Of a result at the levels of the problem."""
    posed, _ = task.pose()
    levels = np.where(task.levels > 0, task.levels, 1)[:, None]
    analyses = [target.analysis for target in posed.targets]
    config = replace(task.program, **dict.fromkeys(HEARING))

    @jax.jit
    def terms(x):
        return loss_terms([analysis.features(x) for analysis in analyses], posed.targets, config)[1]

    return float(terms(samples / levels)["style"])


def solved(task: Task, chunk_seconds: float) -> jaxst.Result:
    """With chunks of another length."""
    usual, chunks.CHUNK_SECONDS = chunks.CHUNK_SECONDS, chunk_seconds
    try:
        return run_task(task)
    finally:
        chunks.CHUNK_SECONDS = usual


def lasting(recording: Recording, seconds: float, channels: int) -> Recording:
    """Over and over, in so many channels."""
    length = round(seconds * recording.sample_rate)
    samples = np.tile(recording.samples[:channels], (1, -(-length // recording.samples.shape[1])))[:, :length]
    return replace(recording, samples=np.broadcast_to(samples, (channels, length)))


def grown(folder: Path, seconds: float, steps: int, rate: int, channels: int) -> dict[str, float]:
    """One transfer in this process."""
    content, style = (audio.load(file, rate) for name in PAIR if (file := path(folder, name)))
    result = jaxst.transfer(lasting(content, seconds, channels), style, steps=steps)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {**result.timings, "chunks": result.chunks, "GiB": rss}


def seam_table(folder: Path, names: Sequence[str], seeds: int, steps: int) -> None:
    """Seams of textures."""
    lines, how = [], chunks.cut(round(SECONDS * RATE), RATE)
    assert how is not None
    for name in names:
        for seed in range(seeds):
            made = jaxst.texture(clip(folder, name), duration=SECONDS, seed=seed, steps=steps).audio.samples
            cells = []
            for at, rest in seams_and_rest(made, how).values():
                low, high = np.quantile(rest, (0.025, 0.975))
                outside = np.mean((at < low) | (at > high))
                cells += [
                    f"{at.mean():.3f}",
                    f"{rest.mean():.3f}",
                    f"{outside:.2f}",
                    f"{ks_2samp(at, rest)[1]:.2f}",
                ]
            lines.append([name, str(seed), *cells])
    headings = [f"{what}, {which}" for what in ("flux", "level [dB]") for which in ("seams", "rest", "outside", "KS p")]
    print(markdown(["texture", "seed", *headings], lines), "\n", flush=True)


def repetition_table(folder: Path, names: Sequence[str], steps: int) -> None:
    """A minute of each texture."""
    lines = []
    for name in names:
        style = clip(folder, name)
        made = jaxst.texture(style, duration=MINUTE, steps=steps).audio
        value, lag = repetition(made.samples, RATE)
        own, _ = repetition(style.samples, RATE)
        lines.append([name, f"{value:.3f}", f"{lag:.2f}", f"{own:.3f}"])
    print(markdown(["texture", "largest", "at [s]", "of the style itself"], lines), "\n", flush=True)


def agreement_table(folder: Path, names: Sequence[str], steps: int) -> None:
    """Textures and a transfer of 12 s, whole and in two chunks."""
    tasks = {}
    for name in names:
        style = clip(folder, name)
        config = texture_config(None, {"steps": steps}, [style])
        tasks[name] = texture_task(config, [style], duration=12.0, style_mix=None, sample_rate=None)
    content, style = lasting(clip(folder, PAIR[0]), 12.0, 1), clip(folder, PAIR[1])
    config = transfer_config(None, {"steps": steps}, [style])
    tasks[" + ".join(PAIR)] = transfer_task(config, content, [style], style_mix=None, sample_rate=None)
    lines = []
    for name, task in tasks.items():
        lengths = 100.0, chunks.CHUNK_SECONDS
        whole, parted = (style_loss(task, solved(task, seconds).audio.samples) for seconds in lengths)
        lines.append([name, f"{whole:.4f}", f"{parted:.4f}", f"{parted / whole:.2f}"])
    print(markdown(["", "style loss, whole", "in chunks", "ratio"], lines), "\n", flush=True)


def growth_table(arguments: argparse.Namespace) -> None:
    """Each duration in a process of its own, for the sake of peak memory."""
    lines, logarithms = [], []
    for seconds in arguments.seconds:
        given = [str(arguments.folder), f"--one={seconds}", f"--steps={arguments.steps}"]
        given += [f"--rate={arguments.rate}", f"--channels={arguments.channels}"]
        done = subprocess.run(
            [sys.executable, "-m", "jaxst.bench.long", *given], check=True, capture_output=True, text=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        total = found["prepare"] + found["solve"] + found["finish"]
        logarithms.append(np.log(total))
        lines.append(
            [f"{seconds:g}", *(f"{found[name]:.1f}" for name in ("chunks", "prepare", "compile", "solve", "finish"))]
        )
        lines[-1] += [f"{total / seconds:.2f}", f"{found['GiB']:.2f}"]
    stages = [f"{name} [s]" for name in ("prepare", "compile", "solve", "finish")]
    print(markdown(["audio [s]", "chunks", *stages, "s for 1 s", "peak [GiB]"], lines), "\n", flush=True)
    if len(lines) > 1:
        slope = np.polyfit(np.log(arguments.seconds), logarithms, 1)[0]
        print(f"exponent of time without compilation: {slope:.2f}\n", flush=True)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(prog="python -m jaxst.bench.long", description="Quality and cost of long audio.")
    parser.add_argument("folder", type=Path, help="with the recordings that bench/clips.py names")
    parser.add_argument("--parts", default="seams,repetition,agreement,growth", help="to print (%(default)s)")
    parser.add_argument("--textures", default=",".join(TEXTURES), help="of the first three (%(default)s)")
    parser.add_argument("--seeds", type=int, default=2, help="of each texture's seams (%(default)s)")
    parser.add_argument("--steps", type=int, default=60, help="of all runs (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, nargs="*", default=[10.0, 45.0, 120.0, 600.0], help="of audio, for growth"
    )
    parser.add_argument("--rate", type=int, default=44_100, help="of growth, in Hz (%(default)s)")
    parser.add_argument("--channels", type=int, default=2, help="of growth (%(default)s)")
    parser.add_argument("--one", type=float, help="a single transfer of so many seconds, its figures as JSON")
    arguments = parser.parse_args()
    names, parts = arguments.textures.split(","), arguments.parts.split(",")
    needed = PAIR if arguments.one or parts == ["growth"] else (*names, *PAIR)
    if absent := [name for name in needed if path(arguments.folder, name) is None]:
        parser.error(f"{arguments.folder}: has no recording of {', '.join(absent)}")
    environment.enable_compilation_cache()
    if arguments.one:
        found = grown(arguments.folder, arguments.one, arguments.steps, arguments.rate, arguments.channels)
        print(json.dumps(found))
        return
    print(", ".join(f"{name} {value}" for name, value in environment.describe().items()), "\n", flush=True)
    tables = {
        "seams": lambda: seam_table(arguments.folder, names, arguments.seeds, arguments.steps),
        "repetition": lambda: repetition_table(arguments.folder, names, arguments.steps),
        "agreement": lambda: agreement_table(arguments.folder, names, arguments.steps),
        "growth": lambda: growth_table(arguments),
    }
    for part in parts:
        print(f"## {part.capitalize()}\n", flush=True)
        tables[part]()


if __name__ == "__main__":
    main()
