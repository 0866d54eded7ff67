"""Features to a style summary, and the distances of a signal's features to it and to the content's.

Both distances are those of a random convolutional network of infinite width, in closed form: see
`jaxst.kernels.arccos`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.kernels.arccos import arccos_cross, arccos_diagonal, arccos_self
from jaxst.kernels.kernel_means import mean_square_kernel

_LEAST_MEAN_SQUARE = 1e-12  # a style without any variation has zero, by which nothing can be divided


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class StyleSummary:
    """All that the style distance needs to know of the style, at one resolution.

    Attributes:
        frames: `(frames, frequency)`, the features of all style recordings, one after the other.
        weights: `(frames - patch_frames + 1,)`, one for each patch, adding up to 1; zero for those that span two
            recordings.
        mean_square: scalar, the mean of k(s, s')^2 over pairs of style patches: the value that normalizes the distance.
    """

    frames: Float[Array, "frames frequency"]
    weights: Float[Array, " patches"]
    mean_square: Float[Array, ""]


def summarize_style(
    features: Sequence[Float[Array, "_ frequency"]], mix: Sequence[float], *, patch_frames: int
) -> StyleSummary:
    """Pool style recordings into one distribution of patches.

    Args:
        features: one `(frames, frequency)` array for each recording, of any lengths.
        mix: a weight for each recording, whatever its length; only their ratios count.
        patch_frames: K.
    """
    shares = np.asarray(mix, np.float64) / np.sum(mix)
    pieces = []
    for index, (piece, share) in enumerate(zip(features, shares, strict=True)):
        patches = piece.shape[0] - patch_frames + 1
        pieces.append(np.full(patches, share / patches))
        if index + 1 < len(features):
            pieces.append(np.zeros(patch_frames - 1))
    frames, weights = jnp.concatenate(list(features)), jnp.asarray(np.concatenate(pieces), features[0].dtype)
    kernel = arccos_self(frames, patch_frames=patch_frames)
    mean_square = mean_square_kernel(kernel, row_weights=weights, column_weights=weights)
    return StyleSummary(frames, weights, jnp.maximum(mean_square, _LEAST_MEAN_SQUARE))


def style_distance(
    features: Float[Array, "channels frames frequency"], style: StyleSummary, *, patch_frames: int
) -> Float[Array, ""]:
    """Squared maximum mean discrepancy between patches of the signal and of the style, with kernel k^2, over its value
    for features of zero.

    mean k(x, x')^2 - 2 mean k(x, s)^2 + mean k(s, s')^2, averaged over channels, divided by the last term: the limit of
    |Gram(x) - Gram(s)|^2 / |Gram(s)|^2 of a random network with Gram matrices divided by the number of frames, so that
    the lengths of signal and style need not agree.
    """
    center = style.mean_square
    own = mean_square_kernel(arccos_self(features, patch_frames=patch_frames), center=center)
    across = jax.vmap(lambda x: arccos_cross(x, style.frames, patch_frames=patch_frames))(features)
    shared = mean_square_kernel(across, center=center, column_weights=style.weights)
    return jnp.mean(own - 2 * shared) / center


def content_distance(
    features: Float[Array, "channels frames frequency"],
    content: Float[Array, "channels frames frequency"],
    *,
    patch_frames: int,
) -> Float[Array, ""]:
    """Mean squared distance of the network's features at the same time, over its value for features of zero.

    mean_t [k(x_t, x_t) - 2 k(x_t, c_t) + k(c_t, c_t)] / mean_t k(c_t, c_t), with k(u, u) = |u|^2 / 2.
    """
    own = arccos_diagonal(features, features, patch_frames=patch_frames)
    across = arccos_diagonal(features, content, patch_frames=patch_frames)
    target = arccos_diagonal(content, content, patch_frames=patch_frames)
    return jnp.mean(own - 2 * across + target) / jnp.maximum(jnp.mean(target), _LEAST_MEAN_SQUARE)
