from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.config import Config
from jaxst.losses import loss_terms, make_targets, total_variation, with_content
from jaxst.network import InfiniteNetwork, RandomNetwork
from jaxst.representation import LogMagnitude
from jaxst.statistics import gram

CONFIG = Config(
    style_weight=2.0,
    content_weight=0.5,
    representation=LogMagnitude(windows=(32.0, 8.0), hops=(8.0, 4.0)),
    network=InfiniteNetwork(patch_frames=(5, 3)),
)
RATE = 8_000


# Compiled as the engine does it: operation by operation the same takes minutes.
@partial(jax.jit, static_argnums=1)
def analyze(styles, mix, content, config):
    targets = make_targets(styles, mix, RATE, config)
    return targets if content is None else with_content(targets, content)


def terms_of(x, targets, config):
    return loss_terms([target.analysis.features(x) for target in targets], targets, config)


loss = jax.jit(terms_of)
loss_and_gradient = jax.jit(jax.value_and_grad(terms_of, has_aux=True))


def noise(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


@pytest.fixture(scope="module")
def content():
    return noise(1, 2, 4_000)


@pytest.fixture(scope="module")
def targets(content):
    styles = [noise(2, 3_000), 0.5 * noise(3, 2_500)]
    return analyze(styles, (1.0, 1.0), content, CONFIG)


def test_the_loss_is_the_weighted_sum_of_the_terms_averaged_over_resolutions(targets, content):
    x = noise(4, 2, 4_000)
    value, terms = loss(x, targets, CONFIG)

    @jax.jit
    def distances(target):
        (layer,) = target.layers
        responses = layer.layer.respond(target.analysis.features(x))
        style = gram.style_distance(responses, layer.summary) / layer.summary.sq_norm
        return style, gram.content_distance(responses, target.content[0], layer.layer.product)

    style, kept = zip(*map(distances, targets), strict=True)
    kept = [np.divide(*pair) for pair in kept]
    assert float(terms["style"]) == pytest.approx(np.mean(style), rel=1e-5)
    assert float(terms["content"]) == pytest.approx(np.mean(kept), rel=1e-5)
    assert float(value) == pytest.approx(2 * np.mean(style) + 0.5 * np.mean(kept), rel=1e-5)


def test_the_content_itself_has_no_content_loss(targets, content):
    assert float(loss(content, targets, CONFIG)[1]["content"]) == pytest.approx(0, abs=1e-5)


def test_without_content_there_is_only_style():
    style = noise(5, 3_000)
    targets = analyze([style], (1.0,), None, CONFIG)
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
        wide = analyze(styles, (1.0,), content, CONFIG)
        x = jnp.asarray(noise(7, 1, 1_500), jnp.float64)
        direction = jnp.asarray(noise(8, 1, 1_500), jnp.float64)

        @jax.jit
        def along(step):
            return terms_of(x + step * direction, wide, CONFIG)[0]

        slope = jax.jit(jax.grad(along))(0.0)
        difference = (along(1e-4) - along(-1e-4)) / 2e-4
        assert float(slope) == pytest.approx(float(difference), rel=1e-4)


def test_traced_settings_share_one_program(targets):
    """Weights are leaves: other values neither recompile nor fail under vmap."""
    x = noise(4, 2, 4_000)
    weights = jnp.asarray([0.1, 1.0, 10.0])
    configs = jax.vmap(lambda weight: replace(CONFIG, style_weight=weight, content_weight=0.0))(weights)
    values = jax.vmap(lambda config: loss(x, targets, config)[0])(configs)
    np.testing.assert_allclose(values / weights, values[1], rtol=1e-5)


def test_total_variation_is_that_of_neighbors_in_time_and_frequency():
    x = np.random.default_rng(9).standard_normal((2, 5, 4, 2)).astype(np.float32)
    expected = np.abs(x[:, 1:] - x[:, :-1]).mean() + np.abs(x[:, :, 1:] - x[:, :, :-1]).mean()
    assert float(total_variation(jnp.asarray(x))) == pytest.approx(expected, rel=1e-5)
    one_band = np.abs(np.diff(x[:, :, :1], axis=1)).mean()
    assert float(total_variation(jnp.asarray(x[:, :, :1]))) == pytest.approx(one_band, rel=1e-5)


def test_terms_are_there_where_they_have_a_weight_and_count_with_it():
    style, x = noise(2, 3_000), noise(4, 1, 4_000)
    config = replace(CONFIG, variation_weight=0.25, autocorrelation_weight=4.0, diversity_weight=0.125)
    value, terms = loss(x, analyze([style], (1.0,), None, config), config)
    assert terms.keys() == {"style", "variation", "autocorrelation", "diversity"}
    weighted = 2 * terms["style"] + 0.25 * terms["variation"] + 4 * terms["autocorrelation"] + terms["diversity"] / 8
    assert float(value) == pytest.approx(float(weighted), rel=1e-5)


def test_banks_are_averaged_or_weighted():
    style, x = noise(2, 3_000), noise(4, 1, 4_000)

    def style_term(**settings):
        network = RandomNetwork(n_filters=6, **settings)
        config = replace(CONFIG, network=network, content_weight=0.0)
        return float(loss(x, analyze([style], (1.0,), None, config), config)[1]["style"])

    shapes = ((0, 3), (5, 2))
    each = [style_term(shapes=shapes, bank_weights=weights) for weights in ((1.0, 1e-9), (1e-9, 1.0))]
    assert style_term(shapes=shapes) == pytest.approx(np.mean(each), rel=1e-4)
    assert style_term(shapes=shapes, bank_weights=(1.0,)) == pytest.approx(np.sum(each), rel=1e-4)
