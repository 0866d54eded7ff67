"""Excerpts against the recordings that they are of, in every format; what is read of a long file, and what is not."""

import numpy as np
import pytest
import soundfile

from jaxst import audio
from jaxst.audio import Recording
from jaxst.errors import AudioError
from jaxst.excerpts import excerpted

RATE, COUNT = 8_000, 10
SIZE, FADE = 3 * RATE, RATE // 100  # of an excerpt, and of what it has in common with the one before
STEP = 2.0**-23  # which 24 bits and float32 hold exactly


def ramp(seconds: float) -> np.ndarray:
    """Samples that tell their places."""
    return STEP * np.arange(1, round(seconds * RATE) + 1, dtype=np.float32)[None]


def noise(seconds: float, channels: int = 1) -> np.ndarray:
    samples = np.random.default_rng(0).standard_normal((channels, round(seconds * RATE)), np.float32)
    return 0.1 * samples


def pieces(excerpts: Recording) -> np.ndarray:
    """Each excerpt without what is crossfaded, `(count, time)`, of the first channel."""
    return excerpts.samples[0].reshape(-1, SIZE)[:, FADE:]


def starts(excerpts: Recording) -> np.ndarray:
    """Where in a ramp each excerpt begins."""
    places = np.round(pieces(excerpts) / STEP).astype(int) - 1
    assert (np.diff(places) == 1).all()
    return places[:, 0] - FADE


def written(path, samples: np.ndarray, subtype: str | None = None):
    soundfile.write(path, samples.T, RATE, subtype)
    return path


@pytest.fixture
def frames_read(monkeypatch) -> list[int]:
    """What is asked of libsndfile from now on."""
    asked, read = [], soundfile.SoundFile.read

    def counted(self, frames=-1, *args, **kwargs):
        asked.append(self.frames if frames < 0 else frames)
        return read(self, frames, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    return asked


@pytest.mark.parametrize("seconds", [30 + 1 / RATE, 30.05, 33.3, 600])
def test_every_tenth_of_a_recording_has_an_excerpt(seconds):
    excerpts = excerpted(Recording(ramp(seconds), RATE, "ramp"))
    assert excerpts.samples.shape == (1, 30 * RATE)
    assert (excerpts.sample_rate, excerpts.name, excerpts.in_excerpts) == (RATE, "ramp", True)
    tenths = seconds * RATE * np.arange(COUNT + 1) / COUNT
    found = starts(excerpts)
    assert (found >= np.minimum(tenths[:-1].astype(int), seconds * RATE - SIZE - FADE)).all()
    assert (found + SIZE + FADE <= np.maximum(tenths[1:], tenths[:-1] + SIZE + FADE)).all()
    assert found[-1] + SIZE + FADE <= seconds * RATE


def test_excerpts_are_not_equally_far_from_each_other():
    distances = np.diff(starts(excerpted(Recording(ramp(600), RATE))))
    assert np.std(distances) > 5 * RATE
    assert len(set(distances)) == COUNT - 1


@pytest.mark.parametrize("name", ["long.wav", "long.flac"])
def test_of_a_long_file_only_the_excerpts_are_read(tmp_path, frames_read, name):
    samples = ramp(600)
    path = written(tmp_path / name, samples, "PCM_24")
    excerpts = excerpted(path)
    assert sum(frames_read) < 31.5 * RATE + 11 * 8_192
    assert max(frames_read) < 5 * RATE
    assert excerpts.name == str(path)
    np.testing.assert_array_equal(excerpts.samples, excerpted(Recording(samples, RATE)).samples)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.wav", "PCM_16"), ("a.flac", "PCM_16"), ("a.ogg", "VORBIS"), ("opus.ogg", "OPUS"), ("a.mp3", None)],
)
def test_excerpts_are_what_reading_all_of_a_file_finds_there(tmp_path, name, subtype):
    path = written(tmp_path / name, noise(40, channels=2), subtype)
    whole = audio.read(path)
    excerpts = excerpted(path)
    assert excerpts.samples.shape == (2, 30 * RATE)
    np.testing.assert_allclose(excerpts.samples, excerpted(whole).samples, atol=1e-6)


def test_an_mp3_that_tells_no_length_is_as_long_as_what_is_decoded(tmp_path):
    """libsndfile guesses it from the bits of the first frame, here too long."""
    samples = noise(40) * np.where(np.arange(40 * RATE) < 35 * RATE, 0.01, 1).astype(np.float32)[None]
    path = tmp_path / "a.mp3"
    soundfile.write(path, samples.T, RATE, compression_level=0.5, bitrate_mode="AVERAGE")
    content = path.read_bytes()
    assert b"Xing" in content[:100]
    path.write_bytes(content.replace(b"Xing", bytes(4), 1))
    decoded = audio.read(path)
    assert decoded.duration == pytest.approx(40, abs=0.5)
    assert soundfile.info(path).frames > decoded.samples.shape[1]
    np.testing.assert_allclose(excerpted(path).samples, excerpted(decoded).samples, atol=1e-6)


def test_what_is_not_long_is_left_alone(tmp_path):
    short = Recording(noise(30), RATE, "short")
    assert excerpted(short) is short
    path = written(tmp_path / "short.flac", short.samples)
    excerpts, whole = excerpted(path), audio.read(path)
    np.testing.assert_array_equal(excerpts.samples, whole.samples)
    assert (excerpts.name, excerpts.in_excerpts) == (whole.name, False)


@pytest.mark.parametrize("sample_rate", [4_000, 11_025, 44_100])
def test_excerpts_are_as_long_at_another_rate_and_taken_once(sample_rate):
    resampled = audio.load(excerpted(Recording(noise(40), RATE)), sample_rate)
    assert resampled.samples.shape == (1, 30 * sample_rate)
    assert excerpted(resampled) is resampled


def test_where_excerpts_meet_there_is_no_click():
    time = np.arange(60 * RATE) / RATE
    tone = np.sin(2 * np.pi * 20 * time).astype(np.float32)[None]
    joined = excerpted(Recording(tone, RATE)).samples
    assert np.abs(np.diff(joined)).max() < 3 * np.abs(np.diff(tone)).max()


# Silence


def test_excerpts_are_where_there_is_sound():
    """Of each tenth, 10 s, the second half sounds: some places are silent, and drawn anew."""
    samples = ramp(100)
    quiet = samples * (np.arange(100 * RATE) // (5 * RATE) % 2)[None].astype(np.float32)
    before, after = (pieces(excerpted(Recording(x, RATE)))[:, -1] for x in (samples, quiet))
    assert len(after) == COUNT
    assert (after > 0).all()
    assert 0 < np.sum(before != after) < COUNT


def test_where_a_tenth_is_silent_there_are_fewer_excerpts():
    samples = ramp(100)
    samples[:, 10 * RATE : 40 * RATE] = 0
    found = starts(excerpted(Recording(samples, RATE)))
    assert len(found) == 7
    assert not ((found > 7 * RATE) & (found < 40 * RATE)).any()


@pytest.mark.parametrize("second", [0, 77.7, 99.9])
def test_a_short_sound_in_long_silence_is_found(tmp_path, second):
    samples = np.zeros((1, 100 * RATE), np.float32)
    samples[:, round(second * RATE)] = 0.5
    excerpts = excerpted(written(tmp_path / "a.wav", samples))
    assert excerpts.samples.shape == (1, SIZE)
    assert excerpts.samples.max() == pytest.approx(0.5, abs=1e-3)


def test_a_long_silence_is_called_so(tmp_path, frames_read):
    path = written(tmp_path / "quiet.wav", np.zeros((2, 40 * RATE), np.float32))
    with pytest.raises(AudioError, match=r"quiet\.wav: is silent: there is nothing to take from it"):
        audio.load(excerpted(path))
    assert max(frames_read) < 5 * RATE


# What cannot be used


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_a_long_file_that_is_cut_off_is_refused_wherever_the_cut_is(tmp_path, capfd, name):
    path = written(tmp_path / name, noise(60))
    content = path.read_bytes()
    for kept in (len(content) // 2, len(content) * 9 // 10, len(content) - 1_000):
        path.write_bytes(content[:kept])
        with pytest.raises(AudioError, match=f"{name}: .*cut off"):
            excerpted(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_excerpt_that_is_not_finite_is_refused(tmp_path, value):
    samples = noise(40)
    samples[:, :: 2 * RATE] = value
    with pytest.raises(AudioError, match=r"a\.wav: holds NaN or infinite samples"):
        excerpted(written(tmp_path / "a.wav", samples, "FLOAT"))


def test_more_than_two_channels_are_refused(tmp_path):
    with pytest.raises(AudioError, match="has 3 channels"):
        excerpted(written(tmp_path / "a.wav", noise(40, channels=3)))
