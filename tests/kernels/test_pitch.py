from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import soundfile

import jaxst
from jaxst.kernels.pitch import yin

CLIPS = Path(jaxst.__file__).parent / "clips"
RATE = 16_000
VOICE = {"sample_rate": RATE, "f_min": 60, "f_max": 500, "hop_length": 160, "frame_length": 1024}


@cache
def jitted(**static):
    return jax.jit(partial(yin, **static))


def pitch(x, **changes):
    """f0 and aperiodicity as NumPy arrays, for a voice at 16 kHz unless changed."""
    return tuple(np.asarray(values) for values in jitted(**{**VOICE, **changes})(np.asarray(x, np.float32)))


def tone(f0, *, seconds=1.0, partials=1, rate=RATE):
    """Partials of amplitude 1 / n at scattered phases; `f0` is one number or one a sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(f0, int(seconds * rate))) / rate
    return sum(np.cos(n * phase + n * n) / n for n in range(1, partials + 1))


def noise(size, seed=0):
    return np.random.default_rng(seed).standard_normal(size)


def clip(name):
    samples, rate = soundfile.read(CLIPS / f"{name}.flac", dtype="float32", always_2d=True)
    return samples[:, 0], rate


def librosa_yin(x, *, sample_rate, f_min, f_max, hop_length, frame_length):
    return librosa.yin(x, sr=sample_rate, fmin=f_min, fmax=f_max, frame_length=frame_length, hop_length=hop_length)


def inside(values):
    """Without the frames that reach beyond the ends of the signal."""
    return values[..., 4:-4]


# ---------------------------------------------------------------------------------------- against other estimators


def by_the_definition(x, *, sample_rate, f_min, f_max, hop_length, frame_length, threshold=0.1):
    """The same in float64, one frame, lag and dip after the other."""
    padded = np.pad(np.asarray(x, np.float64), frame_length // 2)
    shortest, longest = int(sample_rate / f_max), int(np.ceil(sample_rate / f_min))
    result = []
    for start in range(0, len(padded) - frame_length + 1, hop_length):
        y = padded[start : start + frame_length]
        d = np.array([0] + [np.mean((y[lag:] - y[:-lag]) ** 2) for lag in range(1, longest + 2)])
        dips = []
        for lag in range(shortest, longest + 1):
            if d[lag - 1] > d[lag] <= d[lag + 1]:
                parabola = np.polyfit([-1, 0, 1], d[lag - 1 : lag + 2], 2)
                shift = -parabola[1] / (2 * parabola[0])
                depth = np.polyval(parabola, shift) / np.mean(d[1 : lag + 1])
                dips.append((depth + lag / (2 * frame_length), lag + shift, depth))
        level = max(threshold, min(height for height, _, _ in dips))
        _, period, depth = next(dip for dip in dips if dip[0] <= level)
        result.append((np.clip(sample_rate / period, f_min, f_max), np.clip(depth, 0, 1)))
    return np.array(result).T


@pytest.mark.parametrize(
    ("start", "changes"),
    [(9_000, {}), (30_000, {"hop_length": 333, "frame_length": 801, "f_min": 41, "f_max": 777}), (60_000, {})],
)
def test_estimates_are_those_of_the_definition(start, changes):
    x = clip("speech")[0][start : start + 8_000]
    expected_f0, expected_aperiodicity = by_the_definition(x, **{**VOICE, **changes})
    f0, aperiodicity = pitch(x, **changes)
    np.testing.assert_allclose(f0, expected_f0, rtol=2e-5)
    np.testing.assert_allclose(aperiodicity, expected_aperiodicity, atol=2e-5)


@pytest.mark.parametrize(
    ("name", "aperiodic", "settings"),
    [
        ("speech", 0.3, {"f_min": 60, "f_max": 400, "hop_length": 160, "frame_length": 1024}),
        ("speech", 0.3, {"f_min": 60, "f_max": 400, "hop_length": 160, "frame_length": 2048}),
        ("guitar", 0.2, {"f_min": 50, "f_max": 1000, "hop_length": 512, "frame_length": 4096}),
    ],
)
def test_voiced_frames_of_recordings_are_those_of_librosa_with_no_more_jumps(name, aperiodic, settings):
    """librosa's difference keeps the energy of the frame's end, which shifts its dips by a part of a sample."""
    x, rate = clip(name)
    f0, aperiodicity = pitch(x, sample_rate=rate, **settings)
    expected = librosa_yin(x, sample_rate=rate, **settings)
    assert f0.shape == expected.shape
    voiced = aperiodicity < aperiodic
    assert voiced.sum() > 300
    deviation = np.abs(f0 / expected - 1)[voiced]
    assert np.median(deviation) < 1e-3
    assert np.mean(deviation < 0.01) > 0.9
    in_a_row = voiced[1:] & voiced[:-1]
    jumps, expected_jumps = (np.sum(np.abs(np.diff(np.log2(values)))[in_a_row] > 0.5) for values in (f0, expected))
    assert jumps <= expected_jumps


# ---------------------------------------------------------------------------------------------- against the truth


@pytest.mark.parametrize("f0", [61.3, 110.0, 147.7, 233.1, 440.5])
@pytest.mark.parametrize("partials", [1, 12])
def test_a_steady_tone_is_found_within_one_and_a_half_cents(f0, partials):
    estimate, aperiodicity = map(inside, pitch(tone(f0, partials=partials)))
    np.testing.assert_allclose(estimate, f0, rtol=2 ** (1.5 / 1200) - 1)
    assert aperiodicity.max() < 0.01


def test_a_low_sinusoid_is_found_where_librosa_errs():
    """Dips of a low sine are shallow, and the energy that librosa's difference keeps shows: it is 5 to 15 cents off."""
    settings = {"f_min": 60, "f_max": 500, "hop_length": 160, "frame_length": 1024}
    x = tone(80.0).astype(np.float32)
    np.testing.assert_allclose(inside(pitch(x, **settings)[0]), 80, rtol=1e-4)
    assert np.abs(inside(librosa_yin(x, sample_rate=RATE, **settings)) / 80 - 1).min() > 2e-3


def test_a_glide_is_followed_without_delay():
    """220 Hz an octave up in a second: a frame that looked 5 ms away from its center would be 6 cents off."""
    f0 = 220 * 2 ** np.linspace(0, 1, RATE)
    estimate, _ = pitch(tone(f0, partials=3), frame_length=512, f_min=100)
    np.testing.assert_allclose(inside(estimate[:-1]), inside(f0[::160]), rtol=2 ** (2 / 1200) - 1)


@pytest.mark.parametrize(("snr", "wrong"), [(20, 0), (10, 0), (5, 0.01), (0, 0.1)])
def test_noise_does_not_turn_periods_into_their_doubles(snr, wrong):
    f0 = 120 * 2 ** (0.5 * np.sin(2 * np.pi * 0.3 * np.arange(6 * RATE) / RATE))
    x = tone(f0, seconds=6, partials=20)
    x = x + np.std(x) * 10 ** (-snr / 20) * noise(x.size)
    estimate, _ = pitch(x)
    assert np.mean(np.abs(np.log2(inside(estimate[:-1] / f0[::160]))) > 0.05) <= wrong


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_aperiodicity_is_the_share_of_power_that_does_not_repeat(share):
    x = tone(125.0, seconds=4, partials=10)
    x = np.sqrt(1 - share) * x / np.std(x) + np.sqrt(share) * noise(x.size)
    assert np.median(pitch(x)[1]) == pytest.approx(share, abs=0.05)


def test_noise_has_no_pitch():
    _, aperiodicity = pitch(noise(3 * RATE))
    assert np.median(aperiodicity) > 0.7


# -------------------------------------------------------------------------------------------- levels and silence


@pytest.mark.parametrize("signal", [np.zeros(4_000), np.full(4_000, 1 / 3), np.full(4_000, -1.0)])
def test_silence_and_a_constant_have_no_pitch(signal):
    f0, aperiodicity = map(inside, pitch(signal))
    np.testing.assert_array_equal(f0, VOICE["f_max"])
    np.testing.assert_allclose(aperiodicity, 1, rtol=1e-6)


def test_level_does_not_matter():
    """Peaks are brought to 1, exactly where the level is a power of two, before anything can underflow."""
    x = tone(125.0, partials=5) + 0.1 * noise(RATE)
    for level in (2.0**-60, 2.0**-10, 2.0**60):
        np.testing.assert_array_equal(pitch(level * x), pitch(x))


def test_an_offset_does_not_matter():
    """A tone 80 dB below the constant that it rides on."""
    f0, aperiodicity = map(inside, pitch(0.9 + 1e-4 * tone(125.0)))
    np.testing.assert_allclose(f0, 125, rtol=1e-4)
    assert aperiodicity.max() < 1e-4


@pytest.mark.parametrize("f0", [15.0, 40.0])
def test_estimates_stay_within_their_range(f0):
    estimate, _ = pitch(tone(f0, partials=3), f_max=150)
    assert estimate.min() >= VOICE["f_min"]
    assert estimate.max() <= 150


# ------------------------------------------------------------------------------------------- shapes and gradients


def test_channels_are_estimated_apart():
    x = np.stack([[tone(100.0), tone(150.0)], [noise(RATE), np.zeros(RATE)]])
    f0, aperiodicity = pitch(x)
    assert f0.shape == aperiodicity.shape == (2, 2, 101)
    for i in range(2):
        for j in range(2):
            np.testing.assert_allclose((f0[i, j], aperiodicity[i, j]), pitch(x[i, j]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("partials", [1, 8])
def test_the_gradient_follows_the_pitch_of_a_tone(partials):
    """A tone that is tuned by one hertz is heard one hertz higher."""

    def heard(f0):
        phase = 2 * np.pi * f0 * jnp.arange(RATE // 4) / RATE
        x = sum(jnp.cos(n * phase + n * n) / n for n in range(1, partials + 1))
        return jnp.mean(inside(yin(x, **VOICE).f0))

    value, slope = jax.jit(jax.value_and_grad(heard))(131.3)
    assert value == pytest.approx(131.3, rel=1e-3)
    assert slope == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("limits", [(0, 500), (-1, 500), (500, 500), (500, 60), (60, 8001)])
def test_a_range_that_is_none_is_refused(limits):
    f_min, f_max = limits
    with pytest.raises(
        ValueError, match=rf"f_min={f_min} and f_max={f_max} must be in ascending order within 0 to 8000"
    ):
        yin(jnp.zeros(4_000), **{**VOICE, "f_min": f_min, "f_max": f_max})


def test_a_frame_that_does_not_hold_two_periods_is_refused():
    estimate, _ = map(inside, pitch(tone(61.0, partials=5), frame_length=534))
    np.testing.assert_allclose(estimate, 61, rtol=1e-3)
    with pytest.raises(
        ValueError, match="frame_length=533 is shorter than two periods of f_min=60 Hz: use 534 or more"
    ):
        yin(jnp.zeros(4_000), **{**VOICE, "frame_length": 533})


def test_a_hop_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="hop_length=0 must be a positive"):
        yin(jnp.zeros(4_000), **{**VOICE, "hop_length": 0})
