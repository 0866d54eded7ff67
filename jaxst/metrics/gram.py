"""Gram matrices of random networks, and the distance between those of two signals: how much one has another's style.

These networks are near relatives of those whose Gram matrices some methods optimize. Their filters are drawn with a
seed of their own, but whoever optimizes one such network is nearer to all: it is a weak test of those methods.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.compiling import jit_quickly
from jaxst.kernels.conv import convolve
from jaxst.kernels.gram import gram
from jaxst.kernels.stft import stft
from jaxst.metrics.samples import Samples, at_level, mono

WIDTHS, FILTERS = (2, 4, 8, 16, 64, 128), 512
RATE, N_FFT, HOP = 16_000, 512, 128
SHORTEST = 1.1  # seconds: the longest filter fits in
_SEED = 20_220_607  # no other random networks are drawn with it


class GramDistance(NamedTuple):
    """Relative distances of Gram matrices, one a network, and `mean`, their mean: 0 if equal, no upper bound."""

    mean: float
    networks: tuple[float, ...]


Bank = Float[Array, "_ frequency filters"]


def draw_banks() -> Iterator[Bank]:
    """Each network's filters, one after another, for the longest have 68 MB; always the same.

    Drawing them, and bringing them to the device, takes most of the time of `gram_statistics`: for many signals keep
    them all, 118 MB.
    """
    draw = np.random.default_rng(_SEED)
    for width in WIDTHS:
        yield jnp.asarray(draw.standard_normal((width, N_FFT // 2 + 1, FILTERS), np.float32))


def gram_statistics(
    samples: Samples, sample_rate: int, *, banks: Iterable[Bank] | None = None
) -> tuple[Float[Array, "filters filters"], ...]:
    """Gram matrices of six random networks (Gupta, Zhang, Liu & Wyse 2022, "Parameter sensitivity of deep-feature based
    evaluation metrics for audio textures", ISMIR; the networks are those of Antognini, Hoffman & Weiss 2019).

    Each network is one convolution over time with 512 filters of 2, 4, 8, 16, 64 or 128 frames, all frequencies at
    once, and a ReLU; its Gram matrix is G = F^T F / frames. Input is log(1 + |STFT|) at 16 kHz, 512 samples every 128,
    of samples with a root mean square of 1. Numbers of networks and filters, their widths and the division are
    published; transform, logarithm, level and the filters' normal distribution of variance 2 / inputs are ours.

    Args:
        samples: `(time,)` or `(channels, time)`.
        sample_rate: in Hz.
        banks: all that `draw_banks` yields, if kept.

    Raises:
        AudioError: for silence or less than 1.1 s.
    """
    x = at_level(mono(samples, sample_rate, rate=RATE, shortest=SHORTEST), 1.0)
    features = _log_magnitudes(jnp.asarray(x, jnp.float32))
    deviations = [math.sqrt(2 / (width * features.shape[-1])) for width in WIDTHS]
    return tuple(
        _gram(features * deviation, filters)
        for deviation, filters in zip(deviations, draw_banks() if banks is None else banks, strict=True)
    )


@jit_quickly(level=1)
def _log_magnitudes(x: Float[Array, " time"]) -> Float[Array, "frames frequency"]:
    return jnp.log1p(jnp.abs(stft(x, n_fft=N_FFT, hop_length=HOP)))


@jit_quickly(level=1)
def _gram(
    features: Float[Array, "frames frequency"], filters: Float[Array, "width frequency filters"]
) -> Float[Array, "filters filters"]:
    return gram(jax.nn.relu(convolve(features, filters)))


def gram_distance(
    statistics: tuple[Float[Array, "filters filters"], ...], reference: tuple[Float[Array, "filters filters"], ...]
) -> GramDistance:
    """Mean over networks of |G - R| / |R| with Frobenius norms; lower is better, not symmetric."""
    distances = tuple(
        float(jnp.linalg.norm(found - wanted) / jnp.linalg.norm(wanted))
        for found, wanted in zip(statistics, reference, strict=True)
    )
    return GramDistance(float(np.mean(distances)), distances)
