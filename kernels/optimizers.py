"""One step of an optimizer: from a point that is evaluated to the next one.

L-BFGS is optax's two-loop direction with a line search of our own that survives float32: it brackets as Lewis & Overton
(2013, "Nonsmooth optimization via quasi-Newton methods", algorithm 2.6), picks trial steps by cubic interpolation
(Nocedal & Wright 2006, eq. 3.59) and accepts a step also by the approximate Wolfe conditions of Hager & Zhang (2005,
eq. 4.1), which compare slopes where the loss no longer resolves the decrease. The accepted trial is handed on with its
value, terms and gradient: nothing is evaluated twice. A first point is evaluated by a first step, of no length, so that
compiled programs hold the loss once.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

DECREASE = 1e-4  # c1: share of the first slope that a step must gain
CURVATURE = 0.9  # c2: share of the first slope that may be left after a step
ROUNDING = 1e-6  # relative error that the loss may have
EXPANSION = 4.0  # growth of the trial step until it is too long
MAX_TRIALS = 12

# HIGHEST: slopes are compared where the loss hardly changes; TF32 and bf16 would leave nothing.
_dot = partial(jnp.vdot, precision=jax.lax.Precision.HIGHEST)


class Point(NamedTuple):
    """Parameters and all that is known there.

    Attributes:
        parameters: what the solver moves.
        value: the loss; infinite where it was not evaluated.
        terms: the loss's terms by name.
        gradient: like `parameters`.
    """

    parameters: Float[Array, "..."]
    value: Float[Array, ""]
    terms: dict[str, Float[Array, ""]]
    gradient: Float[Array, "..."]

    @property
    def evaluated(self) -> Bool[Array, ""]:
        """Whether it was."""
        return self.value != jnp.inf


class Optimizer(NamedTuple):
    """A pair of pure functions.

    Attributes:
        init: parameters to the optimizer's state.
        step: `(evaluate, point, state)` to the next point, the next state and whether the step succeeded. A step that
            failed leaves the point as it was. A step from a point that was not evaluated leads to the same, evaluated,
            and leaves the state as it was.
    """

    init: Callable[[Any], Any]
    step: Callable[[Callable[[Any], Point], Point, Any], tuple[Point, Any, Bool[Array, ""]]]


def evaluator(loss: Callable[[Any], tuple[Float[Array, ""], dict[str, Float[Array, ""]]]]) -> Callable[[Any], Point]:
    """Turn `parameters -> (value, terms)` into `parameters -> Point`."""

    def evaluate(parameters: Any) -> Point:
        (value, terms), gradient = jax.value_and_grad(loss, has_aux=True)(parameters)
        return Point(parameters, value, terms, gradient)

    return evaluate


def unevaluated(evaluate: Callable[[Any], Point], parameters: Float[Array, "..."]) -> Point:
    """The point at parameters as it is before a first step, which evaluates it."""
    like = jax.eval_shape(evaluate, parameters)
    terms = {name: jnp.full(term.shape, jnp.nan, term.dtype) for name, term in like.terms.items()}
    return Point(parameters, jnp.full((), jnp.inf, like.value.dtype), terms, jnp.zeros_like(like.gradient))


def adam(learning_rate: Float[Array, ""] | float) -> Optimizer:
    """Adam (Kingma & Ba 2015) with a constant learning rate. Its steps always succeed, even into a loss that is NaN."""
    transformation = optax.adam(learning_rate)

    def step(evaluate, point, state):
        updates, next_state = transformation.update(point.gradient, state, point.parameters)
        next_state = _select(point.evaluated, next_state, state)
        return evaluate(optax.apply_updates(point.parameters, updates)), next_state, jnp.asarray(True)

    return Optimizer(transformation.init, step)


def lbfgs(*, memory: int = 20) -> Optimizer:
    """L-BFGS (Liu & Nocedal 1989) that remembers `memory` steps and what they changed in the gradient.

    A step fails where no trial lowers the loss; the memory is then dropped.
    """
    transformation = optax.scale_by_lbfgs(memory_size=memory)

    def step(evaluate, point, state):
        with jax.default_matmul_precision("highest"):
            updated = transformation.update(point.gradient, state, point.parameters)
        ascent, state = cast(tuple[Array, optax.ScaleByLBFGSState], updated)
        ascends = _dot(point.gradient, ascent) > 0
        steepest = point.gradient / jnp.maximum(jnp.linalg.norm(point.gradient), 1)
        point_found, moved = line_search(evaluate, point, -jnp.where(ascends, ascent, steepest))
        begun = jnp.where(ascends, state.count, 1)
        state = _remembering(state, jnp.where(moved & point.evaluated, begun, 0))
        return point_found, state, moved

    return Optimizer(transformation.init, step)


def _remembering(state: optax.ScaleByLBFGSState, count: Int[Array, ""]) -> optax.ScaleByLBFGSState:
    """The state after `count` steps; none is remembered of fewer than two. What is forgotten gets a weight of zero and
    is not overwritten: copies of the memory would take longer than the direction."""
    return state._replace(count=count, weights_memory=jnp.where(count > 1, state.weights_memory, 0))


class _End(NamedTuple):
    """One end of the interval that holds a good step: the step, and the loss and its slope there."""

    step: Float[Array, ""]
    value: Float[Array, ""]
    slope: Float[Array, ""]


class _Search(NamedTuple):
    step: Float[Array, ""]
    low: _End
    high: _End
    best: Point
    trials: Int[Array, ""]
    found: Bool[Array, ""]


def line_search(
    evaluate: Callable[[Any], Point], start: Point, direction: Float[Array, "..."]
) -> tuple[Point, Bool[Array, ""]]:
    """Find a step along `direction` that fulfils the weak Wolfe conditions or, in rounding noise, the approximate ones.

    Args:
        evaluate: parameters to a point.
        start: where the search begins. If it was not evaluated, the first step leads to what is found.
        direction: a descent direction whose length is the first step tried.

    Returns:
        The point found, and whether it is better than the start. After `MAX_TRIALS` trials the best one that decreases
        the loss enough counts as found; if there is none the start is returned.
    """
    first_slope = _dot(start.gradient, direction)

    def trial(search: _Search) -> _Search:
        point = evaluate(start.parameters + search.step * direction)
        slope = _dot(point.gradient, direction)
        decreases = point.value <= start.value + DECREASE * search.step * first_slope
        level = point.value <= start.value + ROUNDING * jnp.abs(start.value)
        flattens = slope <= (2 * DECREASE - 1) * first_slope
        enough = (decreases | (level & flattens)) & jnp.isfinite(slope) & ((first_slope < 0) | ~start.evaluated)
        found = enough & (slope >= CURVATURE * first_slope)
        here = _End(search.step, point.value, slope)
        low, high = _select(enough, here, search.low), _select(enough, search.high, here)
        step = jnp.where(jnp.isinf(high.step), EXPANSION * search.step, _between(low, high))
        best = _select(found | (enough & (point.value < search.best.value)), point, search.best)
        return _Search(step, low, high, best, search.trials + 1, found)

    dtype = start.value.dtype
    zero, one, infinity = (jnp.asarray(value, dtype) for value in (0, 1, jnp.inf))
    search = _Search(
        step=one,
        low=_End(zero, start.value, first_slope),
        high=_End(infinity, infinity, infinity),
        best=start,
        trials=jnp.asarray(0),
        found=jnp.asarray(False),
    )
    search = jax.lax.while_loop(lambda s: ~s.found & (s.trials < MAX_TRIALS), trial, search)
    return search.best, search.low.step > 0


def _between(low: _End, high: _End) -> Float[Array, ""]:
    """Minimum of the cubic through both ends, a tenth of the interval away from either; the middle if there is none."""
    width = high.step - low.step
    bend = low.slope + high.slope - 3 * (high.value - low.value) / width
    root = jnp.sqrt(jnp.maximum(bend * bend - low.slope * high.slope, 0))
    fraction = 1 - (high.slope + root - bend) / (high.slope - low.slope + 2 * root)
    return low.step + width * jnp.where(jnp.isfinite(fraction), jnp.clip(fraction, 0.1, 0.9), 0.5)


def _select(condition, yes, no):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
