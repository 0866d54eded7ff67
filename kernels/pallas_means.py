"""The tiled means of `jaxst.kernels.tiled_means` as one kernel for TPUs, where nothing of a tile leaves the chip.

A step of the grid makes one tile of pairs: the frames' products, their sums along diagonals by rotation, kernel, value
and derivative. The second dimension of the grid runs in order, and adds up what the tiles of one row tell of it.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Float

from jaxst.kernels.arccos import arccos_kernel
from jaxst.kernels.patches import patch_sq_norms
from jaxst.kernels.stft import frame

LANES = 128  # what the last dimension of an array is a multiple of on a TPU


def mean_and_gradients(
    a: Float[Array, "frames_a frequency"],
    b: Float[Array, "frames_b frequency"],
    constants: tuple[Float[Array, " patches_a"], Float[Array, " patches_b"], Float[Array, ""]],
    *,
    patch_frames: int,
    symmetric: bool,
    interpret: bool = False,
) -> tuple[Float[Array, ""], tuple[Float[Array, "frames_a frequency"], Float[Array, "frames_b frequency"]]]:
    """`mean_square_kernel(arccos_cross(a, b))` and its gradients by `a` and by `b`.

    Args:
        a, b: frames in single precision.
        constants: the weights of the patches of `a` and of `b`, and the center.
        patch_frames: K.
        symmetric: whether `a` is `b` with the same weights, whose gradients then are the same.
        interpret: whether to run on any platform, slowly.
    """
    row_weights, column_weights, center = constants
    settings = {"patch_frames": patch_frames, "interpret": interpret}
    mean, by_a = _mean_and_row_gradient(a, b, row_weights, column_weights, center, **settings)
    if symmetric:
        return mean, (by_a, by_a)
    _, by_b = _mean_and_row_gradient(b, a, column_weights, row_weights, center, **settings)
    return mean, (by_a, by_b)


def _mean_and_row_gradient(a, b, row_weights, column_weights, center, *, patch_frames, interpret):
    """The mean, and its gradient by `a` as the rows alone."""
    (rows, row_sq_norms), to_frames = jax.vjp(partial(_tiles, patch_frames=patch_frames), a)
    columns, column_sq_norms = _tiles(b, patch_frames=patch_frames)
    n_rows, length, n_bins = rows.shape
    n_columns = len(columns)
    row_weights = _tile_values(row_weights, n_rows, length, patch_frames)
    column_weights = _tile_values(column_weights, n_columns, length, patch_frames)

    def of_row(*shape):
        return pl.BlockSpec((None, *shape), lambda i, j: (i, 0, 0))

    def of_column(*shape):
        return pl.BlockSpec((None, *shape), lambda i, j: (j, 0, 0))

    along, across = (length, 1), (1, length)
    values, by_rows, by_sq_norms = pl.pallas_call(
        partial(_tile_kernel, patch_frames=patch_frames),
        grid=(n_rows, n_columns),
        in_specs=[
            of_row(length, n_bins),
            of_row(*along),
            of_row(*along),
            of_column(length, n_bins),
            of_column(*across),
            of_column(*across),
            pl.BlockSpec((1, 1), lambda i, j: (0, 0)),
        ],
        out_specs=[of_row(*across), of_row(length, n_bins), of_row(*along)],
        out_shape=[jax.ShapeDtypeStruct((n_rows, *shape), a.dtype) for shape in (across, (length, n_bins), along)],
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "arbitrary")),
        interpret=interpret,
    )(
        rows,
        row_sq_norms[:, :, None],
        row_weights[:, :, None],
        columns,
        column_sq_norms[:, None, :],
        column_weights[:, None, :],
        jnp.reshape(center, (1, 1)),
    )
    (by_a,) = to_frames((by_rows, by_sq_norms[:, :, 0]))
    return jnp.sum(values), by_a


def _tiles(frames, patch_frames):
    """Overlapping tiles `(tiles, length, frequency)` of frames, and |u|^2 `(tiles, length)` of the patches that begin
    in each; zeros where there is neither."""
    sq_norms = patch_sq_norms(frames, patch_frames=patch_frames)
    length = 2 * LANES + (patch_frames - 1) // LANES * LANES
    n_patches = length - patch_frames + 1
    n_tiles = -(-len(sq_norms) // n_patches)
    padding = (0, n_tiles * n_patches - len(sq_norms)), (0, -frames.shape[1] % LANES)
    padded = jnp.pad(frames, padding)
    n_bins = padded.shape[1]
    tiles = frame(jnp.ravel(padded), frame_length=length * n_bins, hop_length=n_patches * n_bins)
    return tiles.reshape(n_tiles, length, n_bins), _tile_values(sq_norms, n_tiles, length, patch_frames)


def _tile_values(values, n_tiles, length, patch_frames):
    """A value for each patch, as `(tiles, length)`."""
    n_patches = length - patch_frames + 1
    values = jnp.pad(values, (0, n_tiles * n_patches - len(values))).reshape(n_tiles, n_patches)
    return jnp.pad(values, ((0, 0), (0, patch_frames - 1)))


def _tile_kernel(a, sq_a, row_weights, b, sq_b, column_weights, center, value, by_a, by_sq_a, *, patch_frames):
    @pl.when(pl.program_id(1) == 0)
    def _():
        for total in (value, by_a, by_sq_a):
            total[...] = jnp.zeros_like(total)

    inner = _diagonal_sums(_product(a[...], b[...], x_axis=1, y_axis=1), patch_frames, -1)
    kernel, derivative = jax.vjp(lambda inner, sq_a: arccos_kernel(inner, sq_a, sq_b[...]), inner, sq_a[...])
    weights = row_weights[...] * column_weights[...]
    by_inner, by_sq = derivative(2 * weights * kernel)
    value[...] += jnp.sum(weights * (kernel * kernel - center[...]), axis=0, keepdims=True)
    by_a[...] += _product(_diagonal_sums(by_inner, patch_frames, 1), b[...], x_axis=1, y_axis=0)
    by_sq_a[...] += by_sq


def _product(x, y, *, x_axis, y_axis):
    axes = ((x_axis,), (y_axis,)), ((), ())
    return jax.lax.dot_general(x, y, axes, precision=jax.lax.Precision.HIGHEST)


def _diagonal_sums(matrix, length, direction):
    """The sum of `length` copies, each rotated by one more along both axes; by doubling.

    Forwards (-1) what comes round the end is of no patch, and backwards (1) it is zero: a patch ends in its tile.
    """
    if length == 1:
        return matrix
    half = _diagonal_sums(matrix, length // 2, direction)
    total = half + _rotated(half, direction * (length // 2))
    return matrix + _rotated(total, direction) if length % 2 else total


def _rotated(matrix, shift):
    for axis, size in enumerate(matrix.shape):
        matrix = pltpu.roll(matrix, shift % size, axis)
    return matrix
