"""Whether an output is a copy: correlation of its waveform with the style's.

Both measures are between 0 and 1, the lower the better, and neither knows gain, sign or shifts. A
sustained tone matches any other of its pitch, and a loop itself: compare with what the style's own other half scores.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.compiling import jit_quickly
from jaxst.metrics.samples import Samples, mono
from jaxst.representation import fast_length

RATE = 16_000
WINDOW = 0.25  # seconds
_SILENT = 1e-3  # of the loudest window's norm: -60 dB
_BATCH = 8  # windows that are transformed at once


class WindowCorrelation(NamedTuple):
    """Over all windows of the output that sound, each one's best match in the style.

    Attributes:
        mean: near 1 if all of the output is from the style, in whatever order.
        peak: near 1 if any window is.
    """

    mean: float
    peak: float


def peak_cross_correlation(output: Samples, style: Samples, sample_rate: int) -> float:
    """max over lags of |sum_t x(t) y(t + lag)| / (|x| |y|), without means; 1 for a shifted copy, 0 for silence.

    Signals are taken to be zero outside: a copy of a part scores the root of the part's share of both energies, so that
    a short quotation passes; `window_cross_correlation` finds it. Measured at 16 kHz.

    Raises:
        AudioError: for samples that are not finite, or none.
    """
    x, y = (_prepared(samples, sample_rate, name) for samples, name in ((output, "output"), (style, "style")))
    scale = np.linalg.norm(x) * np.linalg.norm(y)
    if scale == 0:
        return 0.0
    n_fft = fast_length(len(x) + len(y) - 1)
    correlation = np.fft.irfft(np.fft.rfft(x, n_fft) * np.conj(np.fft.rfft(y, n_fft)), n_fft)
    return min(1.0, float(np.abs(correlation).max() / scale))


def window_cross_correlation(
    output: Samples, style: Samples, sample_rate: int, *, window: float = WINDOW
) -> WindowCorrelation:
    """For each window w of the output, max over positions p in the style of |<w, y_p>| / (|w| |y_p|).

    y_p is as long as w. Windows of the output follow each other without overlap; what is left at the end is skipped, as
    are windows 60 dB below the loudest; positions that quiet count as that loud. Without any window both are 0.
    Measured at 16 kHz. By chance white noise has about 0.07 for windows of 0.25 s, other water 0.1, another
    fire 0.5: the fewer frequencies there are, the more.

    Args:
        output, style: `(time,)` or `(channels, time)`, of any lengths; a shorter one makes windows as short.
        sample_rate: in Hz.
        window: in seconds.

    Raises:
        AudioError: for samples that are not finite, or none.
    """
    x, y = (_prepared(samples, sample_rate, name) for samples, name in ((output, "output"), (style, "style")))
    length = max(1, min(round(window * RATE), len(x), len(y)))
    windows = x[: len(x) // length * length].reshape(-1, length)
    norms = np.linalg.norm(windows, axis=1)
    windows = windows[norms > max(_SILENT * norms.max(), 1e-9)]
    energies = np.concatenate([[0.0], np.cumsum(y**2)])
    local = np.sqrt(np.maximum(energies[length:] - energies[:-length], 0))
    if len(windows) == 0 or local.max() == 0:
        return WindowCorrelation(0.0, 0.0)
    windows = windows / np.linalg.norm(windows, axis=1, keepdims=True)
    best = _best_matches(
        jnp.asarray(windows, jnp.float32),
        jnp.asarray(y / local.max(), jnp.float32),
        jnp.asarray(np.maximum(local / local.max(), _SILENT), jnp.float32),
    )
    best = np.minimum(np.asarray(best, np.float64), 1)
    return WindowCorrelation(float(best.mean()), float(best.max()))


def _prepared(samples, sample_rate, name):
    mixed = mono(samples, sample_rate, rate=RATE, name=name, sounding=False)
    return mixed / max(np.abs(mixed).max(), 1e-30)  # squares of very quiet samples would vanish


@jit_quickly(level=1)
def _best_matches(
    windows: Float[Array, "windows length"], y: Float[Array, " time"], local: Float[Array, " positions"]
) -> Float[Array, " windows"]:
    n_fft = fast_length(y.shape[0])  # what comes round is in positions that are cut off
    spectrum = jnp.fft.rfft(y, n_fft)

    def best(window):
        correlation = jnp.fft.irfft(spectrum * jnp.conj(jnp.fft.rfft(window, n_fft)), n_fft)
        return jnp.max(jnp.abs(correlation[: local.shape[0]]) / local)

    return jax.lax.map(best, windows, batch_size=_BATCH)
