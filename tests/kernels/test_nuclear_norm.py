import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.kernels.nuclear_norm import nuclear_norm, polar_factor

factor = jax.jit(polar_factor)
norm_and_gradient = jax.jit(jax.value_and_grad(lambda matrix: jnp.sum(nuclear_norm(matrix))))
SHAPES = [(7, 7), (12, 5), (5, 12), (1, 9), (9, 1), (1, 1), (60, 60), (100, 40)]


def random_matrix(shape, *, rank=None, decay=0.0, seed=0):
    """With singular values 1, 10^-decay, 10^-2decay... of the first `rank` directions."""
    rng = np.random.default_rng(seed)
    rank = min(shape) if rank is None else rank
    left, right = (np.linalg.qr(rng.standard_normal((size, size)))[0][:, :rank] for size in shape)
    return (left * 10.0 ** (-decay * np.arange(rank))) @ right.T


def decomposed(matrix):
    """Singular values and U V^T, of the directions whose singular value is not zero."""
    u, values, v = np.linalg.svd(np.asarray(matrix, np.float64), full_matrices=False)
    there = values > 1e-6 * values.max(initial=1e-30)
    return values, u[:, there] @ v[there]


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_sum_of_the_singular_values_and_its_gradient_the_polar_factor(shape):
    matrix = np.random.default_rng(1).standard_normal(shape)
    values, polar = decomposed(matrix)
    value, gradient = norm_and_gradient(jnp.asarray(matrix, jnp.float32))
    assert float(value) == pytest.approx(values.sum(), rel=1e-5)
    # A square random matrix has a singular value near zero, whose direction is the least certain.
    tolerance = 1e-5 * values.max() / values.min()
    np.testing.assert_allclose(gradient, polar, atol=tolerance)
    np.testing.assert_allclose(factor(jnp.asarray(matrix, jnp.float32)), gradient, atol=1e-6)


@pytest.mark.parametrize("shape", [(40, 12), (12, 40)])
def test_the_polar_factor_has_orthonormal_rows_or_columns(shape):
    q = np.asarray(factor(jnp.asarray(np.random.default_rng(2).standard_normal(shape), jnp.float32)))
    product = q.T @ q if shape[0] > shape[1] else q @ q.T
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=2e-6)


@pytest.mark.parametrize("rank", [1, 3, 9])
def test_directions_without_any_value_stay_without(rank):
    matrix = random_matrix((20, 10), rank=rank)
    value, gradient = norm_and_gradient(jnp.asarray(matrix, jnp.float32))
    assert float(value) == pytest.approx(rank, rel=1e-5)
    _, polar = decomposed(matrix)
    kept = polar @ polar.T
    # Rounding gives directions of value zero about 1e-8 of the norm, and the iteration multiplies that by up to 1e5.
    np.testing.assert_allclose(kept @ np.asarray(gradient), polar, atol=1e-4)


def test_zeros_have_the_norm_and_the_gradient_zero():
    value, gradient = norm_and_gradient(jnp.zeros((4, 3)))
    assert float(value) == 0
    np.testing.assert_array_equal(gradient, 0)
    value, gradient = norm_and_gradient(jnp.stack([jnp.zeros((3, 3)), jnp.eye(3)]))
    assert float(value) == pytest.approx(3, rel=1e-6)
    np.testing.assert_allclose(gradient, [np.zeros((3, 3)), np.eye(3)], atol=1e-6)


@pytest.mark.parametrize("scale", [1e-15, 1e-6, 1e6, 1e15])
def test_the_level_does_not_matter(scale):
    matrix = random_matrix((15, 10), decay=0.2)
    value, gradient = norm_and_gradient(jnp.asarray(scale * matrix, jnp.float32))
    assert float(value) == pytest.approx(scale * decomposed(matrix)[0].sum(), rel=1e-5)
    np.testing.assert_allclose(gradient, decomposed(matrix)[1], atol=1e-4)


def test_values_over_four_decades_are_summed_and_the_least_count_as_less():
    """Below 1e-5 of the norm a direction counts for less than its value, which the sum then hardly consists of."""
    matrix = random_matrix((30, 9), decay=0.5)
    value, gradient = norm_and_gradient(jnp.asarray(matrix, jnp.float32))
    assert float(value) == pytest.approx(decomposed(matrix)[0].sum(), rel=1e-6)
    np.testing.assert_allclose(gradient, decomposed(matrix)[1], atol=5e-3)
    with jax.enable_x64(True):
        deep = random_matrix((30, 9), decay=1.0)
        value, gradient = norm_and_gradient(jnp.asarray(deep))
        values = np.linalg.svd(np.asarray(gradient), compute_uv=False)
    assert float(value) == pytest.approx((10.0 ** -np.arange(9)).sum(), rel=1e-6)
    assert values.max() < 1 + 1e-9
    assert values.min() < 0.9
    np.testing.assert_allclose(values[:5], 1, atol=1e-3)


def test_a_batch_is_summed_matrix_by_matrix():
    batch = np.random.default_rng(3).standard_normal((2, 3, 6, 4))
    expected = np.linalg.svd(batch, compute_uv=False).sum(axis=-1)
    np.testing.assert_allclose(jax.jit(nuclear_norm)(jnp.asarray(batch, jnp.float32)), expected, rtol=1e-5)
