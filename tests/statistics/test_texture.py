"""Errors and means of statistics, and envelopes that have none; `tests/metrics/test_texture.py` has what they are."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from published import envelope_statistics

from jaxst.statistics.texture import LEAST, TextureStatistics, texture_error, texture_mean, texture_statistics

FRAMES, BANDS = 320, 6
statistics = jax.jit(texture_statistics, static_argnames="frame_rate")
error = jax.jit(texture_error)


@jax.jit
@partial(jax.value_and_grad, has_aux=True)
def error_and_gradient(s, reference):
    blocks = texture_statistics(s, frame_rate=400.0)
    return texture_error(blocks, reference), blocks


def envelopes(seed, frames=FRAMES):
    """Not negative; neighbors share half of what they do, which has slow and fast parts."""
    rng = np.random.default_rng(seed)
    slow = np.repeat(rng.standard_normal((frames // 20 + 1, BANDS + 1)), 20, axis=0)[:frames]
    values = slow + rng.standard_normal((frames, BANDS + 1))
    return jnp.asarray(np.abs(values[:, 1:] + values[:, :-1]), jnp.float32)


@pytest.mark.parametrize("rate", [400.0, 393.75])
def test_statistics_are_those_of_the_time_domain(rate):
    s = envelopes(0, 1_000)
    trim = int(0.1 * rate)
    wanted = envelope_statistics(np.asarray(s, np.float64)[trim:-trim].T, rate)
    for name, block, other in zip(TextureStatistics._fields, statistics(s, frame_rate=rate), wanted, strict=True):
        np.testing.assert_allclose(block, other, atol=0.01, rtol=5e-3, err_msg=name)


def test_equal_statistics_have_no_error_and_others_that_of_their_definition():
    x, reference = (statistics(envelopes(seed), frame_rate=400.0) for seed in (0, 1))
    assert float(error(x, x)) == 0
    errors = [
        np.sum(np.subtract(a, b, dtype=np.float64) ** 2) / np.sum(np.square(b))
        for a, b in zip(x, reference, strict=True)
    ]
    assert float(error(x, reference)) == pytest.approx(np.mean(errors), rel=1e-4)
    assert np.mean(errors) > 0.05
    # Of what the reference has none, an error is relative to the least that counts.
    for index, (block, least) in enumerate(zip(reference, LEAST, strict=True)):
        none = reference._replace(**{reference._fields[index]: 0 * block})
        some = none._replace(**{reference._fields[index]: 0 * block + 2 * least})
        assert float(error(some, none)) == pytest.approx(4 / len(LEAST), rel=1e-5)


def test_a_mean_is_weighted():
    first, second = (statistics(envelopes(seed), frame_rate=400.0) for seed in (0, 1))
    mean = texture_mean([first, second], [3, 1])
    for block, one, other in zip(mean, first, second, strict=True):
        np.testing.assert_allclose(block, 0.75 * one + 0.25 * other, rtol=1e-5)
    for block, one in zip(texture_mean([first], [0.3]), first, strict=True):
        np.testing.assert_allclose(block, one, rtol=1e-6)


@pytest.mark.parametrize("kind", ["constant", "one constant band", "one that is quiet", "click"])
def test_values_and_gradients_are_finite_and_what_does_not_move_has_no_shape(kind):
    s = np.array(envelopes(2))
    if kind == "click":
        s[:] = np.where(np.arange(FRAMES)[:, None] == FRAMES // 2, 1, 1e-3)
    elif kind == "constant":
        s[:] = 0.7
    else:
        s[:, 2] = 0.7 if kind == "one constant band" else 4e-3
    (value, blocks), gradient = error_and_gradient(jnp.asarray(s), statistics(envelopes(3), frame_rate=400.0))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    for block in blocks:
        assert np.isfinite(block).all()
    if kind in ("constant", "one constant band"):
        assert abs(blocks.level[2] - 0.7) < 1e-6
        for block in (blocks.variance, blocks.skewness, blocks.kurtosis):
            assert abs(block[2]) < 1e-3
