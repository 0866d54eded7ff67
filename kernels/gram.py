"""Gram matrices of features: what of them stays when it is forgotten when they happened (Gatys et al. 2015)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def gram(features: Float[Array, "*batch time channels"]) -> Float[Array, "*batch channels channels"]:
    """Products of all pairs of channels, averaged over time: F^T F / time.

    With frequency among the batch dimensions they are Caracalla & Roebel's (2019) H[f, i, j].
    """
    return _products(features) / features.shape[-2]


@jax.custom_jvp
def _products(x):
    """HIGHEST: Gram matrices are subtracted from each other later; TF32 and bf16 would leave little."""
    return _inner(x, x)


@_products.defjvp
def _products_jvp(primals, tangents):
    """Half of the derivative is the transpose of the other half: one product instead of two, also in reverse mode."""
    (x,), (dx,) = primals, tangents
    half = _inner(x, dx)
    return _products(x), half + jnp.swapaxes(half, -1, -2)


def _inner(x, y):
    return jnp.einsum("...ti,...tj->...ij", x, y, precision=jax.lax.Precision.HIGHEST)
