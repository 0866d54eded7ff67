from functools import cache, partial

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxst.kernels.arccos import arccos_cross, arccos_diagonal, arccos_kernel, arccos_self

K = 3


def exact(inner, sq_u, sq_v):
    """Cho & Saul (2009), eq. 3 and 6 with n = 1, halved, in float64."""
    inner, sq_u, sq_v = (np.asarray(value, np.float64) for value in (inner, sq_u, sq_v))
    norms = np.sqrt(sq_u * sq_v)
    angle = np.arccos(np.clip(inner / np.where(norms == 0, 1, norms), -1, 1))
    return norms / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * np.cos(angle))


def explicit_patches(a):
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(a, np.float64), K, axis=-2)
    return windows.reshape(*windows.shape[:-2], -1)


def exact_cross(a, b):
    u, v = explicit_patches(a), explicit_patches(b)
    sq_u, sq_v = np.sum(u**2, axis=-1)[..., :, None], np.sum(v**2, axis=-1)[..., None, :]
    return exact(np.einsum("...td,...sd->...ts", u, v), sq_u, sq_v)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@cache
def jitted(function, **static):
    return jax.jit(partial(function, **static) if static else function)


kernel = jitted(arccos_kernel)

# All directions, and many next to the parallel and the opposite one, where arccos is steepest.
COSINES = np.concatenate([np.linspace(-1, 1, 4001), 1 - np.logspace(-12, -1, 500), np.logspace(-12, -1, 500) - 1])


# --------------------------------------------------------------------------------------------------- the kernel


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 2e-9), (np.float32, 1e-7)])
def test_kernel_is_the_closed_form(dtype, tolerance):
    with jax.enable_x64(dtype == np.float64):
        sq_u, sq_v = np.full((2, len(COSINES)), [[9.0], [0.25]]).astype(dtype)
        inner = (1.5 * COSINES).astype(dtype)
        result = kernel(inner, sq_u, sq_v)
        assert result.dtype == dtype
        np.testing.assert_allclose(result, exact(inner, sq_u, sq_v), rtol=0, atol=tolerance * 1.5)


def test_kernel_has_the_values_that_geometry_gives():
    """Parallel: |u||v| / 2, as half of all filters see both. Right angle: |u||v| / 2 pi. Opposite: none sees both."""
    inner, sq_u, sq_v = np.array([[6, 0, -6, 0, 0], [4, 4, 4, 0, 0], [9, 9, 9, 9, 0]], np.float32)
    np.testing.assert_allclose(kernel(inner, sq_u, sq_v), [3, 6 / (2 * np.pi), 0, 0, 0], rtol=1e-6)


def test_kernel_is_the_mean_over_random_relu_filters():
    """The claim itself, E[relu(w.u) relu(w.v)], by Monte Carlo: within five standard errors of a million filters."""
    u, v = noise(2, 4, 5)
    v[0], v[1] = 2 * u[0], -0.5 * u[1]
    filters = np.random.default_rng(1).standard_normal((1_000_000, 5), np.float32)
    products = np.maximum(filters @ u.T, 0) * np.maximum(filters @ v.T, 0)
    error = products.std(axis=0) / np.sqrt(len(filters))
    result = np.asarray(kernel(np.sum(u * v, axis=-1), np.sum(u * u, axis=-1), np.sum(v * v, axis=-1)))
    assert np.all(np.abs(result - products.mean(axis=0)) <= 5 * error + 1e-6)
    assert np.all(error < 0.01 * np.maximum(result, 0.1))


def test_arguments_broadcast():
    inner, sq_u, sq_v = noise(4, 3), np.full((4, 1), 9, np.float32), np.full((1, 3), 16, np.float32)
    np.testing.assert_allclose(kernel(inner, sq_u, sq_v), exact(inner, sq_u, sq_v), rtol=1e-6)


def test_rounding_that_leads_beyond_the_parallel_is_harmless():
    """u.v may come out larger than |u||v|: no NaN, and continuous."""
    inner = np.nextafter(np.float32(1), [0, 1, 2], dtype=np.float32)
    one = np.ones(3, np.float32)
    value, gradient = jax.jit(jax.value_and_grad(lambda x: jnp.sum(arccos_kernel(x, one, one))))(inner)
    assert value == pytest.approx(1.5, abs=1e-6)
    np.testing.assert_allclose(gradient, 0.5, atol=1e-3)
    np.testing.assert_allclose(kernel(-inner, one, one), 0, atol=1e-7)


def closed_form_by_differences(primals, tangents, step=1e-6):
    """Directional derivative of the exact kernel in float64, not of the code under test."""
    ahead, behind = (exact(*(p + s * t for p, t in zip(primals, tangents, strict=True))) for s in (step, -step))
    return (ahead - behind) / (2 * step)


def test_derivatives_are_those_of_the_closed_form():
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        u, v = rng.standard_normal((2, 200, 3))
        primals = tuple(np.sum(pair, axis=-1) for pair in (u * v, u * u, v * v))
        for index in range(3):
            tangents = tuple(np.full(200, float(i == index)) for i in range(3))
            _, derivative = jax.jvp(kernel, tuple(map(jnp.asarray, primals)), tuple(map(jnp.asarray, tangents)))
            np.testing.assert_allclose(derivative, closed_form_by_differences(primals, tangents), atol=1e-7, rtol=1e-6)


def test_value_and_gradient_agree_in_the_value():
    """The rule for derivatives computes the kernel a second time."""
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal((2, 50, 3)).astype(np.float32)
    arguments = tuple(jnp.sum(pair, axis=-1) for pair in (u * v, u * u, v * v))
    value, _ = jax.jit(partial(jax.jvp, arccos_kernel))(arguments, arguments)
    np.testing.assert_allclose(value, kernel(*arguments), rtol=0, atol=1e-7 * np.max(value))


# ------------------------------------------------------------------------------------------- the kernel of patches


def test_patches_have_the_kernel_of_explicit_patches_in_every_batch():
    a, b, c = noise(2, 3, 11, 4), noise(2, 3, 8, 4, seed=1), noise(2, 3, 11, 4, seed=2)
    cross, own = exact_cross(a, b), exact_cross(a, a)
    np.testing.assert_allclose(jitted(arccos_cross, patch_frames=K)(a, b), cross, atol=1e-6 * own.max())
    np.testing.assert_allclose(jitted(arccos_self, patch_frames=K)(a), own, atol=1e-6 * own.max())
    diagonal = np.diagonal(exact_cross(a, c), axis1=-2, axis2=-1)
    np.testing.assert_allclose(jitted(arccos_diagonal, patch_frames=K)(a, c), diagonal, atol=1e-6 * own.max())


def test_a_random_convolution_has_these_products_of_features():
    """The network whose limit this is: filters over K frames and all frequencies, rectified. 1 / sqrt(N) remains."""
    a, b = noise(9, 4), noise(7, 4, seed=1)
    filters = np.random.default_rng(2).standard_normal((200_000, K * 4), np.float32)
    features = [np.maximum(explicit_patches(x).astype(np.float32) @ filters.T, 0) for x in (a, b)]
    gram = features[0] @ features[1].T / len(filters)
    result = np.asarray(jitted(arccos_cross, patch_frames=K)(a, b))
    np.testing.assert_allclose(result, gram, atol=0.02 * gram.max())


# Signals as the features may be: (frames, frequency).
SIGNALS = {
    "silence": np.zeros((9, 4), np.float32),
    "constant": np.full((9, 4), 0.5, np.float32),
    "click": np.eye(9, 4, -5, dtype=np.float32),
    "noise": noise(9, 4),
    "full scale": 1e4 * noise(9, 4),
    "inaudible": 1e-19 * noise(9, 4),  # squares underflow in float32
    "burst": noise(9, 4) * (np.arange(9) > 4)[:, None].astype(np.float32),
}


@jax.jit
@partial(jax.value_and_grad, argnums=(0, 1))
def sum_and_gradients(x, y):
    own, across = arccos_self(x, patch_frames=K), arccos_cross(x, y, patch_frames=K)
    return jnp.sum(own) + jnp.sum(across) + jnp.sum(arccos_diagonal(x, y, patch_frames=K))


@pytest.mark.parametrize("name", SIGNALS)
def test_values_and_gradients_are_finite(name):
    """Against silence, itself (parallel patches), its negative (opposite patches) and noise."""
    x = SIGNALS[name]
    for y in (SIGNALS["silence"], x, -x, SIGNALS["noise"]):
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(sum_and_gradients(x, y)))


def test_content_distance_is_flat_at_the_content_itself():
    """|phi(x) - phi(c)|^2 = k(x, x) - 2 k(x, c) + k(c, c) is least, and has no gradient, where x = c."""
    c = noise(9, 4)

    def distance(x):
        pairs = ((x, x), (x, c), (c, c))
        own, across, target = (arccos_diagonal(*map(jnp.asarray, p), patch_frames=K) for p in pairs)
        return jnp.sum(own - 2 * across + target)

    value, gradient = jax.jit(jax.value_and_grad(distance))(c)
    assert abs(value) < 1e-5
    np.testing.assert_allclose(gradient, 0, atol=2e-3)
    assert jax.jit(distance)(1.01 * c) > 10 * abs(value)


@pytest.mark.parametrize("patch_frames", [0, 8])
def test_patches_that_do_not_fit_are_refused(patch_frames):
    longer, shorter = jnp.zeros((9, 4)), jnp.zeros((7, 4))
    message = f"patch_frames={patch_frames} must be between 1 and the number of frames"
    with pytest.raises(ValueError, match=message):
        arccos_cross(longer, shorter, patch_frames=patch_frames)
    with pytest.raises(ValueError, match=message):
        arccos_self(shorter, patch_frames=patch_frames)
    with pytest.raises(ValueError, match=message):
        arccos_diagonal(shorter, shorter, patch_frames=patch_frames)


# ---------------------------------------------------------------------------------------------------- invariants

FEATURES = hnp.arrays(np.float32, (8, 3), elements=st.floats(-10, 10, width=16))


@given(features=FEATURES)
@settings(deadline=None, max_examples=40)
def test_kernel_matrix_is_symmetric_and_positive_semidefinite(features):
    matrix = np.asarray(jitted(arccos_self, patch_frames=K)(features), np.float64)
    scale = max(matrix.max(), 1e-30)
    np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=1e-6 * scale)
    assert np.linalg.eigvalsh((matrix + matrix.T) / 2).min() >= -1e-5 * scale
    norms = np.sum(explicit_patches(features) ** 2, axis=-1)
    np.testing.assert_allclose(np.diagonal(matrix), norms / 2, rtol=1e-5, atol=1e-6 * scale)


@given(a=FEATURES, b=FEATURES, gain=st.floats(2**-7, 2**7, width=32))
@settings(deadline=None, max_examples=40)
def test_kernel_is_homogeneous_and_bounded(a, b, gain):
    """k(g u, v) = g k(u, v) for g > 0, and 0 <= k(u, v) <= |u||v| / 2."""
    cross = jitted(arccos_cross, patch_frames=K)
    matrix, louder = np.asarray(cross(a, b)), np.asarray(cross(np.float32(gain) * a, b))
    norms = [np.linalg.norm(explicit_patches(x), axis=-1) for x in (a, b)]
    bound = np.outer(*norms) / 2
    np.testing.assert_allclose(louder, gain * matrix, rtol=0, atol=2e-6 * gain * max(bound.max(), 1e-30))
    assert np.all(matrix >= -1e-6 * bound - 1e-30)
    assert np.all(matrix <= (1 + 1e-5) * bound + 1e-30)
