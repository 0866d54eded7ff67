import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst import solver
from jaxst.kernels.optimizers import adam, evaluator, lbfgs
from jaxst.solver import MAX_CHUNK, Progress, Status


def loss(x):
    terms = {"a": jnp.sum((x - 1) ** 2), "b": jnp.sum(jnp.abs(x) ** 1.5)}
    return terms["a"] + 0.1 * terms["b"], terms


def problem(optimizer, function=loss, x=None):
    """A compiled `advance` and the first state."""
    evaluate = evaluator(function)
    advance = jax.jit(lambda state, steps: solver.advance(evaluate, optimizer, state, steps))
    return advance, solver.start(evaluate, optimizer, jnp.zeros(3) if x is None else x)


def test_history_holds_the_start_and_every_step():
    solution = solver.solve(*problem(adam(0.1)), 150)
    assert solution.status == Status.FINISHED
    assert {name: values.shape for name, values in solution.history.items()} == dict.fromkeys(
        ("total", "a", "b"), (151,)
    )
    assert solution.history["a"][0] == 3
    np.testing.assert_allclose(
        solution.history["total"], solution.history["a"] + 0.1 * solution.history["b"], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(loss(solution.parameters)[0], solution.history["total"].min(), rtol=1e-5)


def test_chunks_change_nothing():
    advance, state = problem(adam(0.05))
    whole, *_ = advance(state, 20)
    for steps in (1, 7, 12):
        state, taken, _ = advance(state, steps)
        assert taken == steps
    np.testing.assert_array_equal(state.point.parameters, whole.point.parameters)


def test_a_chunk_is_bounded():
    advance, state = problem(adam(0.05))
    assert advance(state, 10 * MAX_CHUNK)[1] == MAX_CHUNK


def test_the_best_point_is_kept_when_the_loss_rises():
    solution = solver.solve(*problem(adam(3.0)), 12)
    assert solution.history["total"][-1] > solution.history["total"].min()
    assert float(loss(solution.parameters)[0]) == pytest.approx(solution.history["total"].min(), rel=1e-5)


def test_progress_is_reported_and_can_stop_the_run():
    seen: list[Progress] = []

    def on_progress(progress):
        seen.append(progress)
        return progress.step >= 5

    solution = solver.solve(*problem(adam(0.01)), 10_000, on_progress)
    assert solution.status == Status.STOPPED
    assert seen[0].step == 0
    assert seen[0].losses["a"] == 3
    steps = [progress.step for progress in seen]
    assert steps == sorted(set(steps))
    assert len(solution.history["total"]) == seen[-1].step + 1 < 10_001


def test_divergence_ends_the_run_with_the_last_finite_parameters():
    def explosive(x):
        terms = {"good": jnp.sum(x**2), "bad": jnp.sum(jnp.where(x > 0.25, jnp.nan, -x))}
        return terms["good"] + 10 * terms["bad"], terms

    solution = solver.solve(*problem(adam(0.1), explosive), 50)
    assert solution.status == Status.DIVERGED
    assert np.isfinite(solution.parameters).all()
    assert np.isnan(solution.history["bad"][-1])
    assert np.isfinite(solution.history["good"][-1])
    assert np.isfinite(solution.history["total"][:-1]).all()
    assert len(solution.history["total"]) == 4


def test_a_run_that_stays_above_its_start_has_diverged():
    """A step size far too large for the bowl: every step overshoots, and nothing becomes infinite."""
    solution = solver.solve(*problem(adam(30.0), x=jnp.full(3, 0.93)), 5_000)
    assert solution.status == Status.DIVERGED
    assert len(solution.history["total"]) - 1 >= solver.RISEN
    assert np.isfinite(solution.history["total"]).all()
    assert float(loss(solution.parameters)[0]) == pytest.approx(solution.history["total"].min(), rel=1e-5)


def test_a_run_that_ends_above_its_start_has_diverged():
    solution = solver.solve(*problem(adam(30.0), x=jnp.full(3, 0.93)), 3)
    assert solution.status == Status.DIVERGED


def test_a_start_that_is_not_finite_diverges_at_once():
    solution = solver.solve(*problem(adam(0.1), x=jnp.full(3, jnp.nan)), 50)
    assert solution.status == Status.DIVERGED
    assert len(solution.history["total"]) == 1


def test_lbfgs_stops_where_nothing_descends():
    solution = solver.solve(*problem(lbfgs(), lambda x: (jnp.sum(x**2), {}), jnp.ones(3)), 500)
    assert solution.status == Status.STALLED
    assert len(solution.history["total"]) < 50
    np.testing.assert_allclose(solution.parameters, 0, atol=1e-6)
