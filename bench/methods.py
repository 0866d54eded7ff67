"""What every preset makes of real recordings: `python -m jaxst.bench.methods FOLDER [OUTPUT] [METHOD ...]`.

FOLDER holds guitar_em9, water, speech_male and tabla. Each method runs at its published settings, those that would take
hours for fewer steps, on four seconds at 16 kHz: guitar in water and speech in tabla, or textures of water and tabla
where it has no content term. The table says how far the loss fell, and in metrics that none of the methods optimizes
what became of style and content; the first rows are the untouched recordings and the style's spectrum alone. OUTPUT
gets WAV files and spectrograms, beside those of the style. Exits with status 1 if a loss did not fall or a sample is
not finite.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import jaxst
from jaxst.bench.clips import RATE, clip
from jaxst.methods import METHODS
from jaxst.metrics.content import onset_correlation
from jaxst.metrics.copying import peak_cross_correlation
from jaxst.metrics.texture import texture_distance, texture_statistics
from jaxst.report.figures import COLOR_MAP, frequency_edges, spectrogram

PAIRS = (("guitar_em9", "water"), ("speech_male", "tabla"))
FEWER_STEPS = {"single-layer": 1000, "kanak": 200, "autocorrelation": 100, "sines-tensor": 40, "gaussian-ot": 5}
FEWER_STEPS |= dict.fromkeys(("caracalla-roebel", "ri-spectrogram"), 30)
PICTURE = (144, 420)  # rows and columns of a spectrogram


def picture(recordings: list[jaxst.Recording]) -> Image.Image:
    """Spectrograms side by side, on a mel scale, each from its peak in white to 70 dB below in black."""
    rows, columns = PICTURE
    levels = [
        spectrogram(
            recording.samples,
            recording.sample_rate,
            bands=frequency_edges(recording.sample_rate / 2, rows),
            times=np.linspace(0, recording.duration, columns + 1),
        )[::-1]
        for recording in recordings
    ]
    gap = np.zeros((rows, 6, 3), np.uint8)
    panels = [COLOR_MAP(np.clip((panel - panel.max()) / 70 + 1, 0, 1), bytes=True)[..., :3] for panel in levels]
    joined = np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)
    return Image.fromarray(joined).quantize(32)


def spectrum_shaped_noise(style: jaxst.Recording) -> np.ndarray:
    """Noise with the long-term spectrum of a recording: its transform with random phases."""
    spectrum = np.abs(np.fft.rfft(style.samples))
    phases = np.exp(2j * np.pi * np.random.default_rng(0).random(spectrum.shape))
    return np.fft.irfft(spectrum * phases, style.samples.shape[1])


def row(name: str, facts: str, samples: np.ndarray, content: jaxst.Recording, style: jaxst.Recording) -> str:
    """Metrics of one signal."""
    statistics, reference = (texture_statistics(x, RATE) for x in (samples, style.samples))
    distance = texture_distance(statistics, reference).mean
    onsets = onset_correlation(samples, content.samples, RATE)
    copying = peak_cross_correlation(samples, style.samples, RATE)
    return f"{name:18}{facts:44}{float(distance):9.2f}{onsets:8.2f}{copying:9.2f}"


def main(folder: Path, output: Path | None, names: list[str]) -> int:
    """Print the tables; 1 if a run failed."""
    failed = []
    for content_name, style_name in PAIRS:
        content, style = clip(folder, content_name), clip(folder, style_name)
        print(f"\n{content_name} + {style_name}, {style.duration:g} s at {RATE} Hz")
        print(
            f"{'':18}{'steps':>6}{'s/step':>8}{'start':>11}{'end':>11}{'':8}{'texture':>9}{'onsets':>8}{'copying':>9}"
        )
        references = {"content": content.samples, "style": style.samples, "noise": spectrum_shaped_noise(style)}
        for name, samples in references.items():
            print(row(name, "", samples, content, style))
        for name in names:
            method, steps = METHODS[name], FEWER_STEPS.get(name)
            if method.texture_only:
                result = jaxst.texture(style, method=name, steps=steps)
            else:
                result = jaxst.transfer(content, style, method=name, steps=steps)
            total = result.history["total"]
            taken, best = len(total) - 1, float(np.min(total))
            facts = f"{taken:6}{result.timings['solve'] / max(taken, 1):8.3f}{total[0]:11.3g}{best:11.3g}"
            print(row(name, facts, result.audio.samples, content, style), flush=True)
            if not (best < total[0] and np.isfinite(result.audio.samples).all()):
                failed.append(f"{name} on {content_name} + {style_name}: {result.message}")
            if output is not None:
                stem = f"{name}-{content_name}-{style_name}"
                jaxst.write(output / f"{stem}.wav", result.audio, overwrite=True)
                picture([result.audio, style]).save(output / f"{stem}.png", optimize=True)
    for failure in failed:
        print(f"FAILED: {failure}")
    return 1 if failed else 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(
        main(
            Path(arguments[0]),
            Path(arguments[1]) if len(arguments) > 1 else None,
            arguments[2:] or list(METHODS),
        )
    )
