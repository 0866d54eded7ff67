from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.optimize
import soundfile

import jaxst
from jaxst.kernels.griffin_lim import griffin_lim, invert_magnitude, project, random_phase, single_pass_phase
from jaxst.kernels.spectrogram import magnitude, phase
from jaxst.kernels.stft import istft, stft

CLIPS = Path(jaxst.__file__).parent / "clips"
TRANSFORM = {"n_fft": 512, "hop_length": 128}
TIME = 128 * 80
# As for librosa, which knows no padding without centering.
TRANSFORMS = [
    TRANSFORM,
    {"n_fft": 511, "hop_length": 100, "window": "hamming", "pad_mode": "constant"},
    {"n_fft": 512, "hop_length": 100, "win_length": 400, "window": ("kaiser", 8.0), "pad_mode": "edge"},
    {"n_fft": 512, "hop_length": 128, "window": "hamming", "center": False},
]


@cache
def jitted(function, **static):
    return jax.jit(partial(function, **static))


@cache
def recordings(time=TIME):
    """The first channel of four clips, `(4, time)`."""
    clips = [soundfile.read(path, dtype="float32", always_2d=True)[0] for path in sorted(CLIPS.glob("*.flac"))]
    return np.stack([clip[12_000 : 12_000 + time, 0] for clip in clips])


def magnitudes(x, transform=TRANSFORM):
    return np.asarray(magnitude(jitted(stft, **transform)(x)))


def drawn_phases(values):
    """Of a batch of magnitudes: what librosa draws for each from the seed 0."""
    turns = np.random.RandomState(0).random(values.shape[:-3:-1])
    return np.broadcast_to(2 * np.pi * turns.T, values.shape).astype(np.float32)


def convergence(x, expected, **transform):
    """Of one waveform, by librosa."""
    reached = np.abs(librosa.stft(np.asarray(x), **{"pad_mode": "reflect", **transform})).T
    return np.linalg.norm(reached - expected) / np.linalg.norm(expected)


def by_librosa(values, transform, *, length=TIME, **settings):
    """Waveforms of a batch of magnitudes from those phases."""
    transform = {"pad_mode": "reflect", **transform, "length": length, "random_state": 0}
    return np.stack([librosa.griffinlim(value.T, **transform, **settings) for value in values])


# ------------------------------------------------------------------------------------------- alternating projections


@pytest.mark.parametrize("momentum", [0.0, 0.99])
@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda transform: "-".join(map(str, transform.values())))
def test_waveforms_are_those_of_librosa(transform, momentum):
    """Odd and even numbers of iterations, of which two are taken at a time."""
    centered = transform.get("center", True)
    length = TIME if centered else 512 + 128 * 70
    values = magnitudes(recordings()[:2, :length], transform)
    for iterations in (1, 4):
        result = jitted(griffin_lim, **transform, length=length, iterations=iterations, momentum=momentum)(
            values, phase=drawn_phases(values)
        )
        expected = by_librosa(values, transform, length=length, n_iter=iterations, momentum=momentum)
        assert result.waveform.shape == expected.shape
        inner = slice(None) if centered else slice(128, -128)
        error = np.asarray(result.waveform - expected)[..., inner]
        assert np.abs(error).max() < 1e-4 * np.abs(expected[..., inner]).max()


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_convergence_is_no_worse_than_that_of_librosa(momentum):
    """After 32 and 100 iterations, from the same phases; what is reported is what librosa measures."""
    values = magnitudes(recordings())
    for iterations in (32, 100):
        result = jitted(griffin_lim, **TRANSFORM, length=TIME, iterations=iterations, momentum=momentum)(
            values, phase=drawn_phases(values)
        )
        theirs = by_librosa(values, TRANSFORM, n_iter=iterations, momentum=momentum)
        for own, other, value, reported in zip(result.waveform, theirs, values, result.convergence, strict=True):
            reached = convergence(own, value, **TRANSFORM)
            # Roundings in another order grow with the iterations, up or down.
            assert reached < 1.002 * convergence(other, value, **TRANSFORM)
            assert reported[-1] == pytest.approx(reached, rel=1e-4)
            assert reported.shape == (iterations,)


def test_classic_iterations_never_get_worse_and_momentum_gets_further():
    values = magnitudes(recordings())
    classic = jitted(griffin_lim, **TRANSFORM, iterations=32, momentum=0.0)(values).convergence
    fast = jitted(griffin_lim, **TRANSFORM, iterations=32)(values).convergence
    assert np.all(np.diff(classic, axis=-1) < 1e-6)
    assert np.all(fast[:, -1] < 0.8 * classic[:, -1])


def test_zero_phase_is_the_default():
    values = magnitudes(recordings()[0])
    run = jitted(griffin_lim, **TRANSFORM, iterations=2)
    np.testing.assert_array_equal(run(values).waveform, run(values, phase=np.zeros_like(values)).waveform)
    expected = librosa.griffinlim(values.T, **TRANSFORM, n_iter=2, init=None, pad_mode="reflect")
    np.testing.assert_allclose(run(values).waveform, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("n_fft", "center", "length"), [(512, True, 900), (511, True, 901), (512, False, 1412), (511, False, 1411)]
)
def test_the_default_length_is_that_of_the_inverse(n_fft, center, length):
    transform = {"n_fft": n_fft, "hop_length": 100, "center": center}
    values = jnp.ones((2, 10, n_fft // 2 + 1))
    result = jax.eval_shape(partial(griffin_lim, **transform, iterations=3), values)
    assert (result.waveform.shape, result.convergence.shape) == ((2, length), (2, 3))
    assert jax.eval_shape(partial(istft, **transform), values.astype(jnp.complex64)).shape == (2, length)


def test_a_signals_own_phase_is_a_fixed_point():
    x = recordings()
    spectrum = jitted(stft, **TRANSFORM)(x)
    result = jitted(griffin_lim, **TRANSFORM, length=TIME, iterations=5)(magnitude(spectrum), phase=phase(spectrum))
    np.testing.assert_allclose(result.waveform, x, atol=1e-5)
    assert np.all(result.convergence < 1e-5)


def test_no_iterations_are_the_start():
    values = magnitudes(recordings()[0])
    angles = drawn_phases(values)
    result = jitted(griffin_lim, **TRANSFORM, iterations=0)(values, phase=angles)
    expected = librosa.istft((values * np.exp(1j * angles)).T, **TRANSFORM)
    np.testing.assert_allclose(result.waveform, expected, atol=1e-5)
    assert result.convergence.shape == (0,)


def test_silence_stays_silent_and_has_finite_gradients():
    def total(values, start):
        result = griffin_lim(values, **TRANSFORM, iterations=4, phase=start)
        return jnp.sum(result.waveform**2) + jnp.sum(result.convergence), result

    shape = (2, 9, 257)
    start = jnp.asarray(drawn_phases(np.zeros(shape)))
    evaluate = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))
    gradients, result = evaluate(jnp.zeros(shape), start)
    assert not result.waveform.any()
    assert not result.convergence.any()
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    half = jnp.ones(shape).at[:, 4:].set(0).at[1].set(0)  # one that falls silent, one that is
    gradients, result = evaluate(half, start)
    assert result.waveform[0].any()
    assert not result.waveform[1].any()
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_a_projection_keeps_the_phase_and_takes_the_magnitude():
    rng = np.random.default_rng(0)
    last, before = (rng.standard_normal((2, 5, 7, 2)) @ [1, 1j] for _ in range(2))
    values = np.abs(rng.standard_normal((5, 7)))
    last[0, 0], before[0, 0] = 0, 0
    last, before, values = last.astype(np.complex64), before.astype(np.complex64), values.astype(np.float32)
    for momentum in (0.0, 0.99, jnp.asarray(0.99)):
        ahead = last[0] - momentum / (1 + momentum) * before[0]
        expected = values * np.exp(1j * np.angle(ahead)) * (np.abs(ahead) > 0)
        result = jax.jit(project)(values, last[0], before[0], momentum=momentum)
        np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 1000}, "1000 samples give 8 frames, the magnitude has 10"),
        ({"length": 1300}, "1300 samples give 11 frames, the magnitude has 10"),
        ({"n_fft": 510}, "n_fft=510 has 256 frequencies, not 257"),
        ({"hop_length": 0}, "hop_length=0 must be a positive"),
        ({"win_length": 513}, "win_length=513 must be between 1 and n_fft=512"),
        ({"hop_length": 512}, "leaves samples that no window reaches"),
        ({"momentum": -0.1}, r"momentum=-0\.1 must not be negative"),
    ],
)
def test_what_fits_no_transform_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        griffin_lim(jnp.ones((10, 257)), **{**TRANSFORM, **arguments})


# ------------------------------------------------------------------------------------------------------ start phases


def test_random_phases_are_uniform_and_those_of_their_key():
    values = jnp.ones((2, 50, 257))
    first, second = (np.asarray(random_phase(jax.random.key(seed), values)) for seed in (0, 1))
    np.testing.assert_array_equal(first, random_phase(jax.random.key(0), 3 * values))
    assert np.abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.03
    counts, _ = np.histogram(first, bins=8, range=(0, 2 * np.pi))
    assert counts.sum() == first.size
    np.testing.assert_allclose(counts, first.size / 8, rtol=0.05)


def phases_by_walking(values, n_fft, hop_length):
    """Each peak in turn, walking down both of its slopes."""
    n_bins = values.shape[-1]
    result, phases = [], np.zeros(n_bins)
    for t, frame in enumerate(values.astype(float)):
        following = phases + 2 * np.pi * hop_length * np.arange(n_bins) / n_fft
        walls = [-np.inf, *frame, -np.inf]
        for k in range(n_bins):
            left, middle, right = walls[k : k + 3]
            if middle < left or middle <= right or (k == n_bins - 1 and middle == left):
                continue
            place = k
            if 0 < k < n_bins - 1:
                left, middle, right = np.log(np.maximum([left, middle, right], 1e-3 * middle))
                place += 0.5 * (left - right) / (left - 2 * middle + right)
            low = high = k
            while low > 0 and frame[low - 1] < frame[low]:
                low -= 1
            while high < n_bins - 1 and frame[high + 1] <= frame[high]:
                high += 1
            # A trough belongs to the slope that falls to it from below.
            following[low + (low > 0) : high + 1] = phases[k] + 2 * np.pi * hop_length * place / n_fft
        phases = following if t > 0 else np.zeros(n_bins)
        result.append(phases + np.pi * np.arange(n_bins))
    return np.stack(result)


@pytest.mark.parametrize(("n_fft", "hop_length"), [(64, 16), (65, 20)])
def test_single_pass_phases_are_those_of_a_walk_from_the_peaks(n_fft, hop_length):
    values = np.abs(np.random.default_rng(0).standard_normal((2, 12, 33))).astype(np.float32)
    values[1, 5] = np.arange(33)
    values[1, 6] = np.arange(33, 0, -1)
    values[1, 8] = 0  # no peaks
    values[1, 9, ::4] = 0
    result = np.asarray(jitted(single_pass_phase, n_fft=n_fft, hop_length=hop_length)(values))
    for own, value in zip(result, values, strict=True):
        expected = phases_by_walking(value, n_fft, hop_length)
        np.testing.assert_allclose(np.exp(1j * own), np.exp(1j * expected), atol=2e-4)


@pytest.mark.parametrize("frequency", [1000.0, 1234.5, 3141.6])
def test_single_pass_phases_make_a_sinusoid_a_sinusoid(frequency):
    """Up to the phase that magnitudes do not tell, and the bias of a parabola through a Hann window's lobe."""
    angles = 2 * np.pi * frequency / 16_000 * np.arange(TIME)
    values = magnitudes(np.cos(angles + 1).astype(np.float32))
    result = jitted(griffin_lim, **TRANSFORM, iterations=0)(
        values, phase=jitted(single_pass_phase, **TRANSFORM)(values)
    )
    x = np.asarray(result.waveform)[1024 : 1024 + 2048]
    basis = np.stack([np.cos(angles[:2048]), np.sin(angles[:2048])], axis=-1)
    weights = np.linalg.lstsq(basis, x)[0]
    assert np.hypot(*weights) == pytest.approx(1, abs=0.05)
    assert np.sum((x - basis @ weights) ** 2) < 0.01 * np.sum(x**2)


def test_single_pass_phases_are_a_better_start_than_random_ones():
    values = magnitudes(recordings())
    run = jitted(griffin_lim, **TRANSFORM, iterations=8)
    single = run(values, phase=jitted(single_pass_phase, **TRANSFORM)(values)).convergence
    random = run(values, phase=random_phase(jax.random.key(0), jnp.asarray(values))).convergence
    assert np.all(single[:, 0] < 0.7 * random[:, 0])
    assert np.all(single[:, 7] < 0.9 * random[:, 7])


# ------------------------------------------------------------------------------------------------------------ L-BFGS


def test_lbfgs_refines_what_griffin_lim_found_and_never_rises():
    values = magnitudes(recordings())
    found = jitted(griffin_lim, **TRANSFORM, length=TIME)(values)
    refined = jitted(invert_magnitude, **TRANSFORM, iterations=12)(values, found.waveform)
    assert np.all(np.diff(refined.convergence, axis=-1) < 1e-6)
    assert np.all(refined.convergence[:, -1] < 0.97 * found.convergence[:, -1])
    for x, value, reported in zip(refined.waveform, values, refined.convergence, strict=True):
        assert reported[-1] == pytest.approx(convergence(x, value, **TRANSFORM), rel=1e-4)


def test_lbfgs_gets_as_far_as_scipys():
    x = recordings()[1, :4096]
    values = magnitudes(x)
    start = x + np.float32(0.3 * x.std()) * np.random.default_rng(0).standard_normal(len(x)).astype(np.float32)
    own = jitted(invert_magnitude, **TRANSFORM, iterations=30)(values, start)

    @jax.jit
    @jax.value_and_grad
    def loss(x):
        return jnp.sum((magnitude(stft(x, **TRANSFORM)) - values) ** 2) / np.sum(values**2)

    reference = scipy.optimize.minimize(
        lambda x: tuple(np.asarray(part, np.float64) for part in loss(np.float32(x))),
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 30, "maxcor": 20, "ftol": 0, "gtol": 0},
    )
    assert own.convergence[-1] < 1.25 * np.sqrt(reference.fun)
    assert own.convergence[-1] < 0.3 * convergence(start, values, **TRANSFORM)


def test_lbfgs_goes_the_same_way_at_all_levels_and_in_any_company():
    x = recordings()[:, :2048].reshape(2, 2, 2048)
    values = magnitudes(x)
    start = x + np.float32(0.01) * np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    run = jitted(invert_magnitude, **TRANSFORM, iterations=4)
    together = run(values, start)
    assert (together.waveform.shape, together.convergence.shape) == ((2, 2, 2048), (2, 2, 4))
    scale = np.float32(1e-3)
    quiet = run(scale * values, scale * start)
    others = np.ones((2, 2, 1), np.float32)
    others[1, 0] = 0
    among_silence = run(values * (1 - others)[..., None], start * (1 - others))
    np.testing.assert_allclose(quiet.waveform, scale * together.waveform, atol=1e-3 * scale)
    np.testing.assert_allclose(quiet.convergence, together.convergence, rtol=1e-2)
    np.testing.assert_allclose(among_silence.waveform[1, 0], together.waveform[1, 0], atol=1e-3)
    np.testing.assert_allclose(among_silence.convergence[1, 0], together.convergence[1, 0], rtol=1e-2)
    assert not among_silence.waveform[0].any()


def test_lbfgs_takes_silence_from_silence_and_towards_it():
    values = jnp.zeros((17, 257))
    run = jitted(invert_magnitude, **TRANSFORM, iterations=10)
    result = run(values, jnp.zeros(2048))
    assert not result.waveform.any()
    assert not result.convergence.any()
    start = 0.1 * np.random.default_rng(0).standard_normal(2048).astype(np.float32)
    result = run(values, start)
    assert np.abs(result.waveform).max() < 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_fft": 510}, "n_fft=510 has 256 frequencies, not 257"),
        ({"hop_length": 0}, "hop_length=0 must be a positive"),
        ({"hop_length": 100}, "1152 samples give 12 frames, the magnitude has 10"),
    ],
)
def test_a_start_that_fits_not_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        invert_magnitude(jnp.ones((10, 257)), jnp.ones(1152), **{**TRANSFORM, **arguments})
