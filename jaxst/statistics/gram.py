"""Gram matrices of responses: which values are large together, wherever in time.

Two forms of the same distance |G(x) - G(s)|^2, G = F^T F / frames. The matrices themselves, where there are fewer
values than frames. Else products between frames, as |F F^T|^2 = |F^T F|^2: mean k(x, x')^2 - 2 mean k(x, s)^2 + mean
k(s, s')^2 over pairs of frames, k the inner product of responses: a squared maximum mean discrepancy with the kernel
k^2. Of networks of infinite width there is nothing but k, in closed form.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.kernels.arccos import arccos_diagonal
from jaxst.kernels.gram import gram
from jaxst.kernels.kernel_means import mean_square_kernel
from jaxst.kernels.tiled_means import mean_square_arccos_cross, mean_square_arccos_self
from jaxst.network import PLAIN, Product, Responses
from jaxst.statistics.mix import shares

LEAST_NORM = 1e-12  # a style without any variation has zero, by which nothing can be divided


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GramMatrices:
    """The style's Gram matrices.

    Attributes:
        gram: `(groups, values, values)`, divided by the number of frames, averaged over the recordings.
        sq_norm: scalar, the sum of their squares.
    """

    gram: Float[Array, "groups values values"]
    sq_norm: Float[Array, ""]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class StyleFrames:
    """The style's responses, where products between frames take the place of Gram matrices.

    Attributes:
        frames: `(groups, frames, values)` of all recordings, one after the other.
        weights: `(frames - patch_frames + 1,)`, one for each patch, adding up to 1; zero for those that span two
            recordings.
        mean_square: `(groups,)`, the mean of k(s, s')^2 over pairs of patches, |G|^2 of each group.
        product: what k is.
    """

    frames: Float[Array, "groups frames values"]
    weights: Float[Array, " patches"]
    mean_square: Float[Array, " groups"]
    product: Product = field(metadata={"static": True})

    @property
    def sq_norm(self) -> Float[Array, ""]:
        """The sum of the Gram matrices' squares."""
        return jnp.sum(self.mean_square)


GramSummary = GramMatrices | StyleFrames


def summarize(
    styles: Sequence[Float[Array, "groups _ values"]], mix: Sequence[float], product: Product = PLAIN
) -> GramSummary:
    """Pool style recordings, of any lengths, into one distribution of responses.

    Args:
        styles: responses of each recording.
        mix: a weight for each of them, whatever its length; only their ratios count.
        product: how responses are multiplied.
    """
    parts = shares(mix)
    lengths = [style.shape[1] for style in styles]
    if not product.rectified and styles[0].shape[2] <= sum(lengths):
        matrices = jnp.stack([gram(style) for style in styles])
        mean = jnp.tensordot(jnp.asarray(parts, matrices.dtype), matrices, axes=1, precision="highest")
        return GramMatrices(mean, jnp.maximum(jnp.sum(mean**2), LEAST_NORM))
    overlap = np.zeros(product.patch_frames - 1)
    pieces = []
    for length, share in zip(lengths, parts, strict=True):
        patches = length - len(overlap)
        pieces += [np.full(patches, share / patches), overlap]
    weights = jnp.asarray(np.concatenate(pieces[:-1]), styles[0].dtype)
    frames = jnp.concatenate(list(styles), axis=1)

    def mean_square(frames):
        return _own_mean_square(frames, product, weights=weights)

    return StyleFrames(frames, weights, jnp.maximum(_over_groups(mean_square, frames), LEAST_NORM), product)


def style_distance(responses: Responses, style: GramSummary) -> Float[Array, ""]:
    """|G(x) - G(s)|^2, summed over groups and averaged over channels.

    Gram matrices are divided by their number of frames, so that the lengths of signal and style need not agree.
    """
    if isinstance(style, GramMatrices):
        return jnp.sum((gram(responses) - style.gram[None]) ** 2) / responses.shape[0]

    def discrepancy(group):
        x, s, center = group
        own = _own_mean_square(x, style.product, center=center)

        # Not `vmap`: XLA's sums over arrays of one channel are ten times slower on a CPU than over those of none.
        @partial(jnp.vectorize, signature="(t,v)->()")
        def shared(x):
            return _shared_mean_square(x, s, style.product, center=center, weights=style.weights)

        return jnp.mean(own - 2 * shared(x))

    by_group = (jnp.moveaxis(responses, 1, 0), style.frames, style.mean_square)
    return jnp.sum(_over_groups(discrepancy, by_group))


def content_distance(
    responses: Responses, content: Responses, product: Product
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """|F(x) - F(c)|^2 and |F(c)|^2, summed over groups, frames and values and averaged over channels.

    Of rectified products k(x, x) - 2 k(x, c) + k(c, c), with k(u, u) = |u|^2 / 2.
    """
    if not product.rectified:
        squares = jnp.sum((responses - content) ** 2), jnp.sum(content**2)
    else:

        @partial(jnp.vectorize, signature="(t,v),(t,v)->()")  # as in `style_distance`
        def total(a, b):
            return jnp.sum(arccos_diagonal(a, b, patch_frames=product.patch_frames))

        own, across, target = (
            jnp.sum(total(a, b)) for a, b in ((responses, responses), (responses, content), (content, content))
        )
        squares = own - 2 * across + target, target
    distance, norm = (total / responses.shape[0] for total in squares)
    return distance, jnp.maximum(norm, LEAST_NORM)


def _own_mean_square(x: Array, product: Product, *, center: Array | float = 0.0, weights: Array | None = None) -> Array:
    """Mean of k(x, x')^2 - center over pairs of patches of one signal."""
    if product.rectified:
        return mean_square_arccos_self(x, patch_frames=product.patch_frames, center=center, weights=weights)
    return mean_square_kernel(_inner(x, x), center=center, row_weights=weights, column_weights=weights)


def _shared_mean_square(x: Array, s: Array, product: Product, *, center: Array, weights: Array) -> Array:
    """Mean of k(x, s)^2 - center, `weights` being those of the patches of `s`."""
    if product.rectified:
        return mean_square_arccos_cross(x, s, patch_frames=product.patch_frames, center=center, column_weights=weights)
    return mean_square_kernel(_inner(x, s), center=center, column_weights=weights)


def _inner(a: Array, b: Array) -> Array:
    return jnp.einsum("...tv,...sv->...ts", a, b, precision=jax.lax.Precision.HIGHEST)


def _over_groups(function: Callable, groups):
    """`function` of each group, one after another: all pairs of frames of all groups would not fit into memory."""
    if jax.tree.leaves(groups)[0].shape[0] == 1:
        return function(jax.tree.map(lambda leaf: leaf[0], groups))[None]
    return jax.lax.map(jax.checkpoint(function), groups)
