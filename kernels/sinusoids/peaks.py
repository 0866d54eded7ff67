"""Sinusoids in single frames: peaks of the spectrum, between its bins."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxst.kernels.spectrogram import magnitude, phase, power
from jaxst.kernels.stft import Window, stft, stft_window

_LEAST_SHOULDER = 1e-7  # of a peak: bins beside it count as at least this, where an exact zero has no logarithm
_BIAS_DEGREE = 3
_LEAST_WINDOW = 8


class Peaks(NamedTuple):
    """The sinusoids of every frame, loudest first, in a fixed number of slots. An empty slot holds zeros.

    Attributes:
        frequency: in Hz.
        magnitude: amplitude of the sinusoid; 1 is full scale.
        phase: of the cosine at the frame's center, sample `t * hop_length`, in radians.
    """

    frequency: Float[Array, "*batch frames peaks"]
    magnitude: Float[Array, "*batch frames peaks"]
    phase: Float[Array, "*batch frames peaks"]


def find_peaks(
    x: Float[Array, "*batch time"],
    *,
    sample_rate: int,
    n_fft: int,
    hop_length: int,
    win_length: int | None = None,
    window: Window = "blackmanharris",
    max_peaks: int = 100,
    threshold: float = -80.0,
) -> Peaks:
    """Local maxima of the magnitude spectrum, located by a parabola through three bins in decibels (Smith & Serra 1987,
    "PARSHL", section 4) and freed of the bias that the window gives it (Abe & Smith 2004, "CQIFFT").

    With a Hann or Blackman-Harris window a stationary sinusoid far from others is found within a thousandth of a bin
    and of a dB. Which bins are peaks is not differentiable; frequency, magnitude and phase are, with respect to the
    waveform.

    Args:
        x: waveforms; beyond their ends there is silence.
        sample_rate: in Hz.
        n_fft: transform length in samples (2048 samples = 46 ms at 44.1 kHz), which windows are zero-padded to.
        hop_length: samples between frames.
        win_length: window length, default `n_fft`. Two sinusoids are told apart when their distance is at least the
            window's main lobe: 4 (Hann) or 8 (Blackman-Harris) times `sample_rate / win_length`.
        window: as `scipy.signal.get_window` takes it.
        max_peaks: slots in each frame.
        threshold: least magnitude, in dB relative to full scale.

    Raises:
        ValueError: for what `stft` refuses, or more `max_peaks` than the spectrum has inner bins.
    """
    win_length = n_fft if win_length is None else win_length
    if win_length < _LEAST_WINDOW:
        raise ValueError(f"win_length={win_length} must be at least {_LEAST_WINDOW}: shorter windows have no main lobe")
    n_inner = n_fft // 2 + 1 - 2
    if not 0 < max_peaks <= n_inner:
        raise ValueError(f"max_peaks={max_peaks} must be between 1 and {n_inner}, the inner bins of n_fft={n_fft}")
    spectrum = stft(
        x,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        pad_mode="constant",
    )
    # Phases as seen from the center of the window, where those of a sinusoid are equal all over its main lobe.
    to_window_center = (n_fft - win_length) // 2 + win_length / 2
    turn = np.exp(2j * np.pi * np.arange(n_fft // 2 + 1) * to_window_center / n_fft)
    scale = 2 / stft_window(window, win_length, n_fft).sum()  # a sinusoid of amplitude 1 has magnitude 1
    spectrum = spectrum * jax.lax.expand_dims(jnp.asarray(scale * turn, spectrum.dtype), range(spectrum.ndim - 1))

    bins, left, peak, right = _loudest(spectrum, max_peaks, 10 ** (threshold / 20))
    offset, level = _parabola(left, peak, right)
    factor, excess = (jnp.polyval(jnp.asarray(row, level.dtype), offset**2) for row in _bias(window, win_length, n_fft))
    offset, amplitude = offset * factor, jnp.exp(level - excess)
    beside = jnp.where(offset < 0, left, right)
    share = jnp.abs(offset)
    frequency = (bins + offset) * (sample_rate / n_fft)
    to_frame_center = 2 * np.pi / sample_rate * (n_fft // 2 - to_window_center)
    angle = phase((1 - share) * peak + share * beside) + to_frame_center * frequency
    found = bins > 0
    return Peaks(*(jnp.where(found, values, 0) for values in (frequency, amplitude, angle)))


def _loudest(
    spectrum: Complex[Array, "*batch frames bins"], max_peaks: int, least: float
) -> tuple[Array, Array, Array, Array]:
    """Bin numbers of the loudest local maxima, 0 in empty slots, and the spectrum there and on either side."""
    levels = power(jax.lax.stop_gradient(spectrum))
    inner = levels[..., 1:-1]
    is_peak = (inner > levels[..., :-2]) & (inner >= levels[..., 2:]) & (inner > least**2)
    loudest, indices = jax.lax.top_k(jnp.where(is_peak, inner, 0), max_peaks)
    found = loudest > 0

    def beside(step):
        return jnp.where(found, jnp.take_along_axis(spectrum, indices + 1 + step, axis=-1), 1)

    return jnp.where(found, indices + 1, 0), beside(-1), beside(0), beside(1)


def _parabola(left: Array, peak: Array, right: Array) -> tuple[Array, Array]:
    """Place of the maximum, in bins from the middle one, and the logarithm of its magnitude."""
    left, middle, right = map(magnitude, (left, peak, right))
    offset, height = _vertex(*(jnp.log(jnp.maximum(value / middle, _LEAST_SHOULDER)) for value in (left, right)))
    return offset, jnp.log(middle) + height


def _vertex(left, right):
    """Place and height of the vertex of a parabola through 0 whose values on either side are these; of any arrays."""
    curvature = (left + right).clip(max=-1e-6)
    offset = ((left - right) / (2 * curvature)).clip(-0.5, 0.5)
    return offset, (right - left) * offset / 4


def _bias(window: Window, win_length: int, n_fft: int) -> tuple[np.ndarray, np.ndarray]:
    """What the parabola makes of a sinusoid: polynomials in its offset squared, highest power first, for the factor
    that makes the offset true and for the height that is too much."""
    true = np.linspace(0.01, 0.5, 50)
    distances = np.arange(-1, 2)[:, None] - true
    transform = np.exp(2j * np.pi / n_fft * distances[..., None] * np.arange(n_fft))
    values = stft_window(window, win_length, n_fft)
    gain = np.abs(transform @ values) / values.sum()
    left, right = np.log(np.maximum(gain[[0, 2]] / gain[1], _LEAST_SHOULDER))
    offset, height = _vertex(left, right)
    height = height + np.log(gain[1])
    # Least squares in all of the range: where a window's shape defeats the parabola this stays tame.
    return np.polyfit(offset**2, true / offset, _BIAS_DEGREE), np.polyfit(offset**2, height, _BIAS_DEGREE)
