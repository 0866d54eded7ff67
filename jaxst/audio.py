"""Recordings: files to float32 arrays and back. Knows rates, channels and levels; knows nothing of features."""

import io
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy
import soundfile
import soxr

from jaxst.errors import AudioError, ConfigError, OutputError

READABLE = (".wav", ".flac", ".ogg", ".mp3")
WRITABLE = {".wav": ("WAV", "PCM_24"), ".flac": ("FLAC", "PCM_24"), ".ogg": ("OGG", "VORBIS")}
SAMPLE_RATES = (4_000, 192_000)
SILENCE = 1e-5  # -100 dB of full scale
LOUDEST = 1e6  # 120 dB above full scale: no level that anyone meant, and its powers soon leave float32
CEILING = 10 ** (-1 / 20)  # peaks stay 1 dB below full scale, the room that lossy codecs and converters ask for
_CUT_OFF = "is cut off or damaged; copy or download the file again"
_UNKNOWN = 2**63 - 1  # what libsndfile calls the length of a FLAC that was streamed; it cannot read one to its end
_LEAD = 8_192  # the longest block of Vorbis, whose first samples after a seek lack what they overlap with
_BLOCK = 65_536  # libsndfile's Vorbis encoder overflows its stack when given minutes at once


@dataclass(frozen=True)
class Recording:
    """Samples with their rate.

    Attributes:
        samples: `(channels, time)` float32, one or two channels, full scale is [-1, 1].
        sample_rate: in Hz.
        name: what messages and reports call it, usually the file's path.
        in_excerpts: whether these are excerpts of something longer, joined; see `jaxst.excerpts`.
    """

    samples: np.ndarray
    sample_rate: int
    name: str = "recording"
    in_excerpts: bool = False

    def __post_init__(self):
        samples = np.atleast_2d(np.asarray(self.samples, np.float32))
        object.__setattr__(self, "samples", samples)
        if samples.ndim != 2 or samples.shape[0] not in (1, 2):
            raise AudioError(
                f"{self.name}: has shape {samples.shape}; only (channels, time) with one or two channels is handled: "
                "mix it down first"
            )
        if samples.shape[1] == 0:
            raise AudioError(f"{self.name}: holds no samples; give a recording that is longer than zero seconds")
        if not np.isfinite(samples).all():
            raise AudioError(f"{self.name}: holds NaN or infinite samples; repair or re-export the recording")
        if not SAMPLE_RATES[0] <= self.sample_rate <= SAMPLE_RATES[1]:
            raise AudioError(
                f"{self.name}: sample rate {self.sample_rate} Hz is outside {SAMPLE_RATES[0]} to {SAMPLE_RATES[1]} Hz"
            )

    @property
    def channels(self) -> int:
        """1 or 2."""
        return self.samples.shape[0]

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.samples.shape[1] / self.sample_rate

    @property
    def rms(self) -> float:
        """Root mean square over all channels."""
        return float(np.sqrt(np.mean(mean_squares(self.samples))))

    @property
    def silent(self) -> bool:
        """Whether no sample reaches -100 dB of full scale."""
        return float(peaks(self.samples).max()) < SILENCE


Source = Recording | str | os.PathLike


def load(source: Source, sample_rate: int | None = None) -> Recording:
    """A recording that sounds, given as such or as a path, at a rate in Hz or at its own.

    Raises:
        AudioError: as `read` does, for silence, or for samples far beyond full scale.
        ConfigError: for a rate that is not handled.
    """
    recording = source if isinstance(source, Recording) else read(source)
    if sample_rate is not None and not SAMPLE_RATES[0] <= sample_rate <= SAMPLE_RATES[1]:
        raise ConfigError(f"sample_rate={sample_rate} must be from {SAMPLE_RATES[0]} to {SAMPLE_RATES[1]} Hz")
    if recording.silent:
        raise AudioError(f"{recording.name}: is silent: there is nothing to take from it; choose another recording")
    peak = float(peaks(recording.samples).max())
    if peak > LOUDEST:
        raise AudioError(f"{recording.name}: peaks at {peak:.3g}, where full scale is 1; scale it down")
    resampled = resample(recording, sample_rate or recording.sample_rate)
    if resampled.silent:
        raise AudioError(f"{recording.name}: is silent at {resampled.sample_rate} Hz; choose a higher sample_rate")
    return resampled


def read(path: str | os.PathLike) -> Recording:
    """Read a WAV, FLAC, OGG or MP3 file at its own rate.

    Raises:
        AudioError: if there is no such file, it may not be read, is not audio, is cut off, is empty, holds NaN or
            infinite samples, or has more than two channels.
    """
    with opened(path) as file:
        return Recording(part(file, 0, length(file)), file.samplerate, file.name)


@contextmanager
def opened(path: str | os.PathLike) -> Iterator[soundfile.SoundFile]:
    """A file to take a `part` of, or several.

    Raises:
        AudioError: as `read` does, but for what only the samples tell; also where they turn out to be no audio.
    """
    name = os.fspath(path)
    if not os.path.exists(name):
        raise AudioError(f"{name}: no such file; check the path")
    if os.path.isdir(name):
        raise AudioError(f"{name}: is a directory; give one audio file")
    if not os.path.isfile(name):
        raise AudioError(f"{name}: is a pipe or a device; save the audio to a file first")
    if not os.access(name, os.R_OK):
        raise AudioError(f"{name}: may not be read; change its permissions")
    if os.path.getsize(name) == 0:
        raise AudioError(f"{name}: is an empty file; give one that holds audio")
    try:
        with _quiet_decoder(), soundfile.SoundFile(name) as file:
            if file.frames == _UNKNOWN:
                raise AudioError(f"{name}: was streamed without its length; convert it again, from file to file")
            if file.channels > 2:
                raise AudioError(
                    f"{name}: has {file.channels} channels, but at most two are handled; mix it down first"
                )
            if _cut_off(file.extra_info):
                raise AudioError(f"{name}: {_CUT_OFF}")
            yield file
    except soundfile.LibsndfileError as error:
        formats = ", ".join(suffix[1:].upper() for suffix in READABLE)
        raise AudioError(f"{name}: cannot be decoded; it is cut off, damaged or not one of {formats}") from error


def length(file: soundfile.SoundFile) -> int:
    """Samples of an opened file in each channel. An MP3 that does not tell is decoded for it, block by block."""
    if file.format != "MP3" or _tells_length(file.name):
        return file.frames
    return sum(iter(lambda: len(file.read(_BLOCK, dtype="float32")), 0))


def part(file: soundfile.SoundFile, start: int, stop: int) -> np.ndarray:
    """Samples of an opened file from one to before another, `(channels, time)` float32; no more of it is in memory.

    Raises:
        AudioError: if the file ends before.
    """
    lead = 0
    if file.tell() != start:
        lead = min(start, _LEAD)
        file.seek(start - lead)
    samples = file.read(lead + stop - start, dtype="float32", always_2d=True).T
    if samples.shape[1] < lead + stop - start:
        raise AudioError(f"{file.name}: {_CUT_OFF}")
    return np.ascontiguousarray(samples[:, lead:])


@contextmanager
def _quiet_decoder() -> Iterator[None]:
    """Keep the MP3 decoder's own warnings, which it writes to the process's stderr, out of the user's terminal."""
    saved = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _cut_off(log: str) -> bool:
    """Whether libsndfile's log says that the file ends before what its header promises.

    A size near 2^31 or 2^32 is what a program writes that streams a WAV to a pipe and cannot know the length: that is
    not cut off.
    """
    for line in log.splitlines():
        words = line.split()
        if words[:2] == ["data", ":"] and words[3:5] == ["(should", "be"]:
            promised, found = int(words[2]), int(words[5].rstrip(")"))
            if found < promised < 2**31 - 2**16:
                return True
    return "Junk after the last page" in log


def _tells_length(name: str) -> bool:
    """Whether an MP3 begins with a frame that holds its length; else libsndfile guesses it from the file's size."""
    with open(name, "rb") as file:
        tag = file.read(10)
        if tag.startswith(b"ID3"):  # its size comes in four bytes of seven bits
            file.seek(10 + sum(byte << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True)))
        frame = tag + file.read(64)
    return any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))


def resample(recording: Recording, sample_rate: int) -> Recording:
    """The recording at another rate (band-limited, soxr's high quality); itself if the rate is already right."""
    if recording.sample_rate == sample_rate:
        return recording
    samples = soxr.resample(recording.samples.T, recording.sample_rate, sample_rate, quality="HQ").T
    return replace(recording, samples=np.ascontiguousarray(samples), sample_rate=sample_rate)


def mean_squares(samples: np.ndarray) -> np.ndarray:
    """Of each channel of `(channels, time)`, in double precision; block by block, for songs are long."""
    blocks = (samples[:, start : start + _BLOCK] for start in range(0, samples.shape[1], _BLOCK))
    return sum(np.sum(np.square(block, dtype=np.float64), axis=1) for block in blocks) / samples.shape[1]


def peaks(samples: np.ndarray) -> np.ndarray:
    """The loudest channel's magnitude at each time of `(channels, time)`."""
    return np.maximum(samples.max(axis=0), -samples.min(axis=0))


def match_level(samples: np.ndarray, rms: float, sample_rate: int) -> np.ndarray:
    """Scale to a root mean square and limit what then exceeds the ceiling of -1 dB full scale.

    The limiter turns the level down for a few milliseconds around a peak (all channels alike, so the image stays),
    instead of turning down everything: one loud click does not make the result quiet.

    Args:
        samples: `(channels, time)`.
        rms: the level to reach before limiting.
        sample_rate: in Hz.
    """
    level = np.sqrt(np.mean(mean_squares(samples)))
    samples = samples * np.float32(rms / level if level > 0 else 0.0)
    reach = max(1, round(0.003 * sample_rate))
    gain = np.minimum(1.0, CEILING / np.maximum(peaks(samples), 1e-12))
    # The smallest gain within reach, then its mean over the same reach: smooth, and nowhere above what a peak needs.
    gain = scipy.ndimage.minimum_filter1d(gain, 2 * reach + 1, mode="nearest")
    gain = scipy.ndimage.uniform_filter1d(gain, 2 * reach + 1, mode="nearest")
    samples *= gain
    return np.clip(samples, -CEILING, CEILING, out=samples).astype(np.float32, copy=False)


def crossfaded(left: np.ndarray, right: np.ndarray, overlap: int) -> np.ndarray:
    """Two stretches of samples, `(channels, time)`, one after another, with so many samples of both at equal power."""
    overlap = min(overlap, left.shape[1], right.shape[1])
    angle = np.linspace(0, np.pi / 2, overlap, dtype=np.float32)[None]
    middle = left[:, left.shape[1] - overlap :] * np.cos(angle) + right[:, :overlap] * np.sin(angle)
    return np.concatenate([left[:, : left.shape[1] - overlap], middle, right[:, overlap:]], axis=1)


def headroom(recordings: Sequence[Recording]) -> float:
    """The gain that brings the highest peak of all down to the ceiling; 1 if none exceeds full scale."""
    peak = max(float(peaks(recording.samples).max()) for recording in recordings)
    return CEILING / peak if peak > 1 else 1.0


def scaled(recording: Recording, gain: float) -> Recording:
    """The recording, every sample multiplied by `gain`."""
    return replace(recording, samples=recording.samples * np.float32(gain))


def check_writable(path: str | os.PathLike, *, overwrite: bool = False) -> None:
    """Refuse a path that `write` could not write, before any work is done for it.

    Raises:
        OutputError: for an unknown suffix, a missing or read-only folder, a directory, or an existing file without
            `overwrite`.
    """
    if Path(path).suffix.lower() not in WRITABLE:
        formats = ", ".join(suffix for suffix in WRITABLE)
        raise OutputError(f"{path}: output must end in one of {formats}")
    check_target(path, overwrite=overwrite)


def check_target(path: str | os.PathLike, *, overwrite: bool = False) -> None:
    """Refuse a file that `write_atomically` could not write.

    Raises:
        OutputError: for a missing or read-only folder, a directory, or an existing file without `overwrite`.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise OutputError(f"{path}: is a directory; give a file name")
        if not target.parent.is_dir():
            raise OutputError(f"{path}: the folder {target.parent} does not exist; create it first")
        if target.exists() and not overwrite:
            raise OutputError(f"{path}: already exists; choose another name or pass --overwrite")
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place or name") from error


def write(path: str | os.PathLike, recording: Recording, *, overwrite: bool = False) -> None:
    """Write WAV or FLAC (24 bits) or OGG (Vorbis) by the path's suffix; whole or not at all.

    Vorbis overshoots: where a decoder would meet peaks above full scale, the recording is written at a lower level.

    Raises:
        OutputError: as `check_writable`, for a rate that the format cannot hold, or when the disk refuses.
    """
    check_writable(path, overwrite=overwrite)
    container, subtype = WRITABLE[Path(path).suffix.lower()]
    try:
        encoded = _encode(recording, container, subtype)
        while subtype == "VORBIS" and (peak := _decoded_peak(encoded)) > 1:
            recording = scaled(recording, CEILING / peak)
            encoded = _encode(recording, container, subtype)
    except soundfile.LibsndfileError as error:
        raise OutputError(
            f"{path}: {container} cannot hold {recording.sample_rate} Hz; choose another format or --sample_rate"
        ) from error
    with write_atomically(path) as temporary:
        Path(temporary).write_bytes(encoded)


def _encode(recording: Recording, container: str, subtype: str) -> bytes:
    """The bytes of a file. In memory, for libsndfile overlooks or cannot name what goes wrong on a disk."""
    encoded = io.BytesIO()
    with soundfile.SoundFile(
        encoded, "w", recording.sample_rate, recording.channels, subtype, format=container
    ) as file:
        for start in range(0, recording.samples.shape[1], _BLOCK):
            file.write(recording.samples[:, start : start + _BLOCK].T)
    return encoded.getvalue()


def _decoded_peak(encoded: bytes) -> float:
    return float(np.abs(soundfile.read(io.BytesIO(encoded), dtype="float32")[0]).max())


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file, whole or not at all; raises OutputError when the disk refuses."""
    with write_atomically(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


@contextmanager
def write_atomically(path: str | os.PathLike) -> Iterator[str]:
    """Give a temporary name beside `path` that becomes `path` when the block ends, and vanishes if it fails.

    Raises:
        OutputError: when the disk refuses.
    """
    target = Path(path)
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield str(temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)
