import numpy as np
import pytest
import soxr

from jaxst.errors import AudioError
from jaxst.metrics.samples import at_level, checked, mono, mono_pair

NOISE = 0.1 * np.random.default_rng(0).standard_normal((2, 4_000))


def test_channels_are_averaged_then_resampled():
    wanted = soxr.resample(NOISE.mean(axis=0), 8_000, 16_000, quality="HQ")
    np.testing.assert_allclose(mono(NOISE, 8_000, rate=16_000), wanted)
    np.testing.assert_allclose(mono(NOISE[0], 8_000), NOISE[0])


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(100), "is silent"),
        (np.zeros((2, 0)), "holds no samples"),
        (np.full(100, np.nan), "holds NaN"),
        (np.full(100, np.inf), "holds NaN or infinite"),
        (np.ones((1, 1, 100)), r"has shape \(1, 1, 100\)"),
        (np.stack([NOISE[0], -NOISE[0]]), "is silent"),
        (NOISE[:, :100], r"lasts 0\.013 s, but this measure needs 0\.5 s"),
    ],
)
def test_what_cannot_be_measured_is_refused_by_name(samples, message):
    with pytest.raises(AudioError, match=f"output: {message}"):
        mono(samples, 8_000, shortest=0.5, name="output")


def test_silence_passes_where_it_has_a_value():
    assert not checked(np.zeros(10), sounding=False).any()
    output, reference = mono_pair(np.zeros(50), NOISE, 8_000, rate=8_000)
    assert len(output) == len(reference) == 50
    with pytest.raises(AudioError, match="reference: is silent"):
        mono_pair(NOISE, np.concatenate([np.zeros(5_000), NOISE[0]]), 8_000, rate=8_000)


def test_level_is_the_root_mean_square():
    assert np.sqrt(np.mean(at_level(NOISE[0], 0.3) ** 2)) == pytest.approx(0.3)
    assert not at_level(np.zeros(10), 0.3).any()
