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
import scipy
from jaxtyping import Array, Float

from jaxst.kernels.stft import frame


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
            `overlap_save`, the same for short pieces of one axis, and `product` for the other; `auto` for what
            `choose_method` says. They differ by rounding only, except that `direct` has no forward-mode derivative
            (`jax.jvp`, `jax.jacfwd`); gradients of gradients are fine.

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
    #     filters         direct  product  fft  overlap        filters         direct  product  fft  overlap
    #     11x1025x4096       548      237    -        -        3x3x1x32           2.1      1.3  8.6      2.5
    #     11x257x512          13      7.4    -        -        7x7x1x32           6.4      2.5  8.9      3.6
    #     256x1x32            20       21  4.3       15        9x9x1x32           8.3      4.8  8.2      3.7
    #     3x3x16x32           14       25  153       19        11x11x1x32          16      7.8  8.2      4.7
    #     9x9x16x32          161        -  149       65        15x15x1x32          21       23  9.1      7.5
    #     7x7x1x128           58       20   99       39        27x27x1x32         117      104   12       15
    #     9x9x1x128           72       22   65       39        27x27x1x128       1121      242   88       93
    #     15x15x1x128        251       68   72       58
    #
    # `direct` with many channels in time alone spends most of it on turning the filters around; with one channel, on a
    # backward convolution to one output. `product` needs memory for all taps, `fft` for channels times filters,
    # `overlap_save` for taps of the narrower axis times channels.
    *widths, channels, _ = shape
    taps = math.prod(widths)
    if len(widths) == 2 and taps * channels > 100:
        return "overlap_save" if taps > 16 and min(widths) * channels <= 256 else "direct"
    if len(widths) == 1 and taps > 128 and channels <= 16:
        return "fft"
    if channels == 1 or len(widths) == 2 or taps <= 32:
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


def _overlap_save(x, filters, margins):
    """Pieces of one axis, of about twice the filters' width there, overlap by as much as a filter reaches.

    Circular convolution of a piece is wrong only in what overlaps, and is left out. At each frequency of a piece
    remains a matrix product over the taps of the other axis and the channels. The transforms are matrix products too,
    and small; their frequencies lie halfway between the usual ones, so that none is real and all are alike.
    """
    if len(margins) == 1:
        return _overlap_save(x[:, None], filters[None], ((0, 0), *margins))[:, 0]
    if filters.shape[0] > filters.shape[1]:  # the wider axis is cut: the other one's taps are multiplied one by one
        return jnp.swapaxes(_overlap_save(jnp.swapaxes(x, 1, 2), jnp.swapaxes(filters, 0, 1), margins[::-1]), 1, 2)
    x = jnp.pad(x, [(0, 0), *margins, (0, 0)])
    batch, height, width, channels = x.shape
    rows, columns, _, n_filters = filters.shape
    n_rows, n_columns = height - rows + 1, width - columns + 1
    length = min(16 * math.ceil(9 * columns / 64), width + width % 2)
    hop = length - columns + 1
    n_pieces = -(-n_columns // hop)
    phases = 2 * np.pi / length * np.outer(np.arange(length // 2) + 0.5, np.arange(length))
    transform = np.stack([np.cos(phases), -np.sin(phases)])
    forward = jnp.asarray(transform, x.dtype)
    inverse = jnp.asarray(transform.reshape(length, length)[:, :hop] * 2 / length, x.dtype)
    einsum = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)

    # Dimensions: b batch, y rows, p pieces, c channels, t samples, w frequencies, r real and imaginary part, n filters.
    along = jnp.pad(jnp.moveaxis(x, 2, 3), [(0, 0)] * 3 + [(0, (n_pieces - 1) * hop + length - width)])
    spectrum = einsum("bycpt,rwt->wbyprc", frame(along, frame_length=length, hop_length=hop), forward)
    patches = jnp.concatenate([spectrum[:, :, i : i + n_rows] for i in range(rows)], axis=-1)
    patches = patches.reshape(length // 2, -1, 2 * rows * channels)
    real, imaginary = einsum("rwt,itcn->rwicn", forward[:, :, :columns], filters)
    # As rows of matrices, the real and the imaginary part of what a conjugated response makes of a spectrum's parts.
    response = jnp.stack([jnp.stack([real, imaginary], axis=1), jnp.stack([-imaginary, real], axis=1)])
    response = response.reshape(length, 2 * rows * channels, n_filters)
    # Both parts one behind the other, and not side by side: the inverse then reads them as they are.
    products = einsum("wkl,wln->wkn", jnp.concatenate([patches, patches]), response)
    y = einsum("wt,wkn->tkn", inverse, products).reshape(hop, batch, n_rows, n_pieces, n_filters)
    return jnp.moveaxis(y, 0, 3).reshape(batch, n_rows, n_pieces * hop, n_filters)[:, :, :n_columns]


_METHODS = {"direct": _direct, "product": _product, "fft": _fft, "overlap_save": _overlap_save}
