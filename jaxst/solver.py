"""Run an optimizer on a loss: compiled chunks of steps, with the host looking in between them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxst.kernels.optimizers import Optimizer, Point, unevaluated

MAX_CHUNK = 64  # steps that one call into compiled code takes at most
CHUNK_SECONDS = 0.5  # what a chunk should take: progress moves, and an interruption is heard, this often
PATIENCE = 2  # failed steps in a row after which the solver gives up
RISEN = 50  # steps in a row with a loss above the first one, after which a run counts as diverged


class Status(IntEnum):
    """How a run stands; anything but RUNNING ends it. A run has diverged whose loss is not finite, was above the first
    one for long, or ends there."""

    RUNNING = 0
    STALLED = 1
    DIVERGED = 2
    STOPPED = 3
    FINISHED = 4

    @property
    def complete(self) -> bool:
        """Whether all steps were taken, or no step could lower the loss any more."""
        return self in (Status.FINISHED, Status.STALLED)


class State(NamedTuple):
    """All that a run carries from step to step.

    Attributes:
        point: where it is.
        best: parameters with the lowest loss so far.
        best_value: that loss.
        optimizer: the optimizer's own state.
        first_value: the loss before the first step.
        failures: failed steps in a row.
        risen: steps in a row with a loss above the first one.
        status: a `Status`.
    """

    point: Point
    best: Float[Array, "..."]
    best_value: Float[Array, ""]
    optimizer: Any
    first_value: Float[Array, ""]
    failures: Int[Array, ""]
    risen: Int[Array, ""]
    status: Int[Array, ""]


def start(evaluate: Callable[[Any], Point], optimizer: Optimizer, parameters: Float[Array, "..."]) -> State:
    """The state before the first step; `advance` evaluates its point. Pure; jit it."""
    point, none = unevaluated(evaluate, parameters), jnp.asarray(0)
    running = jnp.asarray(int(Status.RUNNING))
    return State(point, parameters, point.value, optimizer.init(parameters), point.value, none, none, running)


def advance(
    evaluate: Callable[[Any], Point], optimizer: Optimizer, state: State, steps: Int[Array, ""] | int
) -> tuple[State, Int[Array, ""], dict[str, Float[Array, " steps"]]]:
    """Take `steps` steps, at most `MAX_CHUNK`, fewer if the run ends. Pure; jit it.

    The number of steps is traced, not static: one compiled program serves chunks of any length. A start is evaluated
    before, by the same program and even if no step is to be taken.

    Returns:
        The new state, the number of steps taken, and arrays of `MAX_CHUNK` with `total` and every term after each step.
    """

    def step(carry):
        state, taken, history = carry
        begun = state.point.evaluated
        point, optimizer_state, succeeded = optimizer.step(evaluate, state.point, state.optimizer)
        first_value = jnp.where(begun, state.first_value, point.value)
        failures = jnp.where(succeeded, 0, state.failures + 1)
        risen = jnp.where(point.value > first_value, state.risen + 1, 0)
        stalled = jnp.where(failures < PATIENCE, Status.RUNNING, Status.STALLED)
        diverged = ~jnp.isfinite(point.value) | (risen >= RISEN)
        better = point.value < state.best_value
        state = State(
            point,
            jnp.where(better, point.parameters, state.best),
            jnp.where(better, point.value, state.best_value),
            optimizer_state,
            first_value,
            failures,
            risen,
            jnp.where(diverged, Status.DIVERGED, stalled),
        )
        history = {name: history[name].at[taken].set(value) for name, value in losses(point).items()}
        return state, taken + begun, history

    def unfinished(carry):
        state, taken, _ = carry
        wanted = (taken < jnp.minimum(steps, MAX_CHUNK)) | ~state.point.evaluated
        return wanted & (state.status == Status.RUNNING)

    history = {name: jnp.zeros(MAX_CHUNK, value.dtype) for name, value in losses(state.point).items()}
    return jax.lax.while_loop(unfinished, step, (state, jnp.asarray(0), history))


def losses(point: Point) -> dict[str, Float[Array, "*lanes"]]:
    """The loss, called `total`, and its terms; of several lanes, too."""
    return {"total": point.value, **point.terms}


@dataclass(frozen=True)
class Progress:
    """What the host knows between two chunks.

    Attributes:
        step: steps taken.
        steps: steps to take.
        losses: `total` and the terms after the last step; empty where there are none yet, or none at all.
        stage: what is done next.
    """

    step: int
    steps: int
    losses: dict[str, float]
    stage: str = "solving"


OnProgress = Callable[[Progress], bool | None]


@dataclass(frozen=True)
class Solution:
    """How a run ended.

    Attributes:
        parameters: those with the lowest loss.
        status: why it ended.
        history: `total` and every term before the first step and after each: arrays of `(steps taken + 1,)`.
    """

    parameters: Float[Array, "..."]
    status: Status
    history: dict[str, np.ndarray]


def solve(
    advance: Callable[[State, int], tuple[State, Int[Array, ""], dict[str, Float[Array, " steps"]]]],
    state: State,
    steps: int,
    on_progress: OnProgress | None = None,
) -> Solution:
    """Drive `advance` to its end in chunks of about half a second.

    Args:
        advance: `(state, steps)` to what `advance` above returns; compiled. It may consume the state it is given.
        state: from `start`.
        steps: steps to take.
        on_progress: called before the first step and after every chunk; returning true stops the run.
    """
    best, ((status, history),) = _drive(lambda s, n: advance(s, int(n[0])), state, np.array([steps]), on_progress)
    return Solution(best, status, history)


def solve_lanes(
    advance: Callable[[State, Any], tuple[State, Int[Array, " lanes"], dict[str, Float[Array, "lanes steps"]]]],
    state: State,
    steps: Sequence[int],
    on_progress: OnProgress | None = None,
) -> tuple[Float[Array, "lanes ..."], list[tuple[Status, dict[str, np.ndarray]]]]:
    """The same for many runs at once, each ending for itself.

    Args:
        advance: with lanes in front of all that it takes and returns, the steps of each in an array.
        state: likewise.
        steps: of each lane.
        on_progress: hears of the steps of all lanes together, and of the losses' medians.

    Returns:
        The best parameters of all lanes, and the status and history of each.
    """
    return _drive(advance, state, np.array(steps), on_progress)


def _drive(
    advance: Callable[[State, np.ndarray], tuple[State, Array, dict[str, Array]]],
    state: State,
    steps: np.ndarray,
    on_progress: OnProgress | None,
) -> tuple[Array, list[tuple[Status, dict[str, np.ndarray]]]]:
    """Chunks until every lane has ended; a state without lanes is one."""
    lanes = len(steps)
    state, *_ = advance(state, np.zeros_like(steps))  # evaluates the start
    latest = {name: np.array(value).reshape(lanes) for name, value in losses(state.point).items()}
    first = latest["total"].copy()
    rows = [{name: [values[[lane]]] for name, values in latest.items()} for lane in range(lanes)]
    taken, chunk = np.zeros(lanes, int), 1
    status = np.array(state.status).reshape(lanes)
    while True:
        done = (taken >= steps) & (status == Status.RUNNING)
        status[done] = np.where(latest["total"][done] > first[done], Status.DIVERGED, Status.FINISHED)
        medians = {name: float(np.median(values)) for name, values in latest.items()}
        stop = bool(on_progress and on_progress(Progress(int(taken.sum()), int(steps.sum()), medians)))
        status[stop & (status == Status.RUNNING)] = Status.STOPPED
        if not np.any(status == Status.RUNNING):
            histories = [{name: np.concatenate(values) for name, values in row.items()} for row in rows]
            return state.best, [(Status(s), history) for s, history in zip(status.tolist(), histories, strict=True)]
        began = time.perf_counter()
        todo = np.where(status == Status.RUNNING, np.minimum(chunk, steps - taken), 0)
        state, count, history = advance(state, todo)
        count = np.array(count).reshape(lanes)
        values = {name: np.array(value).reshape(lanes, MAX_CHUNK) for name, value in history.items()}
        for lane in range(lanes):
            for name, value in values.items():
                rows[lane][name].append(value[lane, : count[lane]])
                latest[name][lane] = rows[lane][name][-1][-1] if count[lane] else latest[name][lane]
        status = np.where(status == Status.RUNNING, np.array(state.status).reshape(lanes), status)
        taken += count
        per_step = (time.perf_counter() - began) / max(int(count.max()), 1)
        chunk = int(np.clip(CHUNK_SECONDS / per_step, 1, MAX_CHUNK))
