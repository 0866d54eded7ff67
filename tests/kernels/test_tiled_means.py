"""Against the matrix of all pairs, which `test_arccos.py` and `test_kernel_means.py` compare with definitions."""

from functools import partial

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.kernels.arccos import arccos_cross, arccos_self
from jaxst.kernels.kernel_means import mean_square_kernel
from jaxst.kernels.tiled_means import CPU_TILE, TILE, mean_square_arccos_cross, mean_square_arccos_self

FREQUENCY, CENTER = 5, 0.7
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-11}


def noise(*shape, seed=0, dtype=np.float32):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def distribution(count, seed, dtype=np.float32):
    """Weights that add up to 1, some of them zero, as for patches that span two recordings."""
    weights = np.random.default_rng(seed).uniform(0.1, 1, count)
    weights[count // 3 : count // 2] = 0
    return jnp.asarray(weights / weights.sum(), dtype)


def value_and_gradients(function, *signals):
    """Of a weighted sum over the batch."""

    def total(*signals):
        means = function(*signals)
        return jnp.vdot(means, jnp.arange(1, means.size + 1, dtype=means.dtype)), means

    return jax.jit(jax.value_and_grad(total, argnums=tuple(range(len(signals))), has_aux=True))(*signals)


def assert_same(actual, expected, tolerance):
    """Means, and gradients up to a share of the largest value."""
    ((_, means), gradients), ((_, expected_means), expected_gradients) = actual, expected
    np.testing.assert_allclose(means, expected_means, rtol=tolerance)
    for one, other in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * np.abs(other).max())


def dense_cross(a, b, *, patch_frames, **options):
    return mean_square_kernel(arccos_cross(a, b, patch_frames=patch_frames), **options)


def dense_self(a, *, patch_frames, weights=None, **options):
    kernel = arccos_self(a, patch_frames=patch_frames)
    return mean_square_kernel(kernel, row_weights=weights, column_weights=weights, **options)


# Patches in several tiles that they do not fill, in one, and fewer than frames in a patch.
SIZES = {"K=1": (1, 23, 17, 5), "K=4": (4, 40, 26, 9), "K=21": (21, 50, 63, 8), "one tile": (3, 9, 12, 20)}
sizes = pytest.mark.parametrize(("patch_frames", "n_a", "n_b", "tile"), SIZES.values(), ids=SIZES)
precisions = pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda dtype: dtype.__name__)


@precisions
@sizes
def test_mean_between_two_signals_is_that_of_the_matrix(patch_frames, n_a, n_b, tile, dtype):
    with jax.enable_x64(dtype is np.float64):
        a, b = (noise(2, n, FREQUENCY, seed=n, dtype=dtype) for n in (n_a, n_b))
        options = {
            "patch_frames": patch_frames,
            "center": CENTER,
            "column_weights": distribution(n_b - patch_frames + 1, 1, dtype),
        }
        tiled = partial(mean_square_arccos_cross, tile=tile, **options)
        dense = partial(dense_cross, **options)
        assert_same(value_and_gradients(tiled, a, b), value_and_gradients(dense, a, b), TOLERANCE[dtype])


@precisions
@sizes
def test_mean_of_one_signal_is_that_of_the_matrix(patch_frames, n_a, n_b, tile, dtype):
    with jax.enable_x64(dtype is np.float64):
        a = noise(n_a, FREQUENCY, dtype=dtype)
        options = {
            "patch_frames": patch_frames,
            "center": CENTER,
            "weights": distribution(n_a - patch_frames + 1, 1, dtype),
        }
        tiled, dense = partial(mean_square_arccos_self, tile=tile, **options), partial(dense_self, **options)
        assert_same(value_and_gradients(tiled, a), value_and_gradients(dense, a), TOLERANCE[dtype])


def test_both_sides_may_be_weighted_and_the_same():
    a = noise(30, FREQUENCY)
    options = {"patch_frames": 3, "row_weights": distribution(28, 1), "column_weights": distribution(28, 2)}
    tiled = partial(mean_square_arccos_cross, tile=10, **options)
    dense = partial(dense_cross, **options)
    assert_same(*(value_and_gradients(lambda a, f=f: f(a, a), a) for f in (tiled, dense)), 1e-5)


def test_one_signal_may_be_shared_by_a_batch_that_is_mapped_in_turn():
    """As groups of responses are, with their derivative taken anew."""
    a, b = noise(3, 2, 25, FREQUENCY), noise(3, 20, FREQUENCY, seed=1)

    def mapped(function, a, b):
        def shared(group):
            return jnp.sum(jax.vmap(lambda a: function(a, group[1], patch_frames=3, center=CENTER))(group[0]))

        return jax.lax.map(jax.checkpoint(shared), (a, b))

    tiled = partial(mapped, partial(mean_square_arccos_cross, tile=8))
    assert_same(value_and_gradients(tiled, a, b), value_and_gradients(partial(mapped, dense_cross), a, b), 1e-5)


def test_silence_has_no_gradient():
    silence, b = jnp.zeros((20, FREQUENCY)), noise(20, FREQUENCY)
    half = jnp.concatenate([b, silence])
    cross = partial(mean_square_arccos_cross, patch_frames=3, center=CENTER, tile=8)
    own = partial(mean_square_arccos_self, patch_frames=3, center=CENTER, tile=8)
    for function, signals in ((cross, (silence, b)), (own, (silence,))):
        (_, mean), gradients = value_and_gradients(function, *signals)
        assert mean == pytest.approx(-CENTER, rel=1e-6)
        for gradient in gradients:
            np.testing.assert_array_equal(gradient, 0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(value_and_gradients(own, half)))


def test_fewer_frames_than_a_patch_are_refused():
    a, b = noise(8, FREQUENCY), noise(3, FREQUENCY)
    with pytest.raises(ValueError, match="patch_frames=4 must be between 1 and the number of frames, 3"):
        mean_square_arccos_cross(a, b, patch_frames=4)
    with pytest.raises(ValueError, match="patch_frames=9 must be between 1 and the number of frames, 8"):
        mean_square_arccos_self(a, patch_frames=9)


def test_the_discrepancy_of_nearly_equal_signals_survives_single_precision():
    """To 3e-8 of the mean, as of whole matrices."""

    def discrepancy(own, cross, x, s, center):
        return own(x, center=center) - 2 * cross(x, s, center=center) + own(s, center=center)

    @jax.jit
    def tiled(x, s):
        own, cross = (
            partial(function, patch_frames=4, tile=40)
            for function in (mean_square_arccos_self, mean_square_arccos_cross)
        )
        return discrepancy(own, cross, x, s, own(s)) / own(s)

    @jax.jit
    def exact(x, s):
        own, cross = (partial(function, patch_frames=4) for function in (dense_self, dense_cross))
        return discrepancy(own, cross, x, s, own(s)) / own(s)

    errors = []
    for seed in range(10):
        s = 1 + 0.2 * noise(120, 30, seed=seed)
        x = s + 1e-3 * noise(120, 30, seed=seed + 100)
        with jax.enable_x64(True):
            expected = float(exact(x.astype(float), s.astype(float)))
        errors.append(abs(float(tiled(x, s)) - expected))
    assert max(errors) < 3e-8


# ------------------------------------------------------------------------------------------------- long signals


def of_both(a, b):
    own = mean_square_arccos_self(a, patch_frames=11, center=CENTER)
    return own - 2 * mean_square_arccos_cross(a, b, patch_frames=11, center=CENTER)


def test_memory_does_not_grow_with_the_square_of_the_length():
    """A quarter of one matrix of all pairs for everything, where whole matrices take several."""
    n_frames = 4_000
    signals = [jax.ShapeDtypeStruct((n_frames, FREQUENCY), jnp.float32)] * 2
    compiled = jax.jit(jax.value_and_grad(of_both)).lower(*signals).compile()
    assert 0 < compiled.memory_analysis().temp_size_in_bytes < 4 * n_frames**2 / 4


def test_tiles_are_chosen_by_length_and_platform():
    """On a TPU long signals have a kernel of their own: for one gradient of either mean, as only that is asked for."""

    def exported(n_frames, platform):
        signals = [jax.ShapeDtypeStruct((n_frames, FREQUENCY), jnp.float32)] * 2
        return jax.export.export(jax.jit(jax.value_and_grad(of_both)), platforms=[platform])(*signals).mlir_module()

    kernels = {
        platform: exported(TILE + 100, platform).count("@tpu_custom_call") for platform in ("cpu", "cuda", "tpu")
    }
    assert kernels == {"cpu": 0, "cuda": 0, "tpu": 2}
    assert "tpu_custom_call" not in exported(CPU_TILE + 100, "tpu")


def test_lengths_that_take_several_tiles_by_default_agree():
    a, b = noise(CPU_TILE + 150, 3), noise(CPU_TILE + 60, 3, seed=1)
    options = {"patch_frames": 4, "center": CENTER}
    assert_same(
        *(value_and_gradients(partial(f, **options), a, b) for f in (mean_square_arccos_cross, dense_cross)), 1e-5
    )
