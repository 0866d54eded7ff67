"""Fréchet distance between two sets of recordings, seen as Gaussians in the space of an embedding.

Published values are of embeddings by networks trained on large collections (VGGish, PANN, CLAP), and values of
different embeddings cannot be compared: each result carries the name of its own. The one that comes with the package
is not trained; give a function that calls a trained one for values to publish beside others.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.compiling import jit_quickly
from jaxst.errors import AudioError, ConfigError
from jaxst.kernels.mel import log_mel, mel_filters, mel_spectrogram
from jaxst.kernels.spectrogram import power
from jaxst.kernels.stft import frame, stft
from jaxst.metrics.samples import Samples, at_level, mono

RATE, N_FFT, HOP = 16_000, 512, 160
MELS, PATCH_FRAMES, PATCH_HOP = 32, 48, 12  # 0.48 s every 0.12 s


class Embedding(NamedTuple):
    """How a recording becomes points.

    Attributes:
        name: what results and reports call it.
        function: samples and their rate in Hz to `(points, dimensions)`.
    """

    name: str
    function: Callable[[Samples, int], Float[np.ndarray, "points dimensions"]]


class Frechet(NamedTuple):
    """A Fréchet distance, squared as is customary; 0 for equal sets, no upper bound, lower is better.

    Attributes:
        embedding: its name.
        distance: between Gaussians fitted to all points.
        infinite: estimate for infinitely many points of the output. May be slightly negative.
        slope: how fast the distance falls with 1 / points.
        fit: R^2 of the line that `infinite` is read from.
    """

    embedding: str
    distance: float
    infinite: float
    slope: float
    fit: float


def log_mel_embedding(samples: Samples, sample_rate: int) -> Float[np.ndarray, "points dimensions"]:
    """Mean and standard deviation over time of 32 log-mel bands, for patches of 0.48 s every 0.12 s: 64 dimensions.

    At 16 kHz, 32 ms windows every 10 ms, bands from 0 to 8 kHz, in units of 10 dB, no lower than 80 dB below the
    loudest, minus their mean over the recording: neither gain nor a single click moves all points. No network and no
    training.

    Raises:
        AudioError: for silence or less than 0.75 s, which is three patches.
    """
    x = at_level(mono(samples, sample_rate, rate=RATE, shortest=0.75), 0.1)
    return np.asarray(_log_mel_patches(jnp.asarray(x, jnp.float32)), np.float64)


LOG_MEL = Embedding("log-mel patches", log_mel_embedding)


@jit_quickly(level=1)
def _log_mel_patches(x: Float[Array, " time"]) -> Float[Array, "points dimensions"]:
    filters = mel_filters(sample_rate=RATE, n_fft=N_FFT, n_mels=MELS)
    bands = mel_spectrogram(power(stft(x, n_fft=N_FFT, hop_length=HOP)), filters=filters)
    levels = log_mel(bands, floor=1e-12).T / 10
    patches = frame(levels - jnp.mean(levels), frame_length=PATCH_FRAMES, hop_length=PATCH_HOP)
    return jnp.concatenate([jnp.mean(patches, axis=2), jnp.std(patches, axis=2)]).T


def frechet_distance(first: Float[np.ndarray, "_ dimensions"], second: Float[np.ndarray, "_ dimensions"]) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), of means and unbiased covariances (Dowson & Landau 1982; as a
    measure of audio, Kilgour, Zuluaga, Roblek & Sharifi 2019, "Fréchet audio distance", Interspeech).

    Args:
        first, second: points, at least two each. Fewer points than dimensions are fine, but the distance is then mostly
            that of too small samples: see `frechet_infinite`.

    Raises:
        ConfigError: for fewer than two points, or such that are not finite.
    """
    gaussians = _gaussian(first), _gaussian(second)
    return _between(*gaussians, _root(gaussians[1].covariance))


class _Gaussian(NamedTuple):
    mean: np.ndarray
    covariance: np.ndarray


def _gaussian(points):
    if len(points) < 2 or not np.isfinite(points).all():
        raise ConfigError(f"points of shape {points.shape} must be finite and at least two")
    points = points.astype(np.float64)
    return _Gaussian(points.mean(axis=0), np.atleast_2d(np.cov(points, rowvar=False)))


def _root(covariance):
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _between(first: _Gaussian, second: _Gaussian, root: np.ndarray) -> float:
    """Distance, given the second covariance's root R: (C1 C2)^(1/2) has the eigenvalues of (R C1 R)^(1/2), which is
    symmetric, so that none are complex."""
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ first.covariance @ root), 0)).sum()
    trace = np.trace(first.covariance) + np.trace(second.covariance) - 2 * cross
    return float(np.sum((first.mean - second.mean) ** 2) + max(trace, 0.0))


def frechet_infinite(
    points: Float[np.ndarray, "_ dimensions"],
    reference: Float[np.ndarray, "_ dimensions"],
    *,
    steps: int = 25,
    draws: int = 8,
    smallest: int | None = None,
    seed: int = 0,
) -> tuple[float, float, float]:
    """The distance that infinitely many points would have, its slope over 1 / points, and the fit's R^2 (Gui, Gamper,
    Braun & Emmanouilidou 2024, "Adapting Fréchet audio distance for generative music evaluation", ICASSP, after Chong &
    Forsyth 2020).

    The distance of n points is biased by about a constant over n: it is measured for random subsets of `steps` sizes, a
    line is fitted over 1 / n and read at 0. Subsets are drawn without replacement, as in Chong & Forsyth, several of
    each size; the code released with the later paper draws one of each, with replacement, which repeats points. The
    reference's own bias stays.

    Args:
        points: the output's.
        reference: taken as it is.
        steps: number of sizes, evenly spaced.
        draws: subsets of each size, whose distances are averaged.
        smallest: the first size, default a fifth of the points; the last one is all points.
        seed: of the draws.

    Raises:
        ConfigError: unless `2 <= smallest < points`, or for fewer than two steps or one draw.
    """
    smallest = max(2, len(points) // 5) if smallest is None else smallest
    if not 2 <= smallest < len(points) or steps < 2 or draws < 1:
        raise ConfigError(
            f"smallest={smallest} must be from 2 to less than the number of points, {len(points)}, steps={steps} at "
            f"least 2 and draws={draws} at least 1"
        )
    draw, fixed = np.random.default_rng(seed), _gaussian(reference)
    root = _root(fixed.covariance)
    sizes = np.linspace(smallest, len(points), steps).astype(int)

    def distance(size):
        return _between(_gaussian(points[draw.permutation(len(points))[:size]]), fixed, root)

    distances = np.array([np.mean([distance(size) for _ in range(draws)]) for size in sizes])
    slope, infinite = np.polyfit(1 / sizes, distances, 1)
    rest = np.sum((distances - infinite - slope / sizes) ** 2)
    total = np.sum((distances - distances.mean()) ** 2)
    return float(infinite), float(slope), float(1 - rest / total) if total > 0 else 1.0


def frechet_audio_distance(
    outputs: Sequence[Samples], references: Sequence[Samples], sample_rate: int, *, embedding: Embedding = LOG_MEL
) -> Frechet:
    """Fréchet distance between all points of some recordings and all points of others, with its extrapolation.

    Args:
        outputs, references: one or more recordings each, of any lengths.
        sample_rate: of all, in Hz.
        embedding: which points.

    Raises:
        AudioError: as the embedding does, or for no recordings.
        ConfigError: for an embedding that gives fewer than three points.
    """
    if not outputs or not references:
        raise AudioError(f"{len(outputs)} outputs and {len(references)} references: give one recording of each or more")
    points, wanted = (
        np.concatenate([embedding.function(samples, sample_rate) for samples in group])
        for group in (outputs, references)
    )
    return Frechet(embedding.name, frechet_distance(points, wanted), *frechet_infinite(points, wanted))
