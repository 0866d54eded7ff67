"""All measures of an evaluation by name: what each compares, which way is better, how to read it."""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float

from jaxst.audio import Recording
from jaxst.errors import AudioError
from jaxst.metrics import content, copying, descriptors, signal
from jaxst.metrics.content import Melody, mfcc_timbre_distance
from jaxst.metrics.frechet import LOG_MEL, Frechet, frechet_distance, frechet_infinite
from jaxst.metrics.gram import Bank, GramDistance, draw_banks, gram_distance, gram_statistics
from jaxst.metrics.samples import checked
from jaxst.metrics.texture import (
    TexStatDistance,
    TextureDistance,
    texstat_distance,
    texstat_statistics,
    texture_distance,
    texture_statistics,
)

Banks = Callable[[], tuple[Bank, ...]]
"""Gives the filters of the Gram matrices."""


def kept_banks() -> Banks:
    """Draws them when they are first asked for, and keeps them for as long as it is kept itself: 118 MB."""
    return cache(lambda: tuple(draw_banks()))


@dataclass(frozen=True, eq=False)
class Signal:
    """A recording, with statistics that are computed when they are first asked for, once.

    Attributes:
        name: what reasons call it.
        recording: the samples and their rate.
        banks: gives the filters of the Gram matrices.
    """

    name: str
    recording: Recording
    banks: Banks

    @property
    def samples(self) -> np.ndarray:
        """`(channels, time)`."""
        return self.recording.samples

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self.recording.sample_rate

    @cached_property
    def texture(self):
        """Of McDermott & Simoncelli."""
        return texture_statistics(self.samples, self.sample_rate)

    @cached_property
    def texstat(self):
        """Those of TexStat."""
        return texstat_statistics(self.samples, self.sample_rate)

    @cached_property
    def gram(self):
        """Gram matrices of the held-out networks."""
        return gram_statistics(self.samples, self.sample_rate, banks=self.banks())

    @cached_property
    def points(self):
        """Of the embedding that the Fréchet distance sees."""
        return LOG_MEL.function(self.samples, self.sample_rate)

    @cached_property
    def _known(self) -> MutableMapping["Signal", dict[Callable[..., Any], Any]]:
        return WeakKeyDictionary()

    def measured(self, function: Callable[..., Any], reference: "Signal | None" = None) -> Any:
        """What a measure's function gives, computed once for as long as there are both signals.

        Args:
            function: of a `Measure`.
            reference: what to compare with, if the measure does.

        Returns:
            What it returns; an `AudioError` that names the signals if it raises one.
        """
        known = self._known.setdefault(self if reference is None else reference, {})
        if function not in known:
            signals = (self,) if reference is None else (self, reference)
            try:
                known[function] = function(*signals)
            except AudioError as error:
                known[function] = AudioError(_explained(str(error), *signals))
        return known[function]


def _explained(message: str, signal: Signal, reference: Signal | None = None) -> str:
    """A measure's complaint, with the signals' names for those that the measure has for its arguments."""
    name, _, complaint = message.partition(": ")
    names = {"recording": signal.name, "output": signal.name}
    if reference is not None:
        names |= {"reference": reference.name, "style": reference.name}
    return f"{names.get(name, name)}: {complaint}"


class Group(NamedTuple):
    """Measures that answer one question.

    Attributes:
        title: the question.
        against: what is compared with: "style", "content", or "" for measures of one recording alone.
    """

    title: str
    against: str


GROUPS: Mapping[str, Group] = {
    "style": Group("Style: distance to the style", "style"),
    "content": Group("Content: what is kept of it, moment by moment", "content"),
    "copying": Group("Copying: waveform that is found in the style", "style"),
    "signal": Group("Signal: distance to the content's waveform", "content"),
    "descriptors": Group("Sound: what each row is like, to compare with content and style", ""),
}


@dataclass(frozen=True)
class Measure:
    """One number of an evaluation.

    Attributes:
        key: short name, for programs.
        name: what tables call it.
        unit: such as "dB"; may be empty.
        better: "low", "high", or "" where neither is.
        group: key of `GROUPS`.
        meaning: how to read it, in one line.
        function: takes the `Signal` to be measured and, if its group compares, the one to compare with; gives a number
            or a named tuple.
        field: which of the tuple's fields is the number.
        parts: which others go along with it.
    """

    key: str
    name: str
    unit: str
    better: str
    group: str
    meaning: str
    function: Callable[..., Any]
    field: str = ""
    parts: tuple[str, ...] = ()


def _texture(x: Signal, style: Signal) -> TextureDistance:
    return texture_distance(x.texture, style.texture)


def _texstat(x: Signal, style: Signal) -> TexStatDistance:
    return texstat_distance(x.texstat, style.texstat)


def _gram(x: Signal, style: Signal) -> GramDistance:
    return gram_distance(x.gram, style.gram)


def _frechet(x: Signal, style: Signal) -> Frechet:
    points, wanted = x.points, style.points
    return Frechet(LOG_MEL.name, frechet_distance(points, wanted), *frechet_infinite(points, wanted))


def _with_rate(function: Callable[..., Any]) -> Callable[[Signal, Signal], Any]:
    """Two signals for a function of two arrays and their rate."""
    return lambda x, reference: function(x.samples, reference.samples, x.sample_rate)


def _alone(function: Callable[..., Any]) -> Callable[[Signal], float]:
    """One signal for a function of an array and its rate."""
    return lambda x: function(x.samples, x.sample_rate)


def _sample_by_sample(function: Callable[..., Any]) -> Callable[[Signal, Signal], Any]:
    """Two signals for a function of reference and estimate: as long as the shorter one, mono unless both are stereo."""

    def measure(x: Signal, reference: Signal):
        length = min(x.samples.shape[1], reference.samples.shape[1])
        pair = reference.samples[:, :length], x.samples[:, :length]
        checked(pair[0], name="reference")
        return function(*(_as_many_channels(samples, min(map(len, pair))) for samples in pair))

    return measure


def _as_many_channels(samples, channels: int) -> Float[np.ndarray, "channels time"]:
    return samples if len(samples) == channels else samples.mean(axis=0, keepdims=True)


_log_spectral = _with_rate(content.log_spectral_distance)
_windows = _with_rate(copying.window_cross_correlation)

MEASURES: tuple[Measure, ...] = (
    # style
    Measure(
        "texture", "McDermott texture distance", "", "low", "style",
        "relative error of the envelope statistics that McDermott & Simoncelli 2011 found textures to be recognized by",
        _texture, "mean", TextureDistance._fields[1:],
    ),
    Measure(
        "texstat", "TexStat", "", "low", "style",
        "difference in envelope statistics as Gutiérrez & Wyse 2025 choose and weigh them",
        _texstat, "total", TexStatDistance._fields[1:],
    ),
    Measure(
        "gram", "Gram matrices, held-out networks", "", "low", "style",
        "relative error of the Gram matrices of six random networks; no judge of methods that minimize such matrices",
        _gram, "mean", ("networks",),
    ),
    Measure(
        "frechet", "Fréchet distance, log-mel patches", "", "low", "style",
        "between Gaussians fitted to patches of 0.48 s; not comparable with values of other embeddings",
        _frechet, "distance", ("embedding", "slope", "fit"),
    ),
    Measure(
        "frechet_infinite", "the same, infinitely many patches", "", "low", "style",
        "extrapolated from subsets, since few patches make the distance larger; may be slightly negative",
        _frechet, "infinite", ("embedding",),
    ),
    Measure(
        "timbre", "Timbre (MFCC)", "", "low", "style",
        "1 - cosine of mean cepstral coefficients 2 to 13: 0 for the same mean spectral envelope",
        _with_rate(mfcc_timbre_distance),
    ),
    # content
    Measure(
        "log_spectral", "Log-spectral distance", "dB", "low", "content",
        "mean over frames of the root mean square difference of magnitudes; level matters",
        _log_spectral, "frames",
    ),
    Measure(
        "log_spectral_overall", "the same over all frames at once", "dB", "low", "content",
        "root mean square over frames and frequencies; level matters",
        _log_spectral, "overall",
    ),
    Measure(
        "chroma", "Chroma similarity", "", "high", "content",
        "cosine of the energies in 12 pitch classes; even noise has 0.5 to 0.9",
        _with_rate(content.chroma_similarity),
    ),
    Measure(
        "chroma_centered", "Chroma similarity, centered", "", "high", "content",
        "the same without each frame's mean: noise has about 0",
        _with_rate(lambda x, y, rate: content.chroma_similarity(x, y, rate, centered=True)),
    ),
    Measure(
        "onsets", "Onset correlation", "", "high", "content",
        "correlation of onset strengths: 1 for the same rhythm, 0 for none in common",
        _with_rate(content.onset_correlation),
    ),
    Measure(
        "f0", "Pitch within 50 cents", "", "high", "content",
        "share of the content's voiced frames; for content with one pitch at a time",
        _with_rate(content.f0_accuracy), "raw_pitch", Melody._fields[1:],
    ),
    Measure(
        "pitch_sets", "Pitch sets (Jaccard)", "", "low", "content",
        "0 if the same semitones sound, 1 if no common ones",
        _with_rate(content.pitch_set_distance),
    ),
    # copying
    Measure(
        "peak_correlation", "Cross-correlation, peak", "", "low", "copying",
        "1 for a shifted copy of the whole; steady tones are alike without being copies",
        _with_rate(copying.peak_cross_correlation),
    ),
    Measure(
        "windows", "Windows of 0.25 s, mean", "", "low", "copying",
        "best match of each in the style: 1 if all is from there, in whatever order",
        _windows, "mean",
    ),
    Measure(
        "windows_peak", "Windows of 0.25 s, nearest", "", "low", "copying",
        "the best match of all: 1 if any window is from the style",
        _windows, "peak",
    ),
    # signal
    Measure(
        "auraloss", "Multi-resolution STFT, auraloss", "", "low", "signal",
        "with auraloss' settings; level matters",
        _sample_by_sample(signal.multi_resolution_auraloss), "total", ("linear", "logarithmic"),
    ),
    Measure(
        "ddsp", "Multi-resolution STFT, DDSP", "", "low", "signal",
        "with DDSP's settings; level matters",
        _sample_by_sample(signal.multi_resolution_ddsp), "total", ("linear", "logarithmic"),
    ),
    Measure(
        "snr", "Signal-to-noise ratio", "dB", "high", "signal",
        "power of the content over that of the difference; says little where phases are not kept",
        _sample_by_sample(signal.signal_to_noise),
    ),
    # descriptors
    Measure(
        "centroid", "Spectral centroid", "Hz", "", "descriptors",
        "brightness", _alone(descriptors.spectral_centroid),
    ),
    Measure(
        "salience", "Pitch salience", "", "", "descriptors",
        "0 for noise, 1 for a steady tone", _alone(descriptors.pitch_salience),
    ),
    Measure(
        "high_frequency", "High-frequency content", "Hz", "", "descriptors",
        "mean frequency of the energy", _alone(descriptors.high_frequency_content),
    ),
    Measure(
        "complexity", "Harmonic complexity", "", "", "descriptors",
        "spectral peaks at once: 1 for a sine, 10 to 20 for a chord", _alone(descriptors.harmonic_complexity),
    ),
    Measure(
        "tempo", "Tempo", "BPM", "", "descriptors",
        "says nothing of what has no beat", _alone(descriptors.tempo),
    ),
    Measure(
        "loudness", "Loudness", "LUFS", "", "descriptors",
        "ITU-R BS.1770-4", _alone(descriptors.loudness),
    ),
    Measure(
        "crest", "Crest factor", "dB", "", "descriptors",
        "peak over root mean square: 3 for a sine, 12 for noise", lambda x: descriptors.crest_factor(x.samples),
    ),
    Measure(
        "clipping", "Clipping", "", "", "descriptors",
        "share of samples at full scale", lambda x: descriptors.clipping(x.samples),
    ),
)  # fmt: skip

BY_KEY: Mapping[str, Measure] = {measure.key: measure for measure in MEASURES}
OVERVIEW = ("texture", "gram", "chroma_centered", "onsets", "windows")  # of many outputs


# What terms of a loss compare, by their weights: these very statistics, or near relatives.
_OPTIMIZED = {
    "texture_weight": ("texture",),
    "copying_weight": ("peak_correlation",),
    "onset_weight": ("onsets",),
    "harmony_weight": ("chroma", "chroma_centered"),
}


def optimized_measures(options: Mapping[str, object]) -> frozenset[str]:
    """Keys of the measures that a run's own loss contains, if from other code, and that are weak evidence therefore.

    Args:
        options: of the run by name, as from `jaxst.config.options` or under "config" in a result's JSON.
    """
    return frozenset(key for weight, keys in _OPTIMIZED.items() if options.get(weight) for key in keys)
