"""Short-time Fourier transform and its inverse.

Framing is a reshape into hop-sized blocks that are sliced and stacked, never a gather: the gradient is then slices and
pads, not a scatter, which is what makes it fast on a CPU.
"""

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jaxtyping import Array, Complex, Float

Window = str | float | tuple
"""What `scipy.signal.get_window` takes: a name, a name with parameters as in `("kaiser", 8.0)`, or Kaiser's beta."""

# Names of the one window that scipy knows no periodic form of: its halves complement each other as they are.
_SYMMETRIC = ("kaiser bessel derived", "kaiser_bessel_derived", "kbd")


def stft_window(window: Window, win_length: int, n_fft: int) -> np.ndarray:
    """Periodic analysis window of `win_length` samples, zero-padded on both sides to `n_fft`; float64.

    The Kaiser-Bessel-derived window is symmetric: there is no other, and it needs an even `win_length`.

    Raises:
        ValueError: if `win_length` is not between 1 and `n_fft`, or scipy knows no such window.
    """
    if not 0 < win_length <= n_fft:
        raise ValueError(f"win_length={win_length} must be between 1 and n_fft={n_fft}")
    name = window[0] if isinstance(window, tuple) else window
    values = scipy.signal.get_window(window, win_length, fftbins=name not in _SYMMETRIC)
    left = (n_fft - win_length) // 2
    return np.pad(values, (left, n_fft - win_length - left))


def check_hop(hop_length: int) -> None:
    """Raise ValueError if `hop_length` is not positive."""
    if hop_length < 1:
        raise ValueError(f"hop_length={hop_length} must be a positive integer")


def check_bins(n_bins: int, n_fft: int) -> None:
    """Raise ValueError if a transform of `n_fft` samples has another number of frequencies than `n_bins`."""
    if n_bins != n_fft // 2 + 1:
        raise ValueError(f"n_fft={n_fft} has {n_fft // 2 + 1} frequencies, not {n_bins}")


def frame(
    x: Float[Array, "*batch time"], *, frame_length: int, hop_length: int
) -> Float[Array, "*batch frames frame_length"]:
    """Cut `x` into `1 + (time - frame_length) // hop_length` overlapping frames.

    Raises:
        ValueError: if `hop_length` is not positive or `x` is shorter than one frame.
    """
    check_hop(hop_length)
    time = x.shape[-1]
    if time < frame_length:
        raise ValueError(f"{time} samples are fewer than one frame of {frame_length}")
    n_frames = 1 + (time - frame_length) // hop_length
    per_frame = -(-frame_length // hop_length)
    n_blocks = n_frames + per_frame - 1
    missing = n_blocks * hop_length - time
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)]) if missing > 0 else x[..., : n_blocks * hop_length]
    blocks = x.reshape(*x.shape[:-1], n_blocks, hop_length)
    frames = jnp.stack([blocks[..., j : j + n_frames, :] for j in range(per_frame)], axis=-2)
    return frames.reshape(*x.shape[:-1], n_frames, per_frame * hop_length)[..., :frame_length]


def overlap_add(frames: Float[Array, "*batch frames frame_length"], *, hop_length: int) -> Float[Array, "*batch time"]:
    """Sum frames at multiples of `hop_length`; the adjoint of `frame`.

    The result has `(frames - 1) * hop_length + frame_length` samples.

    Raises:
        ValueError: if `hop_length` is not positive.
    """
    check_hop(hop_length)
    *batch, n_frames, frame_length = frames.shape
    per_frame = -(-frame_length // hop_length)
    margin = per_frame - 1  # frames of zeros at either end: every block is then a sum of as many, by slices alone
    padded = jnp.pad(frames, [(0, 0)] * len(batch) + [(margin, margin), (0, per_frame * hop_length - frame_length)])
    n_blocks = n_frames + margin
    blocks = padded.reshape(*batch, n_blocks + margin, per_frame, hop_length)
    shifted = [blocks[..., margin - j : margin - j + n_blocks, j, :] for j in range(per_frame)]
    total = sum(shifted[1:], shifted[0])
    return total.reshape(*batch, -1)[..., : (n_frames - 1) * hop_length + frame_length]


def stft(
    x: Float[Array, "*batch time"],
    *,
    n_fft: int,
    hop_length: int,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: str = "reflect",
) -> Complex[Array, "*batch frames frequency"]:
    """Short-time Fourier transform, time first: `(..., time)` to `(..., frames, n_fft // 2 + 1)`.

    Equal to `librosa.stft` transposed (unnormalized, periodic window).

    Args:
        x: real signal, any batch dimensions in front.
        n_fft: transform length in samples (1024 samples = 64 ms at 16 kHz).
        hop_length: samples between frames.
        win_length: window length, default `n_fft`; shorter windows are centered in the transform.
        window: as `scipy.signal.get_window` takes it: a name, `("kaiser", 8.0)`, or Kaiser's beta alone.
        center: pad by `n_fft // 2` on both sides so that frame t is centered on sample `t * hop_length`.
        pad_mode: `reflect`, `constant` or `edge`, used when `center`.

    Raises:
        ValueError: for a window longer than `n_fft`, a non-positive hop, or a signal too short to frame
            (or, when reflecting, of `n_fft // 2` samples or fewer).
    """
    if center:
        half = n_fft // 2
        if pad_mode == "reflect" and x.shape[-1] <= half:
            raise ValueError(f"{x.shape[-1]} samples are too few to reflect {half} at the edges (n_fft={n_fft})")
        # The barrier keeps XLA from padding anew for each of the slices that make the frames.
        if pad_mode not in ("reflect", "constant", "edge"):
            raise ValueError(f"pad_mode={pad_mode!r} must be 'reflect', 'constant' or 'edge'")
        x = jax.lax.optimization_barrier(jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], mode=pad_mode))
    values = jnp.asarray(stft_window(window, n_fft if win_length is None else win_length, n_fft), x.dtype)
    frames = frame(x, frame_length=n_fft, hop_length=hop_length)
    return jnp.fft.rfft(frames * jax.lax.expand_dims(values, range(frames.ndim - 1)), axis=-1)


def istft(
    spectrum: Complex[Array, "*batch frames frequency"],
    *,
    hop_length: int,
    n_fft: int | None = None,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    length: int | None = None,
) -> Float[Array, "*batch time"]:
    """Least-squares inverse of `stft` (Griffin & Lim 1984, eq. 6): windowed overlap-add over the summed squared window.

    A spectrum that `stft` made is inverted exactly, up to rounding, wherever a window reaches. Where windows are only
    of height w, what they left of a sample is divided by w, and with it rounding, and whatever was changed in the
    spectrum. With `center` w is large everywhere. Without, the first and the last samples have but the rising and the
    falling end of one window, w tends to zero, and a changed spectrum can become a hundred thousand times too loud
    there: cut off `n_fft // 4` samples, or use `center`. Where w is below 16 roundings of the largest (2e-6 in float32)
    rounding is all that is left of a sample, and it is set to zero.

    Args:
        spectrum: `(..., frames, n_fft // 2 + 1)`.
        hop_length: samples between frames, as in the analysis.
        n_fft: transform length, default `2 * (frequency - 1)`; give it when it was odd.
        win_length, window, center: as in the analysis.
        length: samples to return, zero-padded if the frames end earlier; default what lies between the centers of the
            first and the last frame or, without `center`, all that the frames cover.

    Raises:
        ValueError: for a window longer than `n_fft`, a non-positive hop, an `n_fft` of another number of frequencies,
            or where window and hop leave samples that no window reaches, so that no inverse exists. (Without `center`,
            those before the first and after the last window are zero.)
    """
    check_hop(hop_length)
    n_frames, n_bins = spectrum.shape[-2:]
    n_fft = 2 * (n_bins - 1) if n_fft is None else n_fft
    check_bins(n_bins, n_fft)
    values = stft_window(window, n_fft if win_length is None else win_length, n_fft)
    norm = _squared_window_sum(values, n_frames, hop_length)
    start = n_fft // 2 if center else 0
    stop = len(norm) - start
    reached = norm > (16 * jnp.finfo(spectrum.dtype).eps) ** 2 * norm.max()
    if not np.trim_zeros(reached).all():  # zeros at the ends are no gap
        raise ValueError(
            f"a {window} window of {win_length or n_fft} samples every {hop_length} leaves samples that no window "
            "reaches: the transform has no inverse; use a smaller hop_length"
        )
    frames = jnp.fft.irfft(spectrum, n=n_fft, axis=-1)
    frames = frames * jax.lax.expand_dims(jnp.asarray(values, frames.dtype), range(frames.ndim - 1))
    x = overlap_add(frames, hop_length=hop_length)
    scale = jnp.asarray(np.where(reached, 1 / np.where(reached, norm, 1), 0), x.dtype)
    x = x * jax.lax.expand_dims(scale, range(x.ndim - 1))
    if length is None:
        return x[..., start:stop]
    x = x[..., start : start + length]  # the last frame reaches beyond its center
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, length - x.shape[-1])])


def _squared_window_sum(window: np.ndarray, n_frames: int, hop_length: int) -> np.ndarray:
    total = np.zeros((n_frames - 1) * hop_length + len(window))
    for t in range(n_frames):
        total[t * hop_length : t * hop_length + len(window)] += window**2
    return total
