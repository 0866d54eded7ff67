"""Responses as Gaussians: means and covariances over time, compared by optimal transport.

The squared 2-Wasserstein distance of two Gaussians is |m - n|^2 + tr(A) + tr(B) - 2 tr((B^1/2 A B^1/2)^1/2) (Dowson &
Landau 1982, "The Frechet distance between multivariate normal distributions", eq. 4). With A = X^T X and B = Y^T Y the
last trace is the nuclear norm of X Y^T: no square root of a matrix is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.kernels.nuclear_norm import nuclear_norm
from jaxst.network import Responses
from jaxst.statistics.gram import LEAST_NORM
from jaxst.statistics.mix import shares


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Gaussians:
    """The style's Gaussian in each group.

    Attributes:
        mean: `(groups, values)`.
        factor: `(groups, rows, values)`, Y in Y^T Y, the covariance.
        sq_norm: scalar, the distance from silence: the sum of squared means and variances.
    """

    mean: Float[Array, "groups values"]
    factor: Float[Array, "groups rows values"]
    sq_norm: Float[Array, ""]


def summarize(styles: Sequence[Float[Array, "groups _ values"]], mix: Sequence[float]) -> Gaussians:
    """Moments of style recordings, of any lengths, pooled with a weight for each."""
    parts = shares(mix)
    means = jnp.stack([jnp.mean(style, axis=1) for style in styles])
    mean = jnp.tensordot(jnp.asarray(parts, means.dtype), means, axes=1, precision="highest")
    rows = [
        np.sqrt(share / style.shape[1]) * (style - mean[:, None]) for share, style in zip(parts, styles, strict=True)
    ]
    factor = jnp.concatenate(rows, axis=1)
    if factor.shape[1] > factor.shape[2]:  # as good, and smaller
        factor = jnp.linalg.qr(factor, mode="r")
    return Gaussians(mean, factor, jnp.maximum(jnp.sum(mean**2) + jnp.sum(factor**2), LEAST_NORM))


def style_distance(responses: Responses, style: Gaussians) -> Float[Array, ""]:
    """The squared distance, summed over groups and averaged over channels."""
    n_channels, _, n_frames, _ = responses.shape
    mean = jnp.mean(responses, axis=2)
    rows = (responses - mean[:, :, None]) / np.sqrt(n_frames)
    across = jnp.einsum("cgtv,grv->cgtr", rows, style.factor, precision=jax.lax.Precision.HIGHEST)
    shift = jnp.sum((mean - style.mean[None]) ** 2)
    spread = jnp.sum(rows**2) - 2 * jnp.sum(nuclear_norm(across))
    return (shift + spread) / n_channels + jnp.sum(style.factor**2)
