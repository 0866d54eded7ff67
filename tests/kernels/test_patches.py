from functools import cache, partial

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxst.kernels.patches import patch_dot_products, patch_inner_products, patch_sq_norms

FRAMES_A, FRAMES_B, FREQUENCY = 13, 9, 4
LENGTHS = [1, 2, 5, 8, 9]  # up to a single patch of all frames of the shorter signal


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def explicit_patches(a, patch_frames):
    """`(..., patches, frequency * patch_frames)` in float64."""
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(a, np.float64), patch_frames, axis=-2)
    return windows.reshape(*windows.shape[:-2], -1)


def inner_products(a, b, patch_frames):
    """By the definition: one pair, one frame and one frequency after the other, for two signals without batch."""
    n_a, n_b = len(a) - patch_frames + 1, len(b) - patch_frames + 1
    result = np.zeros((n_a, n_b))
    for t in range(n_a):
        for s in range(n_b):
            for j in range(patch_frames):
                result[t, s] += sum(float(p) * float(q) for p, q in zip(a[t + j], b[s + j], strict=True))
    return result


@cache
def jitted(function, patch_frames):
    return jax.jit(partial(function, patch_frames=patch_frames))


@pytest.mark.parametrize("patch_frames", LENGTHS)
def test_inner_products_are_those_of_the_definition(patch_frames):
    a, b = noise(FRAMES_A, FREQUENCY), noise(FRAMES_B, FREQUENCY, seed=1)
    expected = inner_products(a, b, patch_frames)
    np.testing.assert_allclose(jitted(patch_inner_products, patch_frames)(a, b), expected, atol=1e-5)


@pytest.mark.parametrize("patch_frames", LENGTHS)
def test_products_are_those_of_explicit_patches_in_every_batch(patch_frames):
    a, b = noise(2, 3, FRAMES_B, FREQUENCY), noise(2, 3, FRAMES_B, FREQUENCY, seed=1)
    u, v = explicit_patches(a, patch_frames), explicit_patches(b, patch_frames)
    for function, arguments, expected in (
        (patch_inner_products, (a, b), np.einsum("...td,...sd->...ts", u, v)),
        (patch_dot_products, (a, b), np.sum(u * v, axis=-1)),
        (patch_sq_norms, (a,), np.sum(u * u, axis=-1)),
    ):
        result = jitted(function, patch_frames)(*arguments)
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_vmap_over_one_side_shares_the_other():
    a, b = noise(3, FRAMES_A, FREQUENCY), noise(FRAMES_B, FREQUENCY, seed=1)
    result = jax.jit(jax.vmap(partial(patch_inner_products, patch_frames=4), in_axes=(0, None)))(a, b)
    np.testing.assert_allclose(result, [inner_products(x, b, 4) for x in a], atol=1e-5)


@given(
    values=hnp.arrays(np.float32, (2, FRAMES_B, FREQUENCY), elements=st.integers(-9, 9).map(float)),
    patch_frames=st.sampled_from([1, 4]),
)
@settings(deadline=None, max_examples=30)
def test_products_of_whole_numbers_keep_their_identities(values, patch_frames):
    """Nothing is rounded, so symmetry, the diagonal and the norm of a sum hold exactly."""
    a, b = values
    products = np.asarray(jitted(patch_inner_products, patch_frames)(a, b))
    np.testing.assert_array_equal(products, np.asarray(jitted(patch_inner_products, patch_frames)(b, a)).T)
    np.testing.assert_array_equal(np.diagonal(products), jitted(patch_dot_products, patch_frames)(a, b))
    sq_a, sq_b, sq_sum = (np.asarray(jitted(patch_sq_norms, patch_frames)(x)) for x in (a, b, a + b))
    np.testing.assert_array_equal(sq_sum, sq_a + 2 * np.diagonal(products) + sq_b)


@pytest.mark.parametrize("patch_frames", [1, 3, 9])
def test_gradient_of_the_inner_products_is_the_sum_over_the_patches_that_a_frame_is_in(patch_frames):
    """The backward pass is written by hand: here it is compared, entry by entry, with its definition."""
    a, b = noise(FRAMES_A, FREQUENCY), noise(FRAMES_B, FREQUENCY, seed=1)
    n_a, n_b = FRAMES_A - patch_frames + 1, FRAMES_B - patch_frames + 1
    cotangent = noise(n_a, n_b, seed=2)
    d_a, d_b = np.zeros(a.shape), np.zeros(b.shape)
    for t in range(n_a):
        for s in range(n_b):
            d_a[t : t + patch_frames] += cotangent[t, s] * b[s : s + patch_frames]
            d_b[s : s + patch_frames] += cotangent[t, s] * a[t : t + patch_frames]
    _, pull_back = jax.vjp(jitted(patch_inner_products, patch_frames), a, b)
    for actual, expected in zip(pull_back(jnp.asarray(cotangent)), (d_a, d_b), strict=True):
        np.testing.assert_allclose(actual, expected, atol=2e-5)


@pytest.mark.parametrize("patch_frames", [-1, 0, FRAMES_B + 1])
def test_patches_that_do_not_fit_are_refused(patch_frames):
    longer, shorter = jnp.zeros((FRAMES_A, FREQUENCY)), jnp.zeros((FRAMES_B, FREQUENCY))
    message = f"patch_frames={patch_frames} must be between 1 and the number of frames"
    for function, arguments in (
        (patch_inner_products, (longer, shorter)),
        (patch_inner_products, (shorter, longer)),
        (patch_dot_products, (shorter, shorter)),
        (patch_sq_norms, (shorter,)),
    ):
        with pytest.raises(ValueError, match=message):
            function(*arguments, patch_frames=patch_frames)
