"""Means of the squared arc-cosine kernel over all pairs of patches, without ever holding all pairs.

As in flash attention (Dao et al. 2022) the matrix of all pairs is made tile by tile, and each tile forgotten: memory
grows with the length of the signals, not with its square. What is differentiated is one number, so a tile's derivative
is taken together with its value, and no tile is made twice.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.kernels.arccos import arccos_cross
from jaxst.kernels.kernel_means import mean_square_kernel
from jaxst.kernels.patches import count_patches

# The most patches on a side of a tile. On two cores 512 was best of 128 to 1,024. Accelerators, where nothing was
# measured, get larger ones: each operation has to be launched.
CPU_TILE, TILE = 512, 2048


def mean_square_arccos_cross(
    a: Float[Array, "*batch frames_a frequency"],
    b: Float[Array, "*batch frames_b frequency"],
    *,
    patch_frames: int,
    center: Float[Array, ""] | float = 0.0,
    row_weights: Float[Array, " patches_a"] | None = None,
    column_weights: Float[Array, " patches_b"] | None = None,
    tile: int | None = None,
) -> Float[Array, "*batch"]:
    """`mean_square_kernel(arccos_cross(a, b))`. To be differentiated by `a` and `b` only, in reverse mode.

    Args:
        a, b: frames, of which any `patch_frames` in a row are a patch.
        patch_frames: K.
        center: the constant subtracted from every kernel^2, see `mean_square_kernel`.
        row_weights, column_weights: of the patches of `a` and of `b`, each adding up to 1; default uniform.
        tile: the most patches on a side of a tile; default by platform, which on TPUs has a kernel of its own.

    Raises:
        ValueError: if there are fewer frames than `patch_frames`.
    """
    return _mean((a, b), (row_weights, column_weights), center, patch_frames, tile, symmetric=False)


def mean_square_arccos_self(
    a: Float[Array, "*batch frames frequency"],
    *,
    patch_frames: int,
    center: Float[Array, ""] | float = 0.0,
    weights: Float[Array, " patches"] | None = None,
    tile: int | None = None,
) -> Float[Array, "*batch"]:
    """`mean_square_arccos_cross(a, a)` with the same weights on both sides, for half the work."""
    return _mean((a, a), (weights, weights), center, patch_frames, tile, symmetric=True)


def _mean(signals, weights, center, patch_frames, tile, *, symmetric):
    weights = [_uniform(x, patch_frames) if given is None else given for x, given in zip(signals, weights, strict=True)]
    constants = *weights, jnp.asarray(center, signals[0].dtype)

    def of_entry(a, b):
        return _mean_of_entry(a, b, constants, patch_frames, tile, symmetric)

    return jnp.vectorize(of_entry, signature="(t,f),(s,f)->()")(*signals)


def _uniform(frames, patch_frames):
    n_patches = count_patches(frames.shape[-2], patch_frames)
    return jnp.full(n_patches, 1 / n_patches, frames.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def _mean_of_entry(a, b, constants, patch_frames, tile, symmetric):
    """For two signals without batch; constants are the weights of rows and columns, and the center."""
    function = partial(_tiled_mean, patch_frames=patch_frames, symmetric=symmetric)
    return _by_platform(function, a, b, constants, tile)


def _mean_of_entry_forward(a, b, constants, patch_frames, tile, symmetric):
    settings = {"patch_frames": patch_frames, "symmetric": symmetric}
    return _by_platform(
        partial(_tiled_mean_and_gradients, **settings), a, b, constants, tile, partial(_on_tpu, **settings)
    )


def _mean_of_entry_backward(patch_frames, tile, symmetric, gradients, cotangent):
    by_a, by_b = gradients
    return cotangent * by_a, cotangent * by_b, None


_mean_of_entry.defvjp(_mean_of_entry_forward, _mean_of_entry_backward)


def _by_platform(function, a, b, constants, tile, on_tpu=None):
    """`function` with the tiles that are best where it runs, or `on_tpu` for what there would take several."""
    longest = max(map(len, constants[:2]))
    if tile is not None or longest <= CPU_TILE:
        return function(a, b, constants, tile=tile or CPU_TILE)
    platforms = {"cpu": partial(function, tile=CPU_TILE), "default": partial(function, tile=TILE)}
    if on_tpu is not None and longest > TILE and a.dtype == jnp.float32:
        platforms["tpu"] = on_tpu
    return jax.lax.platform_dependent(a, b, constants, **platforms)


def _on_tpu(a, b, constants, *, patch_frames, symmetric):
    # Not above: it takes longer to import than all the rest of the kernels, and few need it.
    from jaxst.kernels.pallas_means import mean_and_gradients

    return mean_and_gradients(a, b, constants, patch_frames=patch_frames, symmetric=symmetric)


def _tiled_mean(a, b, constants, *, patch_frames, symmetric, tile):
    rows, columns, pairs = _cut(a, b, constants, symmetric, tile)

    def value(pair):
        arguments, _ = _tile(pair, rows, columns)
        return _tile_mean(*arguments, constants[2], patch_frames)

    return jnp.sum(jax.lax.map(value, pairs))


def _tiled_mean_and_gradients(a, b, constants, *, patch_frames, symmetric, tile):
    rows, columns, pairs = _cut(a, b, constants, symmetric, tile)
    if symmetric and len(rows.weights) == 1:  # both gradients are the same, and one product less
        arguments = rows.frames, columns.frames, rows.weights[0], columns.weights[0], constants[2], patch_frames
        value, gradient = jax.value_and_grad(_tile_mean)(*arguments)
        return value, (gradient, gradient)

    def add(gradients, pair):
        arguments, starts = _tile(pair, rows, columns)
        value, parts = jax.value_and_grad(_tile_mean, argnums=(0, 1))(*arguments, constants[2], patch_frames)
        return tuple(map(_added, gradients, parts, starts)), value

    nothing = jnp.zeros_like(rows.frames), jnp.zeros_like(columns.frames)
    (by_a, by_b), values = jax.lax.scan(add, nothing, pairs)
    return jnp.sum(values), (by_a[: len(a)], by_b[: len(b)])


def _tile_mean(a, b, row_weights, column_weights, center, patch_frames):
    kernel = arccos_cross(a, b, patch_frames=patch_frames)
    return mean_square_kernel(kernel, center=center, row_weights=row_weights, column_weights=column_weights)


def _added(total, part, start):
    """`total` with `part` added to what begins at `start`."""
    own = jax.lax.dynamic_slice_in_dim(total, start, len(part))
    return jax.lax.dynamic_update_slice_in_dim(total, own + part, start, axis=0)


class _Side(NamedTuple):
    """Rows or columns of the matrix of all pairs, filled up with zeros to tiles of equal size.

    Attributes:
        frames: `(tiles * patches + patch_frames - 1, frequency)`, of which tiles share some with their neighbors.
        weights: `(tiles, patches)`.
    """

    frames: Array
    weights: Array


def _cut(a, b, constants, symmetric, tile):
    """Both sides, and of each tile its row, its column, and how often it counts: below the diagonal of a symmetric
    matrix there is nothing new."""
    sides = [_side(frames, weights, tile) for frames, weights in zip((a, b), constants[:2], strict=True)]
    rows, columns = np.indices([len(side.weights) for side in sides], np.int32).reshape(2, -1)
    counts = 1 + np.sign(columns - rows) if symmetric else np.ones_like(rows)
    return *sides, tuple(values[counts > 0] for values in (rows, columns, counts))


def _side(frames, weights, tile):
    n_tiles = -(-len(weights) // tile)
    missing = -len(weights) % n_tiles
    return _Side(jnp.pad(frames, ((0, missing), (0, 0))), jnp.pad(weights, (0, missing)).reshape(n_tiles, -1))


def _tile(pair, rows, columns):
    """What `_tile_mean` takes of rows and columns, and where the frames among it start."""
    i, j, count = pair
    (a, row_weights, row), (b, column_weights, column) = _part(rows, i), _part(columns, j)
    return (a, b, count * row_weights, column_weights), (row, column)


def _part(side, index):
    n_patches = side.weights.shape[1]
    start, length = index * n_patches, len(side.frames) - side.weights.size + n_patches
    weights = jax.lax.dynamic_index_in_dim(side.weights, index, keepdims=False)
    return jax.lax.dynamic_slice_in_dim(side.frames, start, length), weights, start
