"""Inner products of patches of consecutive frames, without forming a patch.

With u_t the K frames a[t], ..., a[t + K - 1] laid end to end, <u_t, v_s> = sum_j G[t + j, s + j], G = a b^T: a sum
along the diagonals of the frame Gram matrix. T x T work instead of T x T x K, and no K-fold copy of the features.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def patch_inner_products(
    a: Float[Array, "*batch frames_a frequency"], b: Float[Array, "*batch frames_b frequency"], *, patch_frames: int
) -> Float[Array, "*batch patches_a patches_b"]:
    """<u_t, v_s> for all pairs of patches: `patches = frames - patch_frames + 1` on either side."""
    # HIGHEST: the products are subtracted from each other later; TF32 and bf16 would leave nothing.
    gram = jnp.einsum("...tf,...sf->...ts", a, b, precision=jax.lax.Precision.HIGHEST)
    return _diagonal_sums(gram, patch_frames)


def patch_sq_norms(a: Float[Array, "*batch frames frequency"], *, patch_frames: int) -> Float[Array, "*batch patches"]:
    """|u_t|^2 of every patch."""
    return patch_dot_products(a, a, patch_frames=patch_frames)


def patch_dot_products(
    a: Float[Array, "*batch frames frequency"], b: Float[Array, "*batch frames frequency"], *, patch_frames: int
) -> Float[Array, "*batch patches"]:
    """<u_t, v_t> of patches at the same time."""
    per_frame = jnp.sum(a * b, axis=-1)
    n_patches = count_patches(per_frame.shape[-1], patch_frames)
    return sum((per_frame[..., j : j + n_patches] for j in range(1, patch_frames)), per_frame[..., :n_patches])


def count_patches(n_frames: int, patch_frames: int) -> int:
    """Number of patches of `patch_frames` of `n_frames` frames.

    Raises:
        ValueError: if there are fewer frames than `patch_frames`.
    """
    if not 1 <= patch_frames <= n_frames:
        raise ValueError(f"patch_frames={patch_frames} must be between 1 and the number of frames, {n_frames}")
    return n_frames - patch_frames + 1


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _diagonal_sums(matrix, length):
    """out[t, s] = sum over j < length of matrix[t + j, s + j].

    The backward pass is the same sum over the zero-padded cotangent. The derivative that JAX would write, a sum of
    `length` padded copies, is 4 times slower on a CPU: XLA recomputes what it pads in every copy.
    """
    n_rows, n_columns = (count_patches(n, length) for n in matrix.shape[-2:])
    shifted = (matrix[..., j : j + n_rows, j : j + n_columns] for j in range(1, length))
    return sum(shifted, matrix[..., :n_rows, :n_columns])


def _diagonal_sums_forward(matrix, length):
    return _diagonal_sums(matrix, length), None


def _diagonal_sums_backward(length, _, cotangent):
    padded = _between_zeros(_between_zeros(cotangent, length - 1, -1), length - 1, -2)
    return (_diagonal_sums(padded, length),)


def _between_zeros(x, width, axis):
    """`x` padded by concatenation: a CPU is slow at `jnp.pad`, which XLA merges with what computes `x`."""
    shape = list(x.shape)
    shape[axis] = width
    zeros = jnp.zeros(shape, x.dtype)
    return jnp.concatenate([zeros, x, zeros], axis=axis)


_diagonal_sums.defvjp(_diagonal_sums_forward, _diagonal_sums_backward)
