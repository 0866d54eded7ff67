from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.network import PLAIN, Product
from jaxst.statistics import gram
from jaxst.statistics.gram import GramMatrices, StyleFrames

K = 3
RECTIFIED = Product(rectified=True, patch_frames=K)


# Compiled as the engine does it: operation by operation the same takes several times as long. One group.
@partial(jax.jit, static_argnums=1)
def summarize_style(styles, mix):
    return gram.summarize([style[None] for style in styles], mix, RECTIFIED)


@jax.jit
def style_distance(x, summary):
    return gram.style_distance(x[:, None], summary) / summary.sq_norm


@jax.jit
def content_distance(x, content):
    distance, norm = gram.content_distance(x[:, None], content[:, None], RECTIFIED)
    return distance / norm


def patches(frames):
    """Explicit patches `(patches, K * frequency)` in float64."""
    frames = np.asarray(frames, np.float64)
    return np.stack([frames[t : t + K].ravel() for t in range(len(frames) - K + 1)])


def kernel(u, v):
    """Cho & Saul's formula, halved, written as in the paper."""
    norms = np.linalg.norm(u, axis=1)[:, None] * np.linalg.norm(v, axis=1)[None]
    angle = np.arccos(np.clip(u @ v.T / norms, -1, 1))
    return norms / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * np.cos(angle))


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal((n, 4)), jnp.float32) for n in (20, 13, 17)]


def test_style_distance_is_the_squared_discrepancy(features):
    x, s, _ = features
    summary = summarize_style([s], (1.0,))
    u, v = patches(x), patches(s)
    scale = (kernel(v, v) ** 2).mean()
    expected = ((kernel(u, u) ** 2).mean() - 2 * (kernel(u, v) ** 2).mean() + scale) / scale
    assert float(style_distance(x[None], summary)) == pytest.approx(expected, rel=1e-4)
    assert float(summary.sq_norm) == pytest.approx(scale, rel=1e-5)


def test_pooled_styles_are_a_mixture_without_patches_across_the_joint(features):
    x, *styles = features
    summary = summarize_style(styles, (3.0, 1.0))
    u, (v, w) = patches(x), map(patches, styles)
    shares = np.concatenate([np.full(len(v), 0.75 / len(v)), np.full(len(w), 0.25 / len(w))])
    pool = np.concatenate([v, w])
    scale = shares @ kernel(pool, pool) ** 2 @ shares
    expected = ((kernel(u, u) ** 2).mean() - 2 * (kernel(u, pool) ** 2 @ shares).mean() + scale) / scale
    assert float(style_distance(x[None], summary)) == pytest.approx(expected, rel=1e-4)


def test_channels_are_averaged(features):
    x, s, _ = features
    summary = summarize_style([s], (1.0,))
    alone = [float(style_distance(y[None], summary)) for y in (x, 2 * x)]
    together = float(style_distance(jnp.stack([x, 2 * x]), summary))
    assert together == pytest.approx(np.mean(alone), rel=1e-5)


def test_distance_vanishes_for_the_style_itself_whatever_its_length():
    rng = np.random.default_rng(1)
    style = jnp.asarray(rng.standard_normal((200, 4)), jnp.float32)
    once = summarize_style([style], (1.0,))
    twice = jnp.concatenate([style, style])
    silence = float(style_distance(jnp.zeros((1, 50, 4)), once))
    assert float(style_distance(style[None], once)) == pytest.approx(0, abs=1e-6)
    assert float(style_distance(twice[None], once)) < 0.01 * silence
    assert silence == pytest.approx(1)


def test_it_is_the_limit_of_a_random_network(features):
    x, s, _ = features
    summary = summarize_style([s], (1.0,))
    rng, finite = np.random.default_rng(2), []
    for _ in range(8):
        filters = rng.standard_normal((K * 4, 4096))
        grams = []
        for frames in (x, s):
            rectified = np.maximum(patches(frames) @ filters, 0)
            grams.append(rectified.T @ rectified / len(rectified))
        finite.append(np.sum((grams[0] - grams[1]) ** 2) / np.sum(grams[1] ** 2))
    assert float(style_distance(x[None], summary)) == pytest.approx(np.mean(finite), rel=0.05)


def test_content_distance_is_zero_at_the_content_and_one_for_silence(features):
    x, *_ = features
    content = x[None]
    assert float(content_distance(content, content)) == pytest.approx(0, abs=1e-6)
    assert float(content_distance(0 * content, content)) == pytest.approx(1)
    gradient = jax.jit(jax.grad(content_distance))(content, content)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_content_distance_is_the_mean_feature_distance(features):
    x, _, y = features
    a, b = patches(x[:17]), patches(y)
    expected = np.mean([(a[t] @ a[t] + b[t] @ b[t]) / 2 - 2 * kernel(a, b)[t, t] for t in range(len(a))])
    expected /= np.mean(np.sum(b**2, axis=1) / 2)
    measured = float(content_distance(x[None, :17], y[None]))
    assert measured == pytest.approx(expected, rel=1e-4)


def matrices(responses):
    """Gram matrix of each group, divided by the number of frames."""
    return np.stack([group.T @ group / len(group) for group in np.asarray(responses, np.float64)])


@pytest.mark.parametrize(("n_values", "kind"), [(4, GramMatrices), (60, StyleFrames)])
def test_plain_products_compare_gram_matrices_in_the_cheaper_form(n_values, kind):
    rng = np.random.default_rng(3)
    x, *styles = (jnp.asarray(rng.standard_normal((2, n, n_values)), jnp.float32) for n in (30, 20, 25))
    summary = jax.jit(gram.summarize, static_argnums=(1, 2))(styles, (2.0, 1.0), PLAIN)
    assert isinstance(summary, kind)
    target = 2 / 3 * matrices(styles[0]) + 1 / 3 * matrices(styles[1])
    measured = float(jax.jit(gram.style_distance)(x[None], summary))
    assert measured == pytest.approx(np.sum((matrices(x) - target) ** 2), rel=1e-5)
    assert float(summary.sq_norm) == pytest.approx(np.sum(target**2), rel=1e-5)


def test_both_forms_have_the_same_gradient():
    rng = np.random.default_rng(4)
    x, style = (jnp.asarray(rng.standard_normal((1, n, 12)), jnp.float32) for n in (15, 20))
    matrix = gram.summarize([style], (1.0,), PLAIN)
    frames = gram.StyleFrames(style, jnp.full(20, 1 / 20), matrix.sq_norm[None], PLAIN)
    gradients = [jax.jit(jax.grad(lambda x, s: gram.style_distance(x[None], s)))(x, s) for s in (matrix, frames)]
    np.testing.assert_allclose(*gradients, rtol=1e-4, atol=1e-5)


def test_groups_are_compared_one_by_one_and_added_up():
    rng = np.random.default_rng(5)
    x, style = (jnp.asarray(rng.standard_normal((3, n, 4)), jnp.float32) for n in (9, 8))
    whole = jax.jit(lambda x, s: gram.style_distance(x[None], gram.summarize([s], (1.0,), RECTIFIED)))
    alone = sum(float(whole(x[g : g + 1], style[g : g + 1])) for g in range(3))
    assert float(whole(x, style)) == pytest.approx(alone, rel=1e-5)


def test_plain_content_distance_is_the_squared_difference():
    rng = np.random.default_rng(6)
    x, content = (jnp.asarray(rng.standard_normal((2, 3, 5, 4)), jnp.float32) for _ in range(2))
    distance, norm = gram.content_distance(x, content, PLAIN)
    assert float(distance) == pytest.approx(np.sum((np.asarray(x) - np.asarray(content)) ** 2) / 2, rel=1e-5)
    assert float(norm) == pytest.approx(np.sum(np.asarray(content) ** 2) / 2, rel=1e-5)
