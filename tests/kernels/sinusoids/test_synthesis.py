"""Synthesis against oscillators in double precision, and against physics."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.kernels.sinusoids.partials import Partials
from jaxst.kernels.sinusoids.synthesis import accumulate_phase, synthesize_lobes, synthesize_oscillators

RATE, HOP = 16_000, 128
SYNTHESES = {"lobes": synthesize_lobes, "oscillators": synthesize_oscillators}
both = pytest.mark.parametrize("synthesize", SYNTHESES.values(), ids=SYNTHESES)


@cache
def compiled(synthesize, **options):
    return jax.jit(partial(synthesize, **{"sample_rate": RATE, "hop_length": HOP, **options}))


@cache
def accumulate(**options):
    return jax.jit(partial(accumulate_phase, **{"sample_rate": RATE, "hop_length": HOP, **options}))


def constant(frequency, n_frames, magnitude=0.5, phase=0.3, rate=RATE, hop=HOP):
    """One partial of constant frequency and magnitude, its phases exact."""
    frequency = float(np.float32(frequency))
    turns = frequency * hop * np.arange(n_frames) / rate + phase / (2 * np.pi)
    rows = np.full(n_frames, frequency), np.full(n_frames, magnitude), 2 * np.pi * (turns % 1)
    return Partials(*(jnp.asarray(row[None], jnp.float32) for row in rows))


def tone(frequency, length, magnitude=0.5, phase=0.3, rate=RATE):
    frequency = float(np.float32(frequency))
    return magnitude * np.cos(2 * np.pi * ((frequency * np.arange(length) / rate) % 1) + phase)


def error_db(x, expected):
    """Of the difference, relative to the expected signal."""
    return 10 * np.log10(np.mean((np.asarray(x, np.float64) - expected) ** 2) / np.mean(expected**2))


def stack(*partials):
    return Partials(*(jnp.concatenate(values) for values in zip(*partials, strict=True)))


@both
@pytest.mark.parametrize("frequency", [20.0, 1000.3, 4000.0, 7990.0])
def test_a_steady_partial_is_a_cosine(synthesize, frequency):
    """From next to 0 Hz to next to half the rate, where its main lobe runs into that of the negative frequency."""
    length = 40 * HOP
    x = compiled(synthesize)(constant(frequency, 41))
    assert x.shape == (length,)
    assert error_db(x, tone(frequency, length)) < -85


@both
def test_partials_add_up(synthesize):
    frequencies = 200.0, 333.3, 5000.0
    x = compiled(synthesize)(stack(*(constant(frequency, 31) for frequency in frequencies)))
    assert error_db(x, sum(tone(frequency, 30 * HOP) for frequency in frequencies)) < -85


@both
def test_the_length_is_what_was_asked_for(synthesize):
    """The last frame's sinusoids go on for a hop, to the last sample of a clip that is no multiple of it."""
    partials = constant(1000.0, 11)
    x = compiled(synthesize, length=10 * HOP + 100)(partials)
    assert error_db(x, tone(1000.0, 10 * HOP + 100)) < -85
    longer = compiled(synthesize, length=14 * HOP)(partials)
    assert longer.shape == (14 * HOP,)
    assert not np.any(longer[12 * HOP :])


@both
@pytest.mark.parametrize("frequency", [8000.0, 8000.1, 20_000.0, 0.0, -100.0])
def test_silent_outside_the_audible_band(synthesize, frequency):
    assert not np.any(compiled(synthesize)(constant(frequency, 11)))


@both
def test_no_partials_no_sound(synthesize):
    zeros = jnp.zeros((3, 11))
    assert not np.any(compiled(synthesize)(Partials(zeros, zeros, zeros)))
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(compiled(synthesize)(p) ** 2 + compiled(synthesize)(p))))
    assert all(np.isfinite(leaf).all() for leaf in gradient(Partials(zeros, zeros, zeros)))


@both
def test_a_partial_fades_in_and_out_over_a_hop(synthesize):
    """Silent one hop before its first frame and one hop after its last, at its full magnitude between them."""
    rows = [np.array(row) for row in constant(1000.0, 21)]
    for row in rows:
        row[:, :8] = row[:, 13:] = 0
    x = np.asarray(compiled(synthesize)(Partials(*map(jnp.asarray, rows))))
    envelope = np.interp(np.arange(20 * HOP) / HOP, [7, 8, 12, 13], [0, 1, 1, 0])
    assert error_db(x, envelope * tone(1000.0, 20 * HOP)) < -80


def test_oscillators_glide():
    """Linear in frequency between frames that do so: a chirp, phases from its own formula."""
    n_frames, slope = 61, 3000.0  # Hz in a second
    times = np.arange(n_frames) * HOP / RATE
    turns = (500 * times + slope / 2 * times**2) % 1
    partials = Partials(
        *(jnp.asarray(row[None], jnp.float32) for row in (500 + slope * times, 0 * times + 0.5, 2 * np.pi * turns))
    )
    times = np.arange(60 * HOP) / RATE
    expected = 0.5 * np.cos(2 * np.pi * ((500 * times + slope / 2 * times**2) % 1))
    assert error_db(compiled(synthesize_oscillators)(partials), expected) < -85


def test_oscillators_meet_each_frame_s_phase():
    """Phases that do not follow from the frequencies are passed through, and smoothly: without a jump."""
    phases = jnp.asarray([[0.0, 1.0, -2.0, 3.0, 0.5]])
    x = compiled(synthesize_oscillators)(Partials(jnp.full((1, 5), 1000.0), jnp.ones((1, 5)), phases))
    np.testing.assert_allclose(x[::HOP], np.cos(phases[0, :-1]), atol=1e-5)
    assert np.abs(np.diff(x)).max() < 2 * np.pi * 1100 / RATE


@both
def test_gradients_reach_every_partial_s_frequency_magnitude_and_phase(synthesize):
    """Against central differences in double precision; no entry is zero."""
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        shape = (3, 5)
        partials = Partials(
            jnp.asarray(rng.uniform(300, 7000, shape)),
            jnp.asarray(rng.uniform(0.1, 1, shape)),
            jnp.asarray(rng.uniform(-3, 3, shape)),
        )
        target = jnp.asarray(rng.standard_normal(5 * 32))

        @jax.jit
        def loss(partials):
            return jnp.sum((synthesize(partials, sample_rate=RATE, hop_length=32, length=5 * 32) - target) ** 2)

        gradient = jax.jit(jax.grad(loss))(partials)
        for name, step in (("frequency", 1e-4), ("magnitude", 1e-6), ("phase", 1e-6)):
            values = getattr(partials, name)
            for index in np.ndindex(shape):
                up, down = (loss(partials._replace(**{name: values.at[index].add(s)})) for s in (step, -step))
                slope = float(up - down) / (2 * step)
                assert abs(slope) > 1e-6
                np.testing.assert_allclose(getattr(gradient, name)[index], slope, rtol=1e-4, atol=1e-6)


def test_a_minute_has_no_phase_drift():
    """60 s at a frequency that is no whole number: phase accumulated in float32 against double precision."""
    rate, hop, frequency = 44_100, 256, float(np.float32(1000.3))
    n_frames = 60 * rate // hop
    phase = accumulate(sample_rate=rate, hop_length=hop)(jnp.full((1, n_frames), frequency, jnp.float32))
    expected = frequency * hop * np.arange(n_frames) / rate
    assert np.abs(np.angle(np.exp(1j * (np.asarray(phase[0], np.float64) - 2 * np.pi * (expected % 1))))).max() < 1e-4
    partials = Partials(jnp.full((1, n_frames), frequency), jnp.full((1, n_frames), 0.5), phase)
    x = compiled(synthesize_oscillators, sample_rate=rate, hop_length=hop)(partials)
    last = slice(x.shape[-1] - rate, None)
    assert error_db(x[last], tone(frequency, x.shape[-1], phase=0.0, rate=rate)[last]) < -95


def test_ten_minutes_have_no_phase_drift():
    """Half a hertz beside whole ones, where the most is left to floating point."""
    rate, hop = 44_100, 256
    n_frames = 600 * rate // hop
    phase = accumulate(sample_rate=rate, hop_length=hop)(jnp.full(n_frames, 440.5))
    turns = np.asarray(phase, np.float64) / (2 * np.pi) - 440.5 * hop * np.arange(n_frames) / rate
    assert np.abs(turns - np.round(turns)).max() < 2e-5


def test_long_hops_keep_their_phase():
    x = compiled(synthesize_oscillators, hop_length=16_000)(constant(7000.0, 3, hop=16_000))
    assert error_db(x, tone(7000.0, 32_000)) < -120


def test_accumulated_phase_integrates_a_glide():
    frequency = np.linspace(100, 7000, 200).astype(np.float32)
    turns = np.cumsum((frequency[:-1] + frequency[1:]).astype(np.float64) / 2 * HOP / RATE)
    phase = accumulate()(frequency)
    difference = np.asarray(phase, np.float64)[1:] - 2 * np.pi * turns
    assert phase[0] == 0
    assert np.abs(np.angle(np.exp(1j * difference))).max() < 1e-4


def test_accumulated_phase_is_differentiable():
    """A hertz more in one frame adds to all that comes after; half of it on its own hop."""
    gradient = jax.jit(jax.jacrev(accumulate()))(jnp.full(4, 1000.5))
    hop = 2 * np.pi * HOP / RATE
    np.testing.assert_allclose(gradient[1:, 0], np.full(3, hop / 2), rtol=1e-5)
    np.testing.assert_allclose(gradient[:, 1], hop * np.array([0, 0.5, 1, 1]), rtol=1e-5)


def test_hops_beyond_32_bits_are_refused():
    with pytest.raises(ValueError, match="hop_length=30000 is too long at 48000 Hz: 22369 at most"):
        accumulate_phase(jnp.zeros(3), sample_rate=48_000, hop_length=30_000)
    assert not np.any(accumulate(sample_rate=48_000, hop_length=22_369)(jnp.zeros(3)))


def test_hops_too_small_for_a_lobe_are_refused():
    with pytest.raises(ValueError, match="hop_length=4"):
        synthesize_lobes(constant(1000.0, 3), sample_rate=RATE, hop_length=4)
