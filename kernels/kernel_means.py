"""Means of squared kernels over pairs, the terms of a squared maximum mean discrepancy (Gretton et al. 2012)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def mean_square_kernel(
    kernel: Float[Array, "*batch rows columns"],
    *,
    center: Float[Array, ""] | float = 0.0,
    row_weights: Float[Array, " rows"] | None = None,
    column_weights: Float[Array, " columns"] | None = None,
) -> Float[Array, "*batch"]:
    """Weighted mean over pairs of kernel^2 - center, without the rounding of a large mean.

    Subtracting one constant from every kernel value leaves a discrepancy E[k_xx] - 2 E[k_xs] + E[k_ss] as it is.
    Subtracted before the sum, and not after, it keeps float32 sums small: between nearly equal signals these means then
    cost the discrepancy 1e-9 of the mean, or up to 1e-7 where some rows are much louder than others, instead of several
    1e-7.

    Args:
        kernel: kernel values of all pairs.
        center: the constant, usually the style's own mean of kernel^2.
        row_weights, column_weights: weights of the two distributions, each adding up to 1; default uniform.
    """
    values = kernel * kernel - center
    rows = jnp.mean(values, axis=-1) if column_weights is None else _average(values, column_weights)
    return jnp.mean(rows, axis=-1) if row_weights is None else _average(rows, row_weights)


def _average(values, weights):
    return jnp.einsum("...i,i->...", values, weights, precision=jax.lax.Precision.HIGHEST)
