from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.config import Config
from jaxst.losses import loss_terms, make_target
from jaxst.representation import Resolution, log_magnitudes, magnitudes
from jaxst.statistics import content_distance, style_distance

# Compiled as the engine does it: operation by operation the same takes minutes.
analyze = jax.jit(make_target, static_argnums=(0, 1, 3))
loss = jax.jit(loss_terms)
loss_and_gradient = jax.jit(jax.value_and_grad(loss_terms, has_aux=True))

CONFIG = Config(style_weight=2.0, content_weight=0.5)
SIZES = ((Resolution(256, 64), 5), (Resolution(64, 32), 3))


def noise(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


@pytest.fixture(scope="module")
def content():
    return noise(1, 2, 4_000)


@pytest.fixture(scope="module")
def targets(content):
    styles = [noise(2, 3_000), 0.5 * noise(3, 2_500)]
    return [analyze(size, frames, styles, (1.0, 1.0), content, CONFIG) for size, frames in SIZES]


def test_the_loss_is_the_weighted_sum_of_the_terms_averaged_over_resolutions(targets, content):
    x = noise(4, 2, 4_000)
    value, terms = loss(x, targets, CONFIG)
    style, kept = [], []
    for (size, frames), target in zip(SIZES, targets, strict=True):
        features = log_magnitudes(magnitudes(x, size), target.scale)
        style.append(jax.jit(partial(style_distance, patch_frames=frames))(features, target.style))
        kept.append(jax.jit(partial(content_distance, patch_frames=frames))(features, target.content))
    assert float(terms["style"]) == pytest.approx(np.mean(style), rel=1e-5)
    assert float(terms["content"]) == pytest.approx(np.mean(kept), rel=1e-5)
    assert float(value) == pytest.approx(2 * np.mean(style) + 0.5 * np.mean(kept), rel=1e-5)


def test_the_content_itself_has_no_content_loss(targets, content):
    assert float(loss(content, targets, CONFIG)[1]["content"]) == pytest.approx(0, abs=1e-5)


def test_without_content_there_is_only_style():
    style = noise(5, 3_000)
    targets = [analyze(size, frames, [style], (1.0,), None, CONFIG) for size, frames in SIZES]
    value, terms = loss(style[None], targets, CONFIG)
    assert terms.keys() == {"style"}
    assert float(value) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("signal", ["silence", "click", "constant", "full scale", "style"])
def test_value_and_gradient_are_finite(targets, signal):
    x = {
        "silence": jnp.zeros((2, 4_000)),
        "click": jnp.zeros((2, 4_000)).at[:, 2_000].set(1.0),
        "constant": jnp.ones((2, 4_000)),
        "full scale": jnp.sign(noise(6, 2, 4_000)) * 100,
        "style": jnp.stack([noise(2, 4_000)] * 2),
    }[signal]
    (value, _), gradient = loss_and_gradient(x, targets, CONFIG)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_gradient_is_the_slope_of_the_loss(targets):
    """Central differences in float64 along a random direction."""
    with jax.enable_x64(True):
        content = jnp.asarray(noise(1, 1, 1_500), jnp.float64)
        styles = [jnp.asarray(noise(2, 1_200), jnp.float64)]
        wide = [analyze(size, frames, styles, (1.0,), content, CONFIG) for size, frames in SIZES]
        x = jnp.asarray(noise(7, 1, 1_500), jnp.float64)
        direction = jnp.asarray(noise(8, 1, 1_500), jnp.float64)

        @jax.jit
        def along(step):
            return loss_terms(x + step * direction, wide, CONFIG)[0]

        slope = jax.jit(jax.grad(along))(0.0)
        difference = (along(1e-4) - along(-1e-4)) / 2e-4
        assert float(slope) == pytest.approx(float(difference), rel=1e-4)


def test_traced_settings_share_one_program(targets):
    """Weights are leaves: other values neither recompile nor fail under vmap."""
    x = noise(4, 2, 4_000)
    weights = jnp.asarray([0.1, 1.0, 10.0])
    configs = jax.vmap(lambda weight: Config(style_weight=weight, content_weight=0.0))(weights)
    values = jax.vmap(lambda config: loss(x, targets, config)[0])(configs)
    np.testing.assert_allclose(values / weights, values[1], rtol=1e-5)
