from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.kernels.arccos import arccos_cross, arccos_self
from jaxst.kernels.kernel_means import mean_square_kernel

ROWS, COLUMNS, K = 5, 7, 3
mean_square = jax.jit(mean_square_kernel)


@jax.jit
@partial(jax.value_and_grad, argnums=(0, 1))
def value_and_gradients(kernel, center, weights):
    return mean_square_kernel(kernel, center=center, **weights)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def distribution(count, seed):
    """Weights that add up to 1, one of them zero, as for a patch that spans two recordings."""
    weights = np.random.default_rng(seed).uniform(0.1, 1, count)
    weights[count // 2] = 0
    return (weights / weights.sum()).astype(np.float32)


def expected_mean(kernel, center=0.0, row_weights=None, column_weights=None):
    """The definition, pair by pair, for a matrix without batch."""
    row_weights = np.full(ROWS, 1 / ROWS) if row_weights is None else row_weights
    column_weights = np.full(COLUMNS, 1 / COLUMNS) if column_weights is None else column_weights
    total = 0.0
    for t in range(ROWS):
        for s in range(COLUMNS):
            total += float(row_weights[t]) * float(column_weights[s]) * (float(kernel[t, s]) ** 2 - float(center))
    return total


WEIGHTINGS = [
    {},
    {"row_weights": distribution(ROWS, 1)},
    {"column_weights": distribution(COLUMNS, 2)},
    {"row_weights": distribution(ROWS, 1), "column_weights": distribution(COLUMNS, 2)},
]


@pytest.mark.parametrize("center", [0.0, 0.7])
@pytest.mark.parametrize("weights", WEIGHTINGS, ids=lambda weights: "-".join(weights) or "uniform")
def test_mean_is_that_of_the_definition_in_every_batch(weights, center):
    kernel = noise(2, 3, ROWS, COLUMNS)
    expected = [[expected_mean(matrix, center, **weights) for matrix in row] for row in kernel]
    result = mean_square(kernel, center=center, **weights)
    assert result.shape == (2, 3)
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_a_pair_of_weight_zero_does_not_count():
    kernel, weights = noise(ROWS, COLUMNS), distribution(COLUMNS, 2)
    changed = kernel.copy()
    changed[:, COLUMNS // 2] = 1e6
    np.testing.assert_array_equal(
        mean_square(kernel, column_weights=weights), mean_square(changed, column_weights=weights)
    )


@pytest.mark.parametrize("weights", WEIGHTINGS, ids=lambda weights: "-".join(weights) or "uniform")
def test_gradients_are_the_weighted_kernel_twice_and_for_the_center_minus_the_weights(weights):
    kernel = noise(ROWS, COLUMNS)
    rows = weights.get("row_weights", np.full(ROWS, 1 / ROWS))
    columns = weights.get("column_weights", np.full(COLUMNS, 1 / COLUMNS))
    _, (by_kernel, by_center) = value_and_gradients(kernel, 0.7, weights)
    np.testing.assert_allclose(by_kernel, 2 * kernel * np.outer(rows, columns), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(by_center, -1, rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e4])
def test_constant_kernels_give_finite_values_and_gradients(value):
    result, (gradient, _) = value_and_gradients(np.full((ROWS, COLUMNS), value, np.float32), 1.0, {})
    assert result == pytest.approx(value**2 - 1, rel=1e-6)
    np.testing.assert_allclose(gradient, 2 * value / (ROWS * COLUMNS), rtol=1e-6)


# ---------------------------------------------------------------------------------------- cancellation in float32


@partial(jax.jit, static_argnames="centered")
def discrepancy(own, across, target, *, centered):
    """The squared maximum mean discrepancy over its normalizer."""
    normalizer = mean_square_kernel(target)
    center = normalizer if centered else 0.0
    terms = (mean_square_kernel(matrix, center=center) for matrix in (own, across, target))
    return jnp.dot(jnp.stack(list(terms)), jnp.array([1.0, -2.0, 1.0])) / normalizer


def exact_discrepancy(own, across, target):
    squares = [np.mean(np.asarray(matrix, np.float64) ** 2) for matrix in (own, across, target)]
    return (squares[0] - 2 * squares[1] + squares[2]) / squares[2]


def test_centering_keeps_the_discrepancy_of_nearly_equal_signals():
    """To 1e-8 of the normalizer, where the means themselves, uncentered, are rounded to 1e-7."""
    errors = {True: [], False: []}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        target = np.abs(1 + 0.3 * rng.standard_normal((160, 160))).astype(np.float32)
        near = [(target + 3e-4 * rng.standard_normal(target.shape)).astype(np.float32) for _ in range(2)]
        expected = exact_discrepancy(*near, target)
        for centered, found in errors.items():
            found.append(abs(float(discrepancy(*near, target, centered=centered)) - expected))
    assert max(errors[True]) < 1e-8
    assert np.median(errors[False]) > 10 * np.median(errors[True])


def exact_kernel(a, b):
    """The arc-cosine kernel between explicit patches, in float64 throughout."""
    u, v = (
        np.lib.stride_tricks.sliding_window_view(np.asarray(x, np.float64), K, axis=0).reshape(len(x) - K + 1, -1)
        for x in (a, b)
    )
    norms = np.outer(np.linalg.norm(u, axis=1), np.linalg.norm(v, axis=1))
    angle = np.arccos(np.clip(u @ v.T / norms, -1, 1))
    return norms / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * np.cos(angle))


@partial(jax.jit, static_argnames="centered")
def discrepancy_of_features(x, s, *, centered):
    own, target = (arccos_self(a, patch_frames=K) for a in (x, s))
    return discrepancy(own, arccos_cross(x, s, patch_frames=K), target, centered=centered)


def test_discrepancy_of_features_is_that_of_float64():
    errors = {True: [], False: []}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        s = (1 + 0.2 * rng.standard_normal((120, 30))).astype(np.float32)
        x = (s + 1e-3 * rng.standard_normal(s.shape)).astype(np.float32)
        expected = exact_discrepancy(exact_kernel(x, x), exact_kernel(x, s), exact_kernel(s, s))
        for centered, found in errors.items():
            found.append(abs(float(discrepancy_of_features(x, s, centered=centered)) - expected))
    # The kernel's own rounding comes on top of that of the means.
    assert np.median(errors[True]) < 1e-8
    assert max(errors[True]) < 3e-8
    assert np.median(errors[False]) > 5 * np.median(errors[True])
