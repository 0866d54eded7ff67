"""What is quoted, against a sum over shifts in NumPy; quotations beside chance and beside tones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.statistics.copying import CHANCE, original, quotation

LENGTH = 4_000
value = jax.jit(quotation)
gradient = jax.jit(jax.grad(quotation))


def noise(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape or (LENGTH,)), jnp.float32)


def tone(frequency, phase=0.0):
    return jnp.asarray(np.sin(frequency * np.arange(LENGTH) + phase), jnp.float32)


def test_it_is_the_excess_over_chance_at_all_shifts():
    x, s = np.asarray(noise(0, 2, 500)), [np.asarray(noise(1, 300)), 3 * np.asarray(noise(2, 150))]
    joined = np.concatenate(s).astype(np.float64)
    by_channel = []
    for channel in x.astype(np.float64):
        c = np.array([channel @ np.roll(np.pad(joined, (0, 50)), shift) for shift in range(500)])
        c /= np.sqrt(np.sum(channel**2) * np.sum(joined**2))
        excess = np.sum(np.maximum(np.abs(c) - CHANCE, 0) ** 2)
        by_channel.append(excess / (1 + excess))
    assert max(by_channel) > 0
    assert float(value(jnp.asarray(x), original([jnp.asarray(part) for part in s]))) == pytest.approx(
        np.mean(by_channel), rel=1e-3
    )


def test_chance_costs_nothing_and_a_shifted_copy_does():
    style = noise(0)
    assert float(value(noise(1)[None], original([style]))) == 0
    copied = value(-7 * jnp.roll(style, 900)[None], original([style]))
    assert float(copied) > 0.25


def test_the_way_down_leads_away_from_the_copy():
    style, x = noise(0), noise(1)[None] + 0.5 * jnp.roll(noise(0), 900)[None]
    before = value(x, original([style]))
    after = value(x - 2000 * gradient(x, original([style])), original([style]))
    assert float(after) < 0.8 * float(before)


def test_what_is_due_to_pitch_is_hardly_seen():
    """Also where the tone does not go round."""
    quoted = gradient(noise(1)[None] + 0.5 * jnp.roll(noise(0), 900)[None], original([noise(0)]))
    for frequency in (0.3, 0.31):
        pitched = gradient(tone(frequency, 1.0)[None], original([tone(frequency)]))
        assert float(jnp.linalg.norm(pitched)) < 0.02 * float(jnp.linalg.norm(quoted))


@pytest.mark.parametrize("silent", ["x", "style"])
def test_silence_quotes_nothing(silent):
    x, style = (0 * noise(0) if name == silent else noise(0) for name in ("x", "style"))
    assert float(value(x[None], original([style]))) == 0
    assert np.all(np.asarray(gradient(x[None], original([style]))) == 0)
