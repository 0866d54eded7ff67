"""The arc-cosine kernel of degree 1: a random ReLU network of infinite width, in closed form.

For w ~ N(0, I), E[relu(w.u) relu(w.v)] = |u||v| / (2 pi) * (sin t + (pi - t) cos t) with cos t = u.v / (|u||v|)
(Cho & Saul 2009, "Kernel methods for deep learning", eq. 3 and 6 with n = 1; theirs is twice this). The Gram matrices
and feature distances of one random convolution over K frames followed by a ReLU converge to means of this kernel over
patches of K frames, as its filters grow in number.
"""

from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.kernels.patches import patch_dot_products, patch_inner_products, patch_sq_norms

# arccos(x) = sqrt(1 - x) * polynomial(x) on [0, 1], within 2e-8 (Abramowitz & Stegun 1964, 4.4.46), highest power
# first.
_ARCCOS_COEFFICIENTS = (
    -0.0012624911,
    0.0066700901,
    -0.0170881256,
    0.0308918810,
    -0.0501743046,
    0.0889789874,
    -0.2145988016,
    1.5707963050,
)


@jax.custom_jvp
def arccos_kernel(
    inner: Float[Array, "*#shape"], sq_u: Float[Array, "*#shape"], sq_v: Float[Array, "*#shape"]
) -> Float[Array, "*#shape"]:
    """k(u, v) from u.v, |u|^2 and |v|^2; the three broadcast against each other.

    Accurate to 2e-9 |u||v| in float64 and 1.2e-7 |u||v| in float32. Derivatives are closed forms, finite for parallel,
    opposite and zero vectors, where those of arccos and sqrt are not; where u = 0 the derivative with respect to
    |u|^2 is taken as zero.
    """
    norms, cosine, theta, sine = _polar(inner, sq_u, sq_v)
    return norms * (sine + (np.pi - theta) * cosine) / (2 * np.pi)


@arccos_kernel.defjvp
def _arccos_kernel_jvp(primals, tangents):
    """dk/d(u.v) = (pi - t) / (2 pi); dk/d|u|^2 = |u||v| sin t / (4 pi |u|^2), and so for v."""
    inner, sq_u, sq_v = primals
    d_inner, d_sq_u, d_sq_v = tangents
    norms, cosine, theta, sine = _polar(inner, sq_u, sq_v)
    across = norms * sine / (4 * np.pi)
    along = (np.pi - theta) / (2 * np.pi)
    tangent = along * d_inner + across * (_reciprocal(sq_u) * d_sq_u + _reciprocal(sq_v) * d_sq_v)
    return 2 * across + along * (norms * cosine), tangent


def _polar(inner, sq_u, sq_v):
    """|u||v|, cos t, t and sin t.

    All that follows is a function of the quotient cos t, not of `inner`: on a CPU, XLA keeps a quotient but computes
    anew, wherever it is used, what takes only sums and products, such as the patches' inner products.
    """
    norms = jnp.sqrt(sq_u) * jnp.sqrt(sq_v)
    zero = norms == 0
    cosine = jnp.clip(jnp.where(zero, 0, inner) / jnp.where(zero, 1, norms), -1, 1)
    return norms, cosine, _arccos(cosine), jnp.sqrt((1 - cosine) * (1 + cosine))


def _arccos(x):
    """`jnp.arccos` to 2e-8, and twice as fast on a CPU, where XLA vectorizes polynomials but not atan2."""
    magnitude = jnp.abs(x)
    polynomial = reduce(lambda total, coefficient: total * magnitude + coefficient, _ARCCOS_COEFFICIENTS)
    angle = jnp.sqrt(1 - magnitude) * polynomial
    return jnp.where(x < 0, np.pi - angle, angle)


def _reciprocal(x):
    zero = x == 0
    return jnp.where(zero, 0, 1 / jnp.where(zero, 1, x))


def arccos_cross(
    a: Float[Array, "*batch frames_a frequency"], b: Float[Array, "*batch frames_b frequency"], *, patch_frames: int
) -> Float[Array, "*batch patches_a patches_b"]:
    """k between every patch of `a` and every patch of `b`, `patches = frames - patch_frames + 1`.

    Raises:
        ValueError: if there are fewer frames than `patch_frames`.
    """
    sq_a = patch_sq_norms(a, patch_frames=patch_frames)[..., :, None]
    sq_b = patch_sq_norms(b, patch_frames=patch_frames)[..., None, :]
    return arccos_kernel(patch_inner_products(a, b, patch_frames=patch_frames), sq_a, sq_b)


def arccos_self(
    a: Float[Array, "*batch frames frequency"], *, patch_frames: int
) -> Float[Array, "*batch patches patches"]:
    """k between all pairs of patches of one signal; symmetric, with |u|^2 / 2 on the diagonal."""
    return arccos_cross(a, a, patch_frames=patch_frames)


def arccos_diagonal(
    a: Float[Array, "*batch frames frequency"], b: Float[Array, "*batch frames frequency"], *, patch_frames: int
) -> Float[Array, "*batch patches"]:
    """k between the patches of `a` and `b` at the same time."""
    sq_a, sq_b = patch_sq_norms(a, patch_frames=patch_frames), patch_sq_norms(b, patch_frames=patch_frames)
    return arccos_kernel(patch_dot_products(a, b, patch_frames=patch_frames), sq_a, sq_b)
