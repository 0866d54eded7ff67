"""Recordings that cannot be used."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

NOISE = 0.1 * np.random.default_rng(0).standard_normal((8_000, 3))


def write_cut(path: Path) -> None:
    soundfile.write(path, NOISE[:, 0], 8_000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def write_with(value: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        samples = NOISE[:, 0].copy()
        samples[100] = value
        soundfile.write(path, samples, 8_000, "FLOAT")

    return write


# By file name: what writes it, and what the message says.
BAD_RECORDINGS = {
    "missing.wav": (lambda path: None, "no such file"),
    "folder.wav": (Path.mkdir, "is a directory"),
    "empty.wav": (Path.touch, "empty file"),
    "text.wav": (lambda path: path.write_text("These are words.\n" * 100), "cannot be decoded"),
    "cut.wav": (write_cut, "cut off"),
    "cut.flac": (write_cut, "cut off"),
    "cut.ogg": (write_cut, "cut off"),
    "cut.mp3": (write_cut, "cut off"),
    "no_samples.wav": (lambda path: soundfile.write(path, NOISE[:0, 0], 8_000), "no samples"),
    "one_sample.wav": (lambda path: soundfile.write(path, NOISE[:1, 0], 8_000), "needed"),
    "short.wav": (lambda path: soundfile.write(path, NOISE[:200, 0], 8_000), "needed"),
    "nan.wav": (write_with(np.nan), "NaN"),
    "infinite.wav": (write_with(-np.inf), "infinite"),
    "loud.wav": (write_with(1e20), "full scale"),
    "three_channels.wav": (lambda path: soundfile.write(path, NOISE, 8_000), "3 channels"),
    "silent.wav": (lambda path: soundfile.write(path, np.zeros(8_000), 8_000), "silent"),
    "low_rate.wav": (lambda path: soundfile.write(path, NOISE[:, 0], 1_000), "1000 Hz"),
    "pipe.wav": (os.mkfifo, "pipe"),
}
