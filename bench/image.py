"""Stereo images of results beside those they are to have: `python -m jaxst.bench.image FOLDER`.

FOLDER holds stereo recordings, of which 4 s at 16 kHz are taken: as styles of textures, whose image is the style's, and
as contents in the style of FOLDER's fire_small, whose image is the content's. The error is the root mean square, over
30 bands on the ERB scale, of what complex coherences differ by; the two halves of a recording are compared for scale.
Width is the level of half the difference of the channels over that of half their sum.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import scipy.signal

import jaxst
from jaxst import audio, environment
from jaxst.bench.clips import RATE, path
from jaxst.bench.tables import markdown
from jaxst.kernels.envelopes import cosine_filters, erb_number

STYLES = ("ambi_sauna", "loop_3d_printer", "vinyl_hiss")
CONTENTS = ("guitar_em9", "latin_guitar03", "drums_safari")
OTHER = "fire_small"
SECONDS, BANDS = 4, 30


def coherence(samples: np.ndarray) -> np.ndarray:
    """Complex coherence of two channels in bands."""
    pairs = ((0, 1), (0, 0), (1, 1))
    spectra = [scipy.signal.csd(samples[i], samples[j], RATE, nperseg=1024) for i, j in pairs]
    responses = cosine_filters(spectra[0][0], low=50, high=RATE / 2, n_bands=BANDS, scale=erb_number) ** 2
    cross, left, right = (np.asarray(responses @ spectrum) for _, spectrum in spectra)
    return cross / np.sqrt(left.real * right.real + 1e-30)


def width(samples: np.ndarray) -> float:
    """Side over mid."""
    left, right = samples
    return float(np.sqrt(np.mean((left - right) ** 2) / np.mean((left + right) ** 2)))


def row(name: str, kind: str, wanted: np.ndarray, made: np.ndarray) -> list[str]:
    """One line of the table."""
    half = wanted.shape[1] // 2
    pairs = ((wanted, made), (wanted[:, :half], wanted[:, half:]))
    errors = [np.sqrt(np.mean(np.abs(coherence(a) - coherence(b)) ** 2)) for a, b in pairs]
    return [name, kind, *(f"{error:.3f}" for error in errors), f"{width(wanted):.3f}", f"{width(made):.3f}"]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m jaxst.bench.image", description="Stereo images of results.")
    parser.add_argument("folder", type=Path, help="with the recordings that this module names")
    arguments = parser.parse_args()
    environment.enable_compilation_cache()

    def opened(name: str) -> jaxst.Recording:
        file = path(arguments.folder, name)
        if file is None:
            parser.error(f"{arguments.folder}: has no recording of {name}")
        recording = audio.load(file, RATE)
        return jaxst.Recording(recording.samples[:, : SECONDS * RATE], RATE, name)

    lines = []
    for name in STYLES:
        style = opened(name)
        lines.append(row(name, "texture", style.samples, jaxst.texture(style).audio.samples))
    for name in CONTENTS:
        content = opened(name)
        lines.append(row(name, "transfer", content.samples, jaxst.transfer(content, opened(OTHER)).audio.samples))
    print(markdown(["recording", "", "error", "of its halves", "width", "of the result"], lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
