"""All that a run needs to know of its style recordings, computed once."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxst import audio, auditory
from jaxst.audio import Recording, Source
from jaxst.compiling import jit_quickly
from jaxst.config import HEARING, Config, configure
from jaxst.errors import AudioError, ConfigError
from jaxst.excerpts import EXCERPT_SECONDS, excerpted
from jaxst.kernels.mel import mel_filters
from jaxst.losses import GROUPINGS, Target, make_targets
from jaxst.methods import method_named
from jaxst.representation import LogMagnitude, Sinusoids, long_term_resolution, resolution_at
from jaxst.resynthesis import resynthesize
from jaxst.spectrum import cross_spectrum, power_spectrum
from jaxst.statistics.mix import shares

MAX_SECONDS = 12.0  # of style that is compared with, over all recordings and channels, in excerpts if there is more


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Style:
    """What was learned from style recordings: enough for any number of runs with this method, at this sample rate.

    Attributes:
        targets: statistics at each resolution.
        hearing: what is heard of it, where that is compared.
        spectrum: `(frequency,)`, long-term power spectrum of all recordings at unit level.
        image: `(frequency, channels, channels)`, cross-spectra of the first recording's channels at unit level.
        levels: `(channels,)`, root mean square of each of its channels, zero for one that is silent.
        samples: `(channels, time)` of the first recording, or of its excerpts, at unit level, for runs that begin with
            it; `None` where the style was read from a file.
        config: what shaped the analysis.
        sample_rate: in Hz.
        length: of the first recording, or of its excerpts, in samples.
        names: of the recordings.
    """

    targets: tuple[Target, ...]
    hearing: auditory.Hearing | None
    spectrum: Float[Array, " frequency"]
    image: Complex[Array, "frequency channels channels"]
    levels: Float[Array | np.ndarray, " channels"]
    samples: Float[Array, "channels time"] | None
    config: Config
    sample_rate: int = field(metadata={"static": True})
    length: int = field(metadata={"static": True})
    names: tuple[str, ...] = field(metadata={"static": True})

    @property
    def name(self) -> str:
        """What messages call it."""
        return " and ".join(self.names)


def analyze_style(
    style: Source | Sequence[Source],
    *,
    method: str = "arccos",
    style_mix: Sequence[float] | None = None,
    sample_rate: int | None = None,
    **options: Any,
) -> Style:
    """Learn a style once, to save it or to give it to many runs.

    Recordings may be of any length: of one of more than 30 s, ten excerpts of 3 s are read (`jaxst.excerpts`). 12 s of
    all recordings and channels together are compared with.

    Args:
        style: one recording or path, or several, which are pooled.
        method: name of the preset that the runs will use.
        style_mix: a weight for each recording; default all equal, whatever their lengths.
        sample_rate: that the runs will have, in Hz; default that of the first recording.
        options: of representation, network and statistic, as for `jaxst.transfer`.

    Raises:
        AudioError: for a recording that cannot be used.
        ConfigError: for an option with a value that it cannot have.
    """
    config = configure(method_named(method).texture, **options)
    return analyze(load_all(as_sources(style), sample_rate, config), config, style_mix)


def as_sources(style: Source | Sequence[Source]) -> list[Source]:
    """One recording or several, as a list."""
    return [style] if isinstance(style, (Recording, str, os.PathLike)) else list(style)


def analyze(recordings: Sequence[Recording], config: Config, mix: Sequence[float] | None) -> Style:
    """Learn a style of loaded recordings for a configuration, `mix` as for `analyze_style`."""
    first = recordings[0]
    mix = _checked_mix(mix, len(recordings))
    if config.separation == "sines":
        recordings = [separate(recording)[0] for recording in recordings]
    excerpts, weights = _excerpts(recordings, mix, shortest_duration(config, first.sample_rate))
    samples = jnp.asarray(balanced(recordings[0]))
    targets, hearing, spectrum, image = _analyze(
        replace(config, steps=1, init="noise"), excerpts, samples, mix=weights, sample_rate=first.sample_rate
    )
    return Style(
        targets=targets,
        hearing=hearing,
        spectrum=spectrum,
        image=image,
        levels=channel_rms(first),
        samples=samples,
        config=config,
        sample_rate=first.sample_rate,
        length=first.samples.shape[1],
        names=tuple(Path(recording.name).name for recording in recordings),
    )


@jit_quickly(static_argnames=("mix", "sample_rate"))
def _analyze(config: Config, excerpts: list[Array], samples: Array, *, mix: tuple[float, ...], sample_rate: int):
    resolution = long_term_resolution(config.representation, sample_rate)
    parts = jnp.asarray(shares(mix), samples.dtype)
    powers = jnp.concatenate([power_spectrum(excerpt[None], resolution) for excerpt in excerpts])
    spectrum = jnp.tensordot(parts, powers, axes=1, precision="highest")
    listens = any(getattr(config, name) is not None for name in HEARING)
    hearing = auditory.learn(excerpts, mix, sample_rate) if listens else None
    return make_targets(excerpts, mix, sample_rate, config), hearing, spectrum, cross_spectrum(samples, resolution)


def load_all(sources: Sequence[Source], sample_rate: int | None, config: Config) -> list[Recording]:
    """All recordings, or excerpts of the long ones, at one rate, by default that of the first; raises what `load`
    does."""
    if not sources:
        raise ConfigError("style: give at least one recording")
    first = load(excerpted(sources[0]), sample_rate, config)
    return [first, *(load(excerpted(source), first.sample_rate, config) for source in sources[1:])]


def load(source: Source, sample_rate: int | None, config: Config) -> Recording:
    """Read a recording and see that the networks of a configuration can.

    Raises:
        AudioError: if it is shorter than a window or than what filters span.
        ConfigError: if filters span more frequencies than there are at its rate.
    """
    recording = audio.load(source, sample_rate)
    sample_rate = recording.sample_rate
    for hop in config.representation.hops:
        if hop * sample_rate < 1000:
            raise ConfigError(f"hops={hop:g}: less than a sample at {sample_rate} Hz; choose longer windows and hops")
    shortest = shortest_duration(config, sample_rate)
    if recording.duration < shortest:
        raise AudioError(
            f"{recording.name}: lasts {recording.duration:.3g} s, but at least {shortest:.3g} s are needed; "
            "choose a longer recording"
        )
    for index, size in enumerate(zip(config.representation.windows, config.representation.hops, strict=True)):
        n_frequencies = _n_frequencies(config, *size, recording.sample_rate)
        bins, _ = config.network.span(index, GROUPINGS[config.statistic])
        if bins > n_frequencies:
            raise ConfigError(
                f"filters span {bins} frequencies, but there are {n_frequencies} with method={config.method} at "
                f"{recording.sample_rate} Hz; choose longer windows, smaller shapes or a higher sample_rate"
            )
    return recording


def _n_frequencies(config: Config, window: float, hop: float, sample_rate: int) -> int:
    representation = config.representation
    if isinstance(representation, Sinusoids):
        return representation.n_partials
    n_fft = resolution_at(window, hop, sample_rate).n_fft
    if not isinstance(representation, LogMagnitude) or not representation.n_mels:
        return n_fft // 2 + 1
    try:
        return len(mel_filters(sample_rate=sample_rate, n_fft=n_fft, n_mels=representation.n_mels))
    except ValueError as error:
        raise ConfigError(f"{error}; choose longer windows, fewer bands or a higher sample_rate") from None


def shortest_duration(config: Config, sample_rate: int) -> float:
    """Seconds that a recording must last to have a window and what filters span at every resolution."""
    sizes = zip(config.representation.windows, config.representation.hops, strict=True)
    needed = []
    for index, size in enumerate(sizes):
        resolution = resolution_at(*size, sample_rate)
        _, n_frames = config.network.span(index, GROUPINGS[config.statistic])
        needed.append(max(n_frames * resolution.hop_length, resolution.n_fft))
    return max(needed) / sample_rate


def separate(recording: Recording) -> tuple[Recording, Recording]:
    """The sound of a recording's partials, and what they leave.

    Raises:
        AudioError: if there are none.
    """
    parts = resynthesize(recording, "sines").parts
    sines, residual = (replace(recording, samples=parts[name].samples) for name in ("sines", "residual"))
    if sines.rms == 0:
        raise AudioError(f"{recording.name}: has no partials; separation=sines needs sound with a pitch")
    return sines, residual


def fit(samples: Float[Array, "_ _"], channels: int, length: int) -> Float[Array, "channels length"]:
    """Repeat or cut in time, and copy or mix down channels."""
    if samples.shape[0] != channels:
        samples = jnp.broadcast_to(jnp.mean(samples, axis=0), (channels, samples.shape[1]))
    return jnp.tile(samples, -(-length // samples.shape[1]))[:, :length]


def balanced(recording: Recording) -> Float[np.ndarray, "channels time"]:
    """Every channel at unit level; one that is silent stays so."""
    rms = channel_rms(recording)
    return recording.samples / np.where(rms > 0, rms, 1)[:, None]


def channel_rms(recording: Recording) -> Float[np.ndarray, " channels"]:
    """Level of every channel, zero for one that is silent beside the other."""
    rms = np.sqrt(audio.mean_squares(recording.samples))
    return np.where(rms > 1e-4 * rms.max(), rms, 0).astype(np.float32)


def _checked_mix(mix: Sequence[float] | None, n_styles: int) -> tuple[float, ...]:
    mix = (1.0,) * n_styles if mix is None else tuple(mix)
    if len(mix) != n_styles:
        raise ConfigError(f"style_mix has {len(mix)} weights for {n_styles} styles; give one for each")
    if not all(0 < weight < float("inf") for weight in mix):
        raise ConfigError(f"style_mix={','.join(map(str, mix))} must be positive numbers")
    return mix


def _excerpts(
    styles: Sequence[Recording], mix: Sequence[float], shortest: float
) -> tuple[list[Array], tuple[float, ...]]:
    """Mono waveforms of unit level and a weight for each: every channel that sounds, cut up evenly where it is long,
    but not into less than so many seconds."""
    excerpts, weights = [], []
    for style, weight in zip(styles, mix, strict=True):
        channels = [channel / rms for channel, rms in zip(style.samples, channel_rms(style), strict=True) if rms > 0]
        seconds = max(MAX_SECONDS / (len(channels) * len(styles)), shortest)
        each = max(EXCERPT_SECONDS, shortest)
        spread = _dealt if style.in_excerpts else _spread
        cuts = spread(channels, seconds, each, style.sample_rate)
        excerpts += cuts
        weights += [weight / len(cuts)] * len(cuts)
    return excerpts, tuple(weights)


def _spread(channels: Sequence[np.ndarray], seconds: float, each: float, sample_rate: int) -> list[Array]:
    """Every channel, whole or as excerpts of about `each` seconds at equal distances that last `seconds` together."""
    length = len(channels[0])
    if length <= seconds * sample_rate:
        return list(map(jnp.asarray, channels))
    count = max(1, int(seconds / each))
    size = math.ceil(seconds * sample_rate / count)
    starts = np.linspace(0, length - size, count).round().astype(int)
    return [jnp.asarray(channel[start : start + size]) for channel in channels for start in starts]


def _dealt(channels: Sequence[np.ndarray], seconds: float, each: float, sample_rate: int) -> list[Array]:
    """As much of every channel of what is itself excerpts, in pieces of at most `each` seconds: from one place after
    another, the channels in turn, so that as many places as can be are heard."""
    step, size = (math.ceil(length * sample_rate) for length in (each, min(seconds, each)))
    n_places = max(1, len(channels[0]) // step)
    count = min(max(1, int(seconds / each)), n_places) * len(channels)
    cuts = []
    for turn in range(count):
        start = int((turn + 0.5) * n_places / count) * step
        cuts.append(jnp.asarray(channels[turn % len(channels)][start : start + size]))
    return cuts
