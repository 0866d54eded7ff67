from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.optimize
import soundfile

import jaxst
from jaxst.kernels.griffin_lim import griffin_lim
from jaxst.kernels.mel import (
    hz_to_mel,
    invert_mel,
    log_mel,
    mel_filters,
    mel_spectrogram,
    mel_to_audio,
    mel_to_hz,
    mfcc,
)
from jaxst.kernels.spectrogram import magnitude, power
from jaxst.kernels.stft import stft

CLIPS = sorted((Path(jaxst.__file__).parent / "clips").glob("*.flac"))
# Odd n_fft, a single filter, both scales, both norms, ranges that end at and before half the rate.
BANKS = [
    {"sample_rate": 22050, "n_fft": 2048, "n_mels": 128},
    {"sample_rate": 16000, "n_fft": 1023, "n_mels": 40, "htk": True, "norm": None},
    {"sample_rate": 44100, "n_fft": 2048, "n_mels": 64, "f_min": 40.0, "f_max": 16000.0},
    {"sample_rate": 8000, "n_fft": 512, "n_mels": 26, "htk": True, "f_max": 4000.0},
    {"sample_rate": 48000, "n_fft": 256, "n_mels": 1, "f_min": 1000.0, "norm": None},
]
TRANSFORM = {"n_fft": 1024, "hop_length": 256}
SMALL = {"sample_rate": 8000, "n_fft": 256, "n_mels": 16}


def in_librosas_words(bank):
    names = {"sample_rate": "sr", "f_min": "fmin", "f_max": "fmax"}
    return {names.get(name, name): value for name, value in bank.items()}


@cache
def clip(path, seconds=3):
    """One channel, and the rate."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return samples[: seconds * rate, 0], rate


@cache
def jitted(function, bank=None, **static):
    if bank is not None:
        static["filters"] = mel_filters(**dict(bank))
    return jax.jit(partial(function, **static))


def frozen(bank):
    return tuple(bank.items())


def assert_close(actual, expected, *, relative=2e-6):
    """Equal up to a share of the largest value: rounding in a sum goes with its largest terms."""
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * np.abs(expected).max())


def random_mels(*shape, seed=0):
    """Half of the bands silent: seldom the mel spectrogram of anything."""
    rng = np.random.default_rng(seed)
    return rng.exponential(size=shape) * (rng.random(shape) < 0.5)


# --------------------------------------------------------------------------------------------- scales and filters


@pytest.mark.parametrize("htk", [False, True])
def test_scales_are_librosas_and_each_others_inverse(htk):
    hz = np.array([0, 1, 440, 999.999, 1000, 1000.001, 6400, 22050])
    mel = hz_to_mel(hz, htk=htk)
    np.testing.assert_allclose(mel, librosa.hz_to_mel(hz, htk=htk), rtol=1e-13)
    np.testing.assert_allclose(mel_to_hz(mel, htk=htk), hz, rtol=1e-13)
    np.testing.assert_allclose(mel_to_hz(np.arange(60.0), htk=htk), librosa.mel_to_hz(np.arange(60.0), htk=htk))
    np.testing.assert_allclose(hz_to_mel(1000.0, htk=htk), 999.9855 if htk else 15, rtol=1e-6)


@pytest.mark.parametrize("bank", BANKS)
def test_filters_are_librosas(bank):
    filters = mel_filters(**bank)
    expected = librosa.filters.mel(**in_librosas_words(bank), dtype=np.float64)
    assert isinstance(filters, np.ndarray)
    assert filters.dtype == np.float64
    assert_close(filters, expected, relative=1e-12)


def test_slaneys_norm_gives_every_band_of_white_noise_the_same_level():
    """An area of 1 in Hz: sampled with enough frequencies, the weights add up to n_fft / sample_rate."""
    filters = mel_filters(sample_rate=16_000, n_fft=2**16, n_mels=40)
    np.testing.assert_allclose(filters.sum(axis=1), 2**16 / 16_000, rtol=1e-4)


def test_filters_with_peaks_of_one_add_up_to_one_between_the_first_peak_and_the_last():
    filters = mel_filters(sample_rate=16_000, n_fft=1024, n_mels=20, norm=None)
    first, last = filters.argmax(axis=1)[[0, -1]]
    np.testing.assert_allclose(filters.sum(axis=0)[first + 1 : last], 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_mels": 128, "n_fft": 256}, r"\d+ of n_mels=128 filters hold no frequency of n_fft=256, .*fewer filters"),
        ({"n_mels": 0}, "n_mels=0 must be a positive integer"),
        ({"f_min": -1.0}, r"f_min=-1.0 and f_max=8000.0 must rise within 0 to 8000.0 Hz"),
        ({"f_max": 8000.5}, r"f_max=8000.5 must rise within 0 to 8000.0 Hz"),
        ({"f_min": 500.0, "f_max": 500.0}, "f_min=500.0 and f_max=500.0 must rise"),
        ({"norm": "l1"}, "norm='l1' must be 'slaney' or None"),
    ],
)
def test_filters_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        mel_filters(**{"sample_rate": 16_000, "n_fft": 1024, "n_mels": 40, **arguments})


def test_as_many_filters_as_hold_a_frequency_are_accepted():
    assert np.all(mel_filters(sample_rate=16_000, n_fft=1024, n_mels=385).max(axis=1) > 0)
    with pytest.raises(ValueError, match="1 of n_mels=386 filters"):
        mel_filters(sample_rate=16_000, n_fft=1024, n_mels=386)


# ------------------------------------------------------------------------------- mel spectrogram, decibels, MFCC


@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.stem)
def test_mel_spectrogram_and_mfcc_of_recordings_are_librosas(path):
    x, rate = clip(path)
    filters = mel_filters(sample_rate=rate, n_fft=1024, n_mels=40)

    @jax.jit
    def analyze(x):
        mel = mel_spectrogram(power(stft(x, **TRANSFORM)), filters=filters)
        return mel, mfcc(log_mel(mel), n_mfcc=13), mfcc(log_mel(mel), n_mfcc=20, lifter=22.0)

    keywords = {**TRANSFORM, "sr": rate, "n_mels": 40, "pad_mode": "reflect"}
    mel, coefficients, liftered = analyze(x)
    assert_close(mel.T, librosa.feature.melspectrogram(y=x, **keywords), relative=1e-6)
    for result, options in ((coefficients, {"n_mfcc": 13}), (liftered, {"n_mfcc": 20, "lifter": 22})):
        expected = librosa.feature.mfcc(y=x, **options, **keywords)
        assert_close(result.T, expected, relative=5e-6)
        # Every coefficient by itself, over time.
        error = np.linalg.norm(result.T - expected, axis=1)
        assert np.all(error < 1e-4 * np.linalg.norm(expected, axis=1))


def test_every_band_is_librosas_also_the_quiet_ones():
    """In double precision: a transform in single leaves little more than rounding where others are 80 dB louder."""
    with jax.enable_x64(True):
        x, rate = clip(CLIPS[0])
        x, filters = x.astype(np.float64), mel_filters(sample_rate=rate, n_fft=1024, n_mels=40)
        mel = jax.jit(lambda x: mel_spectrogram(power(stft(x, **TRANSFORM)), filters=filters))(x)
        assert mel.dtype == np.float64
        expected = librosa.feature.melspectrogram(
            S=np.abs(librosa.stft(x, **TRANSFORM, pad_mode="reflect")) ** 2, sr=rate, n_mels=40
        )
        np.testing.assert_allclose(mel.T, expected, rtol=1e-6)  # librosa's filters are rounded to single precision
        levels = jitted(log_mel)(mel)
        np.testing.assert_allclose(jitted(mfcc)(levels).T, librosa.feature.mfcc(S=np.asarray(levels).T), atol=1e-10)


@pytest.mark.parametrize(
    ("options", "librosas"),
    [
        ({}, {}),
        ({"top_db": None}, {"top_db": None}),
        ({"top_db": 30.0, "floor": 1e-3, "reference": 0.5}, {"top_db": 30.0, "amin": 1e-3, "ref": 0.5}),
    ],
)
def test_log_mel_is_librosas_of_every_batch_entry_by_itself(options, librosas):
    mel = random_mels(3, 20, 16).astype(np.float32) * np.array([1, 1e-3, 1e-12], np.float32)[:, None, None]
    result = jitted(log_mel, **options)(mel)
    np.testing.assert_allclose(
        result, np.stack([librosa.power_to_db(m, **librosas) for m in mel]), rtol=1e-5, atol=1e-4
    )


def test_mfcc_of_all_coefficients_is_undone_by_the_inverse_transform():
    levels = np.random.default_rng(0).standard_normal((2, 3, 5, 16)).astype(np.float32)
    coefficients = jitted(mfcc, n_mfcc=16)(levels)
    np.testing.assert_allclose(scipy.fft.idct(coefficients, norm="ortho"), levels, atol=1e-5)


def test_mfcc_refuses_what_it_cannot_give():
    levels = jnp.zeros((4, 16))
    for n_mfcc in (0, 17):
        with pytest.raises(ValueError, match=f"n_mfcc={n_mfcc} must be between 1 and the number of mel bands, 16"):
            mfcc(levels, n_mfcc=n_mfcc)
    with pytest.raises(ValueError, match=r"lifter=-1.0 must not be negative"):
        mfcc(levels, n_mfcc=5, lifter=-1.0)
    with pytest.raises(ValueError, match=r"floor=0.0 must be positive"):
        log_mel(levels, floor=0.0)
    with pytest.raises(ValueError, match="top_db"):
        log_mel(levels, top_db=-1.0)


# ------------------------------------------------------------------------------------------------------ inversion


def residual(spectrum, mel, filters):
    return np.linalg.norm(np.asarray(spectrum, np.float64) @ filters.T - mel) / np.linalg.norm(mel)


@pytest.mark.parametrize("exponent", [1, 2])
@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.stem)
def test_the_inverse_has_the_mel_spectrogram_of_the_recording_and_librosas_less_so(path, exponent):
    x, rate = clip(path, seconds=1)
    filters = mel_filters(sample_rate=rate, n_fft=1024, n_mels=40)
    expected = np.abs(librosa.stft(x, n_fft=1024, hop_length=512)).T.astype(np.float64) ** exponent
    mel = expected @ filters.T
    spectrum = jax.jit(partial(invert_mel, filters=filters))(mel.astype(np.float32))
    theirs = librosa.util.nnls(filters.astype(np.float32), mel.T.astype(np.float32)).T
    assert spectrum.dtype == np.float32
    assert np.all(spectrum >= 0)
    assert residual(spectrum, mel, filters) < (1e-5 if exponent == 1 else 2e-4)
    assert residual(spectrum, mel, filters) < 0.1 * residual(theirs, mel, filters)
    # It is one of many solutions. This one is also as near to the recording's spectrum.
    assert np.linalg.norm(spectrum - expected) < 1.05 * np.linalg.norm(theirs - expected)


def test_the_inverse_of_what_is_no_mel_spectrogram_is_the_nearest():
    """No worse than an active-set method's, in each frame and in double precision."""
    filters = mel_filters(**SMALL)
    mel = random_mels(12, 16)
    nearest = np.array([scipy.optimize.nnls(filters, frame)[1] for frame in mel])
    assert np.sum(nearest > 1e-3 * np.linalg.norm(mel, axis=1)) > 6  # most cannot be met
    with jax.enable_x64(True):
        for iterations, excess in ((200, 0.01), (3000, 1e-5)):
            spectrum = jitted(invert_mel, frozen(SMALL), iterations=iterations)(mel)
            assert spectrum.dtype == np.float64
            error = np.linalg.norm(np.asarray(spectrum) @ filters.T - mel, axis=1)
            np.testing.assert_array_less(error, nearest + excess * np.linalg.norm(mel, axis=1))


def test_frequencies_that_no_filter_reaches_and_silent_frames_stay_silent():
    bank = {**SMALL, "f_min": 500.0, "f_max": 3000.0}
    unreached = mel_filters(**bank).max(axis=0) == 0
    assert 40 < unreached.sum() < 60
    mel = random_mels(2, 5, 16).astype(np.float32)
    mel[:, 3] = 0
    spectrum = np.asarray(jitted(invert_mel, frozen(bank))(mel))
    np.testing.assert_array_equal(spectrum[..., unreached], 0)
    np.testing.assert_array_equal(spectrum[:, 3], 0)
    assert np.all(np.abs(spectrum[:, [0, 1, 2, 4]]).max(axis=-1) > 0)


@pytest.mark.parametrize("gain", [1e-12, 1e12])
def test_the_inverse_follows_the_level(gain):
    mel = random_mels(5, 16).astype(np.float32)
    invert = jitted(invert_mel, frozen(SMALL))
    assert_close(invert(mel * np.float32(gain)) / np.float32(gain), invert(mel), relative=1e-3)


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_mel_to_audio_is_griffin_lim_on_the_inverse(exponent):
    x, _ = clip(CLIPS[0], seconds=1)
    x = x[:8000]
    transform = {"n_fft": 256, "hop_length": 64}
    filters = mel_filters(**SMALL)
    mel = np.abs(librosa.stft(x, **transform)).T ** exponent @ filters.T.astype(np.float32)
    # A few: over more, what roundings differ in grows.
    options = {**transform, "length": 8000, "iterations": 5}
    inverse = np.asarray(jitted(invert_mel, frozen(SMALL))(mel)) ** (1 / exponent)
    expected = jax.jit(partial(griffin_lim, **options))(inverse.astype(np.float32))
    result = jax.jit(partial(mel_to_audio, filters=filters, power=exponent, **options))(mel)
    assert result.waveform.shape == (8000,)
    assert_close(result.waveform, expected.waveform, relative=1e-3)
    assert_close(result.convergence, expected.convergence, relative=1e-3)
    rebuilt = np.abs(librosa.stft(np.asarray(result.waveform), **transform)).T ** exponent @ filters.T
    assert np.linalg.norm(rebuilt - mel) < 0.25 * np.linalg.norm(mel)


def test_mel_to_audio_of_silence_is_silence_with_a_finite_gradient():
    options = {"filters": mel_filters(**SMALL), "n_fft": 256, "hop_length": 64, "iterations": 2}

    @jax.jit
    def total(mel):
        return jax.value_and_grad(lambda mel: jnp.sum(jnp.abs(mel_to_audio(mel, **options).waveform)))(mel)

    half_silent = np.concatenate([np.zeros((4, 16)), random_mels(4, 16)]).astype(np.float32)
    for mel in (np.zeros((8, 16), np.float32), half_silent):
        value, gradient = total(mel)
        assert (value == 0) == np.all(mel == 0)
        assert np.all(np.isfinite(gradient))
    with pytest.raises(ValueError, match=r"power=0.0 must be positive"):
        mel_to_audio(jnp.zeros((8, 16)), power=0.0, **options)


def test_magnitudes_and_batches_go_through_as_well():
    spectrum = np.random.default_rng(0).standard_normal((2, 3, 9, 129)) * (1 + 1j)
    values = jitted(magnitude)(spectrum.astype(np.complex64))
    assert_close(
        jitted(mel_spectrogram, frozen(SMALL))(values),
        np.einsum("...f,mf->...m", np.abs(spectrum), librosa.filters.mel(sr=8000, n_fft=256, n_mels=16)),
    )
