import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxst.statistics import gaussian

summarize = jax.jit(gaussian.summarize, static_argnums=1)
style_distance = jax.jit(gaussian.style_distance)
differentiate = jax.jit(jax.value_and_grad(gaussian.style_distance))


def draw(n_frames, *, n_groups=2, n_values=5, seed=0):
    """Correlated, off center, `(groups, frames, values)`."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((n_groups, n_values, n_values))
    return rng.standard_normal((n_groups, n_frames, n_values)) @ mixing + rng.standard_normal((n_groups, 1, n_values))


def moments(x):
    return x.mean(axis=0), np.cov(x, rowvar=False, bias=True)


def squared_distance(a, b):
    """Of one group: Dowson & Landau 1982, eq. 4."""
    (mean_a, covariance_a), (mean_b, covariance_b) = a, b
    root = scipy.linalg.sqrtm(covariance_a)
    cross = scipy.linalg.sqrtm(root @ covariance_b @ root)
    return np.sum((mean_a - mean_b) ** 2) + np.trace(covariance_a + covariance_b - 2 * cross).real


def single(*arrays):
    return tuple(jnp.asarray(array, jnp.float32) for array in arrays)


# More and fewer style frames than values: with and without the smaller factor.
@pytest.mark.parametrize("n_style_frames", [50, 6])
def test_it_is_the_distance_by_square_roots_of_matrices(n_style_frames):
    x, s = draw(30), draw(n_style_frames, seed=1)
    expected = sum(squared_distance(moments(a), moments(b)) for a, b in zip(x, s, strict=True))
    summary = summarize(list(single(s)), (1.0,))
    assert float(style_distance(single(x)[0][None], summary)) == pytest.approx(expected, rel=1e-4)
    with jax.enable_x64(True):
        summary = gaussian.summarize([jnp.asarray(s)], (1.0,))
        assert float(gaussian.style_distance(jnp.asarray(x)[None], summary)) == pytest.approx(expected, rel=1e-8)


def test_the_norm_is_the_distance_from_silence():
    (s,) = single(draw(20))
    summary = summarize([s], (1.0,))
    assert float(style_distance(jnp.zeros((1, 2, 7, 5)), summary)) == pytest.approx(float(summary.sq_norm), rel=1e-5)
    assert float(summary.sq_norm) == pytest.approx(float(jnp.sum(s**2)) / 20, rel=1e-5)


def test_fewer_frames_than_values_are_enough():
    """Covariances without an inverse."""
    x, s = draw(3, n_values=8), draw(4, n_values=8, seed=1)
    x_padded, s_padded = (np.cov(v[0], rowvar=False, bias=True) for v in (x, s))

    def root(matrix):
        values, vectors = np.linalg.eigh(matrix)
        return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T

    cross = np.trace(root(root(x_padded) @ s_padded @ root(x_padded)))
    expected = np.sum((x[0].mean(axis=0) - s[0].mean(axis=0)) ** 2) + np.trace(x_padded + s_padded) - 2 * cross
    summary = summarize(list(single(s[:1])), (1.0,))
    assert float(style_distance(single(x[:1])[0][None], summary)) == pytest.approx(expected, rel=1e-4)


def test_styles_are_pooled_by_their_mix():
    """Moments of a mixture, whatever the lengths of its parts."""
    x, *styles = draw(30), draw(40, seed=1), draw(25, seed=2)
    shares = np.array([0.75, 0.25])
    expected = 0.0
    for group in range(2):
        parts = [moments(style[group]) for style in styles]
        mean = sum(share * part[0] for share, part in zip(shares, parts, strict=True))
        second = sum(
            share * (covariance + np.outer(m, m)) for share, (m, covariance) in zip(shares, parts, strict=True)
        )
        expected += squared_distance(moments(x[group]), (mean, second - np.outer(mean, mean)))
    summary = summarize(list(single(*styles)), (3.0, 1.0))
    assert float(style_distance(single(x)[0][None], summary)) == pytest.approx(expected, rel=1e-4)


def test_channels_are_averaged():
    x, s = single(draw(30), draw(40, seed=1))
    summary = summarize([s], (1.0,))
    alone = [float(style_distance(y[None], summary)) for y in (x, 2 * x)]
    assert float(style_distance(jnp.stack([x, 2 * x]), summary)) == pytest.approx(np.mean(alone), rel=1e-5)


def test_it_vanishes_at_the_style_itself_and_is_finite_there():
    (s,) = single(draw(40))
    summary = summarize([s], (1.0,))
    for n_times in (1, 3):
        value, gradient = differentiate(jnp.concatenate([s] * n_times, axis=1)[None], summary)
        assert abs(float(value)) < 1e-5 * float(summary.sq_norm)
        assert np.abs(gradient).max() < 1e-4
    constant = summarize([jnp.ones((2, 9, 5))], (1.0,))
    value, gradient = differentiate(jnp.ones((1, 2, 6, 5)), constant)
    assert float(value) == 0
    np.testing.assert_array_equal(gradient, 0)


def test_gradients_are_derivatives():
    rng = np.random.default_rng(4)
    with jax.enable_x64(True):
        x, s = jnp.asarray(draw(12)[None]), jnp.asarray(draw(20, seed=1))
        summary = gaussian.summarize([s], (1.0,))
        step = 1e-6 * jnp.asarray(rng.standard_normal(x.shape))
        _, gradient = differentiate(x, summary)
        rise = (style_distance(x + step, summary) - style_distance(x - step, summary)) / 2
        assert float(jnp.sum(gradient * step)) == pytest.approx(float(rise), rel=1e-6)
