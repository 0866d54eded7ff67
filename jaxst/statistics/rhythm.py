"""Beside Gram matrices: keeping what repeats, and not being a copy (Antognini, Hoffman & Weiss 2019, "Audio texture
synthesis with random neural networks: improving diversity and quality").

Both look at responses as functions of time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.network import Responses
from jaxst.representation import fast_length
from jaxst.statistics.gram import LEAST_NORM
from jaxst.statistics.mix import shares

LAGS = (0.2, 2.0)  # seconds within which repetitions are looked for
_LEAST_DISTANCE = 1e-6  # of a copy, relative to its norm: where diversity would be infinite


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Rhythm:
    """The style's autocorrelation.

    Attributes:
        autocorrelation: `(groups, lags, values)`.
        first_lag: in frames.
    """

    autocorrelation: Float[Array, "groups lags values"]
    first_lag: int = field(metadata={"static": True})


def summarize(styles: Sequence[Float[Array, "groups _ values"]], mix: Sequence[float], *, frame_rate: float) -> Rhythm:
    """Autocorrelation of style recordings, averaged with a weight for each, at lags from 0.2 to 2 s; where the shortest
    is shorter than 4 s, up to half of it.

    Args:
        styles: responses of each recording.
        mix: weights.
        frame_rate: frames in a second.
    """
    longest = min(style.shape[1] for style in styles) // 2
    first = min(round(LAGS[0] * frame_rate), longest)
    stop = min(round(LAGS[1] * frame_rate), longest) + 1
    each = [
        jnp.asarray(share * autocorrelation(style, stop)[:, first:])
        for share, style in zip(shares(mix), styles, strict=True)
    ]
    return Rhythm(sum(each[1:], each[0]), first)


def rhythm_distance(responses: Responses, style: Rhythm) -> Float[Array, ""]:
    """Squared difference of the autocorrelations over the style's square, averaged over channels; of signals shorter
    than 4 s at lags up to half their length."""
    stop = style.first_lag + style.autocorrelation.shape[1]
    stop = max(min(stop, responses.shape[2] // 2 + 1), style.first_lag + 1)
    target = style.autocorrelation[:, : stop - style.first_lag]
    own = autocorrelation(responses, stop)[:, :, style.first_lag :]
    norm = jnp.maximum(jnp.sum(target**2), LEAST_NORM)
    return jnp.sum((own - target[None]) ** 2) / (norm * responses.shape[0])


def autocorrelation(x: Float[Array, "*batch frames values"], n_lags: int) -> Float[Array, "*batch lags values"]:
    """Mean of x[t] x[t + lag] over the frames that have both, at lags from 0."""
    n_frames = x.shape[-2]
    size = fast_length(n_frames + n_lags)
    spectrum = jnp.fft.rfft(x, size, axis=-2)
    sums = jnp.fft.irfft(spectrum.real**2 + spectrum.imag**2, size, axis=-2)[..., :n_lags, :]
    counts = np.maximum(n_frames - np.arange(n_lags), 1).astype(np.float64)
    return sums / jnp.expand_dims(jnp.asarray(counts[:, None], x.dtype), range(x.ndim - 2))


def copying(responses: Responses, styles: Sequence[Float[Array, "groups _ values"]]) -> Float[Array, ""]:
    """|x|^2 / |x - s|^2 with s the style shifted to where it is nearest and brought to the level of x: 1/2 for what has
    nothing in common, growing without bound towards a copy. The largest of all styles, averaged over channels."""
    similarity = jnp.stack([_largest_correlation(responses, style) for style in styles])
    return jnp.mean(1 / (2 * (1 - jnp.max(similarity, axis=0)) + _LEAST_DISTANCE))


def _largest_correlation(x: Responses, style: Float[Array, "groups frames values"]) -> Float[Array, " channels"]:
    """Over all shifts, 1 for a copy."""
    size = fast_length(x.shape[2] + style.shape[1])
    spectra = jnp.fft.rfft(x, size, axis=2) * jnp.conj(jnp.fft.rfft(style, size, axis=1))[None]
    products = jnp.fft.irfft(jnp.sum(spectra, axis=(1, 3)), size, axis=-1)
    norm = jnp.sqrt(jnp.sum(x**2, axis=(1, 2, 3)) * jnp.sum(style**2) + LEAST_NORM)
    return jnp.clip(jnp.max(products, axis=-1) / norm, 0, 1)
