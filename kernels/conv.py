"""Convolutions with frozen filters: banks of features over time, or over time and frequency.

Channel-last and unflipped (cross-correlation), as neural networks have it:
y[t, f] = sum over j, c of x[t + j, c] filters[j, c, f], and likewise over two axes.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jaxtyping import Array, Float


def convolve(
    x: Float[Array, "..."],
    filters: Float[Array | np.ndarray, "*widths channels n_filters"],
    *,
    padding: str = "valid",
    method: str = "auto",
) -> Float[Array, "*batch_and_space n_filters"]:
    """Convolve over time, or over time and frequency, with a bank of frozen filters.

    The rank of `filters` decides: `(..., time, channels)` with `(width, channels, n_filters)`, or
    `(..., time, frequency, channels)` with `(height, width, channels, n_filters)`, to `(..., n_filters)`.

    The filters are constants: the derivative with respect to them is zero, as behind `jax.lax.stop_gradient`. Under
    `jax.vmap` share them; a batch of filter banks would become a grouped convolution, which is slow everywhere.

    Args:
        x: any batch dimensions in front.
        filters: cast to the type of `x`.
        padding: `valid` for `size - width + 1` outputs an axis; `same` for `size`, with `(width - 1) // 2` zeros before
            and `width // 2` behind.
        method: `direct`, a convolution whose gradient is another; `product`, all patches laid out and multiplied with
            the filters, which takes memory of as many copies of `x` as a filter has taps; `fft`, a product of spectra;
            `auto` for what `choose_method` says. They differ by rounding only, except that `direct` has no
            forward-mode derivative (`jax.jvp`, `jax.jacfwd`); gradients of gradients are fine.

    Raises:
        ValueError: for filters of another rank or with other channels, an unknown padding or method, or a filter that
            does not fit into `x` without padding.
    """
    n_axes = filters.ndim - 2
    if n_axes not in (1, 2) or x.ndim <= n_axes or x.shape[-1] != filters.shape[-2]:
        raise ValueError(
            f"filters of shape {filters.shape} must be (width, channels, n_filters) or (height, width, channels, "
            f"n_filters), with the channels and all axes that x of shape {x.shape} ends with"
        )
    if padding not in ("valid", "same"):
        raise ValueError(f"padding={padding!r} must be 'valid' or 'same'")
    if method != "auto" and method not in _METHODS:
        raise ValueError(f"method={method!r} must be 'auto' or one of {', '.join(_METHODS)}")
    batch, space = x.shape[: -n_axes - 1], x.shape[-n_axes - 1 : -1]
    widths = filters.shape[:n_axes]
    if padding == "valid" and any(size < width for size, width in zip(space, widths, strict=True)):
        raise ValueError(f"filters of {widths} do not fit into {space} without padding")
    margins = tuple(((width - 1) // 2, width // 2) if padding == "same" else (0, 0) for width in widths)
    correlate = _METHODS[choose_method(filters.shape) if method == "auto" else method]
    frozen = jax.lax.stop_gradient(jnp.asarray(filters, x.dtype))
    y = correlate(x.reshape(math.prod(batch), *space, x.shape[-1]), frozen, margins)
    return y.reshape(*batch, *y.shape[1:])


def choose_method(shape: Sequence[int]) -> str:
    """The fastest method for value and gradient, from the shape of the filters; measured on a CPU."""
    # ms of value and gradient in a loop, for features of 126 frames (of 257 frequencies), `python -m bench.conv`:
    #
    #     filters          direct  product     fft        filters          direct  product     fft
    #     11x1025x4096        778      324       -        3x3x1x32            3.3      2.3      11
    #     11x257x512           17       12       -        9x9x1x32             15      7.8      10
    #     256x1x32             22       19     4.2        11x11x1x32           22       15      11
    #     3x3x16x32            14       20     153        15x15x1x32           37       34      11
    #     9x9x16x32           260        -     246        27x27x1x32          116       98      11
    #     9x9x1x128            91       23      67        15x15x1x128         174       61      66
    #
    # `direct` with many channels in time alone spends most of it on turning the filters around; with one channel, on a
    # backward convolution to one output. `product` needs memory for all taps, `fft` for channels times filters.
    *widths, channels, _ = shape
    taps = math.prod(widths)
    if taps > 128 and channels <= 16:
        return "fft"
    if channels == 1 or (len(widths) == 1 and taps <= 32):
        return "product"
    return "direct"


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _direct(x, filters, margins):
    """The derivative that JAX would write reads the filters in another order of dimensions.

    Outside of loops XLA rearranges them for that; in the body of a `lax.scan` it does not, and then takes 2 to 8 times
    as long on a CPU. Here the backward pass is an ordinary convolution.
    """
    axes = "HW"[: len(margins)]
    return jax.lax.conv_general_dilated(
        x,
        filters,
        window_strides=(1,) * len(margins),
        padding=margins,
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        precision=jax.lax.Precision.HIGHEST,
    )


def _direct_forward(x, filters, margins):
    return _direct(x, filters, margins), filters


def _direct_backward(margins, filters, cotangent):
    """Over all overlaps, with filters flipped and input and output channels swapped; none for the filters."""
    n_axes = len(margins)
    flipped = jnp.swapaxes(jnp.flip(filters, range(n_axes)), -1, -2)
    sides = zip(filters.shape[:n_axes], margins, strict=True)
    full = tuple((width - 1 - before, width - 1 - after) for width, (before, after) in sides)
    return _direct(cotangent, flipped, full), None


_direct.defvjp(_direct_forward, _direct_backward)


def _product(x, filters, margins):
    """Patches are laid out one axis after the other: of k x k slices at once, XLA would compile for minutes."""
    patches = jnp.pad(x, [(0, 0), *margins, (0, 0)])
    for axis in range(len(margins), 0, -1):
        width = filters.shape[axis - 1]
        stop = patches.shape[axis] - width + 1
        shifted = [jax.lax.slice_in_dim(patches, j, j + stop, axis=axis) for j in range(width)]
        patches = jnp.concatenate(shifted, axis=-1)
    matrix = filters.reshape(-1, filters.shape[-1])
    return jnp.einsum("...p,pf->...f", patches, matrix, precision=jax.lax.Precision.HIGHEST)


def _fft(x, filters, margins):
    """Circular over at least the padded size, so that nothing wraps around into what is kept."""
    axes = range(1, len(margins) + 1)
    x = jnp.pad(x, [(0, 0), *margins, (0, 0)])
    sizes = [cast(int, scipy.fft.next_fast_len(x.shape[axis], real=True)) for axis in axes]
    spectrum = jnp.fft.rfftn(x, sizes, axes)
    response = jnp.conj(jnp.fft.rfftn(filters, sizes, range(len(margins))))
    y = jnp.fft.irfftn(jnp.sum(spectrum[..., None] * response[None], axis=-2), sizes, axes)
    for axis in axes:
        y = jax.lax.slice_in_dim(y, 0, x.shape[axis] - filters.shape[axis - 1] + 1, axis=axis)
    return y


_METHODS = {"direct": _direct, "product": _product, "fft": _fft}
