"""What is left of a sound when its sinusoids are subtracted, as filtered noise (Serra & Smith 1990, "Spectral modeling
synthesis: a sound analysis/synthesis system based on a deterministic plus stochastic decomposition").

The model keeps the power in bands of equal width on the ear's frequency scale, frame by frame, and no phase. On water
and vinyl hiss 8 such bands give a long-term spectrum as close as 64 bands that are equally wide in Hz, and 32 one
within 2 dB above 100 Hz.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxst.kernels.stft import istft, overlap_add, stft, stft_window


def stochastic_envelope(
    residual: Float[Array, "*batch time"], *, sample_rate: float, n_fft: int, hop_length: int, n_bands: int
) -> Float[Array, "*batch frames bands"]:
    """Mean power of a residual in each band, frame by frame: white noise of variance v has v in every band.

    Bands are equally wide on the scale of equivalent rectangular bandwidths (Glasberg & Moore 1990) from 0 to half the
    sample rate. A bin that several bands share counts for each in part, so that no band is empty and the mean over
    bands, weighted by their width, is the power of the frame.

    Args:
        residual: signal, any batch dimensions in front, of more than `n_fft // 2` samples.
        sample_rate: in Hz.
        n_fft: length of the Hann window in samples (512 samples = 12 ms at 44.1 kHz): short ones keep attacks, long
            ones resolve the lowest bands.
        hop_length: samples between frames; frame t is centered on sample `t * hop_length`.
        n_bands: number of bands; 32 are enough for most sounds.

    Raises:
        ValueError: for `n_bands` below 1, and as `stft` does.
    """
    spectrum = stft(residual, n_fft=n_fft, hop_length=hop_length)
    power = (spectrum.real**2 + spectrum.imag**2) / np.sum(stft_window("hann", n_fft, n_fft) ** 2)
    average, _, _ = _band_matrices(n_bands, n_fft, sample_rate)
    return _apply(average, power)


def synthesize_noise(
    envelope: Float[Array, "*batch frames bands"],
    key: PRNGKeyArray,
    *,
    sample_rate: float,
    n_fft: int,
    hop_length: int,
    length: int,
) -> Float[Array, "*batch time"]:
    """Gaussian noise whose power in time and frequency is that of `stochastic_envelope`.

    Every frame is noise of its own. Powers of overlapping frames then add up, whereas frames of one and the same noise
    would partly cancel where their filters differ, and lose up to 0.5 dB. Between the centers of the bands the power is
    interpolated linearly, and scaled so that each band keeps its mean.

    Args:
        envelope: mean power in each band, not negative.
        key: random key. One key gives every batch entry a noise of its own; map over the envelope alone with `jax.vmap`
            to give them all the same.
        sample_rate, n_fft, hop_length: as in the analysis.
        length: samples to return, zero-padded if the frames end earlier.

    Raises:
        ValueError: as `istft` does, for a hop that is not positive or leaves gaps between windows.
    """
    *_, n_frames, n_bands = envelope.shape
    # The smallest number whose inverse square, which the derivative of a quotient takes, is finite: -190 dB in float32.
    inaudible = float(np.sqrt(jnp.finfo(envelope.dtype).tiny))
    average, spread, interpolate = _band_matrices(n_bands, n_fft, sample_rate)
    power = _apply(interpolate, envelope)
    power = power * _apply(spread, (envelope + inaudible) / (_apply(average, power) + inaudible))
    silent = power < inaudible
    gain = jnp.where(silent, 0, jnp.sqrt(jnp.where(silent, 1, power)))

    noise = jax.random.normal(key, (*envelope.shape[:-1], n_fft), envelope.dtype)
    spectrum = jnp.fft.rfft(noise, axis=-1) * gain
    x = istft(spectrum, n_fft=n_fft, hop_length=hop_length, length=length)
    # istft divides by the summed squared window, as amplitudes that add up want it; those of independent noises add up
    # to its root.
    window = jnp.asarray(stft_window("hann", n_fft, n_fft) ** 2, x.dtype)
    weight = overlap_add(jnp.broadcast_to(window, (n_frames, n_fft)), hop_length=hop_length)
    weight = weight[n_fft // 2 : n_fft // 2 + length]
    weight = jnp.pad(weight, (0, length - weight.size))
    return x * jnp.broadcast_to(jnp.sqrt(weight), x.shape)


def _apply(matrix, values):
    return jnp.einsum("ij,...j->...i", jnp.asarray(matrix, values.dtype), values, precision=jax.lax.Precision.HIGHEST)


def _band_matrices(n_bands, n_fft, sample_rate):
    """Average of bins over bands `(bands, bins)`; bands spread over bins, and interpolated at bins `(bins, bands)`.

    A bin stands for the frequencies nearer to it than to others, and belongs to a band with what the two share.
    """
    if n_bands < 1:
        raise ValueError(f"n_bands={n_bands} must be a positive integer")
    # Number of equivalent rectangular bandwidths below f: 21.4 log10(1 + 0.00437 f); in bins, from here on.
    top = np.log1p(0.00437 * sample_rate / 2)
    edges = np.expm1(np.linspace(0, top, n_bands + 1)) / 0.00437 * n_fft / sample_rate
    bins = np.arange(n_fft // 2 + 1)
    lower, upper = np.maximum(bins - 0.5, 0), np.minimum(bins + 0.5, n_fft / 2)
    shared = np.minimum(upper[:, None], edges[1:]) - np.maximum(lower[:, None], edges[:-1])
    shared = np.maximum(shared, 0)
    average = (shared / shared.sum(axis=0)).T
    spread = shared / shared.sum(axis=1, keepdims=True)
    centers = (edges[1:] + edges[:-1]) / 2
    interpolate = np.stack([np.interp(bins, centers, band) for band in np.eye(n_bands)], axis=1)
    return average, spread, interpolate
