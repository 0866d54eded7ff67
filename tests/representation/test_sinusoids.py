import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.representation import Sinusoids

RATE, LENGTH = 8_000, 4_000
TONES = [(440.0, 0.5, 0.3), (1210.0, 0.25, -1.0), (2503.0, 0.1, 2.0)]  # Hz, amplitude, phase


def tones(partials=TONES, length=LENGTH):
    times = np.arange(length) / RATE
    return sum(level * np.cos(2 * np.pi * hz * times + phase) for hz, level, phase in partials)


@pytest.fixture(scope="module")
def analysis():
    (fitted,) = jax.jit(lambda s: Sinusoids(n_partials=6).fit([s], RATE))(jnp.asarray(tones(), jnp.float32))
    return fitted


@pytest.fixture(scope="module")
def features(analysis):
    return jax.jit(analysis.features)(jnp.asarray(tones(), jnp.float32)[None])


def test_every_plane_has_unit_level_over_the_style(features):
    assert features.shape[2:] == (6, 3)
    np.testing.assert_allclose(np.sqrt(np.mean(np.asarray(features) ** 2, axis=(0, 1, 2))), 1, rtol=1e-4)


def test_features_are_frequency_magnitude_and_phase(analysis, features):
    """In the middle of the recording, loudest first; what rests is zero."""
    frame = features.shape[1] // 2
    planes = np.asarray(features[0, frame] * analysis.scale[None])
    planes = planes[np.argsort(-planes[:, 1])]
    time = frame * analysis.resolution.hop_length / RATE
    for (hz, level, phase), measured in zip(TONES, planes, strict=False):
        assert measured[0] * RATE / 2 == pytest.approx(hz, abs=1)
        assert np.expm1(measured[1]) / 100 == pytest.approx(level, rel=0.01)
        expected = 2 * np.pi * hz * time + phase
        assert np.exp(1j * np.pi * measured[2]) == pytest.approx(np.exp(1j * expected), abs=0.05)
    np.testing.assert_array_equal(planes[3:], 0)


def test_the_waveform_comes_back(analysis, features):
    """But for the edges, where windows see half a sound."""
    back = np.asarray(jax.jit(lambda f: analysis.waveform(f, LENGTH))(features))[0]
    assert back.shape == (LENGTH,)
    middle = slice(LENGTH // 8, -LENGTH // 8)
    difference = back[middle] - tones()[middle]
    assert np.sqrt(np.mean(difference**2)) < 0.05 * np.sqrt(np.mean(tones() ** 2))


def test_moved_parameters_are_heard(analysis, features):
    """All frequencies up by a tenth."""
    planes = features * jnp.asarray([1.1, 1.0, 1.0])[None, None, None]
    back = np.asarray(jax.jit(lambda f: analysis.waveform(f, LENGTH))(planes))[0]
    spectrum = np.abs(np.fft.rfft(back * np.hanning(LENGTH)))
    loudest = np.argmax(spectrum) * RATE / LENGTH
    assert loudest == pytest.approx(484, abs=RATE / LENGTH)


def test_the_waveform_is_differentiable_and_finite_beyond_what_can_be_heard(analysis, features):
    def energy(f):
        return jnp.sum(analysis.waveform(f, LENGTH) ** 2)

    evaluate = jax.jit(jax.value_and_grad(energy))
    for planes in (features, 0 * features, -features, 3 * features):
        value, gradient = evaluate(planes)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
    gradient = evaluate(features)[1]
    assert float(jnp.abs(gradient[..., 1]).max()) > 0


def test_silence_and_noise_are_finite(analysis):
    extract = jax.jit(analysis.features)
    np.testing.assert_array_equal(extract(jnp.zeros((1, LENGTH))), 0)
    noise = jnp.asarray(np.random.default_rng(0).standard_normal((1, LENGTH)), jnp.float32)
    assert np.isfinite(extract(noise)).all()
    (silent,) = jax.jit(lambda s: Sinusoids().fit([s], RATE))(jnp.zeros(LENGTH))
    assert np.isfinite(jax.jit(silent.features)(noise)).all()
