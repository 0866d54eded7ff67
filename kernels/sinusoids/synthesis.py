"""Partials to a waveform, in two ways: spectral main lobes, and oscillators."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from jaxst.kernels.sinusoids.partials import Partials
from jaxst.kernels.stft import overlap_add, stft_window

_LOBE_BINS = 4  # on either side of its center: the main lobe of the Blackman-Harris window
_LOBE_DEGREE = 12  # of the polynomial in the squared distance that stands for the lobe: within 1e-6
_LEAST_HOP = 8
_UPPER = 2**10  # float32 multiplies numbers of 10 bits with each other, and with common sample rates, exactly


def synthesize_lobes(
    partials: Partials, *, sample_rate: int, hop_length: int, length: int | None = None
) -> Float[Array, "*batch time"]:
    """Each sinusoid of a frame as the main lobe of a window in the spectrum, inverse transform, overlap-add (Rodet &
    Depalle 1992).

    Within a frame frequency, magnitude and phase are constant; neighboring frames are cross-faded over a hop by
    triangles. What lies at or above half the sample rate, or below zero, is silent. The cost grows by nine additions
    for each sinusoid, whatever the hop.

    Args:
        partials: what to synthesize.
        sample_rate: in Hz.
        hop_length: samples between frames.
        length: samples to return, default `(frames - 1) * hop_length`. After the last frame its sinusoids go on for at
            most one hop; then there is silence.
    """
    if hop_length < _LEAST_HOP:
        raise ValueError(
            f"hop_length={hop_length} must be at least {_LEAST_HOP}, so that a main lobe fits the spectrum"
        )
    partials = _with_one_more_frame(_audible(partials, sample_rate), sample_rate, hop_length)
    n_fft = 4 * hop_length
    frequency, magnitude, phase = (jnp.swapaxes(values, -1, -2)[..., None] for values in partials)
    position = frequency * (n_fft / sample_rate)
    around = np.arange(-_LOBE_BINS, _LOBE_BINS + 1)
    around = jax.lax.expand_dims(jnp.asarray(around, position.dtype), range(position.ndim - 1))
    bins = jax.lax.stop_gradient(jnp.round(position)) + around
    sign = 1 - 2 * jnp.mod(bins, 2)  # the window's center is the middle of the transform
    lobe = magnitude / 2 * sign * _lobe(n_fft, bins - position)
    spectrum = _add_bins(jax.lax.complex(lobe * jnp.cos(phase), lobe * jnp.sin(phase)), bins.astype(jnp.int32), n_fft)
    frames = jnp.fft.irfft(spectrum, axis=-1)[..., hop_length : 3 * hop_length]
    fade = jax.lax.expand_dims(jnp.asarray(_fade(hop_length), frames.dtype), range(frames.ndim - 1))
    x = overlap_add(frames * fade, hop_length=hop_length)
    return _fit(x[..., hop_length:], _length(partials, hop_length, length))


def synthesize_oscillators(
    partials: Partials, *, sample_rate: int, hop_length: int, length: int | None = None
) -> Float[Array, "*batch time"]:
    """Each partial as one oscillator whose phase passes smoothly through those of the frames (McAulay & Quatieri 1986,
    eq. 30-37): cubic in between, the smoothest that also has the frames' frequencies. Magnitudes are linear.

    Phases are met in every frame, so nothing drifts; `accumulate_phase` gives phases for frequencies that were changed.
    Partials fade in over the hop before their first frame, and out over the one after their last. What lies at or above
    half the sample rate, or below zero, is silent.

    Args:
        partials: what to synthesize.
        sample_rate: in Hz.
        hop_length: samples between frames.
        length: samples to return, default `(frames - 1) * hop_length`. After the last frame its sinusoids go on for at
            most one hop; then there is silence.
    """
    partials = _with_one_more_frame(_audible(partials, sample_rate), sample_rate, hop_length)
    batch = partials.frequency.shape[:-2]
    n_segments = partials.frequency.shape[-1] - 1

    @jax.checkpoint  # memory for one partial at a time, backward too
    def add(total, partial):
        return total + _oscillator(Partials(*partial), sample_rate, hop_length), None

    silence = jnp.zeros((*batch, n_segments, hop_length), partials.frequency.dtype)
    x, _ = jax.lax.scan(add, silence, tuple(jnp.moveaxis(values, -2, 0) for values in partials))
    return _fit(x.reshape(*batch, -1), _length(partials, hop_length, length))


def accumulate_phase(
    frequency: Float[Array, "*batch frames"], *, sample_rate: int, hop_length: int
) -> Float[Array, "*batch frames"]:
    """Phase in radians, in [-pi, pi], of an oscillator that runs through `frequency` in Hz, linear between frames; 0 at
    the first.

    Whole hertz are counted in integers modulo the sample rate and only the rest in floating point: in float32, where a
    plain sum is off by up to half a radian after a minute, the phase is exact to 1e-4 after ten.

    Raises:
        ValueError: if `hop_length` times twice the sample rate is beyond 32 bits.
    """
    if 2 * sample_rate * hop_length >= 2**31:
        raise ValueError(f"hop_length={hop_length} is too long at {sample_rate} Hz: {2**30 // sample_rate} at most")
    whole = jax.lax.stop_gradient(jnp.round(frequency))
    rest = frequency - whole
    period = 2 * sample_rate  # an average of two frames comes in half hertz
    counts = ((whole[..., :-1] + whole[..., 1:]).astype(jnp.int32) % period) * (hop_length % period) % period
    counted = jax.lax.associative_scan(lambda a, b: (a + b) % period, counts, axis=counts.ndim - 1)
    small = (rest[..., :-1] + rest[..., 1:]) * (hop_length / period)
    small = jax.lax.associative_scan(lambda a, b: _fraction(a + b), small, axis=small.ndim - 1)
    turns = _fraction(counted.astype(frequency.dtype) / period + small)
    return 2 * np.pi * jnp.pad(turns, [(0, 0)] * (turns.ndim - 1) + [(1, 0)])


def _fraction(turns: Array) -> Array:
    """What is left without whole turns."""
    return turns - jax.lax.stop_gradient(jnp.round(turns))


def _audible(partials: Partials, sample_rate: int) -> Partials:
    inside = (partials.frequency > 0) & (partials.frequency < sample_rate / 2)
    return Partials(*(jnp.where(inside, values, 0) for values in partials))


def _with_one_more_frame(partials: Partials, sample_rate: int, hop_length: int) -> Partials:
    """The sinusoids of the last frame, a hop later."""
    frequency, magnitude, phase = (values[..., -1:] for values in partials)
    later = Partials(frequency, magnitude, phase + 2 * np.pi * _turns(frequency, sample_rate, hop_length))
    return Partials(*(jnp.concatenate(pair, axis=-1) for pair in zip(partials, later, strict=True)))


def _length(partials: Partials, hop_length: int, length: int | None) -> int:
    return (partials.frequency.shape[-1] - 2) * hop_length if length is None else length


def _fit(x: Float[Array, "*batch time"], length: int) -> Float[Array, "*batch length"]:
    missing = max(length - x.shape[-1], 0)
    return jnp.pad(x[..., :length], [(0, 0)] * (x.ndim - 1) + [(0, missing)])


def _lobe(n_fft: int, offset: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The window's transform, 1 at its center, so many bins away from it: a polynomial, whose gradient is safe."""
    window = stft_window("blackmanharris", n_fft, n_fft)
    reach = (_LOBE_BINS + 0.5) ** 2
    squared = reach * (1 + np.cos(np.pi * (np.arange(64) + 0.5) / 64)) / 2  # Chebyshev's nodes
    times = np.arange(n_fft) - n_fft // 2
    exact = np.cos(2 * np.pi / n_fft * np.sqrt(squared)[:, None] * times) @ window / window.sum()
    polynomial = np.polynomial.Chebyshev.fit(squared, exact, _LOBE_DEGREE, domain=[0, reach])
    x = offset**2 * (2 / reach) - 1
    above = further = jnp.zeros_like(x)
    for coefficient in polynomial.coef[:0:-1]:  # Clenshaw's recurrence
        above, further = coefficient + 2 * x * above - further, above
    return polynomial.coef[0] + x * above - further


def _fade(hop_length: int) -> np.ndarray:
    """What turns the middle two hops of a transform of lobes into triangles."""
    window = stft_window("blackmanharris", 4 * hop_length, 4 * hop_length)
    triangle = 1 - np.abs(np.arange(-hop_length, hop_length)) / hop_length
    return window.sum() * triangle / window[hop_length : 3 * hop_length]


def _add_bins(
    values: Complex[Array, "*batch frames partials lobe"], bins: Int[Array, "*batch frames partials lobe"], n_fft: int
) -> Complex[Array, "*batch frames bins"]:
    """Half the spectrum of a real signal, from its sinusoids' lobes at positive frequencies. What reaches below bin 0
    or beyond the last bin is what the lobes at negative frequencies, complex conjugates, put on this side."""
    *rows, n_partials, n_around = values.shape
    last = n_fft // 2

    def add(values, bins):
        return jnp.zeros(last + 1 + 2 * _LOBE_BINS, values.dtype).at[bins + _LOBE_BINS].add(values, mode="drop")

    flat = (array.reshape(-1, n_partials * n_around) for array in (values, bins))
    wide = jax.vmap(add)(*flat).reshape(*rows, -1)
    margin = _LOBE_BINS + 1
    low, high = (jnp.conj(jnp.flip(part, axis=-1)) for part in (wide[..., :margin], wide[..., -margin:]))
    middle = wide[..., _LOBE_BINS:-_LOBE_BINS]
    return middle.at[..., :margin].add(low).at[..., -margin:].add(high)


def _oscillator(partial: Partials, sample_rate: int, hop_length: int) -> Float[Array, "*batch segments hop"]:
    """One partial between its frames. Phases count in turns here."""
    frequency, magnitude, phase = partial
    f0, f1 = frequency[..., :-1], frequency[..., 1:]
    first, second = f0 > 0, f1 > 0
    start, end = jnp.where(first, f0, f1), jnp.where(second, f1, f0)
    phi0, phi1 = phase[..., :-1] / (2 * np.pi), phase[..., 1:] / (2 * np.pi)
    advance = _turns((start + end) / 2, sample_rate, hop_length)
    phi0 = jnp.where(first, phi0, phi1 - advance)  # fading in
    mismatch = phi1 - phi0 - advance
    mismatch = jnp.where(first & second, mismatch - jax.lax.stop_gradient(jnp.round(mismatch)), 0)[..., None]
    bend = ((end - start) * (hop_length / sample_rate))[..., None]

    samples = np.arange(hop_length)
    samples, share = (
        jax.lax.expand_dims(jnp.asarray(row, frequency.dtype), range(frequency.ndim))
        for row in (samples, samples / hop_length)
    )
    turns = phi0[..., None] + _turns(start[..., None], sample_rate, samples)
    turns = turns + (3 * mismatch + bend / 2) * share**2 - 2 * mismatch * share**3
    m0, m1 = magnitude[..., :-1, None], magnitude[..., 1:, None]
    return (m0 + (m1 - m0) * share) * jnp.cos(2 * np.pi * turns)


def _turns(frequency: Array, sample_rate: int, samples: Array | int) -> Array:
    """What a frequency in Hz turns by in so many samples, less whole turns: the upper bits of its turns in a sample,
    whose products with the samples and the sample rate are exact, apart from the rest."""
    upper = jax.lax.stop_gradient(jnp.round(frequency / sample_rate * _UPPER) / _UPPER)
    exact = upper * (samples % _UPPER)  # the other samples make whole turns
    return _fraction(exact) + (frequency - upper * sample_rate) / sample_rate * samples
