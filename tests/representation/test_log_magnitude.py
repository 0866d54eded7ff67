import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from jaxst.representation import LogMagnitude, log_magnitude
from jaxst.representation.log_magnitude import LEVEL

# Compiled as the engine does it: operation by operation the same takes longer.
fit_scale = jax.jit(log_magnitude.fit_scale, static_argnames="reference")
linear_magnitudes, log_magnitudes = map(jax.jit, (log_magnitude.linear_magnitudes, log_magnitude.log_magnitudes))
RATE = 8_000


def test_scale_compensates_levels_and_centers():
    rng = np.random.default_rng(1)
    style = rng.rayleigh(1, (400, 5)) * np.array([1, 10, 0.1, 100, 1e-9])
    scale = fit_scale(jnp.asarray(style), whitening=1.0, compression=0.7, centering=1.0)
    argument = style * np.asarray(scale.gain)
    assert argument.mean() == pytest.approx(0.7, rel=1e-4)
    np.testing.assert_allclose(argument.mean(axis=0)[:3], argument.mean(axis=0)[3], rtol=1e-3)
    assert argument.mean(axis=0)[4] < 1e-4, "60 dB under the loudest there is no level to compensate"
    features = np.asarray(log_magnitudes(jnp.asarray(style), scale))
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)


def test_no_whitening_and_no_centering_is_plain_log_compression():
    style = np.random.default_rng(2).rayleigh(3, (50, 4)).astype(np.float32)
    scale = fit_scale(jnp.asarray(style), whitening=0.0, compression=2.0, centering=0.0)
    expected = np.log1p(2 * style / style.mean())
    features = np.asarray(log_magnitudes(jnp.asarray(style), scale))
    np.testing.assert_allclose(features, expected, rtol=1e-5)


def test_relative_to_the_peak_features_reach_one_and_no_further():
    style = np.random.default_rng(3).rayleigh(3, (50, 4)).astype(np.float32)
    scale = fit_scale(jnp.asarray(style), whitening=0.0, compression=1000.0, centering=0.0, reference="peak")
    features = np.asarray(log_magnitudes(jnp.asarray(style), scale))
    np.testing.assert_allclose(features, np.log1p(1000 * style / style.max()) / np.log1p(1000), rtol=1e-5)
    assert features.max() == pytest.approx(1)


def test_at_a_level_features_are_those_of_samples_at_minus_20_db():
    x = np.random.default_rng(4).standard_normal(4_000).astype(np.float32)
    settings = LogMagnitude(
        compression=1.0, whitening=0.0, centering=0.0, reference="level", windows=(64.0,), hops=(16.0,)
    )
    (analysis,) = jax.jit(settings.fit, static_argnums=1)([jnp.asarray(x)], RATE)
    expected = np.log1p(np.abs(librosa.stft(0.1 * x, n_fft=512, hop_length=128, pad_mode="reflect"))).T
    features = np.asarray(jax.jit(analysis.features)(jnp.asarray(x)[None]))
    np.testing.assert_allclose(features[0, :, :, 0], expected, rtol=1e-4, atol=1e-5)
    assert LEVEL == 0.1


def test_mel_bands_are_librosas():
    x = np.random.default_rng(5).standard_normal(4_000).astype(np.float32)
    settings = LogMagnitude(
        compression=1.0, whitening=0.0, centering=0.0, reference="level", n_mels=20, windows=(64.0,), hops=(16.0,)
    )
    (analysis,) = jax.jit(settings.fit, static_argnums=1)([jnp.asarray(x)], RATE)
    spectrum = np.abs(librosa.stft(0.1 * x, n_fft=512, hop_length=128, pad_mode="reflect"))
    expected = np.log1p(librosa.feature.melspectrogram(S=spectrum, sr=RATE, n_mels=20)).T
    features = np.asarray(jax.jit(analysis.features)(jnp.asarray(x)[None]))
    np.testing.assert_allclose(features[0, :, :, 0], expected, rtol=1e-4, atol=1e-5)


def test_magnitudes_come_back_and_silence_is_the_least():
    style = np.random.default_rng(6).rayleigh(3, (50, 4)).astype(np.float32)
    scale = fit_scale(jnp.asarray(style), whitening=0.5, compression=2.0, centering=0.9, reference="peak")
    back = linear_magnitudes(log_magnitudes(jnp.asarray(style), scale), scale)
    np.testing.assert_allclose(back, style, rtol=1e-4)
    silent = log_magnitudes(jnp.zeros((1, 4)), scale)
    np.testing.assert_array_equal(linear_magnitudes(silent - 1, scale), 0)


@pytest.mark.parametrize("n_mels", [0, 60])
def test_a_waveform_of_given_features_has_them(n_mels):
    time = np.arange(RATE) / RATE
    x = np.sqrt(2) * np.sin(2 * np.pi * (300 * time + 200 * time**2)).astype(np.float32)
    settings = LogMagnitude(n_mels=n_mels, windows=(64.0,), hops=(16.0,))
    (analysis,) = jax.jit(settings.fit, static_argnums=1)([jnp.asarray(x)], RATE)
    analyze = jax.jit(analysis.features)
    features = analyze(jnp.asarray(x)[None])
    back = jax.jit(analysis.waveform, static_argnums=(1, 3))(features, RATE, jax.random.key(0), 100)
    assert back.shape == (1, RATE)
    spectra = [linear_magnitudes(values[..., 0], analysis.scale) for values in (analyze(back), features)]
    assert np.linalg.norm(spectra[0] - spectra[1]) < 0.1 * np.linalg.norm(spectra[1])
