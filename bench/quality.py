"""What the default method reaches on real recordings: `python -m bench.quality FOLDER`.

FOLDER holds the recordings named below. Every number stands beside what gives it a scale: the style loss of the style's
own other half, of noise with the style's spectrum (the start) and of white noise; the onset correlation of the
untouched style.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxst
from jaxst import audio
from jaxst.losses import loss_terms, make_targets
from jaxst.methods import METHODS
from jaxst.metrics.content import onset_correlation
from jaxst.metrics.copying import peak_cross_correlation

SECONDS, RATE = 4, 16_000
TEXTURES = ("water", "fire_large", "vinyl_hiss")
PAIRS = (
    ("guitar_em9", "water"),
    ("speech_male", "tabla"),
    ("guitar_fifths", "drums_safari"),
    ("piano_ambient", "fire_small"),
    ("speech_male", "lava"),
    ("tabla", "vinyl_hiss"),
    ("drums_safari", "guitar_em9"),
)


def clip(folder: Path, name: str, start: float = 0) -> jaxst.Recording:
    """Four seconds, mono, at 16 kHz; fewer where the recording ends before."""
    recording = audio.resample(jaxst.read(folder / f"{name}.flac"), RATE)
    begin = round(start * RATE)
    samples = recording.samples.mean(axis=0, keepdims=True)[:, begin : begin + SECONDS * RATE]
    return jaxst.Recording(samples, RATE, name)


def unit(x: np.ndarray) -> jax.Array:
    """At unit level."""
    return jnp.asarray(x / np.sqrt(np.mean(x**2)))


def style_losses(style: jaxst.Recording, others: dict[str, np.ndarray]) -> dict[str, float]:
    """The default texture's style loss of other signals, at equal level."""
    config = METHODS["arccos"].texture
    targets = make_targets([unit(style.samples[0])], (1.0,), RATE, config)

    def loss(x: np.ndarray) -> float:
        features = [target.analysis.features(unit(x)[None]) for target in targets]
        return float(loss_terms(features, targets, config)[1]["style"])

    return {name: loss(x) for name, x in others.items()}


def main(folder: Path) -> None:
    """Print both tables."""
    print(f"texture, {SECONDS} s at {RATE} Hz: style loss relative to the start (noise with the style's spectrum)")
    print(f"{'':14}{'start':>10}{'end':>10}{'end/start':>11}{'other half':>11}{'white':>10}{'copying':>9}{'seeds':>7}")
    for name in TEXTURES:
        style, half = clip(folder, name), clip(folder, name, SECONDS)
        one, two = (jaxst.texture(style, seed=seed) for seed in (0, 1))
        start, end = one.history["style"][[0, -1]]
        others = {"white": np.random.default_rng(0).standard_normal(SECONDS * RATE)}
        if half.duration > 1:
            others["half"] = half.samples[0]
        losses = style_losses(style, others)
        relative = [end / start, losses.get("half", np.nan) / start, losses["white"] / start]
        copying = peak_cross_correlation(one.audio.samples, style.samples, RATE)
        seeds = peak_cross_correlation(one.audio.samples, two.audio.samples, RATE)
        print(f"{name:14}{start:10.3g}{end:10.2g}{relative[0]:11.2g}{relative[1]:11.2g}{relative[2]:10.3g}", end="")
        print(f"{copying:9.2f}{seeds:7.2f}", flush=True)
    print(f"\ntransfer, {SECONDS} s at {RATE} Hz: style loss, and correlation of onset envelopes with the content's")
    print(f"{'':30}{'start':>10}{'end':>10}{'falls':>8}{'result':>8}{'style':>7}")
    for names in PAIRS:
        content, style = (clip(folder, name) for name in names)
        result = jaxst.transfer(content, style)
        start, end = result.history["style"][[0, -1]]
        kept = onset_correlation(result.audio.samples, content.samples, RATE)
        chance = onset_correlation(style.samples, content.samples, RATE)
        print(f"{' + '.join(names):30}{start:10.3g}{end:10.2g}{start / end:7.0f}x{kept:8.2f}{chance:7.2f}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
