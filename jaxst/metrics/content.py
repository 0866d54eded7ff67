"""How much of the content an output kept: spectrum, harmony, rhythm and melody, moment by moment; and timbre.

Signals are compared from their start, cut to the shorter one, at one sample rate. The content may not be silent. An
output that is gets the value that each docstring names.
"""

import warnings
from typing import NamedTuple

import jax.numpy as jnp
import librosa
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxst.compiling import jit_quickly
from jaxst.errors import AudioError
from jaxst.kernels.mel import log_mel, mel_filters, mel_spectrogram, mfcc
from jaxst.kernels.pitch import yin
from jaxst.kernels.spectrogram import decibels, power
from jaxst.kernels.stft import stft
from jaxst.metrics.samples import Samples, at_level, mono, mono_pair
from jaxst.metrics.signal import HOP, WINDOW
from jaxst.representation import Resolution, resolution_at

RATE = 16_000
SHORTEST = 0.5  # seconds
_RMS = 0.1


class LogSpectralDistance(NamedTuple):
    """In dB; 0 if all magnitudes agree, lower is better.

    Attributes:
        frames: mean over frames of the root mean square over frequencies.
        overall: root mean square over all frames and frequencies; never less.
    """

    frames: float
    overall: float


def log_spectral_distance(output: Samples, content: Samples, sample_rate: int) -> LogSpectralDistance:
    """Root mean square difference of magnitudes in dB, 20 log10 |X| - 20 log10 |Y| (Gray & Markel 1976, "Distance
    measures for speech processing"), in both forms that are published under this name.

    Magnitudes of 46 ms windows every 11.5 ms, at the signals' own rate; those 80 dB below the content's highest count
    as that high, which bounds both to 80 dB and what the output has above it. Gain matters. For a silent output it is
    the content's level above the floor.

    Raises:
        AudioError: for a silent content, or samples that are not finite.
    """
    x, y = mono_pair(output, content, sample_rate, rate=sample_rate)
    resolution = resolution_at(WINDOW, HOP, sample_rate)
    frames, overall = _log_spectral(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32), resolution=resolution)
    return LogSpectralDistance(float(frames), float(overall))


@jit_quickly(static_argnames="resolution", level=1)
def _log_spectral(x: Float[Array, " time"], y: Float[Array, " time"], *, resolution: Resolution):
    first, second = (jnp.abs(stft(signal, **resolution._asdict(), pad_mode="constant")) for signal in (x, y))
    peak = jnp.max(second)
    squares = (decibels(first / peak, floor=1e-4) - decibels(second / peak, floor=1e-4)) ** 2
    return jnp.mean(jnp.sqrt(jnp.mean(squares, axis=1))), jnp.sqrt(jnp.mean(squares))


def chroma_similarity(output: Samples, content: Samples, sample_rate: int, *, centered: bool = False) -> float:
    """Mean over frames of the cosine between chroma vectors: 1 if the harmony is the same, the higher the better.

    Energy in 12 pitch classes (`librosa.feature.chroma_stft`, tuned to the content) at 16 kHz, 256 ms windows every 32
    ms. Frames 60 dB below the content's loudest are left out. Chroma is not negative: even noise scores 0.5 to 0.9.

    Args:
        output, content: `(time,)` or `(channels, time)`.
        sample_rate: in Hz.
        centered: subtract each frame's mean over the classes first: the range is then -1 to 1, and noise scores
            about 0.

    Returns:
        Between 0 and 1 if not `centered`; frames where either is silent count as 0. Gain does not matter.

    Raises:
        AudioError: for a silent content, or less than 0.5 s.
    """
    pair = mono_pair(output, content, sample_rate, rate=RATE, shortest=SHORTEST)
    x, y = (
        np.abs(librosa.stft(at_level(signal, _RMS), n_fft=4096, hop_length=512, pad_mode="constant")) ** 2
        for signal in pair
    )
    energy = y.sum(axis=0)
    kept = energy > 1e-6 * energy.max()
    tuning = _tuning(np.sqrt(y).T)
    first, second = (librosa.feature.chroma_stft(S=S[:, kept], sr=RATE, n_fft=4096, tuning=tuning) for S in (x, y))
    if centered:
        first, second = (chroma - chroma.mean(axis=0) for chroma in (first, second))
    norms = np.linalg.norm(first, axis=0) * np.linalg.norm(second, axis=0)
    products = np.sum(first * second, axis=0)
    return float(np.clip(np.mean(np.where(norms > 1e-9, products / np.maximum(norms, 1e-9), 0)), -1, 1))


def onset_correlation(output: Samples, content: Samples, sample_rate: int) -> float:
    """Pearson correlation of onset strengths: 1 if the rhythm is the same, 0 for none in common; higher is better.

    `librosa.onset.onset_strength`, the mean rise of log-mel bands (spectral flux, as in Böck & Widmer 2013), at 16 kHz,
    64 ms windows every 16 ms, without the first and last 0.1 s, where both signals are cut off alike. Gain does not
    matter. 0 where either has a constant strength, as silence has.

    Raises:
        AudioError: for a silent content, or less than 0.5 s.
    """
    pair = mono_pair(output, content, sample_rate, rate=RATE, shortest=SHORTEST)
    filters = mel_filters(sample_rate=RATE, n_fft=1024, n_mels=80)
    strengths = []
    for signal in pair:
        magnitudes = np.abs(librosa.stft(at_level(signal, _RMS), n_fft=1024, hop_length=256, pad_mode="constant"))
        levels = librosa.power_to_db(filters @ magnitudes**2)
        strengths.append(librosa.onset.onset_strength(S=levels, sr=RATE, hop_length=256)[6:-6].astype(np.float64))
    x, y = (strength - strength.mean() for strength in strengths)
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.clip(x @ y / norm, -1, 1)) if norm > 1e-9 else 0.0


class Melody(NamedTuple):
    """Agreement of fundamental frequencies, each between 0 and 1 (`mir_eval.melody`, Poliner et al. 2007).

    Attributes:
        raw_pitch: share of the content's voiced frames where the output's pitch is within 50 cents.
        raw_chroma: the same, octaves forgiven.
        voicing_recall: share of the content's voiced frames that are voiced in the output.
        voicing_false_alarm: share of its unvoiced frames that are; of the five, the only one that is better low.
        overall: share of all frames that are right: unvoiced in both, or voiced in both and within 50 cents.
    """

    raw_pitch: float
    raw_chroma: float
    voicing_recall: float
    voicing_false_alarm: float
    overall: float


def f0_accuracy(output: Samples, content: Samples, sample_rate: int) -> Melody:
    """How much of the content's melody the output follows; for content with one pitch at a time.

    Fundamentals by YIN (`jaxst.kernels.pitch.yin`) at 16 kHz from 65 to 1000 Hz, frames of 128 ms every 10 ms. A frame
    is voiced where the aperiodicity is below 0.2 and the level within 50 dB of the loudest frame's. A silent output is
    nowhere voiced. Gain does not matter.

    Raises:
        AudioError: for a content without any voiced frame, or less than 0.5 s.
    """
    import mir_eval  # here: it takes a quarter of a second

    pair = mono_pair(output, content, sample_rate, rate=RATE, shortest=SHORTEST)
    (x, x_voiced), (y, y_voiced) = (_fundamental(signal) for signal in pair)
    if not y_voiced.any():
        raise AudioError("reference: has no pitch that could be followed; use another measure for such content")
    times = np.arange(len(x)) * 0.01
    with warnings.catch_warnings():  # of signals without voiced or unvoiced frames: their shares are 0
        warnings.simplefilter("ignore")
        scores = mir_eval.melody.evaluate(times, np.where(y_voiced, y, 0.0), times, np.where(x_voiced, x, 0.0))
    names = (
        "Raw Pitch Accuracy",
        "Raw Chroma Accuracy",
        "Voicing Recall",
        "Voicing False Alarm",
        "Overall Accuracy",
    )
    return Melody(*(float(scores[name]) for name in names))


def _fundamental(signal) -> tuple[Float[np.ndarray, " frames"], Bool[np.ndarray, " frames"]]:
    f0, aperiodicity, level = _yin(jnp.asarray(at_level(signal, _RMS), jnp.float32))
    voiced = (np.asarray(aperiodicity) < 0.2) & (np.asarray(level) > 1e-5 * float(jnp.max(level)))
    return np.asarray(f0, np.float64), voiced


@jit_quickly(level=1)
def _yin(x: Float[Array, " time"]):
    """Fundamental, aperiodicity and power of each frame."""
    f0, aperiodicity = yin(x, sample_rate=RATE, f_min=65.0, f_max=1000.0, hop_length=160, frame_length=2048)
    windowed = power(stft(x, n_fft=2048, hop_length=160, pad_mode="constant"))
    return f0, aperiodicity, jnp.mean(windowed, axis=1)


SEMITONES = np.arange(40, 97)  # MIDI: 82 Hz to 2.1 kHz
_HARMONICS, _DECAY = np.arange(1, 9), 0.8


def pitch_sets(samples: Float[np.ndarray, " time"]) -> Bool[np.ndarray, "frames semitones"]:
    """Which semitones sound, from E2 (82 Hz) to C7 (2.1 kHz), every 50 ms of samples at 16 kHz.

    Spectral peaks of 256 ms windows within 40 dB of the recording's highest count for the nearest semitone. A
    semitone's salience is the sum of its own peak's magnitude and those of its harmonics 2 to 8, times 0.8^(h - 1)
    (harmonic summation, Salamon & Gómez 2012); those that have a peak and at least half of the frame's highest salience
    sound. It is a stand-in for multi-pitch trackers such as MELODIA, which know more.
    """
    magnitudes = np.abs(librosa.stft(samples, n_fft=4096, hop_length=800, pad_mode="constant")).T
    frame, frequency, height = _spectral_peaks(magnitudes, 0.01 * magnitudes[:, 1:].max())

    top = SEMITONES[-1] + round(12 * np.log2(_HARMONICS[-1]))
    peaks = np.zeros((len(magnitudes), top + 1))
    semitone = np.rint(librosa.hz_to_midi(frequency)).astype(int)
    kept = (semitone >= SEMITONES[0]) & (semitone <= top)
    np.maximum.at(peaks, (frame[kept], semitone[kept]), height[kept])
    offsets = np.rint(12 * np.log2(_HARMONICS)).astype(int)
    weights = _DECAY ** (_HARMONICS - 1)
    salience = np.einsum("h,fsh->fs", weights, peaks[:, SEMITONES[:, None] + offsets])
    return (peaks[:, SEMITONES] > 0) & (salience >= 0.5 * salience.max(axis=1, keepdims=True))


def _spectral_peaks(magnitudes: Float[np.ndarray, "frames bins"], floor):
    """Frames, frequencies in Hz and magnitudes of the peaks above the floor, at the tops of parabolas in decibels."""
    before, here, after = magnitudes[:, :-2], magnitudes[:, 1:-1], magnitudes[:, 2:]
    frame, place = np.nonzero((here > before) & (here >= after) & (here > floor))
    left, middle, right = (np.log(part[frame, place] + 1e-30) for part in (before, here, after))
    shift = 0.5 * (left - right) / np.minimum(left + right - 2 * middle, -1e-12)
    step = RATE / 2 / (magnitudes.shape[1] - 1)
    return frame, (1 + place + np.clip(shift, -0.5, 0.5)) * step, here[frame, place]


def _tuning(magnitudes: Float[np.ndarray, "frames bins"]) -> float:
    """Where between two semitones most of the peaks lie, from -0.5 to 0.5; 0 without a peak.

    As `librosa.estimate_tuning`, whose peaks come from code that crashes where two processes compile it at once
    (numba/numba#10128).
    """
    _, frequency, height = _spectral_peaks(magnitudes, 0.1 * magnitudes[:, 1:].max(axis=1, keepdims=True))
    heard = (frequency >= 150) & (frequency <= 4000)
    if not heard.any():
        return 0.0
    return float(librosa.pitch_tuning(frequency[heard & (height >= np.median(height[heard]))]))


def pitch_set_distance(output: Samples, content: Samples, sample_rate: int) -> float:
    """Jaccard distance 1 - |A and B| / |A or B| of the sets of semitones that sound, mean over frames where any does: 0
    if the same notes sound, 1 if no common ones; lower is better (Cífka, Ozerov, Şimşekli & Richard 2021,
    "Self-supervised VQ-VAE for one-shot music style transfer", ICASSP; their sets are MELODIA's, ours `pitch_sets`').

    A silent output has distance 1. Gain does not matter.

    Raises:
        AudioError: for a silent content, or less than 0.5 s.
    """
    pair = mono_pair(output, content, sample_rate, rate=RATE, shortest=SHORTEST)
    first, second = (pitch_sets(at_level(signal, _RMS)) for signal in pair)
    union = np.sum(first | second, axis=1)
    if not union.any():
        return 0.0
    return float(np.mean(1 - np.sum(first & second, axis=1)[union > 0] / union[union > 0]))


def mfcc_timbre_distance(output: Samples, reference: Samples, sample_rate: int) -> float:
    """1 - cosine between time averages of mel-frequency cepstral coefficients 2 to 13: 0 for the same mean spectral
    envelope, 1 for unrelated ones, at most 2; lower is better.

    At 16 kHz, 128 ms windows every 32 ms, 40 mel bands, -80 dB below the loudest as the floor. Cífka et al. 2021
    compare the same coefficients by a network trained on triplets: their values are others. Gain and lengths
    do not matter: signals are not cut. With the style as the reference it is a measure of style.

    Raises:
        AudioError: if either is silent or shorter than 0.1 s.
    """
    means = [
        np.asarray(_mean_cepstrum(jnp.asarray(at_level(x, _RMS), jnp.float32)), np.float64)
        for x in (
            mono(samples, sample_rate, rate=RATE, shortest=0.1, name=name)
            for samples, name in ((output, "output"), (reference, "reference"))
        )
    ]
    norm = np.linalg.norm(means[0]) * np.linalg.norm(means[1])
    return float(1 - np.clip(means[0] @ means[1] / max(norm, 1e-12), -1, 1))


@jit_quickly(level=1)
def _mean_cepstrum(x: Float[Array, " time"]) -> Float[Array, " coefficients"]:
    filters = mel_filters(sample_rate=RATE, n_fft=2048, n_mels=40)
    bands = mel_spectrogram(power(stft(x, n_fft=2048, hop_length=512, pad_mode="constant")), filters=filters)
    return jnp.mean(mfcc(log_mel(bands), n_mfcc=13), axis=0)[1:]
