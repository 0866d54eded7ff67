"""Envelopes against SciPy's analytic signal at the full rate, and of modulations that are known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from published import analytic_bands, slow_envelopes

import jaxst
from jaxst import audio
from jaxst.kernels.envelopes import analytic, band_envelopes, band_powers, cosine_filters, decimation, erb_number

envelopes = jax.jit(band_envelopes, static_argnames=("sample_rate", "n_bands", "low", "high", "exponent"))
RATE, LENGTH = 8_000, 4_000


def noise(length=LENGTH, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(length), jnp.float32)


def clip(name, rate, length):
    """At unit RMS, from where it sounds."""
    recording = audio.resample(jaxst.read(jaxst.example(name)), rate)
    x = recording.samples.mean(axis=0)[round(0.3 * rate) :][:length]
    return jnp.asarray(x / np.sqrt(np.mean(x**2)))


def test_bands_are_the_papers():
    """Centers from 52 to 8844 Hz, and squares that add up to 1 in between."""
    hz = np.arange(1, 10_000, 0.5)
    filters = cosine_filters(hz, low=20, high=10_000, n_bands=30, scale=erb_number)
    centers = hz[np.argmax(filters, axis=1)]
    np.testing.assert_allclose(centers[[0, -1]], [52, 8844], atol=0.5)
    between = (hz > 52) & (hz < 8844)
    np.testing.assert_allclose(np.sum(filters[:, between] ** 2, axis=0), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("rate", "step"), [(400, 1), (150, 1), (8_000, 20), (11_025, 28), (22_050, 55), (44_100, 110), (48_000, 120)]
)
def test_frames_are_as_near_to_400_a_second_as_whole_samples_allow(rate, step):
    assert decimation(rate) == step
    for length in (8 * step, 9 * step - 1):
        shape = jax.eval_shape(partial(band_envelopes, sample_rate=rate), jax.ShapeDtypeStruct((3, length), "float32"))
        assert shape.shape == (3, 8, 30)


@pytest.mark.parametrize(
    ("name", "rate"), [("speech", RATE), ("water", RATE), ("noise", RATE), ("tabla", 22_050), ("noise", 44_100)]
)
def test_envelopes_are_those_of_the_analytic_signal_at_its_full_rate(name, rate):
    """But for what the compression of coarsely sampled squares aliases, most of it where envelopes touch zero."""
    length = round(LENGTH / RATE * rate)
    x = noise(length) if name == "noise" else clip(name, rate, length)
    wanted = slow_envelopes(analytic_bands(x, rate), length, 1e-14, rate).T
    found = np.asarray(envelopes(x, sample_rate=rate))
    assert found.shape == wanted.shape
    middle = slice(10, -10)
    error = np.sqrt(np.mean((found - wanted)[middle] ** 2, axis=0)) / wanted[middle].std(axis=0)
    assert error.max() < 0.08
    assert error.mean() < 0.035
    np.testing.assert_allclose(found.mean(axis=0), wanted.mean(axis=0), rtol=2e-3)


@pytest.mark.parametrize("n_frequencies", [20, 50, 51, 52, 80, 100])
def test_an_analytic_signal_is_the_complex_inverse_of_a_spectrum_of_any_width(n_frequencies):
    rng = np.random.default_rng(0)
    spectrum = rng.standard_normal((2, n_frequencies)) + 1j * rng.standard_normal((2, n_frequencies))
    wanted = np.fft.ifft(spectrum, 100, axis=-1)
    real, imaginary = jax.jit(partial(analytic, size=100))(jnp.asarray(spectrum, jnp.complex64))
    np.testing.assert_allclose(real, wanted.real, atol=1e-6)
    np.testing.assert_allclose(imaginary, wanted.imag, atol=1e-6)


@pytest.mark.parametrize("rate", [RATE, 22_050])
def test_powers_are_mean_squares_of_the_analytic_signal(rate):
    x = noise(round(LENGTH / RATE * rate))
    wanted = np.sum(np.abs(analytic_bands(x, rate)) ** 2, axis=1) / len(x)
    np.testing.assert_allclose(jax.jit(partial(band_powers, sample_rate=rate))(x), wanted, rtol=1e-3)


def modulated(frequency, depth=0.5):
    """A tone of 1 kHz, and what it is multiplied by at every frame."""
    times = np.arange(LENGTH) / RATE
    modulator = 1 + depth * np.cos(2 * np.pi * frequency * times)
    return jnp.asarray(modulator * np.cos(2 * np.pi * 1000 * times), jnp.float32), modulator[:: decimation(RATE)]


def test_a_modulation_is_what_it_is():
    """At the tone's band; sidebands lie where its filter is flat."""
    x, modulator = modulated(8)
    found = np.asarray(envelopes(x, sample_rate=RATE, n_bands=9, exponent=1.0))
    (gains,) = cosine_filters(np.array([1000.0]), low=20, high=RATE / 2, n_bands=9, scale=erb_number).T
    band = np.argmax(gains)
    middle = slice(20, -20)
    np.testing.assert_allclose(found[middle, band], gains[band] * modulator[middle], rtol=5e-3)


def test_modulations_above_200_hertz_are_gone_and_alias_nowhere():
    x, _ = modulated(270)
    wide = {"n_bands": 2, "exponent": 2.0}
    found = np.asarray(envelopes(x, sample_rate=RATE, **wide))[20:-20]
    bands = np.abs(analytic_bands(x, RATE, n_bands=2)[:, 400 : -RATE - 400]) ** 2
    assert (bands.std(axis=1) > 0.3 * bands.mean(axis=1)).all()
    np.testing.assert_allclose(found.mean(axis=0), bands.mean(axis=1), rtol=5e-3)
    assert (found.std(axis=0) < 5e-3 * found.mean(axis=0)).all()


def test_silence_has_the_floor_and_loud_bands_do_not_feel_it():
    floor = jnp.geomspace(1e-8, 1e-4, 30)
    silent = envelopes(jnp.zeros(LENGTH), floor, sample_rate=RATE)
    np.testing.assert_allclose(silent, np.broadcast_to(floor**0.15, silent.shape), rtol=1e-5)
    np.testing.assert_allclose(envelopes(jnp.zeros(LENGTH), sample_rate=RATE), 1e-14**0.15, rtol=1e-5)
    x = noise()
    np.testing.assert_allclose(
        envelopes(x, jnp.full(30, 1e-9), sample_rate=RATE), envelopes(x, sample_rate=RATE), atol=1e-3
    )


def test_gradients_are_finite_where_bands_are_silent():
    """A tone, whose far bands hold nothing but rounding, between silences."""
    times = np.arange(LENGTH) / RATE
    x = jnp.asarray(np.where(np.abs(times - 0.25) < 0.1, np.sin(2 * np.pi * 1000 * times), 0), jnp.float32)
    gradient = jax.jit(jax.grad(lambda x, floor: jnp.sum(envelopes(x, floor, sample_rate=RATE) ** 2), argnums=(0, 1)))
    for signal in (x, 0 * x):
        for part in gradient(signal, jnp.full(30, 1e-8)):
            assert np.isfinite(part).all()


@pytest.mark.parametrize("place", [0, 2_000, LENGTH - 1])
def test_a_click_shows_where_it_is(place):
    """In all bands above 1 kHz, and nowhere else: what rings on after the end does not come round."""
    x = jnp.zeros(LENGTH).at[place].set(1.0)
    found = np.asarray(envelopes(x, sample_rate=RATE, exponent=1.0))[:, 18:]
    loudest = np.argmax(found, axis=0)
    np.testing.assert_allclose(loudest, min(place // 20, len(found) - 1), atol=1)
    far = np.abs(np.arange(len(found)) - place / 20) > 40
    assert (found[far].max(axis=0) < 0.02 * found.max(axis=0)).all()


@pytest.mark.parametrize("size", [160, 400, 1600])
def test_analytic_is_the_complex_transform_and_a_row_is_the_same_alone(size):
    """Bit by bit: else threads, which share rows as they are free, would make of one seed several results."""
    rng = np.random.default_rng(0)
    spectrum = jnp.asarray(rng.standard_normal((30, 81)) + 1j * rng.standard_normal((30, 81)), jnp.complex64)
    transform = jax.jit(partial(analytic, size=size))
    real, imaginary = transform(spectrum)
    wanted = np.fft.ifft(np.pad(np.asarray(spectrum, np.complex128), [(0, 0), (0, size - 81)]))
    np.testing.assert_allclose(real + 1j * imaginary, wanted, atol=1e-6)
    for row in range(0, 30, 7):
        for part, whole in zip(transform(spectrum[row : row + 1]), (real, imaginary), strict=True):
            np.testing.assert_array_equal(part[0], whole[row])
