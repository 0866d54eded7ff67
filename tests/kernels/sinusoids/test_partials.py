"""Peaks become the partials that they were made from."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.kernels.sinusoids.partials import (
    Partials,
    from_tensor,
    harmonic_partials,
    to_tensor,
    track_partials,
)
from jaxst.kernels.sinusoids.peaks import Peaks, find_peaks

RATE, HOP = 16_000, 256


def peaks_at(rows):
    """Peaks with the frequencies given frame by frame, 0 for none; the magnitude tells the frequency, so does the
    phase."""
    frequency = jnp.asarray(rows, jnp.float32)
    return Peaks(frequency, frequency / 1e4, frequency / 1e3)


@cache
def tracking(**options):
    return jax.jit(partial(track_partials, **{"frame_rate": 100.0, "max_partials": 4, "min_duration": 0.0, **options}))


def tracked(rows, **options):
    """With silence after it, up to one shape for all tests, so that a program serves several."""
    rows = np.asarray(rows)
    return tracking(**options)(
        peaks_at(np.pad(rows, [(0, n - size) for n, size in zip((8, 3), rows.shape, strict=True)]))
    )


def lives(partials):
    """Every run of frames in which a slot sounds, as a tuple of frequencies, sorted."""
    runs = []
    for row in np.asarray(partials.frequency):
        edges = np.flatnonzero(np.diff(np.pad(row > 0, 1)))
        runs += [tuple(row[start:stop].tolist()) for start, stop in edges.reshape(-1, 2)]
    return sorted(runs)


def test_steady_partials_keep_their_slots():
    partials = tracked([[300, 100, 200]] * 4)
    assert lives(partials) == [(100,) * 4, (200,) * 4, (300,) * 4]


def test_order_among_the_peaks_does_not_matter():
    partials = tracked([[100, 200], [205, 102], [104, 210]])
    assert lives(partials) == [(100, 102, 104), (200, 205, 210)]


def test_magnitude_and_phase_go_with_the_frequency():
    partials = tracked([[100, 200], [205, 102], [0, 0]])
    np.testing.assert_allclose(partials.magnitude, partials.frequency / 1e4)
    np.testing.assert_allclose(partials.phase, partials.frequency / 1e3)


def test_births_and_deaths():
    assert lives(tracked([[100, 0], [100, 500], [0, 500], [0, 500], [100, 0]])) == [(100,), (100, 100), (500, 500, 500)]


def test_a_partial_reaches_as_far_as_it_may():
    """20 Hz and 1 % of its frequency by default: 30 Hz at 1 kHz."""
    assert lives(tracked([[1000], [1029]])) == [(1000, 1029)]
    assert lives(tracked([[1000], [1031]])) == [(1000,), (1031,)]
    assert lives(tracked([[1000], [1031]], deviation=25.0)) == [(1000, 1031)]
    assert lives(tracked([[1000], [1031]], deviation_slope=0.02)) == [(1000, 1031)]


def test_the_nearer_partial_takes_the_peak_and_the_other_dies():
    assert lives(tracked([[1000, 1020], [1015, 0]])) == [(1000,), (1020, 1015)]


def test_who_loses_the_nearest_peak_takes_the_next():
    """1020 wants 1012, which 1010 gets; it takes 1033."""
    assert lives(tracked([[1010, 1020], [1012, 1033]])) == [(1010, 1012), (1020, 1033)]


def test_equal_distances_end_in_one_pair():
    assert lives(tracked([[1000, 0], [990, 1010]])) == [(1000, 990), (1010,)]
    assert lives(tracked([[990, 1010], [1000, 0]])) == [(990, 1000), (1010,)]


def test_a_slot_rests_for_a_frame_between_two_partials():
    """With one slot: what begins in the very frame after another's end has to wait for the next."""
    assert lives(tracked([[100], [500], [500], [500]], max_partials=1)) == [(100,), (500, 500)]


def test_more_peaks_than_slots_leave_out_the_quietest():
    """Peaks come loudest first."""
    assert lives(tracked([[300, 100, 200]] * 2, max_partials=2)) == [(100, 100), (300, 300)]


def test_short_partials_are_left_out():
    """At 100 frames a second: 30 ms are 3 frames."""
    rows = [[100, 0], [100, 500], [100, 500], [0, 500], [0, 0], [900, 0], [900, 0]]
    assert lives(tracked(rows, min_duration=0.03)) == [(100,) * 3, (500,) * 3]


def test_a_chirp_is_one_partial():
    times = np.arange(RATE) / RATE
    x = jnp.asarray(0.5 * np.cos(2 * np.pi * (500 * times + 700 * times**2)), jnp.float32)

    @jax.jit
    def analyze(x):
        peaks = find_peaks(x, sample_rate=RATE, n_fft=1024, hop_length=HOP, window="hann", max_peaks=10, threshold=-50)
        return track_partials(peaks, frame_rate=RATE / HOP, max_partials=10, min_duration=0.1)

    (run,) = lives(analyze(x))
    centers = np.arange(1 + RATE // HOP) * HOP / RATE
    assert len(run) >= len(centers) - 2
    np.testing.assert_allclose(run[3:-3], (500 + 1400 * centers)[3 : len(run) - 3], rtol=0.003)


def test_harmonics_take_the_nearest_peaks():
    rows = [[205, 395, 0, 610], [0, 0, 0, 0], [200, 230, 555, 380]]
    f0 = jnp.asarray([200.0, 200.0, 0.0])
    partials = jax.jit(partial(harmonic_partials, n_harmonics=3))(peaks_at(rows), f0)
    np.testing.assert_array_equal(partials.frequency, [[205, 0, 0], [395, 0, 0], [610, 0, 0]])
    near = harmonic_partials(peaks_at(rows), jnp.asarray([200.0, 200.0, 200.0]), n_harmonics=3)
    np.testing.assert_array_equal(near.frequency[:, 2], [200, 380, 555])
    np.testing.assert_allclose(near.magnitude[:, 2], np.array([200, 380, 555]) / 1e4, rtol=1e-6)


def test_a_harmonic_needs_a_peak_within_tolerance():
    f0 = jnp.asarray([200.0])
    assert harmonic_partials(peaks_at([[249]]), f0, n_harmonics=2).frequency[0, 0] == 249
    assert not np.any(harmonic_partials(peaks_at([[251]]), f0, n_harmonics=2).frequency)
    assert harmonic_partials(peaks_at([[280]]), f0, n_harmonics=2, tolerance=0.45).frequency[0, 0] == 280


def test_the_tensor_holds_frequency_magnitude_phase():
    partials = tracked([[100, 200], [100, 200], [100, 0]])
    tensor = to_tensor(partials)
    assert tensor.shape == (4, 8, 3)
    np.testing.assert_array_equal(tensor[..., 0], partials.frequency)
    np.testing.assert_array_equal(tensor[..., 2], partials.phase)
    for values, expected in zip(from_tensor(tensor), partials, strict=True):
        np.testing.assert_array_equal(values, expected)
    assert isinstance(from_tensor(tensor), Partials)


def test_partials_are_differentiable_with_respect_to_peaks():
    """Each output is one of the inputs: the gradient counts how often each is used."""

    def total(frequency):
        peaks = Peaks(frequency, frequency, frequency)
        return jnp.sum(track_partials(peaks, frame_rate=100.0, max_partials=1, min_duration=0.0).magnitude)

    gradient = jax.jit(jax.grad(total))(jnp.asarray([[100.0, 900.0], [101.0, 902.0]]))
    np.testing.assert_array_equal(gradient, [[1, 0], [1, 0]])


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="max_partials=0"):
        track_partials(peaks_at([[100]]), frame_rate=100.0, max_partials=0)
    with pytest.raises(ValueError, match=r"tolerance=0\.6"):
        harmonic_partials(peaks_at([[100]]), jnp.asarray([100.0]), tolerance=0.6)
