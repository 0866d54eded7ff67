import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxst.kernels.gram import gram


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def plain(features):
    """For the derivative that JAX would write."""
    return jnp.einsum("...ti,...tj->...ij", features, features) / features.shape[-2]


def gram_of(features):
    """The definition, one pair after the other, of features without batch."""
    time, channels = features.shape
    features = features.astype(float)
    pairs = [[sum(features[:, i] * features[:, j]) / time for j in range(channels)] for i in range(channels)]
    return np.array(pairs)


@pytest.mark.parametrize(("time", "channels"), [(7, 3), (1, 4), (5, 1), (200, 40)])
def test_gram_is_the_mean_product_of_all_pairs(time, channels):
    features = noise(2, 3, time, channels)
    result = jax.jit(gram)(features)
    expected = [[gram_of(entry) for entry in row] for row in features]
    np.testing.assert_allclose(result, expected, atol=1e-6)
    np.testing.assert_array_equal(result, np.swapaxes(result, -1, -2))


def test_neither_order_nor_repetition_of_frames_matters():
    features = noise(9, 3)
    reordered = np.tile(np.random.default_rng(1).permutation(features), (4, 1))
    np.testing.assert_allclose(gram(jnp.asarray(reordered)), gram(jnp.asarray(features)), rtol=1e-5)


@pytest.mark.parametrize("shape", [(7, 3), (2, 5, 4)])
def test_the_derivative_is_that_of_the_plain_product(shape):
    """In both modes, for cotangents that are not symmetric."""
    features, tangent = jnp.asarray(noise(*shape)), jnp.asarray(noise(*shape, seed=1))
    cotangent = jnp.asarray(noise(*shape[:-2], shape[-1], shape[-1], seed=2))
    assert np.abs(cotangent - np.swapaxes(cotangent, -1, -2)).max() > 1
    for pulled, expected in zip(
        jax.vjp(gram, features)[1](cotangent), jax.vjp(plain, features)[1](cotangent), strict=True
    ):
        np.testing.assert_allclose(pulled, expected, atol=2e-6)
    for pushed, expected in zip(*(jax.jvp(f, (features,), (tangent,)) for f in (gram, plain)), strict=True):
        np.testing.assert_allclose(pushed, expected, atol=2e-6)


def test_derivatives_of_second_order():
    with jax.enable_x64(True):
        features = jnp.asarray(np.random.default_rng(0).standard_normal((5, 3)))
        check_grads(jax.jit(lambda x: jnp.sum(jnp.tanh(gram(x)))), (features,), order=2, atol=1e-6, rtol=1e-6)


def test_a_gradient_is_one_product():
    """Besides that of the value: JAX would write two."""
    features = noise(7, 3)
    program = jax.make_jaxpr(jax.grad(lambda x: jnp.sum(gram(x) ** 2)))(features)
    assert str(program).count("dot_general[") == 2
    program = jax.make_jaxpr(jax.grad(lambda x: jnp.sum(plain(x) ** 2)))(features)
    assert str(program).count("dot_general[") == 3
