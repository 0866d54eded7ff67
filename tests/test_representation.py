import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from jaxst.representation import Resolution, fit_scale, log_magnitudes, magnitudes, resolution_at


@pytest.mark.parametrize(("window", "hop", "expected"), [(64, 16, (1024, 256)), (32, 8, (512, 128)), (8, 4, (128, 64))])
def test_resolutions_are_the_papers_at_16_khz(window, hop, expected):
    assert resolution_at(window, hop, 16_000) == expected


@pytest.mark.parametrize("sample_rate", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize(("window", "hop"), [(64, 16), (32, 8), (8, 4)])
def test_resolutions_keep_their_duration_at_any_rate(window, hop, sample_rate):
    n_fft, hop_length = resolution_at(window, hop, sample_rate)
    assert n_fft == round(window / hop) * hop_length
    assert n_fft % 2 == 0
    assert hop_length == pytest.approx(hop * sample_rate / 1000, rel=0.1)


def test_magnitudes_equal_librosa():
    x = np.random.default_rng(0).standard_normal(4_000).astype(np.float32)
    expected = np.abs(librosa.stft(x, n_fft=512, hop_length=128, pad_mode="reflect")).T
    np.testing.assert_allclose(magnitudes(jnp.asarray(x), Resolution(512, 128)), expected, rtol=1e-4, atol=1e-4)


def test_scale_compensates_levels_and_centers():
    rng = np.random.default_rng(1)
    style = rng.rayleigh(1, (400, 5)) * np.array([1, 10, 0.1, 100, 1e-9])
    scale = fit_scale(jnp.asarray(style), whitening=1.0, compression=0.7, centering=1.0, bias=0.5)
    argument = style * np.asarray(scale.gain)
    assert argument.mean() == pytest.approx(0.7, rel=1e-4)
    np.testing.assert_allclose(argument.mean(axis=0)[:3], argument.mean(axis=0)[3], rtol=1e-3)
    assert argument.mean(axis=0)[4] < 1e-4, "60 dB under the loudest there is no level to compensate"
    features = np.asarray(log_magnitudes(jnp.asarray(style), scale))
    np.testing.assert_allclose(features[:, :-1].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(
        features[:, -1], 0.5 * np.sqrt(np.mean(np.sum(features[:, :-1] ** 2, axis=1))), rtol=1e-5
    )


def test_no_whitening_and_no_centering_is_plain_log_compression():
    style = np.random.default_rng(2).rayleigh(3, (50, 4)).astype(np.float32)
    scale = fit_scale(jnp.asarray(style), whitening=0.0, compression=2.0, centering=0.0, bias=0.0)
    expected = np.log1p(2 * style / style.mean())
    features = np.asarray(log_magnitudes(jnp.asarray(style), scale))
    np.testing.assert_allclose(features[:, :-1], expected, rtol=1e-5)
    np.testing.assert_array_equal(features[:, -1], 0)
