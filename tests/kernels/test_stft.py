from functools import cache, partial
from pathlib import Path

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

import jaxst
from jaxst.kernels.spectrogram import magnitude
from jaxst.kernels.stft import frame, istft, overlap_add, stft, stft_window

CLIPS = Path(jaxst.__file__).parent / "clips"

# Hops that do and do not divide n_fft, odd n_fft, even and odd windows shorter than n_fft, a hop of the whole window.
TRANSFORMS = [
    {"n_fft": 256, "hop_length": 64},
    {"n_fft": 256, "hop_length": 100, "window": "hamming"},
    {"n_fft": 255, "hop_length": 64},
    {"n_fft": 256, "hop_length": 48, "win_length": 160, "window": "blackman"},
    {"n_fft": 256, "hop_length": 37, "win_length": 111},
    {"n_fft": 255, "hop_length": 31, "win_length": 128, "window": "hamming"},
    {"n_fft": 256, "hop_length": 64, "window": ("kaiser", 8.0)},
    {"n_fft": 255, "hop_length": 50, "win_length": 200, "window": 5.5},
    {"n_fft": 64, "hop_length": 64, "window": "boxcar"},
]
# All windows of scipy; those that need parameters with some.
WINDOWS = [
    *("barthann", "bartlett", "blackman", "blackmanharris", "bohman", "boxcar", "cosine", "exponential", "flattop"),
    *("hamming", "hann", "lanczos", "nuttall", "parzen", "taylor", "triang", "tukey"),
    *(
        ("chebwin", 80.0),
        ("dpss", 2.5),
        ("exponential", None, 20.0),
        ("gaussian", 12.0),
        ("general_cosine", [0.5, 0.5]),
    ),
    *(("general_gaussian", 1.5, 12.0), ("general_hamming", 0.6), ("kaiser", 8.0), ("kaiser_bessel_derived", 9.0)),
    *(("taylor", 5, 40), ("tukey", 0.3), 8.0, 0.0),
]
PADDING = [
    {"center": True, "pad_mode": "reflect"},
    {"center": True, "pad_mode": "constant"},
    {"center": True, "pad_mode": "edge"},
    {"center": False},
]
FRAMINGS = [(8, 2), (8, 3), (7, 7), (5, 9), (9, 1), (1, 4)]  # frame_length, hop_length
TIME = 37


def label(transform):
    return "-".join(str(value) for value in transform.values())


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def complex_noise(*shape, seed=0):
    return (noise(*shape, seed=seed) + 1j * noise(*shape, seed=seed + 1)).astype(np.complex64)


@cache
def jitted(function, **static):
    return jax.jit(partial(function, **static))


def assert_close(actual, expected, *, relative=2e-6):
    """Equal up to a share of the largest value: rounding in a sum goes with its largest terms."""
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * np.abs(expected).max())


def signal_to_noise(expected, actual):
    expected, actual = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    return 10 * np.log10(np.sum(expected**2) / np.sum((actual - expected) ** 2))


# -------------------------------------------------------------------------------------- framing and its adjoint


@pytest.mark.parametrize(("frame_length", "hop_length"), FRAMINGS)
def test_frames_are_the_strided_windows_of_the_signal(frame_length, hop_length):
    x = noise(2, 3, TIME)
    expected = np.lib.stride_tricks.sliding_window_view(x, frame_length, axis=-1)[..., ::hop_length, :]
    np.testing.assert_array_equal(jitted(frame, frame_length=frame_length, hop_length=hop_length)(x), expected)


@pytest.mark.parametrize(("frame_length", "hop_length"), FRAMINGS)
def test_overlap_add_sums_frames_at_their_places(frame_length, hop_length):
    frames = noise(2, 6, frame_length)
    expected = np.zeros((2, 5 * hop_length + frame_length))
    for t in range(6):
        expected[:, t * hop_length : t * hop_length + frame_length] += frames[:, t]
    assert_close(jitted(overlap_add, hop_length=hop_length)(frames), expected, relative=1e-6)


@given(data=st.data(), framing=st.sampled_from(FRAMINGS))
@settings(deadline=None, max_examples=40)
def test_overlap_add_is_the_adjoint_of_frame(data, framing):
    """<frame(x), y> = <x, overlap_add(y)>, exactly: the sums of small whole numbers are not rounded."""
    frame_length, hop_length = framing
    whole = {"elements": st.integers(-9, 9).map(float), "dtype": np.float32}
    x = data.draw(hnp.arrays(shape=TIME, **whole))
    frames = jitted(frame, frame_length=frame_length, hop_length=hop_length)(x)
    y = data.draw(hnp.arrays(shape=frames.shape, **whole))
    added = jitted(overlap_add, hop_length=hop_length)(y)
    assert np.sum(np.asarray(frames) * y) == np.sum(x[: added.shape[-1]] * np.asarray(added))


@pytest.mark.parametrize("hop_length", [0, -1])
def test_a_hop_that_is_not_positive_is_refused(hop_length):
    x = jnp.zeros(TIME)
    with pytest.raises(ValueError, match=f"hop_length={hop_length} must be a positive"):
        frame(x, frame_length=8, hop_length=hop_length)
    with pytest.raises(ValueError, match=f"hop_length={hop_length} must be a positive"):
        stft(x, n_fft=8, hop_length=hop_length)
    with pytest.raises(ValueError, match=f"hop_length={hop_length} must be a positive"):
        istft(jnp.zeros((4, 5), jnp.complex64), hop_length=hop_length)
    with pytest.raises(ValueError, match=f"hop_length={hop_length} must be a positive"):
        overlap_add(jnp.zeros((4, 8)), hop_length=hop_length)


def test_a_signal_shorter_than_a_frame_is_refused():
    assert frame(jnp.zeros(8), frame_length=8, hop_length=3).shape == (1, 8)
    with pytest.raises(ValueError, match="7 samples are fewer than one frame of 8"):
        frame(jnp.zeros(7), frame_length=8, hop_length=3)
    with pytest.raises(ValueError, match="7 samples are fewer than one frame of 8"):
        stft(jnp.zeros(7), n_fft=8, hop_length=3, center=False)


# ------------------------------------------------------------------------------------------------------- window


@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", "boxcar"])
@pytest.mark.parametrize(("win_length", "n_fft"), [(64, 64), (48, 64), (47, 64), (48, 65), (1, 8)])
def test_window_is_periodic_and_in_the_middle(window, win_length, n_fft):
    expected = librosa.util.pad_center(librosa.filters.get_window(window, win_length, fftbins=True), size=n_fft)
    np.testing.assert_array_equal(stft_window(window, win_length, n_fft), expected)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_every_window_of_scipy_is_known(window):
    expected = np.zeros(70)
    symmetric = isinstance(window, tuple) and window[0] == "kaiser_bessel_derived"  # scipy has no periodic one
    expected[3:67] = scipy.signal.get_window(window, 64, fftbins=not symmetric)
    np.testing.assert_array_equal(stft_window(window, 64, 70), expected)


def test_a_window_that_scipy_does_not_know_is_refused():
    with pytest.raises(ValueError, match="window"):
        stft_window("hanning", 64, 64)


@pytest.mark.parametrize("win_length", [0, -1, 9])
def test_a_window_that_does_not_fit_is_refused(win_length):
    message = f"win_length={win_length} must be between 1 and n_fft=8"
    with pytest.raises(ValueError, match=message):
        stft_window("hann", win_length, 8)
    with pytest.raises(ValueError, match=message):
        stft(jnp.zeros(TIME), n_fft=8, hop_length=2, win_length=win_length)
    with pytest.raises(ValueError, match=message):
        istft(jnp.zeros((4, 5), jnp.complex64), hop_length=2, win_length=win_length)


# --------------------------------------------------------------------------------------------------------- stft


@pytest.mark.parametrize("padding", PADDING, ids=label)
@pytest.mark.parametrize("transform", TRANSFORMS, ids=label)
def test_stft_is_that_of_librosa(transform, padding):
    x = noise(2, 5 * transform["n_fft"] + transform["hop_length"] // 2 + 1)  # the last samples fill no frame
    expected = np.swapaxes(librosa.stft(x, **transform, **padding), -1, -2)
    result = jitted(stft, **transform, **padding)(x)
    assert result.dtype == np.complex64
    assert_close(result, expected)


def test_stft_of_a_sinusoid_is_one_peak_of_known_height():
    """A = 0.5 at 1 kHz, on bin 32 of 512 at 16 kHz; a Hann window of length N gives A N / 4, and half of it beside."""
    x = (0.5 * np.cos(2 * np.pi * 1000 * np.arange(4096) / 16000)).astype(np.float32)
    levels = np.abs(jitted(stft, n_fft=512, hop_length=128)(x))[4:-4]
    expected = np.zeros(257)
    expected[31:34] = 32, 64, 32
    np.testing.assert_allclose(levels, np.broadcast_to(expected, levels.shape), atol=1e-4)


def test_frame_t_is_centered_on_sample_t_times_hop():
    """The spectrum of a click at that sample is flat, and as high as the window's middle, which is 1."""
    x = np.zeros(640, np.float32)
    x[3 * 64] = 1
    levels = np.abs(jitted(stft, n_fft=256, hop_length=64, win_length=100)(x))
    np.testing.assert_allclose(levels[3], 1, atol=1e-6)
    np.testing.assert_array_equal(levels[[0, 1, 2, 4, 5, 6]], 0)


@pytest.mark.parametrize("n_fft", [256, 255])
def test_the_shortest_signal_that_can_be_reflected(n_fft):
    shortest = n_fft // 2 + 1
    x = noise(shortest)
    reflected = np.pad(x, n_fft // 2, mode="reflect")
    assert_close(
        jitted(stft, n_fft=n_fft, hop_length=64)(x),
        librosa.stft(reflected, n_fft=n_fft, hop_length=64, center=False).T,
    )
    with pytest.raises(ValueError, match=f"{shortest - 1} samples are too few to reflect {shortest - 1}"):
        stft(jnp.zeros(shortest - 1), n_fft=n_fft, hop_length=64)


# ------------------------------------------------------------------------------------------------------ inverse


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("transform", TRANSFORMS[:-1], ids=label)
def test_istft_is_that_of_librosa_for_a_spectrum_of_no_signal(transform, center):
    """Where frames contradict each other, the least-squares solution is also a matter of weights, not of inversion."""
    n_fft = transform["n_fft"]
    spectrum = complex_noise(2, 12, n_fft // 2 + 1)
    expected = librosa.istft(np.swapaxes(spectrum, -1, -2), **transform, center=center)
    result = jitted(istft, **transform, center=center)(spectrum)
    # Without centering, the first and last samples are divided by next to nothing, and there rounding is all there is.
    kept = slice(None) if center else slice(n_fft // 2, -n_fft // 2)
    assert result.shape == expected.shape
    assert_close(result[..., kept], expected[..., kept], relative=1e-5)


@pytest.mark.parametrize(
    "transform",
    [
        {"n_fft": 1024, "hop_length": 256},
        {"n_fft": 1024, "hop_length": 341},
        {"n_fft": 1024, "hop_length": 512},
        {"n_fft": 1023, "hop_length": 200},
        {"n_fft": 1024, "hop_length": 150, "win_length": 601},
        {"n_fft": 2880, "hop_length": 720, "window": "blackman"},
        {"n_fft": 512, "hop_length": 256, "window": "hamming"},
        {"n_fft": 512, "hop_length": 100, "window": ("kaiser", 8.0)},
        {"n_fft": 512, "hop_length": 128, "window": "flattop"},
        {"n_fft": 512, "hop_length": 256, "window": ("kaiser_bessel_derived", 9.0)},
        {"n_fft": 255, "hop_length": 255, "window": "boxcar"},
    ],
    ids=label,
)
def test_istft_gives_recordings_back_with_100_db(transform):
    clips = [soundfile.read(path, frames=96_000, dtype="float32", always_2d=True)[0] for path in CLIPS.glob("*.flac")]
    samples = np.stack([clip[:96_000, 0] for clip in clips])
    assert samples.shape == (4, 96_000)
    spectrum = jitted(stft, **transform)(samples)
    for expected, result in zip(samples, jitted(istft, **transform, length=96_000)(spectrum), strict=True):
        assert signal_to_noise(expected, result) > 100


@pytest.mark.parametrize("window", ["hann", "hamming", ("kaiser", 8.0)], ids=str)
def test_istft_without_centering_gives_back_what_windows_reach(window):
    """What rounding leaves of a sample, it leaves of the sample times the window: the error grows as its reciprocal."""
    transform = {"n_fft": 1024, "hop_length": 256, "window": window, "center": False}
    x = noise(1024 + 256 * 40)
    result = jitted(istft, **transform)(jitted(stft, **transform)(x))
    assert result.shape == x.shape
    rising = np.minimum(stft_window(window, 1024, 1024), 1)[:256]
    falling = rising[::-1] if window == "hann" else stft_window(window, 1024, 1024)[-256:]
    reached = rising > 2e-6
    assert np.all(result[:256][~reached] == 0)
    assert np.all((np.abs(result - x)[:256] * rising)[reached] < 1e-6)
    assert np.all(np.abs(result - x)[-256:] * falling < 2e-6)
    assert signal_to_noise(x[256:-256], result[256:-256]) > 130


def test_a_changed_spectrum_without_centering_is_too_loud_at_the_ends_alone():
    transform = {"n_fft": 1024, "hop_length": 256, "center": False}
    spectrum = jitted(stft, **transform)(noise(1024 + 256 * 40))
    result = np.abs(jitted(istft, **transform)(np.abs(spectrum).astype(np.complex64)))
    assert result.max() > 1e4 * result[1024:-1024].max()
    assert result[256:-256].max() < 3 * result[1024:-1024].max()


@pytest.mark.parametrize("n_fft", [62, 66, 67])
def test_istft_refuses_an_n_fft_of_other_frequencies(n_fft):
    with pytest.raises(ValueError, match=f"n_fft={n_fft} has {n_fft // 2 + 1} frequencies, not 33"):
        istft(jnp.ones((9, 33), jnp.complex64), n_fft=n_fft, hop_length=16)


@pytest.mark.parametrize("length", [100, 160, 173, 200])
def test_istft_gives_the_length_asked_for(length):
    """Eleven frames reach 32 samples beyond the center of the last, at 160; what comes after is zero."""
    spectrum = complex_noise(2, 11, 33)
    result = jitted(istft, hop_length=16, length=length)(spectrum)
    expected = librosa.istft(np.swapaxes(spectrum, -1, -2), hop_length=16, length=length)
    assert_close(result[:, :180], expected[:, :180], relative=1e-5)
    np.testing.assert_array_equal(result[:, 192:], 0)
    assert result.shape == (2, length)


@pytest.mark.parametrize(
    ("n_frames", "arguments"),
    [
        (9, {"hop_length": 64}),  # a Hann window is zero at its first sample
        (9, {"hop_length": 65, "window": "boxcar"}),
        (9, {"hop_length": 65, "window": "boxcar", "center": False}),
        (2, {"hop_length": 64, "center": False}),
        (9, {"hop_length": 17, "win_length": 16, "window": "boxcar"}),
        (3, {"hop_length": 17, "win_length": 16, "window": "boxcar", "center": False}),
    ],
)
def test_istft_refuses_windows_that_leave_gaps(n_frames, arguments):
    with pytest.raises(ValueError, match=r"leaves samples that no window reaches.*smaller hop_length"):
        istft(jnp.ones((n_frames, 33), jnp.complex64), **arguments)


def test_istft_accepts_windows_that_just_touch():
    x = noise(64 * 9)
    transform = {"hop_length": 64, "window": "boxcar", "center": False}
    np.testing.assert_allclose(
        jitted(istft, **transform)(jitted(stft, n_fft=64, **transform)(x)), x, atol=1e-6, rtol=1e-5
    )


# ------------------------------------------------------------------------------------------ gradients and precision


@pytest.mark.parametrize("pad_mode", ["constant", "edge"])
def test_gradients_of_padded_signals_are_those_of_finite_differences(pad_mode):
    """Of signals that are reflected they are, too, as all kernels' are."""
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).standard_normal(100))
        analyze = jitted(stft, n_fft=32, hop_length=12, win_length=27, pad_mode=pad_mode)
        check_grads(lambda x: magnitude(analyze(x)), (x,), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


def test_float64_stays_float64():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).standard_normal(2000)
        spectrum = jitted(stft, n_fft=256, hop_length=64)(x)
        result = jitted(istft, hop_length=64, length=2000)(spectrum)
        assert (spectrum.dtype, result.dtype) == (np.complex128, np.float64)
        assert signal_to_noise(x, result) > 290
        _, _, expected = scipy.signal.stft(
            x, nperseg=256, noverlap=192, boundary="even", padded=False, scaling="spectrum"
        )
        # scipy's `even` reflects at the edge sample, as `reflect` does, and divides by the window's sum, 128.
        np.testing.assert_allclose(spectrum, 128 * expected.T, atol=1e-10)
