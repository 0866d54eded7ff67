import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from jaxst.representation import RealImaginary

RATE = 8_000
KEY = jax.random.key(0)


def signal(seconds=0.5, seed=0):
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE))


def fitted(*styles, steepness=10.0):
    fit = jax.jit(RealImaginary(steepness=steepness).fit, static_argnums=1)
    return fit([jnp.asarray(style, jnp.float32) for style in styles], RATE)


def spectrum(x, n_fft, hop_length):
    """`(frames, frequency)`, by scipy: not scaled, edges reflected."""
    window = scipy.signal.get_window("hann", n_fft)
    transform = scipy.signal.ShortTimeFFT(window, hop_length, RATE, fft_mode="onesided", scale_to=None)
    padded = np.pad(x, n_fft // 2, mode="reflect")
    first = n_fft // 2 // hop_length  # the window whose center is that of the first whole one
    values = transform.stft(padded, p0=first, p1=first + 1 + len(x) // hop_length, k_offset=0)
    phases = np.exp(-1j * np.pi * np.arange(n_fft // 2 + 1))  # from the window's center to its beginning
    return values.T if transform.phase_shift is None else values.T * phases


@pytest.mark.parametrize("steepness", [10.0, 30.0])
def test_features_are_the_sigmoids_of_both_parts(steepness):
    x, s = signal(), 2 * signal(0.7, seed=1)
    (analysis,) = fitted(s, steepness=steepness)
    assert analysis.resolution == (256, 128)
    features = jax.jit(analysis.features)(jnp.asarray(x, jnp.float32)[None])
    parts, style_parts = (np.stack([v.real, v.imag], axis=-1) for v in (spectrum(w, 256, 128) for w in (x, s)))
    expected = 2 / (1 + np.exp(-steepness * parts / np.abs(style_parts).max())) - 1
    assert features.shape == (1, *expected.shape)
    np.testing.assert_allclose(features[0], expected, atol=1e-5)


def test_the_level_is_that_of_the_largest_part_of_all_styles():
    quiet, loud = signal(), 5 * signal(0.6, seed=1)
    (alone,), (both,), (reverse,) = fitted(loud), fitted(quiet, loud), fitted(loud, quiet)
    assert float(alone.gain) == float(both.gain) == float(reverse.gain)
    features = jax.jit(alone.features)(jnp.asarray(loud, jnp.float32))
    assert np.abs(features).max() == pytest.approx(np.tanh(5), rel=1e-5)


def test_the_waveform_comes_back():
    x = signal()
    (analysis,) = fitted(x)
    wave = jnp.asarray(np.stack([x, 0.7 * np.roll(x, 99)]), jnp.float32)
    features = jax.jit(analysis.features)(wave)
    back = jax.jit(lambda f: analysis.waveform(f, len(x), KEY, 0))(features)
    assert back.shape == wave.shape
    np.testing.assert_allclose(back, wave, atol=2e-3)


def test_features_beyond_what_a_waveform_has_give_a_finite_one():
    (analysis,) = fitted(signal())
    features = jnp.full((1, 20, 129, 2), 3.0).at[:, :, ::2].set(-1.0)
    assert np.isfinite(jax.jit(lambda f: analysis.waveform(f, 2000, KEY, 0))(features)).all()


def test_silence_has_features_of_zero_and_finite_gradients():
    (analysis,) = fitted(signal())
    evaluate = jax.jit(jax.value_and_grad(lambda x: jnp.sum(analysis.features(x) ** 2)))
    value, gradient = evaluate(jnp.zeros(4_000))
    assert float(value) == 0
    assert np.isfinite(gradient).all()
