"""The recordings that quality is measured on: textures, and pairs of content and style.

Of freesound.org: water 197023, lava 17785, fire_large 17548, fire_small 4211, guitar_em9 46992, guitar_fifths 46990,
tabla 242591, piano_ambient 51245, vinyl_hiss 130393, drums_safari 318759. speech_male is read English of LibriVox, from
Debian's pocketsphinx-testdata. Others are of Debian's packages, too: drum_roll, ambi_sauna and loop_3d_printer of
sonic-pi-samples; raving_crowd01, flute01 and latin_guitar03 of lmms-common; default_furnace_active of minetest-data;
speech_female is demo-instruct.g722 of asterisk-core-sounds-en-g722, decoded by ffmpeg.
"""

from pathlib import Path

import jaxst
from jaxst import audio

SECONDS, RATE = 4, 16_000
SUFFIXES = (".flac", ".ogg", ".wav")
TEXTURES = (
    "water",
    "lava",
    "fire_large",
    "fire_small",
    "vinyl_hiss",
    "raving_crowd01",
    "default_furnace_active",
    "drum_roll",
    "ambi_sauna",
    "loop_3d_printer",
)
PAIRS = (
    ("guitar_em9", "water"),
    ("speech_male", "tabla"),
    ("guitar_fifths", "drums_safari"),
    ("piano_ambient", "fire_small"),
    ("speech_male", "lava"),
    ("tabla", "vinyl_hiss"),
    ("drums_safari", "guitar_em9"),
    ("speech_female", "raving_crowd01"),
    ("flute01", "drum_roll"),
    ("latin_guitar03", "default_furnace_active"),
)
PITCHED = frozenset({"guitar_em9", "guitar_fifths", "piano_ambient", "flute01", "latin_guitar03"})


def path(folder: Path, name: str) -> Path | None:
    """The recording of that name, whatever its suffix; `None` if there is none."""
    return next((file for suffix in SUFFIXES if (file := folder / f"{name}{suffix}").is_file()), None)


def missing(folder: Path) -> list[str]:
    """Names that the folder has no recording for."""
    names = {*TEXTURES, *(name for pair in PAIRS for name in pair)}
    return sorted(name for name in names if path(folder, name) is None)


def clip(folder: Path, name: str, start: float = 0) -> jaxst.Recording:
    """Four seconds, mono, at 16 kHz; fewer where the recording ends before.

    Raises:
        FileNotFoundError: if the folder has no recording of that name.
    """
    file = path(folder, name)
    if file is None:
        raise FileNotFoundError(f"{folder / name}: no such file with any of {', '.join(SUFFIXES)}")
    recording = audio.resample(jaxst.read(file), RATE)
    begin = round(start * RATE)
    samples = recording.samples.mean(axis=0, keepdims=True)[:, begin : begin + SECONDS * RATE]
    return jaxst.Recording(samples, RATE, name)
