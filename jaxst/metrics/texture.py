"""Statistics of sound textures, and distances between those of two signals: how much one has another's style.

McDermott & Simoncelli's statistics, and TexStat's variant of them, are of envelopes in auditory bands. All signals are
brought to the same level first: gain changes no distance.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jaxtyping import Array, Float

from jaxst.compiling import jit_quickly
from jaxst.kernels.envelopes import cosine_filters, erb_number
from jaxst.metrics.samples import Samples, at_level, mono
from jaxst.representation import fast_length
from jaxst.statistics import texture as envelope_texture
from jaxst.statistics.texture import LEAST, TextureStatistics, product, ratio

_HIGHEST = jax.lax.Precision.HIGHEST


def envelopes(
    x: Float[Array, " time"],
    *,
    sample_rate: int,
    low: float,
    high: float,
    n_bands: int,
    power: float,
    decimation: int = 1,
) -> Float[Array, "n_bands frames"]:
    """Magnitude of the analytic signal in bands of `cosine_filters` on the ERB scale, to a power, then decimated.

    The signal is taken to be zero before its start and after its end. Envelopes are floored at 1e-7.
    """
    time = x.shape[0]
    n_fft = fast_length(time + sample_rate // 2)  # what the narrowest filters ring on does not come round
    spectrum = jnp.fft.rfft(x, n_fft)
    frequencies = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    filters = cosine_filters(frequencies, low=low, high=high, n_bands=n_bands, scale=erb_number)

    def envelope(response):
        analytic = jnp.fft.ifft(jnp.pad(2 * spectrum * response, (0, n_fft - n_fft // 2 - 1)))[:time]
        values = (analytic.real**2 + analytic.imag**2 + 1e-14) ** (power / 2)
        return values if decimation == 1 else decimate(values[None], decimation)[0]

    return jax.lax.map(envelope, jnp.asarray(filters, x.dtype))  # one band at a time, for memory's sake


def decimate(x: Float[Array, "rows time"], factor: int) -> Float[Array, "rows frames"]:
    """Every `factor`-th sample behind a Kaiser window's low pass: `scipy.signal.resample_poly(x, 1, factor)`."""
    taps = scipy.signal.firwin(20 * factor + 1, 1 / factor, window=("kaiser", 5.0))  # pyright: ignore[reportArgumentType]
    return jax.lax.conv_general_dilated(
        x[..., None],
        jnp.asarray(taps, x.dtype)[:, None, None],
        window_strides=(factor,),
        padding=[(10 * factor, 10 * factor)],
        dimension_numbers=("NWC", "WIO", "NWC"),
        precision=_HIGHEST,
    )[..., 0]


# McDermott & Simoncelli (2011)

BANDS, LOWEST, HIGHEST = 30, 20.0, 10_000.0
ENVELOPE_RATE, COMPRESSION = 400, 0.3
SHORTEST = 0.5  # seconds
_LEVEL = 0.1  # root mean square


class TextureDistance(NamedTuple):
    """Relative errors of each block of `TextureStatistics`, and `mean`, of all but the last: 0 if equal.

    `modulation_c2` is apart: a few seconds do not hold enough of the slow octaves to estimate it, and halves of a
    recording then differ by almost as much as noise does.
    """

    mean: float
    level: float
    variance: float
    skewness: float
    kurtosis: float
    correlation: float
    modulation_power: float
    modulation_c1: float
    modulation_c2: float


def texture_statistics(samples: Samples, sample_rate: int) -> TextureStatistics:
    """The statistics of McDermott & Simoncelli 2011, "Sound texture perception via statistics of the auditory
    periphery", Neuron 71; see `jaxst.statistics.texture` for what they are of envelopes, and what is missing.

    30 bands, half cosines on the ERB scale between 20 Hz and 10 kHz (centers from 52 to 8844 Hz), or half the sample
    rate if that is lower; envelopes by the analytic signal at its full rate, to the power of 0.3, then at 400 Hz.

    Samples above 20 kHz are brought to 20 kHz, others to the multiple of 400 Hz below. Compare signals of one rate.

    Raises:
        AudioError: for silence or less than 0.5 s.
    """
    rate = min(20_000, sample_rate // ENVELOPE_RATE * ENVELOPE_RATE)
    x = at_level(mono(samples, sample_rate, rate=rate, shortest=SHORTEST), _LEVEL)
    return statistics_at(jnp.asarray(x, jnp.float32), sample_rate=rate)


@jit_quickly(static_argnames="sample_rate", level=1)
def statistics_at(x: Float[Array, " time"], *, sample_rate: int) -> TextureStatistics:
    """`texture_statistics` of samples with a root mean square of 0.1, at a multiple of 400 Hz; for a batch, vmap it."""
    high = min(HIGHEST, sample_rate / 2)
    s = envelopes(
        x,
        sample_rate=sample_rate,
        low=LOWEST,
        high=high,
        n_bands=BANDS,
        power=COMPRESSION,
        decimation=sample_rate // ENVELOPE_RATE,
    )
    return envelope_texture.texture_statistics(s.T, frame_rate=ENVELOPE_RATE)


def texture_distance(statistics: TextureStatistics, reference: TextureStatistics) -> TextureDistance:
    """How far one signal's texture statistics are from another's; lower is better.

    For each block |s - r| / max(|r|, least), with Euclidean norms over the block; `least` is a fixed number per element
    (0.5 for skewness, 1 for kurtosis, 0.1 for correlations, 0.3 for C1 and C2, else 0.001), so that a block that the
    reference has almost nothing of does not decide. Not symmetric. Four seconds of steady recordings are 0.15 to 0.35
    from the next four; noise of their spectrum is 0.6 to 0.85 from them, white noise 0.65 to 0.95.
    """
    blocks = []
    for block, wanted, least in zip(statistics, reference, LEAST, strict=True):
        block, wanted = np.asarray(block, np.float64), np.asarray(wanted, np.float64)
        scale = max(np.linalg.norm(wanted), least * np.sqrt(wanted.size))
        blocks.append(float(np.linalg.norm(block - wanted) / scale))
    return TextureDistance(float(np.mean(blocks[:-1])), *blocks)


# TexStat (2025)

_UNIT = 1.0  # root mean square
_TEXSTAT_RATE, _TEXSTAT_BANDS, _TEXSTAT_MODULATIONS = 44_100, 16, 6
_MOMENT_WEIGHTS = np.array([1, 1 / 10, 1 / 100, 1 / 1000])


class TexStatistics(NamedTuple):
    """TexStat's five sets of statistics, of envelopes in 16 bands that are not compressed.

    Attributes:
        moments: mean, variance over squared mean, skewness and kurtosis, times 1, 1/10, 1/100 and 1/1000.
        correlation: of envelopes of all pairs of bands.
        modulation: standard deviation of each of six modulation bands over that of the envelope.
        across_bands: correlation of the same modulation band of all pairs of bands.
        across_modulations: correlation of all pairs of modulation bands of the same band.
    """

    moments: Float[Array, "4 bands"]
    correlation: Float[Array, " pairs"]
    modulation: Float[Array, "bands modulations"]
    across_bands: Float[Array, "pairs modulations"]
    across_modulations: Float[Array, "bands modulation_pairs"]


class TexStatDistance(NamedTuple):
    """Root mean square differences of each set of `TexStatistics`, and their sum."""

    total: float
    moments: float
    correlation: float
    modulation: float
    across_bands: float
    across_modulations: float


def texstat_statistics(samples: Samples, sample_rate: int) -> TexStatistics:
    """The statistics of TexStat (Gutiérrez, Font, Serra & Wyse 2025, "A statistics-driven differentiable approach for
    sound texture synthesis and analysis", DAFx, arXiv 2506.04073).

    As the authors' released code has them: 16 half-cosine bands on the ERB scale from 20 to 22,050 Hz at 44.1 kHz;
    envelopes by the analytic signal, neither compressed nor, for moments and correlations, decimated; modulation bands
    from envelopes at a quarter of the rate: six half cosines, evenly spaced on a logarithmic scale from 10 Hz to a
    quarter of that rate. Ours are the level, a root mean square of 1, and for samples of less than 44.1 kHz, which are
    measured at their own rate, bands up to half of it: compare signals of one rate.

    Raises:
        AudioError: for silence or less than 0.5 s.
    """
    rate = min(_TEXSTAT_RATE, sample_rate)
    x = at_level(mono(samples, sample_rate, rate=rate, shortest=SHORTEST), _UNIT)
    return texstat_at(jnp.asarray(x, jnp.float32), sample_rate=rate)


@jit_quickly(static_argnames="sample_rate", level=1)
def texstat_at(x: Float[Array, " time"], *, sample_rate: int) -> TexStatistics:
    """`texstat_statistics` of samples with a root mean square of 1, at 44.1 kHz or less; for a batch, vmap it."""
    s = envelopes(x, sample_rate=sample_rate, low=LOWEST, high=sample_rate / 2, n_bands=_TEXSTAT_BANDS, power=1.0)
    mean = jnp.mean(s, axis=1)
    deviation = s - mean[:, None]
    variance = jnp.mean(deviation**2, axis=1)
    z = deviation / jnp.sqrt(jnp.maximum(variance, 1e-8 * mean**2))[:, None]
    moments = jnp.stack([mean, variance / mean**2, jnp.mean(z**3, axis=1), jnp.mean(z**4, axis=1)])
    correlation = jnp.einsum("jt,kt->jk", z, z, precision=_HIGHEST) / z.shape[1]
    pairs = np.triu_indices(_TEXSTAT_BANDS, 1)

    slow = decimate(z, 4)
    spectrum = jnp.fft.rfft(slow - jnp.mean(slow, axis=1, keepdims=True))
    frequencies = np.arange(spectrum.shape[1]) * sample_rate / 4 / slow.shape[1]
    filters = cosine_filters(frequencies, low=10.0, high=sample_rate / 16, n_bands=_TEXSTAT_MODULATIONS, scale=np.log2)
    power = spectrum.real**2 + spectrum.imag**2
    energy = product(power, filters**2)
    first, second = np.triu_indices(_TEXSTAT_MODULATIONS, 1)

    def across_bands(response):
        part = spectrum * response[None]
        return jnp.einsum("jf,kf->jk", part, jnp.conj(part), precision=_HIGHEST).real[pairs]

    cross = jax.lax.map(across_bands, jnp.asarray(filters, x.dtype))

    return TexStatistics(
        moments * jnp.asarray(_MOMENT_WEIGHTS, x.dtype)[:, None],
        correlation[pairs],
        jnp.sqrt(ratio(energy, jnp.sum(power, axis=1, keepdims=True))),
        ratio(cross.T, jnp.sqrt(energy[pairs[0]] * energy[pairs[1]])),
        ratio(product(power, filters[first] * filters[second]), jnp.sqrt(energy[:, first] * energy[:, second])),
    )


def texstat_distance(statistics: TexStatistics, reference: TexStatistics) -> TexStatDistance:
    """TexStat's loss: the root mean square difference of each set, summed with equal weights; 0 if equal, lower is
    better, symmetric. (The released code's default; its loss function alone weighs all but the moments with 20.)
    """
    blocks = [
        float(np.sqrt(np.mean((np.asarray(block, np.float64) - np.asarray(wanted, np.float64)) ** 2)))
        for block, wanted in zip(statistics, reference, strict=True)
    ]
    return TexStatDistance(sum(blocks), *blocks)
