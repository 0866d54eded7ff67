"""Value and gradient of every preset, three of them beside PyTorch's."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxst import problem
from jaxst.bench.findings import OURS, Comparison, Figure
from jaxst.bench.suites.recordings import recording, unit
from jaxst.bench.timing import compiled, interleaved, peak_memory
from jaxst.config import Config, configure
from jaxst.methods import METHODS
from jaxst.network import FilterLayer
from jaxst.parametrization import Features
from jaxst.problem import Problem
from jaxst.representation.log_magnitude import LEVEL
from jaxst.task import texture_task

RATE, SECONDS, ROUNDS = 16_000, 4, 5
SETTING = f"{SECONDS} s at {RATE:,} Hz"
EVALUATIONS = 2  # in a compiled loop, as in the solver; alone, much of the time goes into getting memory
SLOW = ("single-layer", "gaussian-ot")  # seconds for each: measured once
TARGETS = {"ulyanov": 1.2, "ulyanov-limit": 25.0}  # least times as fast as PyTorch
AGREEMENT = 1e-4


def moved() -> np.ndarray:
    """A guitar in noise: where it is silent the compression of magnitudes is steep, and float32 coarse."""
    noise = np.random.default_rng(0).standard_normal(round(SECONDS * RATE), np.float32)
    return unit("guitar", SECONDS, RATE) + np.float32(0.1) * noise


def posed(config: Config) -> tuple[Config, Problem, jax.Array]:
    """A texture of water as a problem, and parameters, those of `moved`."""
    task = texture_task(config, [recording("water", SECONDS, RATE)], duration=None, style_mix=None, sample_rate=None)
    question, _ = task.pose()
    return task.program, question, question.variable.parameters(jnp.asarray(moved())[None])


def descent(config: Config, question: Problem, parameters: jax.Array, count: int = EVALUATIONS) -> jax.Array:
    """So many values and gradients in a loop."""

    def step(_, x):
        return x - 1e-6 * problem.evaluate(config, question, x).gradient

    return jax.lax.fori_loop(0, count, step, parameters)


def ours(name: str, n_filters: int | None = None, count: int = EVALUATIONS) -> tuple[Callable[[], Any], float]:
    """A call of so many evaluations, and the seconds of compilation."""
    given = posed(configure(METHODS[name].texture, n_filters=n_filters))
    return compiled(partial(descent, count=count), *given)


def theirs(name: str, n_filters: int | None, variant: str, device: str = "cpu") -> Any:
    """PyTorch's loss of the same, and the parameters: a pair."""
    from jaxst.bench.torch_baseline import losses

    _, question, parameters = posed(configure(METHODS[name].texture, n_filters=n_filters))
    (target,) = question.targets
    n_fft, hop_length = target.analysis.resolution
    grid = {"n_fft": n_fft, "hop_length": hop_length, "device": device}
    banks = [np.asarray(style.layer.filters) for style in target.layers if isinstance(style.layer, FilterLayer)]
    style, x = unit("water", SECONDS, RATE), moved()
    if name == "ulyanov":
        assert isinstance(question.variable, Features)
        features = np.asarray(parameters)[0, :, :, 0]
        return losses.ulyanov(style, banks[0], gain=LEVEL, statistic=variant, **grid), features
    make = {"caracalla-roebel": losses.caracalla_roebel, "ri-spectrogram": losses.ri_spectrogram}[name]
    # As published codes do it: all maps in memory, convolved as they are.
    options = {"convolution": "conv2d", "at_once": False} if variant == "published" else {}
    return make(style, banks, **grid, **options), x


def our_call(name: str, n_filters: int | None) -> Callable[[], Any]:
    """For `peak_memory`."""
    return ours(name, n_filters)[0]


def their_call(name: str, n_filters: int | None, variant: str, threads: int) -> Callable[[], Any]:
    """For `peak_memory`."""
    from jaxst.bench.torch_baseline.settings import prepare

    prepare(threads)
    baseline, x = theirs(name, n_filters, variant)
    return partial(baseline.evaluate, x)


def run(threads: int, device: str | None) -> Iterator[Comparison | Figure]:
    """All presets; arguments as for the kernels."""
    for name in METHODS:
        if device is None or name not in ("ulyanov", "ulyanov-limit", "caracalla-roebel", "ri-spectrogram"):
            yield _alone(name)
    if device is None:
        return
    from jaxst.bench.torch_baseline.settings import prepare

    prepare(threads, device)
    yield from _ulyanov(device)
    for name, n_filters in (("caracalla-roebel", 32), ("caracalla-roebel", 128), ("ri-spectrogram", 32)):
        yield from _banks(name, n_filters, threads, device)


def _alone(name: str) -> Comparison:
    count = 1 if name in SLOW else EVALUATIONS
    call, seconds = ours(name, count=count)
    timings = _each(interleaved({OURS: call}, rounds=1 if name in SLOW else ROUNDS), {OURS: count})
    return Comparison(name, SETTING, timings, seconds)


def _ulyanov(device: str) -> Iterator[Comparison | Figure]:
    finite, compiling = ours("ulyanov")
    limit, compiling_limit = ours("ulyanov-limit")
    variants = {"torch": "fastest", "torch, Gram matrices": "matrices"}
    baselines = {side: theirs("ulyanov", None, variant, device) for side, variant in variants.items()}
    calls = {side: partial(baseline.evaluate, x) for side, (baseline, x) in baselines.items()}
    counts = {"finite": EVALUATIONS, "limit": EVALUATIONS}
    timings = _each(interleaved({"finite": finite, "limit": limit, **calls}, rounds=ROUNDS), counts)
    for name, key, seconds in (("ulyanov", "finite", compiling), ("ulyanov-limit", "limit", compiling_limit)):
        rows = {OURS: timings[key]} | {side: timings[side] for side in variants}
        setting = f"{SETTING}, 4,096 filters" + (" there, the limit here" if key == "limit" else "")
        yield Comparison(name, setting, rows, seconds, targets={"torch": TARGETS[name]})
    yield _difference("ulyanov", None, calls["torch"])


def _banks(name: str, n_filters: int, threads: int, device: str) -> Iterator[Comparison | Figure]:
    call, seconds = ours(name, n_filters)
    variants = {"torch": "fastest", "torch, conv2d as published": "published"}
    calls, memory = {}, {}
    for side, variant in variants.items():
        baseline, x = theirs(name, n_filters, variant, device)
        calls[side] = partial(baseline.evaluate, x)
        if device == "cpu":
            memory[side] = peak_memory(__name__, "their_call", name, n_filters, variant, threads)
    if device == "cpu":
        memory[OURS] = peak_memory(__name__, "our_call", name, n_filters)
    timings = _each(interleaved({OURS: call, **calls}, rounds=ROUNDS), {OURS: EVALUATIONS})
    yield Comparison(f"{name}, {n_filters} filters a bank", f"{SETTING}, 8 banks", timings, seconds, memory)
    yield _difference(name, n_filters, calls["torch"])


def _difference(name: str, n_filters: int | None, evaluate: Callable[[], Any]) -> Figure:
    """Between the losses, and the gradients, of both sides; whichever is larger."""
    config, question, parameters = posed(configure(METHODS[name].texture, n_filters=n_filters))
    point = jax.jit(problem.evaluate)(config, question, parameters)
    value, gradient = evaluate()
    mine = np.asarray(point.gradient).reshape(gradient.shape)
    scale = 1.0
    if name != "ulyanov":  # what is moved here is at -20 dB, there at the style's level
        scale = LEVEL
    found = max(
        abs(float(point.value) / value - 1),
        float(np.linalg.norm(scale * mine - gradient) / np.linalg.norm(gradient)),
    )
    title = name if n_filters is None else f"{name}, {n_filters} filters"
    return Figure(f"{title}: relative difference of losses and gradients from torch", found, most=AGREEMENT)


def _each(timings: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, Any]:
    """Of one evaluation, where a call makes several."""
    return {
        side: timing._replace(**{key: value / counts.get(side, 1) for key, value in timing._asdict().items()})
        for side, timing in timings.items()
    }
