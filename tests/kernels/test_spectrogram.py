from functools import cache, partial

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from jaxst.kernels.spectrogram import (
    decibels,
    from_real_imaginary,
    instantaneous_frequency,
    log_compress,
    log_expand,
    magnitude,
    phase,
    power,
    real_imaginary,
)
from jaxst.kernels.stft import stft

RATE, N_FFT, HOP = 16_000, 512, 128


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def complex_noise(*shape, seed=0):
    return (noise(*shape, seed=seed) + 1j * noise(*shape, seed=seed + 1)).astype(np.complex64)


@cache
def jitted(function, **static):
    return jax.jit(partial(function, **static))


def of_parts(function):
    """The sum of the values as a function of real and imaginary parts."""
    return lambda real, imaginary: jnp.sum(function(jax.lax.complex(real, imaginary)))


def gradient(function, spectrum):
    """With respect to real and imaginary parts."""
    spectrum = np.asarray(spectrum, np.complex64)
    return jax.jit(jax.grad(of_parts(function), argnums=(0, 1)))(spectrum.real, spectrum.imag)


# ----------------------------------------------------------------------------------------- magnitude and what it shows


def test_magnitude_is_the_absolute_value():
    spectrum = complex_noise(2, 5, 7) * np.logspace(-25, 25, 7, dtype=np.float32)
    spectrum[0, 0] = 0
    np.testing.assert_allclose(jitted(magnitude)(spectrum), np.abs(spectrum.astype(complex)), rtol=1e-6)


def test_magnitude_has_the_gradient_of_a_norm_and_none_at_zero():
    spectrum = [3 - 4j, 0, 2j, -1e-12, -1e-30j]
    np.testing.assert_allclose(
        gradient(magnitude, spectrum), [[0.6, 0, 0, -1, 0], [-0.8, 0, 1, 0, -1]], rtol=1e-6, atol=1e-6
    )


def silence(time):
    return np.zeros(time)


def click(time):
    return np.eye(1, time, time // 2)[0]


def direct_current(time):
    return np.full(time, 0.5)


def full_scale(time):
    return np.where(np.arange(time) // 20 % 2, 1.0, -1.0)


def inaudible(time):
    return 1e-21 * np.sin(np.arange(time))  # its power underflows in float32


def burst(time):
    return np.sin(np.arange(time)) * (np.arange(time) > time // 2)


@jax.jit
def level_and_gradient(x):
    return jax.value_and_grad(lambda x: jnp.sum(jnp.log1p(magnitude(stft(x, n_fft=128, hop_length=32)))))(x)


@pytest.mark.parametrize("signal", [silence, click, direct_current, full_scale, inaudible, burst])
def test_log_magnitudes_and_their_gradient_are_finite(signal):
    value, derivative = level_and_gradient(signal(640).astype(np.float32))
    assert np.isfinite(value)
    assert np.all(np.isfinite(derivative))
    assert np.any(derivative != 0) == (signal is not silence)


def test_power_is_the_square():
    spectrum = complex_noise(2, 5, 7)
    np.testing.assert_allclose(jitted(power)(spectrum), np.abs(spectrum.astype(complex)) ** 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "librosas"),
    [
        ({}, {"ref": 1.0}),
        ({"reference": 20.0}, {"ref": 20.0}),
        ({"reference": 1e-9}, {"ref": 1e-9}),
        ({"floor": 1e-2}, {"ref": 1.0, "amin": 1e-2}),
        ({"top_db": 30.0, "reference": 3.0}, {"ref": 3.0, "top_db": 30.0}),
        ({"top_db": 0.0}, {"ref": 1.0, "top_db": 0.0}),
    ],
)
def test_decibels_are_those_of_librosa(settings, librosas):
    values = np.abs(noise(6, 50)) * np.logspace(-8, 2, 50, dtype=np.float32)
    values[2] = 0
    expected = librosa.amplitude_to_db(values, **{"top_db": None, **librosas})
    np.testing.assert_allclose(jitted(decibels, **settings)(values), expected, rtol=1e-5, atol=2e-5)


def test_the_loudest_value_is_that_of_each_batch_element():
    values = np.abs(noise(3, 6, 50)) * np.array([1, 1e-2, 1e-4], np.float32)[:, None, None]
    expected = [librosa.amplitude_to_db(element, ref=1.0, top_db=10) for element in values]
    np.testing.assert_allclose(jitted(decibels, top_db=10)(values), np.stack(expected), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(decibels(jnp.array([1.0, 0.5, 0.1]), top_db=10.0), [0, -6.0206, -10], atol=1e-4)


def test_the_loudest_value_can_be_the_reference():
    values = np.abs(noise(6, 50))
    result = jax.jit(lambda values: decibels(values, reference=jnp.max(values)))(values)
    np.testing.assert_allclose(result, librosa.amplitude_to_db(values, ref=np.max, top_db=None), atol=2e-5)


def test_decibels_of_silence_are_the_floor_and_have_no_gradient():
    values, derivative = jax.value_and_grad(lambda x: jnp.sum(decibels(x)))(jnp.zeros(3))
    assert values == pytest.approx(-300)
    np.testing.assert_array_equal(derivative, 0)


@pytest.mark.parametrize("floor", [0.0, -1.0])
def test_a_floor_that_is_not_positive_is_refused(floor):
    with pytest.raises(ValueError, match=f"floor={floor} must be positive"):
        decibels(jnp.ones(3), floor=floor)


def test_a_negative_range_is_refused():
    with pytest.raises(ValueError, match=r"top_db=-1\.0 must not be negative"):
        decibels(jnp.ones(3), top_db=-1.0)


@pytest.mark.parametrize("constant", [0.01, 1.0, 1000.0])
def test_compression_is_the_logarithm_and_expansion_its_inverse(constant):
    values = np.abs(noise(6, 50)) * np.logspace(-6, 2, 50, dtype=np.float32)
    compressed = jitted(log_compress)(values, constant)
    np.testing.assert_allclose(compressed, np.log1p(constant * values.astype(float)), rtol=1e-6)
    np.testing.assert_allclose(jitted(log_expand)(compressed, constant), values, rtol=1e-5)


def test_real_and_imaginary_parts_come_apart_and_together():
    spectrum = complex_noise(2, 5, 7)
    parts = jitted(real_imaginary)(spectrum)
    np.testing.assert_array_equal(parts, np.stack([spectrum.real, spectrum.imag], axis=-1))
    np.testing.assert_array_equal(jitted(from_real_imaginary)(parts), spectrum)


# ------------------------------------------------------------------------------------------------------------- phase


def test_phase_is_the_angle_at_all_levels():
    spectrum = complex_noise(4, 50) * np.logspace(-30, 30, 50, dtype=np.float32)
    np.testing.assert_allclose(jitted(phase)(spectrum), np.angle(spectrum), rtol=1e-5, atol=1e-6)


def test_phase_of_silence_is_zero_whatever_the_signs_of_its_zeros():
    zeros = np.array([complex(a, b) for a in (0.0, -0.0) for b in (0.0, -0.0)], np.complex64)
    assert np.angle(zeros).any()
    np.testing.assert_array_equal(jitted(phase)(zeros), 0)
    np.testing.assert_array_equal(gradient(phase, zeros), 0)


def test_gradient_of_phase_is_that_of_the_angle_down_to_the_floor_and_falls_below():
    """d angle = (re d im - im d re) / |X|^2; below the floor it is divided by the floor's square."""
    units = np.exp(1j * np.linspace(-3, 3, 7)).astype(np.complex64)
    for level, expected in ((100.0, 0.01), (1e-3, 1e3), (1e-6, 1e6), (1e-7, 1e5), (1e-12, 1.0), (1e-30, 1e-18)):
        d_real, d_imaginary = gradient(phase, units * np.float32(level))
        np.testing.assert_allclose(d_real, -expected * units.imag, rtol=1e-4, atol=1e-4 * expected)
        np.testing.assert_allclose(d_imaginary, expected * units.real, rtol=1e-4, atol=1e-4 * expected)
    steep = gradient(partial(phase, floor=1e-9), units * np.float32(1e-8))
    np.testing.assert_allclose(np.hypot(*steep), 1e8, rtol=1e-4)


# ------------------------------------------------------------------------------------------- instantaneous frequency


def frequencies(x, **changes):
    settings = {"n_fft": N_FFT, "hop_length": HOP, **changes}
    spectrum = jitted(stft, **settings)(np.asarray(x, np.float32))
    return np.asarray(jitted(instantaneous_frequency, sample_rate=RATE, **settings)(spectrum)), np.abs(spectrum)


@pytest.mark.parametrize("frequency", [31.25 * 40, 1003.7, 1234.5, 3141.6, 7500.2])
@pytest.mark.parametrize(("n_fft", "hop_length"), [(512, 128), (511, 100)])
def test_frequency_of_a_sinusoid_is_found_in_its_whole_main_lobe(frequency, n_fft, hop_length):
    times = np.arange(RATE // 4) / RATE
    found, _ = frequencies(0.3 * np.cos(2 * np.pi * frequency * times + 1), n_fft=n_fft, hop_length=hop_length)
    nearest = round(frequency * n_fft / RATE)
    inner = found[4:-4, nearest - 1 : nearest + 2]
    np.testing.assert_allclose(inner, frequency, atol=0.05)


def test_frequencies_of_two_sinusoids_each_in_its_place():
    times = np.arange(RATE // 4) / RATE
    found, levels = frequencies(np.cos(2 * np.pi * 700.3 * times) + 0.1 * np.cos(2 * np.pi * 2200.8 * times))
    inner = found[4:-4]
    np.testing.assert_allclose(inner[:, round(700.3 * N_FFT / RATE)], 700.3, atol=0.1)
    np.testing.assert_allclose(inner[:, round(2200.8 * N_FFT / RATE)], 2200.8, atol=0.1)
    assert found.shape == (levels.shape[0] - 1, levels.shape[1])


def test_frequency_of_a_chirp_is_that_of_its_middle():
    """Rising by 200 Hz a second; between frames t and t + 1 it is that half a hop after the center of frame t."""
    times = np.arange(RATE) / RATE
    found, levels = frequencies(np.cos(2 * np.pi * (500 * times + 100 * times**2)))
    loudest = levels[:-1].argmax(axis=1)
    expected = 500 + 200 * (np.arange(len(loudest)) + 0.5) * HOP / RATE
    at_loudest = found[np.arange(len(loudest)), loudest]
    np.testing.assert_allclose(at_loudest[4:-4], expected[4:-4], atol=0.5)


def test_frequencies_of_noise_are_those_of_unwrapped_phases():
    spectrum = complex_noise(2, 9, 33)
    result = jitted(instantaneous_frequency, sample_rate=RATE, n_fft=64, hop_length=24)(spectrum)
    bins = np.arange(33)
    advance = np.angle(spectrum[:, 1:] * spectrum[:, :-1].conj() * np.exp(-2j * np.pi * bins * 24 / 64))
    np.testing.assert_allclose(result, bins * RATE / 64 + advance * RATE / (2 * np.pi * 24), atol=2e-3)


def test_frequency_at_silence_is_the_bins_own():
    """Also next to a sound, which has no advance from or to silence."""
    own = np.arange(N_FFT // 2 + 1) * RATE / N_FFT
    x = np.zeros(40 * HOP)
    found, _ = frequencies(x)
    np.testing.assert_allclose(found, np.broadcast_to(own, found.shape), rtol=1e-6)
    x[-HOP:] = noise(HOP)
    found, levels = frequencies(x)
    silent = ~levels.any(axis=1)
    assert 30 < silent.sum() < len(silent)
    np.testing.assert_allclose(
        found[silent[:-1]], np.broadcast_to(own, (silent.sum(), len(own))), rtol=1e-6, err_msg="next to a sound"
    )


@pytest.mark.parametrize("signal", [silence, click, direct_current, full_scale, inaudible, burst])
def test_gradients_of_phase_and_frequency_are_finite(signal):
    def total(x):
        spectrum = stft(x, n_fft=128, hop_length=32)
        frequency = instantaneous_frequency(spectrum, n_fft=128, hop_length=32, sample_rate=RATE)
        return jnp.sum(phase(spectrum) ** 2) + jnp.sum(frequency**2)

    value, derivative = jax.jit(jax.value_and_grad(total))(signal(640).astype(np.float32))
    assert np.isfinite(value)
    assert np.all(np.isfinite(derivative))


def test_a_transform_of_other_frequencies_is_refused():
    spectrum = jnp.ones((3, 33), jnp.complex64)
    with pytest.raises(ValueError, match="n_fft=128 has 65 frequencies, not 33"):
        instantaneous_frequency(spectrum, n_fft=128, hop_length=16, sample_rate=RATE)
    with pytest.raises(ValueError, match="hop_length=0 must be a positive"):
        instantaneous_frequency(spectrum, n_fft=64, hop_length=0, sample_rate=RATE)
