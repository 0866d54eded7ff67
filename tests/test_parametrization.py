import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from jaxst.parametrization import from_waveform, make_preconditioner, to_waveform
from jaxst.representation import Resolution

RESOLUTION = Resolution(512, 128)
RATE = 16_000


def colored_noise(seed, n=16_000):
    noise = np.random.default_rng(seed).standard_normal(n)
    return jnp.asarray(scipy.signal.lfilter([1], [1, -0.9], noise), jnp.float32)


def stereo_noise(coherence, n=32_000):
    shared, own = colored_noise(0, n), colored_noise(1, n)
    return jnp.stack([shared, coherence * shared + np.sqrt(1 - coherence**2) * own])


def white(preconditioner, channels, seed=0):
    return jax.random.normal(jax.random.key(seed), (channels, preconditioner.fft_length))


def spectrum(x):
    return scipy.signal.welch(x, RATE, nperseg=512)[1]


@pytest.mark.parametrize("length", [16_000, 15_999, 15_013])
def test_round_trip(length):
    x = colored_noise(2)[None, :length]
    preconditioner = make_preconditioner([x], x, RESOLUTION, length)
    back = to_waveform(from_waveform(x, preconditioner), preconditioner)
    assert back.shape == x.shape
    assert np.std(back - x) < 0.01 * np.std(x)


def test_white_noise_becomes_noise_with_the_style_spectrum():
    style = colored_noise(3, 64_000)[None]
    preconditioner = make_preconditioner([style], style, RESOLUTION, 64_000)
    shaped = to_waveform(white(preconditioner, 1), preconditioner)[0]
    expected, measured = spectrum(style[0]), spectrum(np.asarray(shaped))
    ratio = measured / measured.mean() / (expected / expected.mean())
    np.testing.assert_allclose(10 * np.log10(ratio[2:-2]), 0, atol=1.5)
    assert np.std(shaped) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("coherence", [0.0, 0.6, 0.95])
def test_noise_takes_the_image(coherence):
    image = stereo_noise(coherence)
    preconditioner = make_preconditioner([image], image, RESOLUTION, image.shape[1])
    shaped = np.asarray(to_waveform(white(preconditioner, 2), preconditioner))
    assert np.corrcoef(shaped)[0, 1] == pytest.approx(np.corrcoef(image)[0, 1], abs=0.06)


def test_a_delay_between_the_channels_is_kept():
    x = colored_noise(4, 32_000)
    image = jnp.stack([x, jnp.roll(x, 5)])
    preconditioner = make_preconditioner([image], image, RESOLUTION, 32_000)
    left, right = np.asarray(to_waveform(white(preconditioner, 2), preconditioner))
    lags = scipy.signal.correlate(right, left, mode="same")
    assert np.argmax(lags) - len(lags) // 2 == 5


def test_two_equal_channels_stay_nearly_equal():
    x = colored_noise(5)
    image = jnp.stack([x, x])
    preconditioner = make_preconditioner([image], image, RESOLUTION, len(x))
    left, right = to_waveform(white(preconditioner, 2), preconditioner)
    assert np.std(left - right) < 0.2 * np.std(left)


def test_silent_second_channel_is_finite():
    image = jnp.stack([colored_noise(6), jnp.zeros(16_000)])
    preconditioner = make_preconditioner([image[:1]], image, RESOLUTION, 16_000)
    z = from_waveform(image, preconditioner)
    assert np.isfinite(z).all()
    gradient = jax.grad(lambda z: jnp.sum(to_waveform(z, preconditioner) ** 2))(z)
    assert np.isfinite(gradient).all()
