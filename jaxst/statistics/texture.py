"""Statistics of envelopes in auditory bands, by which listeners tell sound textures apart.

McDermott & Simoncelli 2011, "Sound texture perception via statistics of the auditory periphery", Neuron 71. Centers,
widths and octaves of the modulation bands are those of the authors' toolbox. Unlike there, the first and last 0.1 s are
left out in place of a window, correlations are those of all bands, and subbands' own marginals and envelopes'
autocorrelation are missing.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.kernels.envelopes import analytic, cosine_filters
from jaxst.representation import fast_length
from jaxst.statistics.mix import shares

MODULATIONS = np.geomspace(0.5, 200, 20)
OCTAVES = 100 / 2.0 ** np.arange(6, -1, -1)
TRIM = 0.1  # seconds at either end, where filters still ring
_HIGHEST = jax.lax.Precision.HIGHEST
_NOTHING = 1e-20  # of a power beside 1
_STEADY = 1e-8  # variance over squared mean: rounding leaves of a constant envelope what must not pass for its shape


class TextureStatistics(NamedTuple):
    """Time averages over compressed envelopes s_k of bands and over their modulations.

    Attributes:
        level: mean of s_k.
        variance: var(s_k) / mean(s_k)^2.
        skewness: third central moment of s_k over var^(3/2).
        kurtosis: fourth central moment of s_k over var^2; 3 for a Gaussian.
        correlation: of s_j and s_k, all pairs.
        modulation_power: power of each of 20 modulation bands over var(s_k).
        modulation_c1: correlation of the same modulation band, six octaves around 3.1 to 100 Hz, in bands k and k + 1
            and in bands k and k + 2.
        modulation_c2: correlation of each of seven octaves (from 1.6 Hz) with the next one in the same band, the lower
            one's phase doubled; real and imaginary part. It tells attacks from decays.
    """

    level: Float[Array, " bands"]
    variance: Float[Array, " bands"]
    skewness: Float[Array, " bands"]
    kurtosis: Float[Array, " bands"]
    correlation: Float[Array, " pairs"]
    modulation_power: Float[Array, "bands modulations"]
    modulation_c1: Float[Array, "octaves neighbors"]
    modulation_c2: Float[Array, "octaves bands 2"]


LEAST = TextureStatistics(1e-3, 1e-3, 0.5, 1.0, 0.1, 1e-3, 0.3, 0.3)  # pyright: ignore[reportArgumentType]
"""The least root mean square that each block is divided by where distances are relative: of Gaussian noise the last
ones vanish but for sampling errors, which over 4 s are about as large."""


def texture_statistics(envelopes: Float[Array, "frames bands"], *, frame_rate: float) -> TextureStatistics:
    """The statistics of envelopes such as those of `jaxst.kernels.envelopes.band_envelopes`.

    Modulation bands are half cosines: 20 of constant Q = 2 with centers from 0.5 to 200 Hz, octaves for C1 and C2.

    Args:
        envelopes: compressed; the mean of each band positive.
        frame_rate: of them, in Hz.
    """
    trim = int(min(TRIM * frame_rate, envelopes.shape[0] / 10))
    s = envelopes[trim : envelopes.shape[0] - trim].T
    mean = jnp.mean(s, axis=1)
    deviation = s - mean[:, None]
    variance = jnp.mean(deviation**2, axis=1)
    z = deviation / jnp.sqrt(jnp.maximum(variance, _STEADY * mean**2))[:, None]
    correlation = jnp.einsum("jt,kt->jk", z, z, precision=_HIGHEST) / z.shape[1]

    n_fft = fast_length(max(2 * z.shape[1], round(8 * frame_rate)))
    frequencies = np.arange(n_fft // 2 + 1) * frame_rate / n_fft
    spectrum = jnp.fft.rfft(z, n_fft)
    power = spectrum.real**2 + spectrum.imag**2
    octaves = cosine_filters(frequencies, low=OCTAVES[0] / 2, high=2 * OCTAVES[-1], n_bands=len(OCTAVES), scale=np.log2)
    return TextureStatistics(
        mean,
        variance / mean**2,
        jnp.mean(z**3, axis=1),
        jnp.mean(z**4, axis=1),
        correlation[np.triu_indices(s.shape[0], 1)],
        product(power, _constant_q(frequencies) ** 2) * (2 / (n_fft * z.shape[1])),
        _neighbor_correlation(spectrum, octaves[1:] ** 2),
        _octave_correlation(spectrum, octaves, z.shape[1], frequencies[1]),
    )


def texture_mean(statistics: Sequence[TextureStatistics], mix: Sequence[float]) -> TextureStatistics:
    """Those of several recordings, averaged with a weight for each."""
    return jax.tree.map(lambda *blocks: sum(s * b for s, b in zip(shares(mix), blocks, strict=True)), *statistics)


def texture_error(statistics: TextureStatistics, reference: TextureStatistics) -> Float[Array, ""]:
    """Mean over the blocks of |s - r|^2 / max(|r|, least)^2 with Euclidean norms; `least` see `LEAST`. 0 if equal."""
    errors = [
        jnp.sum((block - wanted) ** 2) / jnp.maximum(jnp.sum(wanted**2), least**2 * wanted.size)
        for block, wanted, least in zip(statistics, reference, LEAST, strict=True)
    ]
    return sum(errors[1:], errors[0]) / len(errors)


def product(first, second):
    """Sums over the last axis of products, of all rows with all rows."""
    return jnp.einsum("...f,mf->...m", first, jnp.asarray(second, first.dtype), precision=_HIGHEST)


def ratio(numerator, denominator):
    """Zero where the denominator is."""
    return jnp.where(denominator > 0, numerator / jnp.where(denominator > 0, denominator, 1), 0)


def _root(x):
    """The square root, with a derivative of zero at zero."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1)), 0)


def _constant_q(frequencies):
    """Half cosines of half width center / Q, scaled to squares that add up to 1 on average from 1 to 100 Hz."""
    distance = (frequencies[None] - MODULATIONS[:, None]) / (MODULATIONS[:, None] / 2)
    filters = np.where(np.abs(distance) < 1, np.cos(np.pi / 2 * np.clip(distance, -1, 1)), 0)
    middle = (frequencies > 1) & (frequencies < 100)
    return filters / np.sqrt(np.mean(np.sum(filters[:, middle] ** 2, axis=0)))


def _neighbor_correlation(spectrum, responses):
    power = product(spectrum.real**2 + spectrum.imag**2, responses)
    columns = []
    for offset in (1, 2):
        cross = product((spectrum[:-offset] * jnp.conj(spectrum[offset:])).real, responses)
        columns.append(ratio(cross, _root(power[:-offset] * power[offset:])))
    return jnp.concatenate(columns).T


def _octave_correlation(spectrum, responses, time, spacing):
    """Each pair of octaves in as few samples as they need: six in a period of the lower one's center. Four hold them,
    but what is made of phases is wider: it would be wrong by 0.02."""
    n_fft = 2 * (spectrum.shape[1] - 1)
    correlations = []
    for center, pair in zip(OCTAVES, np.stack([responses[:-1], responses[1:]], axis=1), strict=False):
        size = min(fast_length(int(np.ceil(6 * center / spacing))), n_fft)
        shares = jnp.asarray(_shares(time, n_fft / size), spectrum.real.dtype)
        low, high = _passed(spectrum, pair, size)[..., : len(shares)]
        power, other = (part.real**2 + part.imag**2 for part in (low, high))
        doubled = low**2 * jax.lax.rsqrt(power + _NOTHING)
        cross = jnp.sum(shares[None] * jnp.conj(doubled) * high, axis=1)
        scale = jax.lax.rsqrt(math.prod(jnp.sum(shares[None] * values, axis=1) for values in (power, other)) + _NOTHING)
        correlations.append(jnp.stack([cross.real * scale, cross.imag * scale], axis=-1))
    return jnp.stack(correlations)


def _shares(time: int, step: float) -> np.ndarray:
    """How much of so many frames each sample, one every `step` of them, stands for: at either end less."""
    at = step * np.arange(int(time / step + 0.5) + 1)
    return np.maximum(np.minimum(at + step / 2, time - 0.5) - np.maximum(at - step / 2, -0.5), 0) / step


def _passed(spectrum, responses, size):
    """The parts of a signal that filters pass, analytic, in `size` samples."""
    kept = min(size, responses.shape[1])
    parts = spectrum[None, :, :kept] * jnp.asarray(responses[:, None, :kept], spectrum.real.dtype)
    return jax.lax.complex(*analytic(parts, size=size)) * (size / (2 * (spectrum.shape[1] - 1)))
