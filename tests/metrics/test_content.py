"""Measures against librosa, mir_eval and NumPy, on tones of known pitch, and their ranks on recordings."""

import librosa
import mir_eval
import numpy as np
import pytest
from recordings import RATE, clip, shaped_noise, tone, white_noise, with_noise

from jaxst.errors import AudioError
from jaxst.metrics.content import (
    SEMITONES,
    chroma_similarity,
    f0_accuracy,
    log_spectral_distance,
    mfcc_timbre_distance,
    onset_correlation,
    pitch_set_distance,
    pitch_sets,
)

SIMILARITIES = {  # all such that more is better
    "log-spectral, frames": lambda x, y: -log_spectral_distance(x, y, RATE).frames,
    "log-spectral, overall": lambda x, y: -log_spectral_distance(x, y, RATE).overall,
    "chroma": lambda x, y: chroma_similarity(x, y, RATE),
    "centered chroma": lambda x, y: chroma_similarity(x, y, RATE, centered=True),
    "onsets": lambda x, y: onset_correlation(x, y, RATE),
    "pitch sets": lambda x, y: -pitch_set_distance(x, y, RATE),
    "raw pitch": lambda x, y: f0_accuracy(x, y, RATE).raw_pitch,
}
GAIN_MATTERS = {"log-spectral, frames", "log-spectral, overall"}


def note(*numbers: int, seconds: float = 1.0) -> np.ndarray:
    """A chord of MIDI notes with five harmonics each."""
    return sum(tone(440 * 2 ** ((number - 69) / 12), seconds, harmonics=5) for number in numbers)


@pytest.mark.parametrize("name", SIMILARITIES)
@pytest.mark.parametrize("recording", ["speech", "guitar", "tabla"])
def test_untouched_is_better_than_mild_than_destroyed(recording, name):
    content = clip(recording)
    measure = SIMILARITIES[name]
    values = [measure(x, content) for x in (content, with_noise(content, 25), with_noise(content, 0))]
    destroyed = min(measure(shaped_noise(content), content), measure(white_noise(content), content))
    best = 0 if name.startswith(("log", "pitch")) else 1
    assert values[0] == pytest.approx(best, abs=1e-3)
    assert values[0] > values[1] > values[2] > destroyed


@pytest.mark.parametrize("name", SIMILARITIES)
def test_gain_matters_only_where_said(name):
    content = clip("speech")
    output = with_noise(content, 25)
    change = SIMILARITIES[name](0.1 * output, content) - SIMILARITIES[name](output, content)
    assert abs(change) > 5 if name in GAIN_MATTERS else abs(change) < 0.01


def test_a_silent_output_has_the_values_that_are_documented():
    content, silence = clip("speech", 2.0), np.zeros(2 * RATE)
    assert 20 < log_spectral_distance(silence, content, RATE).frames < 80
    assert chroma_similarity(silence, content, RATE) < 1e-6
    assert onset_correlation(silence, content, RATE) == 0
    assert pitch_set_distance(silence, content, RATE) == 1
    assert f0_accuracy(silence, content, RATE)[:3] == (0, 0, 0)


@pytest.mark.parametrize(
    "measure",
    [log_spectral_distance, chroma_similarity, onset_correlation, f0_accuracy, pitch_set_distance],
)
def test_silent_content_is_refused_and_what_is_short_too(measure):
    with pytest.raises(AudioError, match="reference: is silent"):
        measure(clip("speech", 1.0), np.zeros(RATE), RATE)
    if measure is not log_spectral_distance:
        with pytest.raises(AudioError, match=r"output: lasts 0\.400 s"):
            measure(clip("speech", 0.4), clip("speech", 1.0), RATE)


def test_unequal_lengths_are_cut():
    content = clip("speech", 3.0)
    for name, measure in SIMILARITIES.items():
        assert measure(content[: 2 * RATE], content) == measure(content[: 2 * RATE], content[: 2 * RATE]), name


def test_log_spectral_distance_is_that_of_its_formula():
    """At 16 kHz 46 ms are 720 samples, the next quickly transformed multiple of the hop."""
    content = clip("speech", 2.0)
    output = with_noise(content, 10)
    n_fft = 4 * 192
    first, second = (
        np.abs(librosa.stft(np.pad(x, n_fft // 2), n_fft=n_fft, hop_length=n_fft // 4, center=False))
        for x in (output, content)
    )
    floor = 1e-4 * second.max()
    squares = (20 * np.log10(np.maximum(first, floor) / np.maximum(second, floor))) ** 2
    frames, overall = log_spectral_distance(output, content, RATE)
    assert frames == pytest.approx(np.mean(np.sqrt(squares.mean(axis=0))), rel=1e-3)
    assert overall == pytest.approx(np.sqrt(squares.mean()), rel=1e-3)


def test_one_sided_gain_is_its_decibels():
    content = white_noise(clip("speech", 2.0))
    assert log_spectral_distance(content / 2, content, RATE) == pytest.approx([6.02, 6.02], abs=0.01)


def test_chroma_knows_classes_not_octaves():
    assert chroma_similarity(note(69), note(57), RATE) > 0.95
    assert chroma_similarity(note(69), note(75), RATE, centered=True) < 0.1


@pytest.mark.parametrize("cents", [-45, -20, 30])
def test_chroma_is_tuned_to_the_content(cents):
    detuned = 57 + cents / 100
    similarity = chroma_similarity(note(detuned + 1), note(detuned), RATE, centered=True)
    assert similarity == pytest.approx(chroma_similarity(note(58), note(57), RATE, centered=True), abs=0.03)


def test_content_without_any_peak_has_a_chroma():
    assert chroma_similarity(note(69), np.full(RATE, 0.5), RATE) >= 0


def test_onsets_are_compared_in_place():
    clicks = np.zeros(3 * RATE)
    clicks[RATE // 2 :: RATE // 2] = 1
    shifted = np.roll(clicks, RATE // 4)
    assert onset_correlation(0.5 * clicks, clicks, RATE) == pytest.approx(1, abs=1e-3)
    assert onset_correlation(shifted, clicks, RATE) < 0.1


@pytest.mark.parametrize(("other", "pitch", "chroma"), [(57, 1, 1), (69, 0, 1), (58, 0, 0)])
def test_fundamentals_are_found_and_compared_within_50_cents(other, pitch, chroma):
    scores = f0_accuracy(note(other), note(57), RATE)
    assert scores.raw_pitch == pytest.approx(pitch, abs=0.1)
    assert scores.raw_chroma == pytest.approx(chroma, abs=0.1)
    assert scores.voicing_recall == pytest.approx(1, abs=0.1)


def test_thirty_cents_are_the_same_pitch():
    assert f0_accuracy(tone(220 * 2 ** (30 / 1200)), tone(220), RATE).raw_pitch > 0.95
    assert f0_accuracy(tone(220 * 2 ** (70 / 1200)), tone(220), RATE).raw_pitch < 0.05


def test_what_begins_to_sound_too_early_is_a_false_alarm():
    content = np.concatenate([white_noise(np.ones(RATE)) * 0.1, note(57)])
    output = np.concatenate([note(57), note(57)])
    scores = f0_accuracy(output, content, RATE)
    assert scores.voicing_false_alarm > 0.9
    assert scores.raw_pitch > 0.9
    assert scores.overall == pytest.approx(0.5, abs=0.1)


def test_content_without_pitch_has_no_melody():
    with pytest.raises(AudioError, match="has no pitch"):
        f0_accuracy(clip("speech", 2.0), white_noise(clip("speech", 2.0)), RATE)


@pytest.mark.parametrize("numbers", [(57,), (60, 64, 67), (48, 55, 64), (69, 70)])
def test_sets_are_the_notes_of_a_chord(numbers):
    frames = pitch_sets(note(*numbers))[3:-3]
    shares = frames.mean(axis=0)
    assert set(SEMITONES[shares > 0.9]) >= set(numbers)
    assert shares[~np.isin(SEMITONES, numbers)].max() < 0.1


def test_pitch_set_distance_is_mir_evals_accuracy_of_chords():
    """In frames that are all alike the mean of Jaccard indices is the share of all pitches."""
    first, second = (60, 64, 67), (60, 65, 67)
    times = np.arange(10) / 10
    hertz = [np.array([440 * 2 ** ((number - 69) / 12) for number in numbers]) for numbers in (first, second)]
    scores = mir_eval.multipitch.evaluate(times, [hertz[0]] * 10, times, [hertz[1]] * 10)
    wanted = 1 - scores["Accuracy"]
    assert wanted == pytest.approx(0.5)
    assert pitch_set_distance(note(*second), note(*first), RATE) == pytest.approx(wanted, abs=0.1)


def test_timbre_is_the_cosine_of_librosas_mfcc():
    means = []
    for name in ("speech", "water"):
        x = clip(name, 2.0)
        x = 0.1 * x / np.sqrt(np.mean(x**2))
        coefficients = librosa.feature.mfcc(
            y=x, sr=RATE, n_mfcc=13, n_fft=2048, hop_length=512, n_mels=40, pad_mode="constant"
        )
        means.append(coefficients.mean(axis=1)[1:])
    wanted = 1 - means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1])
    assert mfcc_timbre_distance(clip("speech", 2.0), clip("water", 2.0), RATE) == pytest.approx(wanted, abs=1e-4)


def test_timbre_is_of_the_spectrum_whatever_pitch_gain_and_length():
    speech = clip("speech")
    half = mfcc_timbre_distance(0.1 * speech[: len(speech) // 2], speech[len(speech) // 2 :], RATE)
    assert mfcc_timbre_distance(speech, speech, RATE) == pytest.approx(0, abs=1e-6)
    assert half < 0.05 < mfcc_timbre_distance(clip("water"), speech, RATE)
    assert mfcc_timbre_distance(white_noise(speech), speech, RATE) > 1
    with pytest.raises(AudioError, match="output: is silent"):
        mfcc_timbre_distance(np.zeros(RATE), speech, RATE)
