from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.stats
import soundfile

import jaxst
from jaxst.kernels.sinusoids.residual import stochastic_envelope, synthesize_noise

WATER = Path(jaxst.__file__).parent / "clips" / "water.flac"
RATE = 16_000
SETTINGS = {"sample_rate": RATE, "n_fft": 512, "hop_length": 128}


@cache
def jitted(function, **static):
    return jax.jit(partial(function, **static))


def analyze(x, *, n_bands=16, **changes):
    return jitted(stochastic_envelope, n_bands=n_bands, **{**SETTINGS, **changes})(np.asarray(x, np.float32))


def synthesize(envelope, *, length, seed=0, **changes):
    return np.asarray(
        jitted(synthesize_noise, length=length, **{**SETTINGS, **changes})(envelope, jax.random.key(seed))
    )


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def decibels(power):
    return 10 * np.log10(power)


def band_edges(n_bands, rate=RATE):
    """In Hz: equal steps of 21.4 log10(1 + 0.00437 f)."""
    return (10 ** (np.linspace(0, 21.4 * np.log10(1 + 0.00437 * rate / 2), n_bands + 1) / 21.4) - 1) / 0.00437


def band_levels(x, n_bands, rate=RATE):
    """Mean power of each band by Welch's method, of which white noise of variance 1 has 0 dB."""
    frequency, density = scipy.signal.welch(x, rate, nperseg=8192)
    edges = band_edges(n_bands, rate)
    inside = (edges[:-1, None] <= frequency) & (frequency < edges[1:, None])
    return decibels((inside * density).sum(axis=1) / inside.sum(axis=1) * rate / 2)


# Stationary noise of several spectra, 30 s at 16 kHz: coefficients of a filter of white noise.
COLORS = {
    "white": ([1], [1]),
    "red": ([1], [1, -0.95]),
    "blue": ([1, -0.95], [1]),
    "low-pass": scipy.signal.butter(4, 2000, fs=RATE),
    "a formant 30 dB high": ([1], [1, -2 * 0.97 * np.cos(2 * np.pi * 1000 / RATE), 0.97**2]),
}


def colored(color):
    return scipy.signal.lfilter(*COLORS[color], noise(30 * RATE)) + 1e-3 * noise(30 * RATE, seed=1)


# --------------------------------------------------------------------------------------------------- the envelope


@pytest.mark.parametrize("color", COLORS)
def test_the_envelope_of_stationary_noise_is_the_spectrum_that_welch_finds(color):
    """The shorter window leaks more beside a steep edge, and sees less of the lowest bands."""
    x = colored(color)
    envelope = np.mean(analyze(x, n_bands=12), axis=0)
    np.testing.assert_allclose(decibels(envelope), band_levels(x, 12), atol=0.5)


@pytest.mark.parametrize("changes", [{}, {"n_fft": 511, "hop_length": 170}, {"n_bands": 200}, {"n_bands": 1}])
def test_bands_weighted_by_their_width_hold_the_energy_of_the_signal(changes):
    """A burst, and bands from a sixtieth of a bin wide to all that there is."""
    x = noise(8_000) * np.exp(-(((np.arange(8_000) - 4_000) / 1_000) ** 2))
    envelope = np.asarray(analyze(x, **changes), np.float64)
    width = np.diff(band_edges(changes.get("n_bands", 16))) / (RATE / 2)
    energy = np.sum(envelope @ width) * {**SETTINGS, **changes}["hop_length"]
    assert energy == pytest.approx(np.sum(x**2), rel=1e-3)


def test_a_sinusoid_is_in_its_band_and_frame():
    """0.5 at 1 kHz from one second on; its power, 1/8, times the bins there are, over those of the band."""
    x = 0.5 * np.cos(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE) * (np.arange(2 * RATE) >= RATE)
    envelope = np.asarray(analyze(x))
    edges = band_edges(16)
    band = np.searchsorted(edges, 1000) - 1
    expected = 0.125 * (RATE / 2) / (edges[band + 1] - edges[band])
    np.testing.assert_allclose(envelope[130:-4, band], expected, rtol=0.01)
    assert np.delete(envelope, band, axis=1)[130:-4].max() < 1e-3 * expected
    assert envelope[:122].max() < 1e-9


# ------------------------------------------------------------------------------------------------------ the noise


@pytest.mark.parametrize("changes", [{}, {"n_fft": 511, "hop_length": 200}])
@pytest.mark.parametrize("color", COLORS)
def test_noise_has_the_levels_of_the_noise_that_was_analyzed(color, changes):
    x = colored(color)
    result = synthesize(analyze(x, **changes), length=x.size, **changes)
    np.testing.assert_allclose(band_levels(result, 16), band_levels(x, 16), atol=0.5)
    assert decibels(np.var(result)) == pytest.approx(decibels(np.var(x)), abs=0.1)


def test_a_flat_envelope_gives_white_gaussian_noise_up_to_the_ends():
    x = synthesize(jnp.full((1001, 16), 0.25, jnp.float32), length=128_000)
    assert np.var(x) == pytest.approx(0.25, rel=0.02)
    assert np.var(x[:100]) == pytest.approx(0.25, rel=0.5)
    assert np.var(x[-100:]) == pytest.approx(0.25, rel=0.5)
    assert scipy.stats.kstest(x / 0.5, "norm").pvalue > 0.01
    spectrum = np.fft.rfft(x)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:1000] / np.sum(x**2)
    assert np.abs(correlation[1:]).max() < 5 / np.sqrt(x.size)


def test_powers_of_overlapping_frames_add_up():
    """Frames as different as a loud and a silent one: of a noise that all share, half the power would go."""
    envelope = jnp.asarray(np.tile([[1.0], [0.0]], (2_000, 16)), jnp.float32)
    x = synthesize(envelope, length=500_000)
    assert np.var(x) == pytest.approx(0.5, rel=0.02)


def test_bands_and_frames_are_where_they_were():
    """One band in one frame: all of its noise is within the window, and almost all between the edges of the band."""
    envelope = np.zeros((101, 16), np.float32)
    envelope[50, 9] = 1
    x = synthesize(envelope, length=12_800)
    assert np.all(x[: 50 * 128 - 256] == 0)
    assert np.all(x[50 * 128 + 256 :] == 0)
    power = np.abs(np.fft.rfft(x)) ** 2
    frequency = np.fft.rfftfreq(12_800, 1 / RATE)
    low, high = band_edges(16)[[9, 10]]
    margin = RATE / 512
    assert np.sum(power[(frequency > low - margin) & (frequency < high + margin)]) > 0.95 * np.sum(power)


def test_the_model_of_a_stream_keeps_its_spectrum_and_its_course():
    """Above the lowest bands, which are narrower than a bin; the course is the level every 20 ms."""
    x, rate = soundfile.read(WATER, dtype="float32")
    settings = {"sample_rate": rate, "n_fft": 1024, "hop_length": 256}
    result = synthesize(analyze(x, n_bands=32, **settings), length=x.size, **settings)
    levels, expected = (band_levels(signal, 32, rate) for signal in (result, x))
    assert np.sqrt(np.mean((levels - expected)[4:] ** 2)) < 1
    course, expected = (np.sqrt(np.mean(s[: s.size // 960 * 960].reshape(-1, 960) ** 2, axis=1)) for s in (result, x))
    assert np.corrcoef(course, expected)[0, 1] > 0.9


def test_batch_entries_have_noise_of_their_own_unless_mapped_over():
    envelope = jnp.ones((2, 50, 16), jnp.float32)
    function = partial(synthesize_noise, length=6_000, **SETTINGS)
    one, other = np.asarray(jax.jit(function)(envelope, jax.random.key(0)))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
    one, other = np.asarray(jax.jit(jax.vmap(function, in_axes=(0, None)))(envelope, jax.random.key(0)))
    np.testing.assert_array_equal(one, other)


def test_the_key_decides():
    envelope = jnp.ones((50, 16), jnp.float32)
    first, again, other = (synthesize(envelope, length=6_000, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.05


@pytest.mark.parametrize("length", [1, 5_000, 6_272, 8_000])
def test_noise_has_the_length_asked_for(length):
    """50 frames end 256 samples after the center of the last."""
    x = synthesize(jnp.ones((2, 50, 16), jnp.float32), length=length)
    assert x.shape == (2, length)
    assert np.all(x[:, 49 * 128 + 256 :] == 0)
    assert np.all(x[:, : 49 * 128] != 0)


# -------------------------------------------------------------------------------------------- silence and gradients


@partial(jax.jit, static_argnames="length")
def energy_and_gradient(envelope, *, length):
    def energy(envelope):
        return jnp.sum(synthesize_noise(envelope, jax.random.key(0), length=length, **SETTINGS) ** 2)

    return jax.value_and_grad(energy)(envelope)


@pytest.mark.parametrize("level", [0.0, 1e-40, 1e-25, 1e-19, 1e-12])
def test_silence_is_silent_and_has_finite_gradients(level):
    envelope = np.full((20, 16), level, np.float32)
    for loud in (envelope, np.where(np.arange(16) == 5, np.float32(1), envelope)):
        value, gradient = energy_and_gradient(loud, length=2_000)
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))
    assert np.abs(synthesize(envelope, length=2_000)).max() <= 6 * np.sqrt(level)


def test_the_gradient_of_the_energy_is_the_width_of_the_band():
    """The expected power is linear in the envelope: its gradient is what a band adds to the power of the noise."""
    envelope = jnp.asarray(0.1 + np.random.default_rng(0).random((400, 16)), jnp.float32)
    gradient = np.asarray(energy_and_gradient(envelope, length=51_200)[1])[4:-4].mean(axis=0)
    np.testing.assert_allclose(gradient, 128 * np.diff(band_edges(16)) / (RATE / 2), rtol=0.15)


# ------------------------------------------------------------------------------------------------------- refusals


def test_settings_that_do_not_work_are_refused():
    with pytest.raises(ValueError, match="n_bands=0 must be a positive integer"):
        stochastic_envelope(jnp.zeros(4_000), n_bands=0, **SETTINGS)
    with pytest.raises(ValueError, match="256 samples are too few to reflect"):
        stochastic_envelope(jnp.zeros(256), n_bands=8, **SETTINGS)
    with pytest.raises(ValueError, match="leaves samples that no window reaches"):
        synthesize_noise(jnp.ones((9, 8)), jax.random.key(0), length=4_000, **{**SETTINGS, "hop_length": 512})
