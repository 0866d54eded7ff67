from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.statistics import rhythm

autocorrelation = jax.jit(rhythm.autocorrelation, static_argnums=1)
copying = jax.jit(rhythm.copying)
rhythm_distance = jax.jit(rhythm.rhythm_distance)
FRAME_RATE = 50.0


@partial(jax.jit, static_argnames=("mix", "frame_rate"))
def summarize(styles, mix, frame_rate=FRAME_RATE):
    return rhythm.summarize(styles, mix, frame_rate=frame_rate)


def noise(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def by_hand(x, n_lags):
    """Mean of x[t] x[t + lag], of `(frames, values)`."""
    x = np.asarray(x, np.float64)
    full = np.stack([np.correlate(column, column, mode="full") for column in x.T], axis=-1)
    counts = len(x) - np.arange(n_lags)
    return full[len(x) - 1 : len(x) - 1 + n_lags] / counts[:, None]


@pytest.mark.parametrize(("n_frames", "n_lags"), [(40, 20), (41, 41), (7, 1)])
def test_autocorrelation_is_numpys_over_the_number_of_products(n_frames, n_lags):
    x = noise(2, n_frames, 3)
    measured = autocorrelation(x, n_lags)
    assert measured.shape == (2, n_lags, 3)
    for group, own in zip(x, measured, strict=True):
        np.testing.assert_allclose(own, by_hand(group, n_lags), atol=1e-5)


def test_autocorrelation_of_what_repeats_has_a_maximum_at_the_period():
    period = 17
    x = jnp.tile(noise(1, period, 2), (1, 10, 1))
    values = np.asarray(autocorrelation(x, 40))[0].sum(axis=-1)
    assert np.argmax(values[1:]) + 1 in (period, 2 * period)
    assert values[period] == pytest.approx(values[0], rel=0.05)


def test_lags_are_those_from_200_ms_to_2_s():
    summary = summarize([noise(1, 250, 2)], (1.0,))
    assert summary.first_lag == 10
    assert summary.autocorrelation.shape == (1, 100 - 10 + 1, 2)
    # Shorter than 4 s: up to half of it; with several recordings, of the shortest.
    assert summarize([noise(1, 120, 2)], (1.0,)).autocorrelation.shape == (1, 60 - 10 + 1, 2)
    assert summarize([noise(1, 250, 2), noise(1, 120, 2)], (1.0, 1.0)).autocorrelation.shape == (1, 51, 2)
    # So short that there is no such lag.
    short = summarize([noise(1, 6, 2)], (1.0,))
    assert (short.first_lag, short.autocorrelation.shape) == (3, (1, 1, 2))


def test_the_distance_is_relative_to_the_styles_norm():
    x, s = noise(2, 210, 3), 1.5 * noise(2, 230, 3, seed=1)
    x_lags, s_lags = (np.stack([by_hand(group, 101)[10:] for group in v]) for v in (x, s))
    expected = np.sum((x_lags - s_lags) ** 2) / np.sum(s_lags**2)
    summary = summarize([s], (1.0,))
    assert float(rhythm_distance(x[None], summary)) == pytest.approx(expected, rel=1e-4)
    assert float(rhythm_distance(s[None], summary)) == pytest.approx(0, abs=1e-6)
    assert float(rhythm_distance(0 * x[None], summary)) == pytest.approx(1, rel=1e-5)
    alone = [float(rhythm_distance(y[None], summary)) for y in (x, 2 * x)]
    assert float(rhythm_distance(jnp.stack([x, 2 * x]), summary)) == pytest.approx(np.mean(alone), rel=1e-5)


def test_shorter_signals_are_compared_at_lags_up_to_half_their_length():
    x, s = noise(1, 80, 2), noise(1, 250, 2, seed=1)
    x_lags, s_lags = (by_hand(v[0], 41)[10:] for v in (x, s))
    expected = np.sum((x_lags - s_lags) ** 2) / np.sum(s_lags**2)
    assert float(rhythm_distance(x[None], summarize([s], (1.0,)))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("n_frames", [1, 5, 12])
def test_signals_shorter_than_the_first_lag_give_finite_numbers(n_frames):
    summary = summarize([noise(1, 250, 2)], (1.0,))
    value, gradient = jax.jit(jax.value_and_grad(rhythm.rhythm_distance))(noise(1, 1, n_frames, 2), summary)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_autocorrelations_are_averaged_by_the_mix():
    styles = [noise(1, 230, 2), 2 * noise(1, 250, 2, seed=1)]
    lags = [by_hand(style[0], 101)[10:] for style in styles]
    measured = summarize(styles, (3.0, 1.0)).autocorrelation[0]
    np.testing.assert_allclose(measured, 0.75 * lags[0] + 0.25 * lags[1], atol=1e-5)


def largest_correlation(x, s):
    """Over all shifts, 1 for a copy."""
    x, s = np.asarray(x, np.float64), np.asarray(s, np.float64)
    pairs = [(a[:, n], b[:, n]) for a, b in zip(x, s, strict=True) for n in range(x.shape[-1])]
    products = sum(np.correlate(a, b, mode="full") for a, b in pairs)
    return products.max() / np.sqrt(np.sum(x**2) * np.sum(s**2))


@pytest.mark.parametrize("n_frames", [30, 50, 70])
def test_copying_is_the_inverse_distance_to_the_nearest_shifted_style(n_frames):
    x, s = noise(2, n_frames, 3) + 0.3, noise(2, 50, 3, seed=1) + 0.3
    expected = 1 / (2 * (1 - largest_correlation(x, s)) + 1e-6)
    assert expected > 0.5
    assert float(copying(x[None], [s])) == pytest.approx(expected, rel=1e-4)
    assert float(copying(3 * x[None], [s])) == pytest.approx(expected, rel=1e-4)


def test_copying_finds_a_shifted_copy_and_tells_it_from_something_else():
    s = noise(1, 400, 4)
    shifted = jnp.roll(s, 10, axis=1)
    like, unlike = float(copying(shifted[None], [s])), float(copying(noise(1, 1, 400, 4, seed=1), [s]))
    assert like == pytest.approx(1 / (2 * 10 / 400), rel=0.2)  # but for the frames that were shifted out
    assert unlike == pytest.approx(0.5, abs=0.08)
    assert float(copying(s[None], [s])) > 1e5  # near its bound, 1e6
    assert float(copying(s[None], [s])) <= 1.001e6


def test_copying_of_several_styles_is_that_of_the_nearest_and_averaged_over_channels():
    a, b, x = noise(1, 60, 4), noise(1, 80, 4, seed=1), noise(1, 60, 4, seed=2)
    mixed = x + 0.5 * a
    assert float(copying(mixed[None], [b, a])) == pytest.approx(float(copying(mixed[None], [a])), rel=1e-6)
    alone = [float(copying(y[None], [a])) for y in (x, mixed)]
    assert float(copying(jnp.stack([x, mixed]), [a])) == pytest.approx(np.mean(alone), rel=1e-5)


def test_copying_of_silence_and_of_a_copy_has_finite_gradients():
    s = noise(1, 40, 3)
    differentiate = jax.jit(jax.value_and_grad(rhythm.copying))
    for x in (0 * s, s):
        value, gradient = differentiate(x[None], [s])
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
    assert float(copying(0 * s[None], [s])) == pytest.approx(0.5, rel=1e-4)


def test_gradients_are_derivatives():
    rng = np.random.default_rng(5)
    with jax.enable_x64(True):
        x, s = (jnp.asarray(rng.standard_normal((1, n, 3))) for n in (60, 50))
        summary = summarize([s], (1.0,))
        step = 1e-6 * jnp.asarray(rng.standard_normal((1, *x.shape)))
        for function, target in ((rhythm.rhythm_distance, summary), (rhythm.copying, [s])):
            evaluate = jax.jit(jax.value_and_grad(function))
            _, gradient = evaluate(x[None], target)
            rise = (evaluate(x[None] + step, target)[0] - evaluate(x[None] - step, target)[0]) / 2
            assert float(jnp.sum(gradient * step)) == pytest.approx(float(rise), rel=1e-5)
