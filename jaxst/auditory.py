"""What listeners follow in a recording beside what networks see: the statistics of a texture, quotations, onsets,
harmony.

Envelopes in auditory bands give the style's texture statistics and the content's onsets; a spectrum of long windows
gives its harmony. Onsets and harmony are compared by their correlation with the content's, which leaves the style free
to decide on levels: when something begins and where partials lie is kept, how loud and how bright it is, is not.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.kernels.envelopes import band_envelopes, band_powers, decimation
from jaxst.representation import Resolution, fast_length, magnitudes, resolution_at
from jaxst.statistics.copying import original, quotation
from jaxst.statistics.mix import shares
from jaxst.statistics.texture import TextureStatistics, texture_error, texture_mean, texture_statistics

_QUIETEST = 1e-8  # of a band's power in the style: what lies 80 dB below it is as good as silence
_SLOW = 40.0  # Hz: faster modulations are texture, slower ones events
_RISE = 0.02  # seconds over which onsets rise
_SILENT = 1e-3  # of a compressed envelope at unit level
_WINDOW, _HOP = 128.0, 32.0  # milliseconds: a semitone apart at 250 Hz
_PITCHED = (60.0, 4000.0)  # Hz, where partials are looked for
_NEIGHBORHOOD = 125.0  # Hz to either side, over which the spectral envelope is smoothed away
_LEAST = 1e-9


class Heard(NamedTuple):
    """Features of a signal.

    Attributes:
        envelopes: `(channels, frames, bands)`, compressed.
        peaks: `(channels, frames, frequency)`, magnitudes less their mean over neighboring frequencies.
        waveform: the signal itself.
    """

    envelopes: Float[Array, "channels frames bands"]
    peaks: Float[Array, "channels _ frequency"]
    waveform: Float[Array, "channels time"]


class Kept(NamedTuple):
    """What is kept of the content.

    Attributes:
        onsets: `(channels, frames)`, the rise of all bands together, at each frame of the envelopes.
        peaks: `(channels, frames, frequency)`.
    """

    onsets: Float[Array, "channels frames"]
    peaks: Float[Array, "channels _ frequency"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Hearing:
    """What a signal is compared with.

    Attributes:
        texture: the style's statistics.
        floor: `(bands,)`, power that counts as silence in each band.
        original: `(time,)`, the style's waveform, which is not to be quoted.
        content: what is kept of the content; `None` for texture synthesis.
        sample_rate: in Hz.
    """

    texture: TextureStatistics
    floor: Float[Array, " bands"]
    original: Float[Array, " time"]
    content: Kept | None
    sample_rate: int = dataclasses.field(metadata={"static": True})

    def features(self, x: Float[Array, "channels time"]) -> Heard:
        """What is compared of a waveform."""
        return Heard(band_envelopes(x, self.floor, sample_rate=self.sample_rate), _peaks(x, self.sample_rate), x)


def learn(styles: Sequence[Float[Array, " _"]], mix: Sequence[float], sample_rate: int) -> Hearing:
    """Learn a style.

    Args:
        styles: waveforms of equal level, any lengths.
        mix: a weight for each of them.
        sample_rate: of all of them, in Hz.
    """
    powers = [band_powers(style, sample_rate=sample_rate) for style in styles]
    power = sum(share * power for share, power in zip(shares(mix), powers, strict=True))
    floor = jnp.asarray(_QUIETEST * jnp.maximum(power, _QUIETEST * jnp.max(power)))
    statistics = [_statistics(band_envelopes(style, floor, sample_rate=sample_rate), sample_rate) for style in styles]
    return Hearing(texture_mean(statistics, mix), floor, original(styles), None, sample_rate)


def with_content(hearing: Hearing, content: Float[Array, "channels time"]) -> Hearing:
    """The same with a content to keep."""
    heard = hearing.features(content)
    return replace(hearing, content=Kept(_onsets(heard.envelopes, hearing.sample_rate), heard.peaks))


def hearing_terms(heard: Heard, hearing: Hearing) -> dict[str, Float[Array, ""]]:
    """Distances from style and content, averaged over channels.

    Returns:
        `texture`, the mean squared relative error of the style's texture statistics (`texture_error`), and
        `copying`, how much of the style's waveform is quoted (`quotation`). With a content also `onsets`, 1 less the
        correlation in time of how much all bands together rise, and `harmony`, 1 less the correlation in frequency of
        spectral peaks, averaged over time with the content's level as weight.
    """

    @partial(jnp.vectorize, signature="(t,k)->()")  # not `vmap`, whose sums are slow where there is one channel
    def error(envelopes):
        return texture_error(_statistics(envelopes, hearing.sample_rate), hearing.texture)

    terms = {
        "texture": jnp.mean(error(heard.envelopes)),
        "copying": quotation(heard.waveform, hearing.original),
    }
    if hearing.content is not None:
        onsets = _onsets(heard.envelopes, hearing.sample_rate)
        terms["onsets"] = 1 - jnp.mean(_correlation(onsets, hearing.content.onsets))
        agreement, level = _agreement(heard.peaks, hearing.content.peaks)
        terms["harmony"] = 1 - jnp.sum(level * agreement) / jnp.sum(level)
    return terms


@partial(jnp.vectorize, signature="(t,f),(t,f)->(t),(t)")  # as in `hearing_terms`
def _agreement(peaks, wanted):
    """Cosine of spectral peaks at each frame, and the level of those that are wanted."""
    return _cosine(peaks, wanted), jnp.sqrt(jnp.sum(wanted**2, axis=-1) + _LEAST)


def _statistics(envelopes, sample_rate):
    return texture_statistics(envelopes, frame_rate=_frame_rate(sample_rate))


def _frame_rate(sample_rate: int) -> float:
    """Of envelopes, in Hz."""
    return sample_rate / decimation(sample_rate)


def _onsets(envelopes: Float[Array, "channels frames bands"], sample_rate: int) -> Float[Array, "channels _"]:
    """Mean over bands of the rise of logarithms of the slow envelopes."""
    frame_rate = _frame_rate(sample_rate)
    rise = max(1, round(_RISE * frame_rate))
    logarithms = jnp.log(jnp.maximum(_slow(envelopes, frame_rate), 0) + _SILENT)
    return jnp.mean(jnp.maximum(logarithms[:, rise:] - logarithms[:, :-rise], 0), axis=-1)


def _slow(envelopes, frame_rate):
    """Low-passed over time, |H| = 1 / sqrt(1 + (f / 40 Hz)^4) without phase."""
    n_frames = envelopes.shape[1]
    size = fast_length(n_frames + round(frame_rate / 4))
    frequencies = np.arange(size // 2 + 1) * frame_rate / size
    response = jnp.asarray(1 / np.sqrt(1 + (frequencies / _SLOW) ** 4), envelopes.dtype)
    mean = jnp.mean(envelopes, axis=1, keepdims=True)
    spectrum = jnp.fft.rfft(envelopes - mean, size, axis=1) * response[None, :, None]
    return jnp.fft.irfft(spectrum, size, axis=1)[:, :n_frames] + mean


def _peaks(x: Float[Array, "channels time"], sample_rate: int) -> Float[Array, "channels _ frequency"]:
    """Magnitudes of long windows from 60 to 4000 Hz, less a mean of their neighbors, under a Hann window."""
    resolution = resolution_at(_WINDOW, _HOP, sample_rate)
    near, less_neighbors = _fine_structure(resolution, sample_rate)
    spectrum = magnitudes(x, resolution)[..., near]
    return jnp.einsum("ctf,gf->ctg", spectrum, jnp.asarray(less_neighbors, spectrum.dtype), precision="highest")


def _fine_structure(resolution: Resolution, sample_rate: int):
    """Frequencies from 60 to 4000 Hz and around, and what makes of them those between, less their neighbors' mean."""
    frequencies = np.arange(resolution.n_fft // 2 + 1) * sample_rate / resolution.n_fft
    low, high = _PITCHED
    near = slice(*np.searchsorted(frequencies, (low - _NEIGHBORHOOD, high + _NEIGHBORHOOD)))
    kept = frequencies[(frequencies >= low) & (frequencies < high)]
    distance = (kept[:, None] - frequencies[near]) / (_NEIGHBORHOOD + frequencies[1])
    weights = np.where(np.abs(distance) < 1, np.cos(np.pi / 2 * np.clip(distance, -1, 1)) ** 2, 0)
    return near, (distance == 0) - weights / weights.sum(axis=1, keepdims=True)


def _correlation(x, y):
    """Pearson's, over the last axis; 0 where either is constant."""
    return _cosine(*(z - jnp.mean(z, axis=-1, keepdims=True) for z in (x, y)))


def _cosine(x, y):
    return jnp.sum(x * y, axis=-1) * jax.lax.rsqrt(jnp.sum(x**2, axis=-1) * jnp.sum(y**2, axis=-1) + _LEAST)
