"""Short-time Fourier transform, its inverse and a magnitude whose gradient is safe at silence.

Framing is a reshape into hop-sized blocks followed by concatenation, never a gather: the gradient is
then slices and pads, not a scatter, which is what makes it fast on a CPU.
"""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.signal
from jaxtyping import Array, Complex, Float


def stft_window(window: str, win_length: int, n_fft: int) -> np.ndarray:
    """Periodic analysis window of `win_length` samples, zero-padded on both sides to `n_fft`."""
    if not 0 < win_length <= n_fft:
        raise ValueError(f"win_length={win_length} must be between 1 and n_fft={n_fft}")
    values = scipy.signal.get_window(window, win_length, fftbins=True)
    left = (n_fft - win_length) // 2
    return np.pad(values, (left, n_fft - win_length - left))


def frame(
    x: Float[Array, "*batch time"], *, frame_length: int, hop_length: int
) -> Float[Array, "*batch frames frame_length"]:
    """Cut `x` into `1 + (time - frame_length) // hop_length` overlapping frames.

    Raises:
        ValueError: if `hop_length` is not positive or `x` is shorter than one frame.
    """
    if hop_length < 1:
        raise ValueError(f"hop_length={hop_length} must be a positive integer")
    time = x.shape[-1]
    if time < frame_length:
        raise ValueError(f"{time} samples are fewer than one frame of {frame_length}")
    n_frames = 1 + (time - frame_length) // hop_length
    per_frame = -(-frame_length // hop_length)
    n_blocks = n_frames + per_frame - 1
    missing = n_blocks * hop_length - time
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)]) if missing > 0 else x[..., : n_blocks * hop_length]
    blocks = x.reshape(*x.shape[:-1], n_blocks, hop_length)
    frames = jnp.concatenate([blocks[..., j : j + n_frames, :] for j in range(per_frame)], axis=-1)
    return frames[..., :frame_length]


def overlap_add(frames: Float[Array, "*batch frames frame_length"], *, hop_length: int) -> Float[Array, "*batch time"]:
    """Sum frames at multiples of `hop_length`; the adjoint of `frame`.

    The result has `(frames - 1) * hop_length + frame_length` samples.
    """
    *batch, n_frames, frame_length = frames.shape
    per_frame = -(-frame_length // hop_length)
    no_pad = [(0, 0)] * len(batch)
    padded = jnp.pad(frames, [*no_pad, (0, 0), (0, per_frame * hop_length - frame_length)])
    blocks = padded.reshape(*batch, n_frames, per_frame, hop_length)
    total = sum(jnp.pad(blocks[..., j, :], [*no_pad, (j, per_frame - 1 - j), (0, 0)]) for j in range(per_frame))
    return jnp.asarray(total).reshape(*batch, -1)[..., : (n_frames - 1) * hop_length + frame_length]


def stft(
    x: Float[Array, "*batch time"],
    *,
    n_fft: int,
    hop_length: int,
    win_length: int | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: str = "reflect",
) -> Complex[Array, "*batch frames frequency"]:
    """Short-time Fourier transform, time first: `(..., time)` to `(..., frames, n_fft // 2 + 1)`.

    Equal to `librosa.stft` transposed (unnormalised, periodic window).

    Args:
        x: real signal, any batch dimensions in front.
        n_fft: transform length in samples (1024 samples = 64 ms at 16 kHz).
        hop_length: samples between frames.
        win_length: window length, default `n_fft`; shorter windows are centred in the transform.
        window: any name that `scipy.signal.get_window` knows.
        center: pad by `n_fft // 2` on both sides so that frame t is centred on sample `t * hop_length`.
        pad_mode: `reflect`, `constant` or `edge`, used when `center`.

    Raises:
        ValueError: for a window longer than `n_fft`, a non-positive hop, or a signal too short to frame
            (or, when reflecting, of `n_fft // 2` samples or fewer).
    """
    if center:
        half = n_fft // 2
        if pad_mode == "reflect" and x.shape[-1] <= half:
            raise ValueError(f"{x.shape[-1]} samples are too few to reflect {half} at the edges (n_fft={n_fft})")
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], mode=pad_mode)
    values = jnp.asarray(stft_window(window, n_fft if win_length is None else win_length, n_fft), x.dtype)
    frames = frame(x, frame_length=n_fft, hop_length=hop_length)
    return jnp.fft.rfft(frames * jax.lax.expand_dims(values, range(frames.ndim - 1)), axis=-1)


def istft(
    spectrum: Complex[Array, "*batch frames frequency"],
    *,
    hop_length: int,
    n_fft: int | None = None,
    win_length: int | None = None,
    window: str = "hann",
    center: bool = True,
    length: int | None = None,
) -> Float[Array, "*batch time"]:
    """Least-squares inverse of `stft` (Griffin & Lim 1984, eq. 6): windowed overlap-add over the summed squared window.

    Args:
        spectrum: `(..., frames, n_fft // 2 + 1)`.
        hop_length: samples between frames, as in the analysis.
        n_fft: transform length, default `2 * (frequency - 1)`; give it when it was odd.
        win_length, window, center: as in the analysis.
        length: samples to return, zero-padded if the frames end earlier; default what lies between the centers of the
            first and the last frame or, without `center`, all that the frames cover.

    Raises:
        ValueError: for a window longer than `n_fft`, a non-positive hop, or where window and hop leave samples that no
            window reaches, so that no inverse exists. (Without `center`, those before the first and after the last
            window are zero.)
    """
    if hop_length < 1:
        raise ValueError(f"hop_length={hop_length} must be a positive integer")
    n_frames, n_bins = spectrum.shape[-2:]
    n_fft = n_fft or 2 * (n_bins - 1)
    values = stft_window(window, n_fft if win_length is None else win_length, n_fft)
    norm = _squared_window_sum(values, n_frames, hop_length)
    start = n_fft // 2 if center else 0
    stop = len(norm) - start
    reached = norm > 1e-10 * norm.max()
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


def magnitude(spectrum: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """|spectrum|, with gradient zero instead of NaN where the spectrum is zero (silence)."""
    power = spectrum.real**2 + spectrum.imag**2
    silent = power == 0
    return jnp.where(silent, 0, jnp.sqrt(jnp.where(silent, 1, power)))
