"""Sinusoids over time: peaks of single frames continued into partials, or assigned to the harmonics of a pitch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxst.kernels.sinusoids.peaks import Peaks

_ROUNDS = 3  # of matching: pairs who are each other's nearest in the first, then among those who are left
_NOWHERE = 1e9  # Hz: far from everything


class Partials(NamedTuple):
    """Sinusoids that last, each in a slot that it may share with earlier and later ones. Where a slot rests it holds
    zeros; between two partials it rests for a frame at least.

    Attributes:
        frequency: in Hz.
        magnitude: amplitude; 1 is full scale.
        phase: of the cosine at the frame's center, sample `t * hop_length`, in radians.
    """

    frequency: Float[Array, "*batch partials frames"]
    magnitude: Float[Array, "*batch partials frames"]
    phase: Float[Array, "*batch partials frames"]


def to_tensor(partials: Partials) -> Float[Array, "*batch partials frames 3"]:
    """One array, `[..., partial, frame, (frequency, magnitude, phase)]`."""
    return jnp.stack(partials, axis=-1)


def from_tensor(tensor: Float[Array, "*batch partials frames 3"]) -> Partials:
    """The inverse of `to_tensor`."""
    return Partials(tensor[..., 0], tensor[..., 1], tensor[..., 2])


def track_partials(
    peaks: Peaks,
    *,
    frame_rate: float,
    max_partials: int = 100,
    deviation: float = 20.0,
    deviation_slope: float = 0.01,
    min_duration: float = 0.02,
) -> Partials:
    """Continue peaks from frame to frame (McAulay & Quatieri 1986, section III-B; Serra & Smith 1990).

    A partial takes the peak nearest in frequency, where that peak has no nearer partial, and where it is near enough.
    A partial without such a peak dies; peaks without a partial are born into the slots that rest, loudest first. Which
    peak goes where is not differentiable; the partials are, with respect to the peaks.

    Args:
        peaks: from `find_peaks`.
        frame_rate: frames in a second, `sample_rate / hop_length`.
        max_partials: slots, the most partials that sound at once.
        deviation: in Hz, how far a partial at 0 Hz may move from one frame to the next.
        deviation_slope: what each Hz of the partial's frequency adds to that.
        min_duration: in seconds, rounded to frames; shorter partials are left out.

    Raises:
        ValueError: if `max_partials` is not positive.
    """
    if max_partials < 1:
        raise ValueError(f"max_partials={max_partials} must be a positive integer")
    frequency = jax.lax.stop_gradient(peaks.frequency)
    *batch, n_frames, n_peaks = frequency.shape
    links = _links(frequency, deviation, deviation_slope).reshape(-1, n_frames, n_peaks)
    exists = (frequency > 0).reshape(-1, n_frames, n_peaks)
    chosen = jax.vmap(lambda links, exists: _slots(links, exists, max_partials))(links, exists)
    chosen = jnp.swapaxes(chosen, -1, -2).reshape(*batch, max_partials, n_frames)
    lasting = _durations(chosen < n_peaks) >= round(min_duration * frame_rate)
    return _assign(peaks, jnp.where(lasting, chosen, n_peaks))


def harmonic_partials(
    peaks: Peaks, f0: Float[Array, "*batch frames"], *, n_harmonics: int = 60, tolerance: float = 0.25
) -> Partials:
    """Partial h holds, in every frame, the peak nearest to h + 1 times the fundamental frequency.

    Args:
        peaks: from `find_peaks`.
        f0: fundamental frequency in Hz of every frame; 0 where there is none, and then no partial.
        n_harmonics: partials to return.
        tolerance: how far a peak may be from its place, as a share of `f0`; at most 0.5, so that no peak is taken
            twice.

    Raises:
        ValueError: if `tolerance` is not between 0 and 0.5.
    """
    if not 0 < tolerance <= 0.5:
        raise ValueError(f"tolerance={tolerance} must be between 0 and 0.5")
    n_peaks = peaks.frequency.shape[-1]
    numbers = jnp.arange(1, n_harmonics + 1, dtype=f0.dtype)

    def choose(frame):
        fundamental, frequency = frame
        wanted = fundamental[..., None] * jax.lax.expand_dims(numbers, range(fundamental.ndim))
        distance = jnp.abs(wanted[..., :, None] - frequency[..., None, :])
        near = (distance < tolerance * fundamental[..., None, None]) & (frequency > 0)[..., None, :]
        distance = jnp.where(near, distance, jnp.inf)
        return jnp.where(jnp.any(near, axis=-1), jnp.argmin(distance, axis=-1), n_peaks)

    frames = (jnp.moveaxis(f0, -1, 0), jnp.moveaxis(peaks.frequency, -2, 0))
    chosen = jax.lax.map(choose, jax.lax.stop_gradient(frames), batch_size=64)
    return _assign(peaks, jnp.moveaxis(chosen, 0, -1))


def _links(
    frequency: Float[Array, "*batch frames peaks"], deviation: float, slope: float
) -> Int[Array, "*batch frames peaks"]:
    """The peak of the frame before that each peak continues, or the number of peaks; for all frames at once."""
    n_peaks = frequency.shape[-1]
    exists = frequency > 0
    new = jnp.where(exists, frequency, _NOWHERE)
    old = jnp.where(exists, frequency, -_NOWHERE)
    old = jnp.concatenate([jnp.full_like(old[..., :1, :], -_NOWHERE), old[..., :-1, :]], axis=-2)
    numbers = jax.lax.broadcasted_iota(jnp.int32, frequency.shape, frequency.ndim - 1)

    def match(_, state):
        links, new, old = state
        to_old, to_new = _nearest(new, old), _nearest(old, new)
        partner = jnp.take_along_axis(old, to_old, axis=-1)
        mutual = jnp.take_along_axis(to_new, to_old, axis=-1) == numbers
        linked = mutual & (jnp.abs(new - partner) <= deviation + slope * partner)
        continued = jnp.take_along_axis(linked, to_new, axis=-1)
        continued &= jnp.take_along_axis(to_old, to_new, axis=-1) == numbers
        links = jnp.where(linked, to_old, links)
        return links, jnp.where(linked, _NOWHERE, new), jnp.where(continued, -_NOWHERE, old)

    unlinked = jnp.full(frequency.shape, n_peaks, jnp.int32)
    return jax.lax.fori_loop(0, _ROUNDS, match, (unlinked, new, old))[0]


def _nearest(values: Float[Array, "*batch peaks"], others: Float[Array, "*batch peaks"]) -> Int[Array, "*batch peaks"]:
    """For each value the number of the nearest of the others, the first of equals.

    One of the others at a time, for all frames: a CPU does this 5 times faster than argmin over all pairs.
    """

    def compare(carry, other):
        least, nearest = carry
        other, number = other
        distance = jnp.abs(values - other[..., None])
        nearer = distance < least
        return (jnp.where(nearer, distance, least), jnp.where(nearer, number, nearest)), None

    start = (jnp.full_like(values, jnp.inf), jnp.zeros(values.shape, jnp.int32))
    candidates = (jnp.moveaxis(others, -1, 0), jnp.arange(others.shape[-1], dtype=jnp.int32))
    return jax.lax.scan(compare, start, candidates, unroll=10)[0][1]


def _slots(
    links: Int[Array, "frames peaks"], exists: Bool[Array, "frames peaks"], max_partials: int
) -> Int[Array, "frames partials"]:
    """The peak in each slot, or the number of peaks: continued where linked, else born into a slot that has rested."""
    n_peaks = links.shape[-1]
    peaks = jnp.arange(n_peaks)
    slots = jnp.arange(max_partials)

    def step(carry, frame):
        slot_before, peak_before = carry
        link, exists = frame
        slot = jnp.pad(slot_before, (0, 1), constant_values=max_partials)[link]
        resting = peak_before == n_peaks
        by_rank = jnp.full(max_partials, max_partials).at[_rank(resting, max_partials)].set(slots, mode="drop")
        newborn = exists & (slot == max_partials)
        slot = jnp.minimum(slot, by_rank.at[_rank(newborn, max_partials)].get(mode="fill", fill_value=max_partials))
        peak = jnp.full(max_partials, n_peaks).at[slot].set(peaks, mode="drop")
        return (slot, peak), peak

    start = (jnp.full(n_peaks, max_partials), jnp.full(max_partials, n_peaks))
    return jax.lax.scan(step, start, (links, exists))[1]


def _rank(marks: Bool[Array, " n"], unmarked: int) -> Int[Array, " n"]:
    """0 for the first mark, 1 for the second, and so on."""
    return jnp.where(marks, jnp.cumsum(marks) - 1, unmarked)


def _durations(sounding: Bool[Array, "*batch frames"]) -> Int[Array, "*batch frames"]:
    """Frames in the run of sounding frames that each one is part of; less than 1 outside."""
    numbers = jax.lax.broadcasted_iota(jnp.int32, sounding.shape, sounding.ndim - 1)
    axis, n_frames = sounding.ndim - 1, sounding.shape[-1]
    before = jax.lax.cummax(jnp.where(sounding, -1, numbers), axis=axis)
    after = jax.lax.cummin(jnp.where(sounding, n_frames, numbers), axis=axis, reverse=True)
    return after - before - 1


def _assign(peaks: Peaks, chosen: Int[Array, "*batch partials frames"]) -> Partials:
    """Partials from the peak that each takes in each frame; zeros where that is the number of peaks."""

    def take(values):
        values = jnp.swapaxes(jnp.pad(values, _pad_last(values)), -1, -2)
        return jnp.take_along_axis(values, chosen, axis=-2)

    return Partials(*map(take, peaks))


def _pad_last(values: Array) -> list[tuple[int, int]]:
    return [(0, 0)] * (values.ndim - 1) + [(0, 1)]
