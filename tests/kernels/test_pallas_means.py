"""The kernel for TPUs, interpreted, against the matrix of all pairs; `test_tiled_means.py` shows where it is used."""

from functools import partial

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.kernels import pallas_means
from jaxst.kernels.arccos import arccos_cross
from jaxst.kernels.kernel_means import mean_square_kernel
from jaxst.kernels.pallas_means import mean_and_gradients

FREQUENCY, CENTER = 5, 0.7


def noise(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def distribution(count, seed):
    """Weights that add up to 1, some of them zero."""
    weights = np.random.default_rng(seed).uniform(0.1, 1, count)
    weights[count // 3 : count // 2] = 0
    return jnp.asarray(weights / weights.sum(), jnp.float32)


@partial(jax.jit, static_argnums=(3, 4))
def interpreted(a, b, constants, patch_frames, symmetric=False):
    return mean_and_gradients(a, b, constants, patch_frames=patch_frames, symmetric=symmetric, interpret=True)


@partial(jax.jit, static_argnums=3)
@partial(jax.value_and_grad, argnums=(0, 1))
def expected(a, b, constants, patch_frames):
    row_weights, column_weights, center = constants
    kernel = arccos_cross(a, b, patch_frames=patch_frames)
    return mean_square_kernel(kernel, center=center, row_weights=row_weights, column_weights=column_weights)


def assert_same(actual, wanted):
    """To 1e-5 of the value, and of a gradient's largest one."""
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())


@pytest.fixture
def small_tiles(monkeypatch):
    """Of 32 frames or, for patches longer than 16, one or several times 16 more."""
    monkeypatch.setattr(pallas_means, "LANES", 16)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(("patch_frames", "n_a", "n_b"), [(1, 70, 30), (6, 20, 60), (21, 60, 90)])
def test_it_gives_the_mean_and_gradients_of_the_matrix(patch_frames, n_a, n_b):
    a, b = noise(n_a, FREQUENCY), noise(n_b, FREQUENCY, seed=1)
    weights = (distribution(n - patch_frames + 1, n) for n in (n_a, n_b))
    constants = *weights, jnp.float32(CENTER)
    assert_same(interpreted(a, b, constants, patch_frames), expected(a, b, constants, patch_frames))


def test_of_one_signal_both_gradients_are_the_same():
    a, weights = noise(400, FREQUENCY), distribution(396, 1)
    constants = weights, weights, jnp.float32(CENTER)
    assert_same(interpreted(a, a, constants, 5, True), expected(a, a, constants, 5))


def test_batches_share_what_they_share():
    a, b = noise(2, 300, FREQUENCY), noise(270, FREQUENCY, seed=1)
    constants = distribution(298, 1), distribution(268, 2), jnp.float32(CENTER)
    batched = jax.vmap(lambda a: interpreted(a, b, constants, 3))(a)
    looped = [expected(x, b, constants, 3) for x in a]
    assert_same(batched, jax.tree.map(lambda *leaves: jnp.stack(leaves), *looped))


def test_silence_has_no_gradient():
    silence, b = jnp.zeros((280, FREQUENCY)), noise(300, FREQUENCY)
    constants = distribution(278, 1), distribution(298, 2), jnp.float32(CENTER)
    mean, gradients = interpreted(silence, b, constants, 3)
    assert float(mean) == pytest.approx(-CENTER, rel=1e-5)
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 0)


def test_it_lowers_for_tpus_and_for_nothing_else():
    def shape(*dimensions):
        return jax.ShapeDtypeStruct(dimensions, jnp.float32)

    function = jax.jit(partial(mean_and_gradients, patch_frames=11, symmetric=False))
    arguments = shape(2_500, 257), shape(2_000, 257), (shape(2_490), shape(1_990), shape())
    module = jax.export.export(function, platforms=["tpu"])(*arguments)
    assert module.mlir_module().count("@tpu_custom_call") == 2
    assert [leaf.shape for leaf in module.out_avals] == [(), (2_500, 257), (2_000, 257)]
    with pytest.raises(ValueError, match="tpu"):
        jax.export.export(function, platforms=["cuda"])(*arguments)
