from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

from jaxst.kernels.optimizers import CURVATURE, DECREASE, adam, evaluator, lbfgs, line_search


def with_terms(function):
    """The function as a loss with one term."""

    def loss(x):
        value = function(x)
        return value, {"f": value}

    return loss


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def bowl(x):
    return jnp.sum(jnp.log1p((x - 3) ** 2))


def run(optimizer, function, x, steps):
    """Points after each step."""
    evaluate = evaluator(with_terms(function))
    step = jax.jit(lambda point, state: optimizer.step(evaluate, point, state))
    point, state = jax.jit(lambda x: (evaluate(x), optimizer.init(x)))(x)
    points = [point]
    for _ in range(steps):
        point, state, _ = step(point, state)
        points.append(point)
    return points


@partial(jax.jit, static_argnames="function")
def search(function, x, direction):
    """The points at which a line search begins and ends, and whether it moved."""
    evaluate = evaluator(with_terms(function))
    start = evaluate(x)
    return start, *line_search(evaluate, start, direction)


def test_adam_is_optax_adam():
    x = jnp.array([-1.2, 1.0, 0.5])
    transformation, expected = optax.adam(0.01), x

    @jax.jit
    def step(x, state):
        updates, state = transformation.update(jax.grad(rosenbrock)(x), state)
        return optax.apply_updates(x, updates), state

    state = transformation.init(x)
    for _ in range(5):
        expected, state = step(expected, state)
    np.testing.assert_allclose(run(adam(0.01), rosenbrock, x, 5)[-1].parameters, expected, rtol=1e-6)


def test_lbfgs_finds_the_minimum_without_ever_rising():
    x = jnp.linspace(-1, 1.5, 10)
    points = run(lbfgs(), rosenbrock, x, 80)
    assert points[-1].value < 1e-6
    np.testing.assert_allclose(points[-1].parameters, 1, atol=1e-3)
    values = [float(point.value) for point in points]
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(values))


def test_lbfgs_is_as_quick_as_scipys_on_an_ill_conditioned_quadratic():
    scales = jnp.logspace(0, 4, 30)
    points = run(lbfgs(), lambda x: 0.5 * jnp.sum(scales * x**2), jnp.ones(30), 60)
    weights = np.asarray(scales, np.float64)
    reference = scipy.optimize.minimize(
        lambda x: (0.5 * weights @ x**2, weights * x),
        np.ones(30),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 60, "maxcor": 20, "ftol": 0, "gtol": 0},
    )
    assert points[-1].value < 10 * reference.fun


def test_point_carries_value_terms_and_gradient_of_its_parameters():
    point = run(lbfgs(), rosenbrock, jnp.zeros(4), 3)[-1]
    assert float(point.value) == pytest.approx(float(rosenbrock(point.parameters)), rel=1e-4)
    assert point.terms["f"] == point.value
    np.testing.assert_allclose(point.gradient, jax.grad(rosenbrock)(point.parameters), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("length", [1e-3, 1.0, 300.0])
def test_line_search_fulfils_the_wolfe_conditions(length):
    direction = jnp.full(2, 0.6 * length)  # downhill
    start, point, moved = search(bowl, jnp.zeros(2), direction)
    first, last = jnp.vdot(start.gradient, direction), jnp.vdot(point.gradient, direction)
    step = jnp.linalg.norm(point.parameters) / jnp.linalg.norm(direction)
    assert moved
    assert point.value <= start.value + DECREASE * step * first
    assert last >= CURVATURE * first


def test_line_search_steps_back_from_where_the_loss_is_not_finite():
    start, point, moved = search(lambda x: jnp.sum(x - jnp.log(x)), jnp.full(3, 5.0), jnp.full(3, -20.0))
    assert moved
    assert np.isfinite(point.value)
    assert point.value < start.value


def test_line_search_along_an_ascent_direction_stays():
    _, point, moved = search(lambda x: jnp.sum(x**2), jnp.ones(3), jnp.ones(3))
    assert not moved
    np.testing.assert_array_equal(point.parameters, 1)


def test_lbfgs_descends_where_float32_hardly_resolves_the_loss():
    """A large constant hides all but the first digits of the decrease; slopes still show the way."""
    x = 0.1 * jnp.ones(50)
    last = run(lbfgs(), lambda x: 1e4 + jnp.sum(jnp.linspace(1, 20, 50) * x**2), x, 30)[-1]
    assert jnp.linalg.norm(last.parameters) < 1e-3 * jnp.linalg.norm(x)


def test_lanes_of_a_vmap_go_their_own_ways():
    optimizer, starts = lbfgs(), jnp.stack([jnp.zeros(4), jnp.full(4, 2.0)])

    def solve(x):
        evaluate = evaluator(with_terms(rosenbrock))
        point, state = evaluate(x), optimizer.init(x)
        return jax.lax.fori_loop(0, 10, lambda _, c: optimizer.step(evaluate, *c)[:2], (point, state))[0].parameters

    solve = jax.jit(solve)
    together = jax.jit(jax.vmap(solve))(starts)
    alone = jnp.stack([solve(x) for x in starts])
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-4)
