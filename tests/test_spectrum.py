import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from jaxst import spectrum
from jaxst.representation import Resolution

# Compiled as the engine does it: operation by operation the same takes longer.
cross_spectrum, power_spectrum, interpolate = (
    jax.jit(function, static_argnums=1)
    for function in (spectrum.cross_spectrum, spectrum.power_spectrum, spectrum.interpolate)
)
equalize, place = (jax.jit(function, static_argnames="sample_rate") for function in (spectrum.equalize, spectrum.place))
RATE = 16_000
RESOLUTION = Resolution(1024, 256)


def noise(seed, n=64_000):
    return jnp.asarray(np.random.default_rng(seed).standard_normal((1, n)), jnp.float32)


def power(x):
    """Welch's estimate, an implementation of its own."""
    return scipy.signal.welch(np.asarray(x)[0], RATE, nperseg=1024)[1]


def test_power_spectrum_is_welchs():
    x = noise(0)
    ratio = np.asarray(power_spectrum(x, RESOLUTION)[0]) / power(x)
    np.testing.assert_allclose(ratio[5:-5] / np.median(ratio), 1, atol=0.3)


def test_cross_spectrum_of_a_gain_and_a_delay():
    x = noise(1)
    pair = jnp.concatenate([x, 0.5 * jnp.roll(x, 4, axis=1)])
    cross = np.asarray(cross_spectrum(pair, RESOLUTION))
    phase = np.exp(-2j * np.pi * 4 * np.arange(513) / 1024)
    np.testing.assert_allclose(cross[5:-5, 1, 0] / cross[5:-5, 0, 0], 0.5 * phase[5:-5], atol=0.03)
    np.testing.assert_allclose(cross, np.conj(np.swapaxes(cross, 1, 2)), atol=1e-3)


@pytest.mark.parametrize("dtype", [float, complex])
def test_interpolation_is_numpys(dtype):
    values = np.random.default_rng(2).standard_normal((3, 9)).astype(dtype) * (1 if dtype is float else 1 + 2j)
    expected = [np.interp(np.linspace(0, 8, 50), np.arange(9), row) for row in values]
    np.testing.assert_allclose(interpolate(jnp.asarray(values), 50), expected, rtol=1e-5, atol=1e-5)


def test_equalized_noise_has_the_other_spectrum():
    x = noise(3)
    target = jnp.asarray(scipy.signal.lfilter([1], [1, -0.8], np.asarray(noise(4))), jnp.float32)
    filtered = equalize(x, power_spectrum(x, RESOLUTION)[0], power_spectrum(target, RESOLUTION)[0], sample_rate=RATE)
    difference = 10 * np.log10(power(filtered) / power(target))
    assert np.abs(difference[8:-8]).mean() < 1
    assert filtered.shape == x.shape


def test_partials_of_a_chord_keep_their_proportions_within_a_band():
    time = np.arange(64_000) / RATE
    chord = jnp.asarray((np.sin(2 * np.pi * 2_000 * time) + 0.3 * np.sin(2 * np.pi * 2_060 * time))[None], jnp.float32)
    flat = jnp.ones(513)
    filtered = np.asarray(equalize(chord, power_spectrum(chord, RESOLUTION)[0], flat, sample_rate=RATE))[0]
    lines = np.abs(np.fft.rfft(filtered * np.hanning(len(filtered))))
    ratio = lines[8_200:8_280].max() / lines[7_960:8_040].max()
    assert ratio == pytest.approx(0.3, rel=0.1)


def test_strength_zero_changes_nothing_and_boost_is_bounded():
    x = noise(5)
    source, target = jnp.ones(513), jnp.full(513, 1e9)
    same = equalize(x, source, target, sample_rate=RATE, strength=0.0)
    np.testing.assert_allclose(same, x, atol=1e-5)
    assert float(jnp.std(equalize(x, source, target, sample_rate=RATE))) == pytest.approx(
        float(10 * jnp.std(x)), rel=0.01
    )


def test_channels_are_filtered_alike():
    x = noise(6)
    pair = jnp.concatenate([x, -0.1 * x])
    source, target = power_spectrum(x, RESOLUTION)[0], jnp.linspace(1, 100, 513)
    left, right = equalize(pair, source, target, sample_rate=RATE)
    np.testing.assert_allclose(right, -0.1 * left, atol=1e-5)


def test_silence_stays_finite():
    silence = jnp.zeros((1, 8_000))
    flat = power_spectrum(silence, RESOLUTION)[0]
    assert np.isfinite(equalize(silence, flat, flat, sample_rate=RATE)).all()


def stereo(seed, share, delay=0):
    """Two channels that have a share of their power in common, later on the right, and color of their own."""
    common, left, right = np.random.default_rng(seed).standard_normal((3, 96_000))
    pair = [np.sqrt(share) * x + np.sqrt(1 - share) * y for x, y in ((common, left), (np.roll(common, delay), right))]
    return jnp.asarray([scipy.signal.lfilter([1], [1, -0.7], pair[0]), 0.3 * pair[1]], jnp.float32)


def complex_coherence(x):
    """SciPy's cross-spectra, a hundred Hz together."""
    cross, left, right = (
        scipy.signal.csd(*pair, RATE, nperseg=1024)[1] for pair in ((x[0], x[1]), (x[0], x[0]), (x[1], x[1]))
    )
    cross, left, right = (values[1:].reshape(64, 8).mean(axis=1) for values in (cross, left.real, right.real))
    return cross / np.sqrt(left * right)


@pytest.mark.parametrize(("before", "after", "delay"), [(0.0, 0.9, 0), (0.9, 0.0, 0), (0.5, 0.6, 3), (0.7, 0.7, 0)])
def test_placed_noise_has_the_other_image_and_its_own_spectra(before, after, delay):
    x, target = stereo(7, before), stereo(8, after, delay)
    placed = np.asarray(place(x, *(cross_spectrum(y, RESOLUTION) for y in (x, target)), sample_rate=RATE))
    difference = np.abs(complex_coherence(placed) - complex_coherence(np.asarray(target)))[:-3]
    assert difference.mean() < 0.08
    assert difference.max() < 0.25
    for own, other in zip(placed, np.asarray(x), strict=True):
        np.testing.assert_allclose(10 * np.log10(power(own[None]) / power(other[None]))[8:-8], 0, atol=1.5)
    if before == after:
        assert np.abs(placed - x).mean() < 0.1 * np.abs(x).mean()


def test_no_linear_map_to_that_image_changes_the_channels_less():
    """Rotations after the map have the same image where the target's channels are independent."""
    x = stereo(9, 0.8)
    x = x / jnp.std(x, axis=1, keepdims=True)
    x = jnp.stack([x[1], 0.8 * x[1] + 0.6 * jnp.roll(x[1], 99)])
    own = cross_spectrum(x, RESOLUTION)
    placed = np.asarray(place(x, own, jnp.eye(2)[None] * jnp.ones((513, 1, 1), complex), sample_rate=RATE))
    change = np.sum((placed - x) ** 2)
    for angle in (-0.2, -0.05, 0.05, 0.2):
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ placed
        assert np.sum((turned - x) ** 2) > change


def test_a_silent_channel_and_a_mono_signal_stay_as_they_are():
    x, target = stereo(10, 0.5), stereo(11, 0.5)
    for kept in (x.at[1].set(0), jnp.zeros_like(x)):
        placed = place(kept, *(cross_spectrum(y, RESOLUTION) for y in (kept, target)), sample_rate=RATE)
        np.testing.assert_allclose(placed, kept, atol=1e-4)
    mono = jnp.repeat(x[:1], 2, axis=0)
    placed = place(mono, *(cross_spectrum(y, RESOLUTION) for y in (mono, 3 * mono)), sample_rate=RATE)
    np.testing.assert_allclose(placed, mono, atol=1e-4)
