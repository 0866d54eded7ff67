"""Whole runs: the default in units of a published method's step, presets beside PyTorch, and the binaries."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxst
from jaxst import problem
from jaxst.bench.findings import OURS, Comparison, Figure
from jaxst.bench.suites.losses import RATE, SECONDS, SETTING, moved, posed, theirs
from jaxst.bench.suites.recordings import recording
from jaxst.bench.timing import interleaved, spread
from jaxst.config import configure
from jaxst.methods import METHODS
from jaxst.representation.log_magnitude import LEVEL

RUNS = 3
EVALUATIONS, REAL_TIME = 2.0, 2.5  # that the default may take: evaluations of PyTorch, seconds for one second
# Presets, filters, optimizer, its step size and how many steps.
WHOLE = (
    ("ulyanov", None, "lbfgs", None, 20),
    ("caracalla-roebel", 32, "lbfgs", None, 20),
    ("ri-spectrogram", 32, "lbfgs", None, 20),
    ("ri-spectrogram", 32, "adam", 0.005, 20),
)
START, FIRST, SECOND = 2.0, 40.0, 10.0  # seconds: of imports and --help; of a first run; of a second beside its solve


def run(threads: int, device: str | None) -> Iterator[Comparison | Figure]:
    """Defaults, presets, binaries; arguments as for the kernels."""
    yield from _default(threads, device)
    if device is not None:
        for case in WHOLE:
            yield from _beside(device, *case)
    yield from _binaries()


def _default(threads: int, device: str | None) -> Iterator[Figure]:
    content, style = recording("guitar", SECONDS, RATE), recording("water", SECONDS, RATE)
    makers = {
        "transfer": lambda seed: jaxst.transfer(content, style, seed=seed),
        "texture": lambda seed: jaxst.texture(style, seed=seed),
    }
    evaluation = None
    if device is not None:
        from jaxst.bench.torch_baseline.settings import prepare

        prepare(threads, device)
        baseline, x = theirs("caracalla-roebel", 128, "fastest", device)
        evaluation = interleaved({"torch": partial(baseline.evaluate, x)}, rounds=5)["torch"].median
        yield Figure("torch: value and gradient of caracalla-roebel, 8 banks of 128 filters", evaluation, "s")
    for name, make in makers.items():
        results = [make(seed) for seed in range(RUNS)]
        seconds = float(np.median([result.timings["solve"] for result in results]))
        whole = float(np.median([sum(result.timings.values()) for result in results[1:]]))
        steps = len(results[0].history["total"]) - 1
        title = f"default {name}, {SETTING}"
        yield Figure(f"{title}: solving, {steps} steps", seconds, "s")
        yield Figure(f"{title}: compiling, once", results[0].timings["compile"], "s")
        yield Figure(f"{title}: all but compiling, for a second of audio", whole / SECONDS, "s", most=REAL_TIME)
        if evaluation is not None:
            yield Figure(f"{title}: solving, in those evaluations", seconds / evaluation, most=EVALUATIONS)


def _beside(
    device: str, name: str, n_filters: int | None, optimizer: str, learning_rate: float | None, steps: int
) -> Iterator[Comparison]:
    """At equal steps, and to the same loss: the higher one of those that both sides reach."""
    from jaxst.bench.torch_baseline import solve

    options = {"n_filters": n_filters, "optimizer": optimizer, "learning_rate": learning_rate}
    config, question, _ = posed(configure(METHODS[name].texture, **options))
    baseline, x = theirs(name, n_filters, "fastest", device)
    scale = 1.0 if name == "ulyanov" else LEVEL  # a waveform is moved at -20 dB here
    given = {"steps": steps, "device": device} | ({} if learning_rate is None else {"learning_rate": learning_rate})
    losses: dict[str, np.ndarray] = {}
    reached: dict[str, list[np.ndarray]] = {OURS: [], "torch": []}  # seconds, from the start, of each step

    for _ in range(1 + RUNS):  # the first one compiles
        state = problem.start(config, question, jnp.asarray(moved())[None], 0.0, tapered=False)
        state, *_ = problem.advance(config, question, state, 0)
        first = float(state.point.value)
        began = time.perf_counter()
        _, taken, history = jax.block_until_ready(problem.advance(config, question, state, steps))
        seconds = time.perf_counter() - began
        losses[OURS] = np.append(first, history["total"][: int(taken)])
        reached[OURS].append(np.linspace(0, seconds, int(taken) + 1))
        solution = getattr(solve, optimizer)(lambda z: baseline.loss(z / scale), scale * x, **given)
        losses["torch"] = solution.losses
        reached["torch"].append(solution.seconds - solution.seconds[0])
    level = max(values.min() for values in losses.values())
    title = f"{name}, {'L-BFGS' if optimizer == 'lbfgs' else 'Adam'}"
    setting = SETTING if n_filters is None else f"{SETTING}, {n_filters} filters a bank"
    ends = ", ".join(f"{side} {values[-1] / values[0]:.2g}" for side, values in losses.items())
    yield Comparison(
        f"{title}, {steps} steps",
        f"{setting}; share of the loss that is left: {ends}",
        {side: spread([float(seconds[-1]) for seconds in runs[1:]]) for side, runs in reached.items()},
    )
    yield Comparison(
        f"{title}, to {level / losses[OURS][0]:.2g} of the loss",
        setting,
        {
            side: spread([float(seconds[np.argmax(losses[side] <= level)]) for seconds in runs[1:]])
            for side, runs in reached.items()
        },
    )


def _binaries() -> Iterator[Figure]:
    """Each in a process of its own."""
    starts = {
        "import jaxst": [sys.executable, "-c", "import jaxst"],
        "jaxst-transfer --help": [sys.executable, "-m", "jaxst.bin.transfer", "--help"],
    }
    calls = {
        name: partial(subprocess.run, command, check=True, capture_output=True) for name, command in starts.items()
    }
    for name, timing in interleaved(calls, rounds=5).items():
        yield Figure(name, timing.median, "s", most=START)
    with tempfile.TemporaryDirectory() as folder:
        jaxst.write(f"{folder}/water.wav", recording("water", SECONDS, RATE))
        command = [sys.executable, "-m", "jaxst.bin.texture", f"--style={folder}/water.wav", "--noevaluate"]
        command += [f"--output={folder}/out.wav", f"--json={folder}/out.json", "--overwrite"]
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": f"{folder}/cache"}
        walls, solving = [], []
        for _ in range(2):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=environment)
            walls.append(time.perf_counter() - began)
            solving.append(json.loads(Path(f"{folder}/out.json").read_text())["timings"]["solve"])
    yield Figure("jaxst-texture, nothing compiled before: all but solving", walls[0] - solving[0], "s", most=FIRST)
    yield Figure("jaxst-texture, once more: all but solving", walls[1] - solving[1], "s", most=SECOND)
