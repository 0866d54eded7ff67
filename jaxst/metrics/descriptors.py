"""What a recording sounds like in single numbers: brightness, pitch, density, tempo, loudness, peaks.

They describe one recording, none is better high or low: compare an output's with those of content and style. Where a
number is of frames, frames 60 dB below the loudest are left out.
"""

from typing import NamedTuple

import jax.numpy as jnp
import librosa
import numpy as np
from jaxtyping import Float

from jaxst.compiling import jit_quickly
from jaxst.kernels.pitch import yin
from jaxst.metrics.samples import Samples, at_level, checked, mono

RATE = 16_000
N_FFT, HOP = 1024, 256
SHORTEST = 0.5  # seconds
SILENT_LOUDNESS = -70.0  # LUFS, the absolute gate: quieter than that counts as silence
_RMS = 0.1


class Descriptors(NamedTuple):
    """Attributes are what the functions of the same names say."""

    spectral_centroid: float
    pitch_salience: float
    high_frequency_content: float
    harmonic_complexity: float
    tempo: float
    loudness: float
    crest_factor: float
    clipping: float


def describe(samples: Samples, sample_rate: int) -> Descriptors:
    """All of them.

    Raises:
        AudioError: for silence or less than 0.5 s.
    """
    x = mono(samples, sample_rate, rate=RATE, shortest=SHORTEST)
    return Descriptors(
        spectral_centroid(x, RATE),
        pitch_salience(x, RATE),
        high_frequency_content(x, RATE),
        harmonic_complexity(x, RATE),
        tempo(x, RATE),
        loudness(samples, sample_rate),
        crest_factor(samples),
        clipping(samples),
    )


def spectral_centroid(samples: Samples, sample_rate: int) -> float:
    """Mean over frames of sum f |X| / sum |X| in Hz, from 0 to 8000: brightness (`librosa.feature.spectral_centroid`).

    At 16 kHz, 64 ms windows every 16 ms. Gain does not matter.

    Raises:
        AudioError: for silence.
    """
    magnitudes, _ = _frames(samples, sample_rate)
    return float(librosa.feature.spectral_centroid(S=magnitudes, sr=RATE).mean())


def pitch_salience(samples: Samples, sample_rate: int) -> float:
    """Mean over frames of 1 - YIN's aperiodicity, between 0 for noise and 1 for a steady tone.

    The depth of the dip at the period from 50 to 1000 Hz (`jaxst.kernels.pitch.yin`; de Cheveigné & Kawahara 2002), at
    16 kHz in frames of 64 ms every 16 ms. Gain does not matter.

    Raises:
        AudioError: for silence.
    """
    _, sounding = _frames(samples, sample_rate)
    aperiodicity = _aperiodicity(jnp.asarray(_padded(samples, sample_rate), jnp.float32))
    return float(1 - np.asarray(aperiodicity, np.float64)[sounding].mean())


@jit_quickly(level=1)
def _aperiodicity(x):
    return yin(x, sample_rate=RATE, f_min=50.0, f_max=1000.0, hop_length=HOP, frame_length=N_FFT).aperiodicity


def high_frequency_content(samples: Samples, sample_rate: int) -> float:
    """Mean over frames of sum f |X|^2 / sum |X|^2 in Hz, from 0 to 8000 (Masri & Bateman 1996, "Improved modelling of
    attack transients in music analysis-resynthesis").

    Theirs is the numerator alone, per frame and with bins for Hz; divided by the energy it does not know gain. At 16
    kHz, 64 ms windows every 16 ms.

    Raises:
        AudioError: for silence.
    """
    magnitudes, _ = _frames(samples, sample_rate)
    frequencies = np.arange(N_FFT // 2 + 1) * RATE / N_FFT
    energies = magnitudes**2
    return float(np.mean(frequencies @ energies / energies.sum(axis=0)))


def harmonic_complexity(samples: Samples, sample_rate: int) -> float:
    """Mean number of spectral peaks of a frame between 100 Hz and 5 kHz, within 40 dB of the recording's highest: about
    1 for a sine, 10 to 20 for a chord (spectral complexity, Laurier, Meyers, Serrà, Blech, Herrera & Serra 2010).

    At 16 kHz, 64 ms windows every 16 ms: peaks less than about 60 Hz apart are one. Gain does not matter.

    Raises:
        AudioError: for silence.
    """
    magnitudes, _ = _frames(samples, sample_rate)
    low, high = (round(f * N_FFT / RATE) for f in (100, 5000))
    before, here, after = (magnitudes[low + i : high + 1 + i] for i in (-1, 0, 1))
    return float(((here > before) & (here >= after) & (here > 0.01 * magnitudes.max())).sum(axis=0).mean())


def tempo(samples: Samples, sample_rate: int) -> float:
    """Beats a minute, from the onset strength's autocorrelation with a prior around 120 (`librosa.feature.tempo`).

    At 16 kHz every 16 ms, so that values are on a grid, 0.4 % apart at 60 and 2 % at 240. Every signal has some value:
    of steady noise it tells nothing.

    Raises:
        AudioError: for silence or less than 0.5 s.
    """
    x = at_level(mono(samples, sample_rate, rate=RATE, shortest=SHORTEST), _RMS)
    strength = librosa.onset.onset_strength(y=x, sr=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=80)
    return float(librosa.feature.tempo(onset_envelope=strength, sr=RATE, hop_length=HOP)[0])


def loudness(samples: Samples, sample_rate: int) -> float:
    """Integrated loudness in LUFS of all channels (ITU-R BS.1770-4, by pyloudnorm): -23 is broadcast level, -14 what
    streaming services play; at least -70, the gate below which nothing counts.

    Raises:
        AudioError: for silence or less than 0.4 s, one gating block.
    """
    mono(samples, sample_rate, shortest=0.4, sounding=False)
    import pyloudnorm  # here: it loads much of SciPy

    meter = pyloudnorm.Meter(sample_rate)
    with np.errstate(divide="ignore", invalid="ignore"):  # all blocks gated: the mean of none
        value = meter.integrated_loudness(checked(samples).T)
    return float(value) if value > SILENT_LOUDNESS else SILENT_LOUDNESS


def crest_factor(samples: Samples) -> float:
    """Peak over root mean square of all channels, in dB: 3 for a sine, about 12 for noise, more for transients.

    Raises:
        AudioError: for silence.
    """
    x = checked(samples)
    return float(20 * np.log10(np.abs(x).max() / np.sqrt(np.mean(x**2))))


def clipping(samples: Samples) -> float:
    """Share of samples at full scale or above, to 16 bits: |x| >= 1 - 2^-15; from 0 to 1, 0 for silence.

    Raises:
        AudioError: for samples that are not finite, or none.
    """
    return float(np.mean(np.abs(checked(samples, sounding=False)) >= 1 - 2.0**-15))


def _padded(samples: Samples, sample_rate: int) -> Float[np.ndarray, " time"]:
    """At 16 kHz, with zeros behind what is shorter than a frame."""
    x = at_level(mono(samples, sample_rate, rate=RATE), _RMS)
    return np.pad(x, (0, max(0, N_FFT - len(x))))


def _frames(samples: Samples, sample_rate: int) -> tuple[Float[np.ndarray, "frequency frames"], np.ndarray]:
    """Magnitudes of the frames that sound, and which of all those are."""
    magnitudes = np.abs(librosa.stft(_padded(samples, sample_rate), n_fft=N_FFT, hop_length=HOP, pad_mode="constant"))
    energy = np.sum(magnitudes**2, axis=0)
    sounding = energy > 1e-6 * energy.max()
    return magnitudes[:, sounding], sounding
