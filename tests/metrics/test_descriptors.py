"""Numbers of signals for which they are known."""

import numpy as np
import pyloudnorm
import pytest
from recordings import RATE, clip, tone

from jaxst.errors import AudioError
from jaxst.metrics import descriptors
from jaxst.metrics.descriptors import (
    clipping,
    crest_factor,
    describe,
    harmonic_complexity,
    high_frequency_content,
    loudness,
    pitch_salience,
    spectral_centroid,
    tempo,
)

NOISE = 0.1 * np.random.default_rng(0).standard_normal(3 * RATE)
OF_SOUND = [spectral_centroid, pitch_salience, high_frequency_content, harmonic_complexity, tempo, loudness]


@pytest.mark.parametrize("measure", [spectral_centroid, high_frequency_content])
def test_brightness_of_a_tone_is_its_frequency_and_of_noise_the_middle(measure):
    assert measure(tone(1000, 3.0), RATE) == pytest.approx(1000, rel=0.03)
    assert measure(NOISE, RATE) == pytest.approx(4000, rel=0.03)


def test_energy_weighs_the_louder_of_two_tones_more():
    mix = tone(1000, 3.0) + tone(3000, 3.0) / 3
    assert spectral_centroid(mix, RATE) == pytest.approx((1000 + 3000 / 3) / (1 + 1 / 3), rel=0.03)
    assert high_frequency_content(mix, RATE) == pytest.approx((1000 + 3000 / 9) / (1 + 1 / 9), rel=0.03)


def test_salience_is_one_for_tones_and_little_for_noise():
    assert pitch_salience(tone(220, 3.0, harmonics=5), RATE) > 0.97
    assert pitch_salience(NOISE, RATE) < 0.3
    assert pitch_salience(clip("water"), RATE) < pitch_salience(clip("speech"), RATE)


@pytest.mark.parametrize("harmonics", [1, 3, 8])
def test_complexity_counts_partials(harmonics):
    assert harmonic_complexity(tone(400, 3.0, harmonics=harmonics), RATE) == pytest.approx(harmonics, abs=0.2)


@pytest.mark.parametrize("beats", [90, 120, 150])
def test_tempo_of_clicks(beats):
    clicks = np.zeros(10 * RATE)
    clicks[:: round(RATE * 60 / beats)] = 1
    assert tempo(clicks, RATE) == pytest.approx(beats, rel=0.02)


def test_loudness_of_the_standards_tone():
    """A sine of 997 Hz at full scale on one channel is -3.01 LUFS, at -20 dB on both -20."""
    sine = np.sin(2 * np.pi * 997 * np.arange(3 * 48_000) / 48_000)
    assert loudness(sine, 48_000) == pytest.approx(-3.01, abs=0.1)
    assert loudness(0.1 * np.stack([sine, sine]), 48_000) == pytest.approx(-20, abs=0.1)
    wanted = pyloudnorm.Meter(RATE).integrated_loudness(clip("speech"))
    assert loudness(clip("speech"), RATE) == pytest.approx(wanted)


def test_what_is_below_the_gate_is_minus_70():
    assert loudness(1e-4 * NOISE, RATE) == -70


def test_crest_of_a_sine_and_of_noise():
    assert crest_factor(tone(440, 3.0)) == pytest.approx(3.01, abs=0.01)
    assert crest_factor(np.sign(NOISE)) == pytest.approx(0, abs=1e-9)
    assert 10 < crest_factor(NOISE) < 15


def test_clipping_is_the_share_at_full_scale():
    x = np.zeros((2, 100))
    x[0, :7], x[1, 0], x[1, 1] = 1, -1.5, 0.999
    assert clipping(x) == 8 / 200
    assert clipping(np.zeros(10)) == 0


def test_all_of_them():
    speech = clip("speech")
    stereo = np.stack([speech, speech])
    values = describe(stereo, RATE)
    for name, value in values._asdict().items():
        function = getattr(descriptors, name)
        wanted = function(stereo) if name in ("crest_factor", "clipping") else function(stereo, RATE)
        assert value == pytest.approx(wanted, rel=1e-6), name
    assert all(map(np.isfinite, values))


@pytest.mark.parametrize("measure", OF_SOUND[:5])
def test_gain_does_not_matter(measure):
    assert measure(0.01 * clip("speech"), RATE) == pytest.approx(measure(clip("speech"), RATE), rel=1e-3)


@pytest.mark.parametrize("measure", [*OF_SOUND[:5], describe])
def test_silence_is_refused(measure):
    with pytest.raises(AudioError, match="is silent"):
        measure(np.zeros(RATE), RATE)


def test_short_signals_are_measured_or_refused():
    for measure in OF_SOUND[:4]:
        assert np.isfinite(measure(NOISE[:10], RATE))
    for measure in (tempo, loudness, describe):
        with pytest.raises(AudioError, match=r"lasts 0\.300 s"):
            measure(NOISE[: 3 * RATE // 10], RATE)
