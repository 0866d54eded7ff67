"""The packaged recordings, cut to what is measured."""

from dataclasses import replace

import numpy as np

import jaxst
from jaxst import audio


def recording(name: str, seconds: float, sample_rate: int) -> jaxst.Recording:
    """Mono, over and over if it is too short."""
    found = audio.resample(jaxst.read(jaxst.example(name)), sample_rate)
    samples = np.resize(found.samples.mean(axis=0), round(seconds * sample_rate))
    return replace(found, samples=samples[None])


def unit(name: str, seconds: float, sample_rate: int) -> np.ndarray:
    """`(time,)` at unit RMS."""
    samples = recording(name, seconds, sample_rate).samples[0]
    return samples / np.sqrt(np.mean(samples**2))
