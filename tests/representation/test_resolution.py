import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from jaxst.representation import Resolution, magnitudes, resolution_at


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
