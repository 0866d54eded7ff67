"""Speed and memory of Caracalla & Roebel's style loss against PyTorch: `python -m bench.caracalla_roebel`.

Value and gradient with respect to a waveform of 4 s at 16 kHz, eight banks of random square filters, on two threads.
The baseline convolves with `conv2d`, as published code does. Beside it, unjudged, stands the fastest that PyTorch was
found to do. Exits with status 1 if a target is missed or results differ; without PyTorch (`pip install
jaxst[bench]`) it skips.
"""

import ctypes
import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from bench.timing import interleaved
from jaxst import environment
from jaxst.config import Config, configure
from jaxst.losses import Target, loss_terms, make_targets
from jaxst.methods import METHODS
from jaxst.network import FilterLayer

RATE, SECONDS, CONSTANT, THREADS = 16_000, 4, 1000.0, 2
VARIANTS = ("conv2d", "fastest")  # PyTorch's convolutions
# How many times faster than PyTorch, by filters a bank; how much of PyTorch's memory; relative difference.
SPEED_TARGETS, MEMORY_TARGET, AGREEMENT = {32: 2.5, 128: 1.5}, 1.3, 1e-4
EVALUATIONS, ROUNDS, PROCESSES = 2, 5, 3


def signals() -> tuple[np.ndarray, np.ndarray]:
    """The waveform to move, white noise, and the style, noise that grows louder."""
    rng = np.random.default_rng(0)
    x, style = rng.standard_normal((2, RATE * SECONDS), np.float32)
    return x, style * np.linspace(0, 1, len(style), dtype=np.float32)


def learned(n_filters: int) -> tuple[Config, tuple[Target, ...]]:
    """The preset with so many filters, and what it learns of the style."""
    config = configure(METHODS["caracalla-roebel"].texture, n_filters=n_filters)
    style = jnp.asarray(signals()[1])
    targets = jax.jit(lambda style: make_targets([style], (1.0,), RATE, config))(style)
    return config, jax.block_until_ready(targets)


def style_loss(x: jax.Array, config: Config, targets: tuple[Target, ...]) -> jax.Array:
    """The engine's loss of a waveform."""
    return loss_terms([target.analysis.features(x[None]) for target in targets], targets, config)[0]


def descend(x: jax.Array, config: Config, targets: tuple[Target, ...]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A loop over `EVALUATIONS` values and gradients, as in the solver: the waveform, value and gradient."""

    def step(_, state):
        value, gradient = jax.value_and_grad(style_loss)(state[0], config, targets)
        return state[0] - 1e-6 * gradient, value, gradient

    return jax.lax.fori_loop(0, EVALUATIONS, step, (x, jnp.zeros(()), x))


def jax_arguments(n_filters: int) -> tuple[jax.Array, Config, tuple[Target, ...]]:
    """Waveform, configuration and targets."""
    return jnp.asarray(signals()[0]), *learned(n_filters)


def torch_evaluation(n_filters: int, variant: str) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Value and gradient in PyTorch."""
    from bench.torch_baseline.losses import caracalla_roebel
    from bench.torch_baseline.settings import prepare

    prepare(THREADS)
    _, (target,) = learned(n_filters)
    banks = [np.asarray(style.layer.filters) for style in target.layers if isinstance(style.layer, FilterLayer)]
    n_fft, hop_length = target.analysis.resolution
    sizes = {"n_fft": n_fft, "hop_length": hop_length, "constant": CONSTANT}
    at_once = variant != "conv2d"
    return caracalla_roebel(signals()[1], banks, convolution=variant, at_once=at_once, **sizes).evaluate


def status(field: str) -> float:
    """MB of this process, from Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def print_peak(side: str, n_filters: int) -> None:
    """MB that evaluations take at most, beyond what the process had before the first; in a process of its own."""
    if side == "JAX":
        arguments = jax_arguments(n_filters)
        compiled = jax.jit(descend).lower(*arguments).compile()
        evaluate = partial(compiled, *arguments)
    else:
        evaluate = partial(torch_evaluation(n_filters, side), signals()[0])
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = status("VmRSS")
    for _ in range(EVALUATIONS):
        jax.block_until_ready(evaluate())
    print(status("VmHWM") - before)


def peak(side: str, n_filters: int) -> float:
    """MB, the median of several processes."""
    command = [sys.executable, "-m", "bench.caracalla_roebel", side, str(n_filters)]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(PROCESSES)]
    return float(np.median([float(run.stdout) for run in runs]))


def compare(n_filters: int) -> int:
    """Print both sides; the number of targets missed."""
    arguments = jax_arguments(n_filters)
    began = time.perf_counter()
    compiled = jax.jit(descend).lower(*arguments).compile()
    print(f"\n{n_filters} filters a bank, JAX compiled in {time.perf_counter() - began:.1f} s", flush=True)
    baselines = {variant: torch_evaluation(n_filters, variant) for variant in VARIANTS}
    missed = 0

    def check(text: str, met: bool) -> None:
        nonlocal missed
        print(f"  {text} {'ok' if met else 'MISSED'}", flush=True)
        missed += not met

    value, gradient = jax.jit(jax.value_and_grad(style_loss))(*arguments)
    for variant, evaluate in baselines.items():
        expected, slope = evaluate(signals()[0])
        difference = abs(float(value) / expected - 1)
        angle = float(np.linalg.norm(gradient - slope) / np.linalg.norm(slope))
        text = f"relative difference to PyTorch with {variant}: loss {difference:.1e}, gradient {angle:.1e}"
        check(f"{text} (target {AGREEMENT:g})", max(difference, angle) <= AGREEMENT)

    def repeated(evaluate):
        return lambda: [evaluate(signals()[0]) for _ in range(EVALUATIONS)] and None

    calls = {"JAX": partial(compiled, *arguments)}
    seconds = interleaved(calls | {name: repeated(f) for name, f in baselines.items()}, rounds=ROUNDS)
    megabytes = {side: peak(side, n_filters) for side in seconds}
    for side in seconds:
        print(f"  {side:7}{1e3 * seconds[side] / EVALUATIONS:6.0f} ms, at most {megabytes[side]:5.0f} MB", flush=True)
    ratios = {variant: seconds[variant] / seconds["JAX"] for variant in VARIANTS}
    least, most = SPEED_TARGETS[n_filters], MEMORY_TARGET
    check(f"{ratios['conv2d']:.1f} times faster than conv2d (target {least:g})", ratios["conv2d"] >= least)
    print(f"  {ratios['fastest']:.1f} times faster than the fastest PyTorch")
    share = megabytes["JAX"] / megabytes["conv2d"]
    check(f"{share:.2f} of the memory with conv2d (target {most:g})", share <= most)
    return missed


def main() -> int:
    """Print the comparisons; 1 if a target is missed."""
    if importlib.util.find_spec("torch") is None:
        print("skipped: PyTorch is not installed; pip install jaxst[bench]")
        return 0
    print(", ".join(f"{name} {value}" for name, value in environment.describe().items()))
    print(
        f"value and gradient of {SECONDS} s at {RATE} Hz: JAX in a compiled loop as in the solver, medians, interleaved"
    )
    return 1 if sum([compare(n_filters) for n_filters in SPEED_TARGETS]) else 0


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print_peak(sys.argv[1], int(sys.argv[2]))
    else:
        sys.exit(main())
