from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from jaxst.parametrization import Features, Samples, precondition
from jaxst.representation import LogMagnitude, Resolution
from jaxst.spectrum import cross_spectrum, power_spectrum

RESOLUTION = Resolution(512, 128)
RATE = 16_000


def colored_noise(seed, n=16_000):
    noise = np.random.default_rng(seed).standard_normal(n)
    return jnp.asarray(scipy.signal.lfilter([1], [1, -0.9], noise), jnp.float32)


def stereo_noise(coherence, n=32_000):
    shared, own = colored_noise(0, n), colored_noise(1, n)
    return jnp.stack([shared, coherence * shared + np.sqrt(1 - coherence**2) * own])


# Compiled as the engine does it: operation by operation each takes longer.
@partial(jax.jit, static_argnums=2)
def preconditioned(level_source, image_source, length):
    return precondition(power_spectrum(level_source, RESOLUTION), cross_spectrum(image_source, RESOLUTION), length)


@partial(jax.jit, static_argnums=1)
def shaped_noise(preconditioner, channels):
    """The waveform of white noise."""
    white = preconditioner.noise(jax.random.key(0), jnp.zeros((channels, preconditioner.fft_length)))
    return preconditioner.waveform(white)


@jax.jit
def there_and_back(preconditioner, x):
    return preconditioner.waveform(preconditioner.parameters(x))


def spectrum(x):
    return scipy.signal.welch(x, RATE, nperseg=512)[1]


@pytest.mark.parametrize("length", [16_000, 15_999, 15_013])
def test_round_trip(length):
    x = colored_noise(2)[None, :length]
    preconditioner = preconditioned(x, x, length)
    back = there_and_back(preconditioner, x)
    assert back.shape == x.shape
    assert np.std(back - x) < 0.01 * np.std(x)


def test_white_noise_becomes_noise_with_the_style_spectrum():
    style = colored_noise(3, 64_000)[None]
    preconditioner = preconditioned(style, style, 64_000)
    shaped = np.asarray(shaped_noise(preconditioner, 1))[0]
    expected, measured = spectrum(np.asarray(style)[0]), spectrum(shaped)
    ratio = measured / measured.mean() / (expected / expected.mean())
    np.testing.assert_allclose(10 * np.log10(ratio[2:-2]), 0, atol=1.5)
    assert np.std(shaped) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("coherence", [0.0, 0.6, 0.95])
def test_noise_takes_the_image(coherence):
    image = stereo_noise(coherence)
    preconditioner = preconditioned(image, image, image.shape[1])
    shaped = np.asarray(shaped_noise(preconditioner, 2))
    assert np.corrcoef(shaped)[0, 1] == pytest.approx(np.corrcoef(image)[0, 1], abs=0.06)


def test_a_delay_between_the_channels_is_kept():
    x = colored_noise(4, 32_000)
    image = jnp.stack([x, jnp.roll(x, 5)])
    preconditioner = preconditioned(image, image, 32_000)
    left, right = np.asarray(shaped_noise(preconditioner, 2))
    lags = scipy.signal.correlate(right, left, mode="same")
    assert np.argmax(lags) - len(lags) // 2 == 5


def test_two_equal_channels_stay_nearly_equal():
    x = colored_noise(5)
    image = jnp.stack([x, x])
    preconditioner = preconditioned(image, image, len(x))
    left, right = np.asarray(shaped_noise(preconditioner, 2))
    assert np.std(left - right) < 0.2 * np.std(left)


def test_silent_second_channel_is_finite():
    image = jnp.stack([colored_noise(6), jnp.zeros(16_000)])
    preconditioner = preconditioned(image[:1], image, 16_000)
    z = jax.jit(preconditioner.parameters)(image)
    assert np.isfinite(z).all()
    gradient = jax.jit(jax.grad(lambda z: jnp.sum(preconditioner.waveform(z) ** 2)))(z)
    assert np.isfinite(gradient).all()


def test_samples_are_the_waveform_at_minus_20_db():
    x = colored_noise(7)[None] / np.std(colored_noise(7))
    samples = Samples()
    np.testing.assert_allclose(samples.waveform(samples.parameters(x)), x, rtol=1e-6)
    assert np.sqrt(np.mean(samples.parameters(x) ** 2)) == pytest.approx(0.1, rel=1e-3)
    noise = samples.waveform(samples.noise(jax.random.key(0), samples.parameters(x)))
    assert np.std(noise) == pytest.approx(1, rel=0.02)


def test_features_that_are_moved_are_what_is_compared():

    @jax.jit
    def seen(x):
        (analysis,) = LogMagnitude(windows=(32.0,), hops=(8.0,)).fit([x[0]], RATE)
        other = LogMagnitude(windows=(16.0,), hops=(8.0,)).fit([x[0]], RATE)
        direct, heard = (Features(analysis, x.shape[1], 1, direct=direct) for direct in (True, False))
        z = direct.parameters(x)
        return z, direct.features(z, other)[0], heard.features(z, other)[0], other[0].features(heard.waveform(z))

    z, moved, compared, expected = seen(colored_noise(8)[None])
    np.testing.assert_array_equal(moved, z)
    np.testing.assert_array_equal(compared, expected)
    assert moved.shape != compared.shape
