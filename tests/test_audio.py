"""Files against other readers and writers (scipy, the standard library's `wave`), levels against arithmetic."""

import errno
import io
import os
import resource
import stat
import struct
import wave
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import scipy.io.wavfile
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxst import audio
from jaxst.audio import CEILING, Recording
from jaxst.errors import AudioError, ConfigError, OutputError

RATE = 16_000
DISK_BYTES = 20_000  # a file may grow to this size while `full_disk` lasts


def noise(channels: int = 1, time: int = RATE, *, rms: float = 0.1, seed: int = 0) -> np.ndarray:
    return (rms * np.random.default_rng(seed).standard_normal((channels, time))).astype(np.float32)


def tones(channels: int = 1, time: int = RATE, *, sample_rate: int = RATE, frequency: float = 440.0) -> np.ndarray:
    phase = 2 * np.pi * frequency * np.arange(time) / sample_rate
    return (0.5 * np.sin(phase * np.arange(1, channels + 1)[:, None])).astype(np.float32)


def encoded(samples: np.ndarray, container: str, subtype: str | None = None, **options) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples.T, RATE, subtype, format=container, **options)
    return file.getvalue()


def read_bytes(folder: Path, content: bytes, suffix: str) -> Recording:
    path = folder / f"recording{suffix}"
    path.write_bytes(content)
    return audio.read(path)


def refusal(folder: Path, content: bytes, suffix: str) -> str:
    with pytest.raises(AudioError) as caught:
        read_bytes(folder, content, suffix)
    assert str(caught.value).startswith(str(folder / f"recording{suffix}"))
    return str(caught.value)


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


@contextmanager
def full_disk():
    """Let no file grow beyond DISK_BYTES: a write fails as on a full disk, for root too."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_BYTES, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


# Recordings


def test_a_recording_knows_its_measures():
    recording = Recording(np.stack([np.full(8_000, 0.3), np.full(8_000, -0.4)]), 16_000)
    assert (recording.channels, recording.duration, recording.samples.dtype) == (2, 0.5, np.float32)
    assert recording.rms == pytest.approx(np.sqrt((0.3**2 + 0.4**2) / 2))
    assert not recording.silent


def test_mono_may_come_without_a_channel_axis():
    assert Recording(np.ones(5), RATE).samples.shape == (1, 5)


@pytest.mark.parametrize(("peak", "silent"), [(0.0, True), (0.9e-5, True), (1.1e-5, False)])
def test_silence_ends_at_minus_100_db(peak, silent):
    assert Recording(np.array([[0.0, -peak, 0.0]]), RATE).silent is silent


@pytest.mark.parametrize(
    ("samples", "sample_rate", "reason"),
    [
        (np.zeros((3, 100)), RATE, r"shape \(3, 100\)"),
        (np.zeros((1, 2, 100)), RATE, r"shape \(1, 2, 100\)"),
        (np.zeros((2, 0)), RATE, "no samples"),
        (np.array([[0.0, np.nan]]), RATE, "NaN"),
        (np.array([[0.0, -np.inf]]), RATE, "infinite"),
        (np.zeros((1, 100)), 3_999, "3999 Hz"),
        (np.zeros((1, 100)), 192_001, "192001 Hz"),
    ],
)
def test_unusable_samples_are_refused(samples, sample_rate, reason):
    with pytest.raises(AudioError, match=f"^some.wav: .*{reason}"):
        Recording(samples, sample_rate, "some.wav")


# Reading


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_wav_by_scipy_is_read_exactly(tmp_path, dtype, channels):
    samples = tones(channels, 4_001)
    if np.issubdtype(dtype, np.integer):
        scale = 2.0 ** (8 * np.dtype(dtype).itemsize - 1)
        stored = np.round(samples.astype(np.float64) * scale)
        expected = stored / scale
        stored = stored + (128 if dtype == np.uint8 else 0)
    else:
        stored = expected = samples
    scipy.io.wavfile.write(tmp_path / "a.wav", 22_050, stored.astype(dtype).T)
    recording = audio.read(tmp_path / "a.wav")
    assert recording.sample_rate == 22_050
    assert recording.name == str(tmp_path / "a.wav")
    np.testing.assert_array_equal(recording.samples, expected.astype(np.float32))


def test_wav_of_24_bits_by_the_standard_library_is_read_exactly(tmp_path):
    stored = np.random.default_rng(0).integers(-(2**23), 2**23, 1_001)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(RATE)
        file.writeframes(b"".join(int(value).to_bytes(3, "little", signed=True) for value in stored))
    np.testing.assert_array_equal(audio.read(tmp_path / "a.wav").samples, [(stored / 2**23).astype(np.float32)])


@pytest.mark.parametrize(("container", "suffix"), [("WAVEX", ".wav"), ("RF64", ".wav"), ("FLAC", ".flac")])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_other_lossless_files_are_read_exactly(tmp_path, container, suffix, subtype):
    steps = 2.0 ** (15 if subtype == "PCM_16" else 23)
    samples = (np.round(tones(2, 4_001).astype(np.float64) * steps) / steps).astype(np.float32)
    np.testing.assert_array_equal(read_bytes(tmp_path, encoded(samples, container, subtype), suffix).samples, samples)


@pytest.mark.parametrize(("container", "suffix"), [("OGG", ".ogg"), ("MP3", ".mp3")])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("time", [700, RATE, RATE + 1])
def test_lossy_files_are_read_with_their_exact_length(tmp_path, container, suffix, channels, time):
    samples = tones(channels, time)
    recording = read_bytes(tmp_path, encoded(samples, container), suffix)
    assert recording.sample_rate == RATE
    assert recording.samples.shape == samples.shape
    if time >= RATE:
        inner = slice(2_000, -2_000)  # in a tone that begins and ends at once the codecs err at the ends
        assert rms(recording.samples[:, inner] - samples[:, inner]) < 0.05 * rms(samples)


def wav_with_sizes(riff: int, data: int) -> bytes:
    content = bytearray(encoded(noise(2), "WAV", "PCM_16"))
    assert content[36:40] == b"data"
    content[4:8], content[40:44] = struct.pack("<I", riff), struct.pack("<I", data)
    return bytes(content)


def wav_with_chunk_behind(samples: np.ndarray, subtype: str) -> bytes:
    content = encoded(samples, "WAV", subtype)
    content += b"LIST" + struct.pack("<I", 14) + b"INFOISFT" + struct.pack("<I", 2) + b"x\0"
    return content[:4] + struct.pack("<I", len(content) - 8) + content[8:]


def mp3_without_length(samples: np.ndarray) -> bytes:
    """A stream of constant bit rate whose first frame tells no length, as encoders write to pipes."""
    content = encoded(samples, "MP3", compression_level=0.5, bitrate_mode="CONSTANT")
    assert b"Info" in content[:64]
    return content[content.index(content[:3], 64) :]


def behind_tag(content: bytes, size: int) -> bytes:
    return b"ID3\x03\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(size) + content


INTACT = {
    "streamed-by-ffmpeg.wav": lambda: wav_with_sizes(2**32 - 1, 2**32 - 1),
    "streamed-by-sox.wav": lambda: wav_with_sizes(0x7FFFF024, 0x7FFFF000),
    "never-closed.wav": lambda: wav_with_sizes(8, 0),
    "chunk-behind.wav": lambda: wav_with_chunk_behind(noise(2), "PCM_16"),
    "odd-bytes.wav": lambda: wav_with_chunk_behind(noise(1, RATE - 1), "PCM_U8"),
    "rubbish-behind.wav": lambda: encoded(noise(2), "WAV", "PCM_24") + b"rubbish" * 100,
    "many-frames.flac": lambda: encoded(noise(2, 20 * RATE), "FLAC"),
    "many-pages.ogg": lambda: encoded(noise(2, 20 * RATE), "OGG"),
    "opus.ogg": lambda: encoded(noise(2), "OGG", "OPUS"),
    "tag-before.mp3": lambda: behind_tag(encoded(noise(2), "MP3"), 3_000),
    "large-tag-before.mp3": lambda: behind_tag(encoded(noise(2), "MP3"), 300_000),
    "tag-behind.mp3": lambda: encoded(noise(2), "MP3") + b"TAG" + bytes(125),
    "constant-rate.mp3": lambda: encoded(noise(2), "MP3", compression_level=0.5, bitrate_mode="CONSTANT"),
}


@pytest.mark.parametrize("name", INTACT)
def test_an_intact_file_raises_no_alarm(tmp_path, name):
    recording = read_bytes(tmp_path, INTACT[name](), Path(name).suffix)
    seconds = 20 if name.startswith("many") else 1
    assert recording.samples.shape[1] == pytest.approx(seconds * recording.sample_rate, abs=1)
    assert recording.rms == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize("tag", [0, 3_000, 300_000])
def test_an_mp3_without_its_length_raises_no_alarm(tmp_path, tag):
    content = mp3_without_length(noise(2))
    content = behind_tag(content, tag) if tag else content
    assert read_bytes(tmp_path, content, ".mp3").duration == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("container", "subtype", "suffix"),
    [
        ("WAV", "PCM_16", ".wav"),
        ("WAV", "FLOAT", ".wav"),
        ("WAVEX", "PCM_24", ".wav"),
        ("FLAC", "PCM_16", ".flac"),
        ("OGG", "VORBIS", ".ogg"),
        ("MP3", None, ".mp3"),
    ],
)
def test_a_file_that_is_cut_off_is_refused_wherever_the_cut_is(tmp_path, capfd, container, subtype, suffix):
    content = encoded(noise(2), container, subtype)
    for kept in (1, 4, 44, 100, 1_000, len(content) // 2, len(content) * 9 // 10, len(content) - 300, len(content) - 1):
        reason = refusal(tmp_path, content[:kept], suffix)
        assert "cut off" in reason or "no samples" in reason, kept
    assert capfd.readouterr() == ("", "")  # the MP3 decoder likes to talk


def test_chunks_and_tags_hide_no_cut(tmp_path):
    wav = wav_with_chunk_behind(noise(2), "PCM_16")
    assert "cut off" in refusal(tmp_path, wav[:-1_000], ".wav")
    for size in (3_000, 300_000):
        mp3 = behind_tag(encoded(noise(2), "MP3"), size)
        assert "cut off" in refusal(tmp_path, mp3[:-1_000], ".mp3")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"\0", "cannot be decoded"),
        (b"These are words, not samples.\n" * 100, "cannot be decoded"),
        (b"\x89PNG\r\n\x1a\n" + bytes(10_000), "cannot be decoded"),
        (bytes(100_000), "cannot be decoded"),
        (np.random.default_rng(0).bytes(100_000), "cannot be decoded"),
    ],
    ids=["empty", "one byte", "text", "picture", "zeros", "random"],
)
@pytest.mark.parametrize("suffix", audio.READABLE)
def test_what_is_not_audio_is_refused(tmp_path, capfd, content, reason, suffix):
    assert reason in refusal(tmp_path, content, suffix)
    assert capfd.readouterr() == ("", "")


def test_what_is_not_a_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    for name, reason in {"none.wav": "no such file", "": "is a directory", "pipe.wav": "is a pipe"}.items():
        with pytest.raises(AudioError, match=reason) as caught:
            audio.read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_a_file_without_read_permission_is_refused(tmp_path, monkeypatch):
    """The refusal is staged: root, whom continuous integration may run as, may read every file."""

    path = tmp_path / "secret.wav"
    path.write_bytes(encoded(noise(), "WAV"))
    monkeypatch.setattr(os, "access", lambda path, mode: os.fspath(path) != str(tmp_path / "secret.wav"))
    with pytest.raises(AudioError, match=r"secret.wav: may not be read"):
        audio.read(path)


@pytest.mark.parametrize(
    ("samples", "subtype", "reason"),
    [
        (noise(3), "PCM_16", "3 channels"),
        (noise(6), "PCM_16", "6 channels"),
        (noise(2, 0), "PCM_16", "no samples"),
        (np.array([[0.1, np.nan, 0.1]], np.float32), "FLOAT", "NaN"),
        (np.array([[0.1, np.inf, 0.1]], np.float32), "FLOAT", "infinite"),
        (np.array([[0.1, 1e300, 0.1]]), "DOUBLE", "infinite"),
    ],
)
def test_unusable_content_is_refused(tmp_path, samples, subtype, reason):
    assert reason in refusal(tmp_path, encoded(samples, "WAV", subtype), ".wav")


def test_a_flac_without_its_length_is_refused_with_a_reason(tmp_path):
    content = bytearray(encoded(noise(), "FLAC"))
    assert content[:4] == b"fLaC"
    content[21] &= 0xF0  # the 36 bits of STREAMINFO that hold the number of samples
    content[22:26] = bytes(4)
    assert "streamed without its length" in refusal(tmp_path, bytes(content), ".flac")


# Resampling


@pytest.mark.parametrize(("old", "new"), [(44_100, 16_000), (16_000, 44_100), (48_000, 22_050), (8_000, 8_001)])
def test_resampled_tones_are_the_tones_at_the_other_rate(old, new):
    stereo = Recording(tones(2, old, sample_rate=old, frequency=1_000), old, "two tones")
    resampled = audio.resample(stereo, new)
    assert (resampled.sample_rate, resampled.name) == (new, "two tones")
    assert resampled.samples.shape == (2, new)
    inner = slice(new // 10, -new // 10)
    expected = tones(2, new, sample_rate=new, frequency=1_000)
    np.testing.assert_allclose(resampled.samples[:, inner], expected[:, inner], atol=1e-4)


def test_resampling_agrees_with_scipy_on_band_limited_noise():
    """Noise without anything near either Nyquist frequency: there resampling has one right answer."""
    low = scipy.signal.firwin(401, 3_000, fs=RATE)
    samples = scipy.signal.fftconvolve(noise(1, 2 * RATE), low[None], mode="same")
    expected = scipy.signal.resample(samples, 2 * 11_025, axis=1)
    resampled = audio.resample(Recording(samples, RATE), 11_025).samples
    inner = slice(1_000, -1_000)
    assert rms(resampled[:, inner] - expected[:, inner]) < 1e-3 * rms(expected)


def test_resampling_removes_what_the_lower_rate_cannot_hold():
    high = Recording(tones(1, 44_100, sample_rate=44_100, frequency=15_000), 44_100)
    resampled = audio.resample(high, 16_000).samples
    assert rms(resampled[:, 1_000:-1_000]) < 1e-4


@pytest.mark.parametrize("time", [1, 99, 12_345])
def test_resampling_changes_the_length_by_the_ratio(time):
    assert audio.resample(Recording(noise(1, time), 8_000), 44_100).samples.shape[1] == pytest.approx(
        time * 44_100 / 8_000, abs=1
    )


def test_loading_takes_a_recording_or_its_path_at_any_rate(tmp_path):
    recording = Recording(0.1 * np.ones(8_000), 8_000)
    assert audio.load(recording) is recording
    audio.write(tmp_path / "a.wav", recording)
    assert audio.load(tmp_path / "a.wav", 16_000).samples.shape == (1, 16_000)


@pytest.mark.parametrize(
    ("samples", "sample_rate", "error", "message"),
    [
        (np.zeros(100), None, AudioError, "x: is silent"),
        (np.full(100, 1e7), None, AudioError, r"x: peaks at 1e\+07, where full scale is 1; scale it down"),
        (np.ones(100), 3_999, ConfigError, "sample_rate=3999 must be from 4000 to 192000 Hz"),
    ],
)
def test_loading_refuses_what_cannot_be_worked_on(samples, sample_rate, error, message):
    with pytest.raises(error, match=f"^{message}"):
        audio.load(Recording(samples, 8_000, "x"), sample_rate)


def test_a_recording_of_the_right_rate_is_left_alone():
    recording = Recording(noise(), RATE)
    assert audio.resample(recording, RATE) is recording


# Levels


@settings(deadline=None)
@given(
    level=st.floats(1e-6, 1e3),
    wanted=st.just(0.0) | st.floats(1e-6, 10),
    clicks=st.integers(0, 20),
    channels=st.integers(1, 2),
    time=st.integers(1, 3_000),
    seed=st.integers(0, 100),
)
def test_no_level_exceeds_the_ceiling(level, wanted, clicks, channels, time, seed):
    random = np.random.default_rng(seed)
    samples = noise(channels, time, seed=seed)
    samples[:, random.integers(0, time, clicks)] *= 1_000
    matched = audio.match_level(level * samples, wanted, 8_000)
    assert matched.shape == samples.shape
    assert matched.dtype == np.float32
    assert np.abs(matched).max() <= np.float32(CEILING)
    assert rms(matched) <= wanted * (1 + 1e-5)


@pytest.mark.parametrize("wanted", [1e-4, 0.01, 0.1])
def test_a_level_that_leaves_room_for_the_peaks_is_reached(wanted):
    samples = noise(2, rms=0.3)
    matched = audio.match_level(samples, wanted, RATE)
    assert rms(matched) == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_allclose(matched, samples * (wanted / rms(samples)), rtol=1e-5)


def test_silence_stays_silence():
    np.testing.assert_array_equal(audio.match_level(np.zeros((2, 100)), 0.1, RATE), np.zeros((2, 100), np.float32))


def test_the_limiter_leaves_the_stereo_image():
    samples = noise(2)
    matched = audio.match_level(samples, 0.5, RATE)
    assert rms(matched) < 0.49  # it limits
    np.testing.assert_allclose(matched[0] * samples[1], matched[1] * samples[0], atol=1e-6)


def test_one_click_does_not_pull_the_level_down():
    samples = noise(1, rms=0.05)
    samples[0, 8_000] = 100
    wanted = 100 / np.sqrt(RATE)  # most of it the click's
    matched = audio.match_level(samples, wanted, RATE)
    assert matched[0, 8_000] == pytest.approx(CEILING, rel=1e-5)
    near = round(0.007 * RATE)
    for away in (slice(None, 8_000 - near), slice(8_000 + near, None)):
        np.testing.assert_allclose(matched[0, away], samples[0, away] * (wanted / rms(samples)), rtol=1e-5)


def test_the_limiter_turns_down_smoothly():
    samples = noise(1, rms=0.05)
    samples[0, ::1_000] = 1
    gain = audio.match_level(samples, 1.5 * rms(samples), RATE) / (1.5 * samples)
    assert gain.min() < 0.7
    assert np.abs(np.diff(gain)).max() < 0.5 / (0.003 * RATE)


def test_headroom_is_what_the_highest_peak_of_all_lacks():
    quiet, loud = Recording(np.array([0.5, -1.0]), 8_000), Recording(np.array([[1.0, 0.2], [0.1, -2.0]]), 8_000)
    assert audio.headroom([quiet]) == 1
    assert audio.headroom([quiet, loud]) == pytest.approx(CEILING / 2)
    np.testing.assert_allclose(audio.scaled(loud, 0.25).samples, loud.samples / 4)


# Writing


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", [4_000, 22_050, 44_100, 192_000])
def test_wav_is_read_exactly_by_others(tmp_path, channels, sample_rate):
    samples = noise(channels, 1_001)
    audio.write(tmp_path / "a.wav", Recording(samples, sample_rate))
    rate, stored = scipy.io.wavfile.read(tmp_path / "a.wav")  # 24 bits, moved to the left of 32
    assert rate == sample_rate
    np.testing.assert_allclose(stored.reshape(1_001, channels).T / 2.0**31, samples, atol=2**-23)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getsampwidth(), file.getnchannels(), file.getnframes()) == (3, channels, 1_001)


@pytest.mark.parametrize(
    ("name", "container", "subtype", "error"),
    [
        ("a.wav", "WAV", "PCM_24", 2**-23),
        ("A.FLAC", "FLAC", "PCM_24", 2**-23),
        ("a.b.ogg", "OGG", "VORBIS", 0.1),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_suffix_chooses_the_format(tmp_path, name, container, subtype, error, channels):
    samples = tones(channels, 50_001)
    audio.write(tmp_path / name, Recording(samples, 22_050))
    stored, rate = soundfile.read(tmp_path / name, always_2d=True)
    info = soundfile.info(tmp_path / name)
    assert (info.format, info.subtype, rate) == (container, subtype, 22_050)
    np.testing.assert_allclose(stored.T, samples, atol=error)
    assert os.listdir(tmp_path) == [name]


def test_peaks_above_full_scale_are_held_at_full_scale(tmp_path):
    audio.write(tmp_path / "a.wav", Recording(np.array([[2.0, -2.0, 0.5]]), RATE))
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0], [1, -1, 0.5], atol=2**-22)


def test_an_ogg_decodes_without_clipping(tmp_path):
    """The codec overshoots most where a waveform is square: here to four times full scale if nothing is done."""
    samples = (CEILING * np.sign(noise(2))).astype(np.float32)
    assert np.abs(soundfile.read(io.BytesIO(encoded(samples, "OGG", "VORBIS")))[0]).max() > 2
    audio.write(tmp_path / "a.ogg", Recording(samples, RATE))
    assert 0.5 < np.abs(soundfile.read(tmp_path / "a.ogg")[0]).max() <= 1


def test_minutes_of_ogg_are_written(tmp_path):
    """Given so much at once, libsndfile's Vorbis encoder would crash the process."""
    second = tones(2, 44_100, sample_rate=44_100)
    audio.write(tmp_path / "long.ogg", Recording(np.tile(second, 120), 44_100))
    assert soundfile.info(tmp_path / "long.ogg").frames == 120 * 44_100


def test_nothing_is_overwritten_unasked(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"a\.wav: already exists.*--overwrite"):
        audio.write(path, Recording(noise(), RATE))
    assert path.read_bytes() == b"precious"
    audio.write(path, Recording(noise(), RATE), overwrite=True)
    assert audio.read(path).samples.shape == (1, RATE)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk_changes_nothing(tmp_path, name, existing):
    path = tmp_path / name
    if existing:
        path.write_bytes(b"precious")
    with full_disk(), pytest.raises(OutputError, match=rf"{name}: cannot be written \({os.strerror(errno.EFBIG)}\)"):
        audio.write(path, Recording(noise(2, 3 * RATE), RATE), overwrite=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == ({name: b"precious"} if existing else {})


def test_a_rate_that_the_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"a\.flac: FLAC cannot hold 96001 Hz"):
        audio.write(tmp_path / "a.flac", Recording(noise(), 96_001))
    assert not list(tmp_path.iterdir())


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with audio.write_atomically(path) as temporary:
        Path(temporary).write_text("new")
        assert Path(temporary).parent == tmp_path
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_in_the_middle_leaves_the_old_file_and_no_other(tmp_path, failure):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with audio.write_atomically(path) as temporary:
            Path(temporary).write_text("new")
            raise failure

    with pytest.raises(failure):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_rename_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", refuse)
    path = tmp_path / "a.wav"
    path.write_text("old")
    with pytest.raises(OutputError, match=os.strerror(errno.ENOSPC)):
        audio.write(path, Recording(noise(), RATE), overwrite=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# Checks before the work


@pytest.mark.parametrize("check", [audio.check_target, audio.check_writable])
def test_a_good_target_passes_and_is_not_touched(tmp_path, check):
    check(tmp_path / "new.wav")
    assert not list(tmp_path.iterdir())
    (tmp_path / "old.wav").write_bytes(b"precious")
    check(tmp_path / "old.wav", overwrite=True)
    assert (tmp_path / "old.wav").read_bytes() == b"precious"


@pytest.mark.parametrize("check", [audio.check_target, audio.check_writable])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("folder.wav", "is a directory"),
        ("none/a.wav", "the folder .*none does not exist; create it"),
        ("file.wav/a.wav", "the folder .*file.wav does not exist"),
        ("file.wav", "already exists; .*--overwrite"),
        ("x" * 300 + ".wav", "cannot be written"),
    ],
)
def test_a_bad_target_is_refused(tmp_path, check, name, reason):
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file.wav").write_bytes(b"precious")
    with pytest.raises(OutputError, match=reason) as caught:
        check(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    if name != "file.wav":
        with pytest.raises(OutputError, match=reason):
            check(tmp_path / name, overwrite=True)


@pytest.mark.parametrize("name", ["a", "a.mp3", "a.wav.txt", ".wav"])
def test_a_suffix_without_a_format_is_refused(tmp_path, name):
    with pytest.raises(OutputError, match=r"must end in one of \.wav, \.flac, \.ogg"):
        audio.check_writable(tmp_path / name)
    audio.check_target(tmp_path / name)


def test_a_folder_that_takes_no_files_is_refused(tmp_path):
    folder = Path("/proc")  # where not even root can create a file
    if not folder.is_dir():
        (folder := tmp_path / "locked").mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(OutputError, match=f"{folder}/a.wav: cannot be written"):
        audio.check_writable(folder / "a.wav")
