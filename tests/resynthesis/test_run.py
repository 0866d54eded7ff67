"""Every model end to end. All recordings are stereo at 8 kHz, so that the tests share compiled programs."""

from functools import partial

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

import jaxst
from jaxst import audio
from jaxst.errors import AudioError, ConfigError
from jaxst.kernels.sinusoids.partials import from_tensor
from jaxst.kernels.sinusoids.peaks import find_peaks
from jaxst.kernels.sinusoids.synthesis import synthesize_lobes
from jaxst.resynthesis import sinusoidal
from jaxst.resynthesis.models import MODELS
from jaxst.solver import Progress, Status

RATE = 8_000
LENGTH = 6_001
ROUNDS = 30
SEARCHES = [name for name, model in MODELS.items() if "iterations" in model.options]
SINUSOIDAL = ["sines", "harmonic", "sms"]


def recording(samples, name="test"):
    return jaxst.Recording(np.broadcast_to(samples, (2, samples.shape[-1])), RATE, name)


def decibels(reference, difference):
    """Power of one signal over that of another."""
    return 10 * np.log10(np.sum(reference.astype(np.float64) ** 2) / np.sum(difference.astype(np.float64) ** 2))


@pytest.fixture(scope="module", autouse=True)
def short_blocks():
    """Some blocks in every recording."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sinusoidal, "_BLOCK_SECONDS", 0.25)
        yield


@pytest.fixture(scope="module")
def guitar():
    clip = audio.resample(jaxst.read(jaxst.example("guitar")), RATE)
    return jaxst.Recording(clip.samples[:, :LENGTH], RATE, "guitar")


@pytest.fixture(scope="module")
def results(guitar):
    return {
        name: jaxst.resynthesize(guitar, name, **({"iterations": ROUNDS} if name in SEARCHES else {}))
        for name in MODELS
    }


@pytest.fixture(scope="module")
def tones():
    """Ten harmonics of 220.5 Hz on the left, of 331 Hz on the right, with amplitudes 0.2 / n; and those frequencies."""
    time = np.arange(LENGTH) / RATE
    frequency = np.array([220.5, 331.0])[:, None] * np.arange(1, 11)
    amplitude = 0.2 / np.arange(1, 11)
    samples = np.sum(amplitude[:, None] * np.cos(2 * np.pi * frequency[..., None] * time + 1), axis=1)
    return recording(samples.astype(np.float32)), frequency, amplitude


@pytest.mark.parametrize("name", MODELS)
def test_the_result_has_the_recordings_shape_and_all_options(results, guitar, name):
    result = results[name]
    assert result.audio.samples.shape == guitar.samples.shape
    assert result.audio.sample_rate == RATE
    assert result.model == name
    assert result.options == {**MODELS[name].options, **({"iterations": ROUNDS} if name in SEARCHES else {})}
    assert tuple(result.parts) == MODELS[name].parts
    assert (result.status, result.complete) == (Status.FINISHED, True)
    assert {"reading", "measuring"} < set(result.timings)
    assert min(result.timings.values()) >= 0


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("stft", 120, 145),
        ("sines", 10, 20),
        ("harmonic", 5, 15),
        ("sms", 8, 18),
        *((name, -6, 3) for name in SEARCHES),  # two signals of one spectrum with unrelated phases: -3 dB
    ],
)
def test_how_close_each_model_comes(results, guitar, name, least, most):
    result = results[name]
    snr = decibels(guitar.samples, guitar.samples - result.audio.samples)
    assert least < snr < most
    assert result.measures["snr"] == pytest.approx(snr, abs=1e-3)
    assert result.audio.rms == pytest.approx(guitar.rms, rel=0.25)


@pytest.mark.parametrize("name", MODELS)
def test_spectral_convergence_is_what_librosa_makes_of_it(results, guitar, name):
    first, second = (
        np.abs(librosa.stft(x.samples, n_fft=384, hop_length=96, pad_mode="constant"))
        for x in (guitar, results[name].audio)
    )
    wanted = np.linalg.norm(first - second) / np.linalg.norm(first)
    assert results[name].measures["spectral_convergence"] == pytest.approx(wanted, rel=1e-3, abs=1e-6)
    assert wanted < {"stft": 1e-5, "harmonic": 0.5}.get(name, 0.3)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_tells_its_convergence(results, name):
    history = results[name].history["spectral_convergence"]
    assert history.shape == (ROUNDS + 1,)
    assert history.min() < 0.35 * history[0]
    assert results[name].message == f"{ROUNDS} rounds"
    if name != "mel":  # which aims at magnitudes that are not the recording's
        assert results[name].measures["spectral_convergence"] == pytest.approx(history.min(), rel=0.1)


def test_momentum_and_lbfgs_converge_faster(results):
    last = {name: results[name].history["spectral_convergence"].min() for name in SEARCHES}
    assert max(last["fast_griffin_lim"], last["lbfgs"]) < 0.8 * last["griffin_lim"]


def test_a_search_begins_where_it_is_told(results, guitar):
    runs = {
        start: jaxst.resynthesize(guitar, "fast_griffin_lim", start=start, iterations=ROUNDS)
        for start in ("zero", "single_pass")
    }
    assert max(run.measures["spectral_convergence"] for run in runs.values()) < 0.3
    first = {start: run.history["spectral_convergence"][0] for start, run in runs.items()}
    random = results["fast_griffin_lim"].history["spectral_convergence"][0]
    assert first["zero"] > random + 0.1
    assert first["single_pass"] < random - 0.1


@pytest.mark.parametrize("name", ["griffin_lim", "sms"])
def test_the_seed_decides_the_result(results, guitar, name):
    options = dict(results[name].options)
    same = jaxst.resynthesize(guitar, name, **options)
    other = jaxst.resynthesize(guitar, name, **{**options, "seed": 1})
    np.testing.assert_array_equal(same.audio.samples, results[name].audio.samples)
    assert decibels(guitar.samples, same.audio.samples - other.audio.samples) < 20


@pytest.mark.parametrize("name", SINUSOIDAL)
def test_sines_and_residual_add_up_to_the_recording(results, guitar, name):
    parts = {part: recording.samples for part, recording in results[name].parts.items()}
    assert decibels(guitar.samples, parts["sines"] + parts["residual"] - guitar.samples) > 100
    result = parts["sines"] + parts.get("stochastic", 0)
    np.testing.assert_array_equal(results[name].audio.samples, result)


def test_blocks_give_what_the_whole_would(results, guitar):
    """Frames at borders of blocks see their neighbors' samples, and sound is joined without a seam."""
    partials, hop = results["sines"].partials, 48
    assert partials.shape == (2, 100, 1 + -(-LENGTH // hop), 3)
    analyze = partial(find_peaks, sample_rate=RATE, n_fft=384, hop_length=hop, window="blackmanharris")
    whole = jax.jit(analyze)(jnp.asarray(guitar.samples))
    frames = partials[:, :, : whole.frequency.shape[1]]
    for channel, frame in np.ndindex(2, frames.shape[2]):
        found = frames[channel, :, frame][frames[channel, :, frame, 0] > 0]
        peaks = np.stack([values[channel, frame] for values in whole], axis=-1)
        nearest = peaks[np.argmin(np.abs(peaks[:, 0] - found[:, :1]), axis=1)]
        np.testing.assert_allclose(found, nearest, rtol=1e-4, atol=1e-4)
    synthesize = partial(synthesize_lobes, sample_rate=RATE, hop_length=hop, length=LENGTH)
    sound = jax.jit(synthesize)(from_tensor(jnp.asarray(partials)))
    np.testing.assert_allclose(results["sines"].audio.samples, sound, atol=1e-6)


def test_harmonics_have_their_frequencies_and_amplitudes(tones):
    clip, frequency, amplitude = tones
    result = jaxst.resynthesize(clip, "harmonic")
    middle = result.partials[:, :10, 20:-20]
    np.testing.assert_allclose(middle[..., 0], np.broadcast_to(frequency[..., None], middle.shape[:-1]), rtol=1e-3)
    np.testing.assert_allclose(
        middle[..., 1], np.broadcast_to(amplitude[:, None], middle.shape[:-1]), rtol=0.02, atol=1e-3
    )
    inner = slice(800, -800)
    assert decibels(clip.samples[:, inner], result.parts["residual"].samples[:, inner]) > 35


@pytest.mark.parametrize("synthesis", ["lobes", "oscillators"])
def test_sines_are_met_and_the_quietest_left_out_on_demand(tones, synthesis):
    clip, _, amplitude = tones
    result = jaxst.resynthesize(clip, "sines", synthesis=synthesis, threshold=-25.0)
    assert result.message == "3 partials at most at once"  # 0.2, 0.1 and 0.067 are above -25 dB = 0.056
    residual = result.parts["residual"].samples[:, 800:-800]
    assert np.sqrt(np.mean(residual**2)) == pytest.approx(np.linalg.norm(amplitude[3:]) / np.sqrt(2), rel=0.02)


def noise(seed):
    return 0.1 * np.random.default_rng(seed).standard_normal(LENGTH).astype(np.float32)


def stochastic(left, right):
    """The noise that is made where everything is residual, for no partial reaches full scale."""
    result = jaxst.resynthesize(recording(np.stack([left, right])), "sms", threshold=0.0)
    assert not result.partials.any()
    return result.parts["stochastic"].samples


def test_noise_has_the_residuals_level_and_image():
    centered = stochastic(noise(0), noise(0) / 2)
    assert np.corrcoef(centered)[0, 1] > 0.99
    assert centered.std(axis=1) == pytest.approx([0.1, 0.05], rel=0.03)
    apart = stochastic(noise(0), noise(1))
    assert abs(np.corrcoef(apart)[0, 1]) < 0.15
    assert apart.std(axis=1) == pytest.approx([0.1, 0.1], rel=0.03)
    left_alone = stochastic(noise(0), 0 * noise(0))
    assert left_alone[0].std() == pytest.approx(0.1, rel=0.03)
    assert not left_alone[1].any()


@pytest.mark.parametrize("name", ["stft", "fast_griffin_lim", *SINUSOIDAL])
def test_a_single_sample_has_a_result(name):
    result = jaxst.resynthesize(recording(noise(0)[:1]), name)
    assert result.audio.samples.shape == (2, 1)
    assert all(np.isfinite(value) for value in result.measures.values())
    if name == "stft":
        assert result.measures["snr"] > 120


def test_a_click_beside_a_silent_channel_is_no_trouble(guitar):
    samples = np.zeros_like(guitar.samples)
    samples[0, 3_000] = 1
    clip = jaxst.Recording(samples, RATE, "click")
    for name in MODELS:
        result = jaxst.resynthesize(clip, name, **({"iterations": 3} if name in SEARCHES else {}))
        assert np.isfinite(result.audio.samples).all()
        assert all(np.isfinite(value) for value in result.measures.values())
        assert not result.audio.samples[1].any()


@pytest.mark.parametrize("samples", [np.zeros(100), np.full(100, 1e-6), np.full(100, 1e7)])
def test_silence_and_absurd_levels_are_refused(samples):
    with pytest.raises(AudioError, match=r"^test: (is silent|peaks at 1e\+07)"):
        jaxst.resynthesize(recording(samples))


def test_what_cannot_be_done_at_the_rate_is_refused(guitar):
    with pytest.raises(ConfigError, match=r"^n_mels=1000 are too many"):
        jaxst.resynthesize(guitar, "mel", n_mels=1000)
    with pytest.raises(ConfigError, match=r"^f_max=4001 must be at most half the sample rate, 4000 Hz"):
        jaxst.resynthesize(guitar, "harmonic", f_max=4001)
    with pytest.raises(ConfigError, match=r"^hop=0.5 ms is less than the 8 samples that partials need at 8000 Hz"):
        jaxst.resynthesize(guitar, "sines", window=10, hop=0.5)
    with pytest.raises(ConfigError, match=r"^sample_rate=100 must be"):
        jaxst.resynthesize(guitar, "stft", sample_rate=100)


def test_a_path_is_read_and_resampled():
    result = jaxst.resynthesize(jaxst.example("tabla"), "stft", sample_rate=4_000)
    assert (result.audio.sample_rate, result.audio.channels) == (4_000, 2)
    assert result.measures["snr"] > 120


@pytest.mark.parametrize("name", ["stft", "lbfgs", "sms"])
def test_progress_is_told_in_order(guitar, name):
    told: list[Progress] = []
    options = {"iterations": ROUNDS} if name in SEARCHES else {}
    jaxst.resynthesize(guitar, name, on_progress=told.append, **options)
    steps = [progress.step for progress in told]
    assert steps == sorted(steps)
    assert steps[0] == 0
    assert len({progress.steps for progress in told}) == 1
    assert told[-1].stage == "measuring"
    assert steps[-1] == told[-1].steps


def test_a_search_that_is_stopped_gives_what_there_is(guitar):
    result = jaxst.resynthesize(
        guitar, "fast_griffin_lim", iterations=100_000, on_progress=lambda progress: progress.step > 0
    )
    taken = len(result.history["spectral_convergence"]) - 1
    assert (result.status, result.complete) == (Status.STOPPED, False)
    assert 0 < taken < 100_000
    assert result.message == f"interrupted after {taken} of 100000 rounds"
    assert result.measures["spectral_convergence"] < 0.7


@pytest.mark.parametrize(("name", "step"), [("sines", 1), ("stft", 0), ("mel", 0)])
def test_what_is_stopped_with_nothing_to_keep_ends_with_an_interrupt(guitar, name, step):
    with pytest.raises(KeyboardInterrupt):
        jaxst.resynthesize(guitar, name, on_progress=lambda progress: progress.step >= step)
