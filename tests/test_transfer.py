"""The job on real recordings, cut short; what a user may rely on."""

from dataclasses import replace

import jax
import librosa
import numpy as np
import pytest

import jaxst
from jaxst import audio
from jaxst.config import HEARING
from jaxst.errors import AudioError, ConfigError
from jaxst.solver import Status

RATE = 8_000
# For what has nothing to do with the number of resolutions or with what is heard: compiles in a sixth of the time.
DEAF = dict.fromkeys(HEARING, 0.0)
ONE_RESOLUTION = {"windows": (64.0,), "hops": (16.0,), "patch_frames": (21,), **DEAF}


def clip(name, seconds, *, mono=True, sample_rate=RATE):
    recording = audio.resample(jaxst.read(jaxst.example(name)), sample_rate)
    samples = recording.samples[:, : round(seconds * sample_rate)]
    return jaxst.Recording(samples.mean(axis=0, keepdims=True) if mono else samples, sample_rate, name)


def onset_correlation(a, b):
    """Correlation of onset envelopes: librosa's, an implementation of its own."""
    envelopes = [librosa.onset.onset_strength(y=x.samples.mean(axis=0), sr=x.sample_rate) for x in (a, b)]
    n = min(map(len, envelopes))
    return np.corrcoef(envelopes[0][:n], envelopes[1][:n])[0, 1]


@pytest.fixture(scope="module")
def snippets():
    """A content and a style of one short length, so that the tests that use them share compiled programs."""
    return clip("guitar", 0.5, sample_rate=8_000), clip("water", 0.5, sample_rate=8_000)


@pytest.fixture(scope="module")
def stream():
    """A style whose rate and length are not those of the content."""
    return clip("water", 1.3, sample_rate=48_000)


@pytest.fixture(scope="module")
def water():
    return clip("water", 1)


@pytest.fixture(scope="module")
def texture(water):
    return jaxst.texture(water, steps=40)


def test_texture_takes_the_style(texture, water):
    assert texture.history.keys() == {"total", "style", "texture", "copying"}
    history = texture.history["style"]
    assert history.shape == (41,)
    assert history[-1] < 0.1 * history[0]
    assert texture.complete
    assert texture.audio.samples.shape == water.samples.shape
    assert texture.audio.rms == pytest.approx(water.rms, rel=0.02)


def test_the_loss_falls_on_where_float32_cancels(water):
    """Near the style itself the terms of the loss agree to all but their last digits; it still goes on falling."""
    history = jaxst.texture(water, init="style", start_noise=0.1, steps=100, **ONE_RESOLUTION).history["style"]
    below = np.flatnonzero(history < 1e-4)
    assert len(below) > 0
    assert history[-1] < 0.3 * history[below[0]]
    assert history[-1] > 0


def test_texture_is_no_copy(texture, water):
    a, b = (x.samples[0] / np.linalg.norm(x.samples[0]) for x in (texture.audio, water))
    spectrum = np.fft.rfft(a, 2 * len(a)) * np.conj(np.fft.rfft(b, 2 * len(b)))
    assert np.abs(np.fft.irfft(spectrum)).max() < 0.2


def test_seeds_make_different_waveforms_of_equal_statistics(water):
    one, again, other = (jaxst.texture(water, steps=30, seed=seed, **ONE_RESOLUTION) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.audio.samples, again.audio.samples)
    assert abs(np.corrcoef(one.audio.samples, other.audio.samples)[0, 1]) < 0.1
    assert other.history["style"][-1] == pytest.approx(one.history["style"][-1], rel=0.5)
    envelopes = [librosa.feature.melspectrogram(y=x.audio.samples[0], sr=RATE).mean(axis=1) for x in (one, other)]
    loud = envelopes[0] > 1e-3 * envelopes[0].max()
    np.testing.assert_allclose(10 * np.log10(envelopes[0] / envelopes[1])[loud], 0, atol=3)


@pytest.mark.parametrize(
    ("content", "style"),
    [("guitar", "water"), ("speech", "tabla"), ("guitar", "tabla"), ("tabla", "water"), ("speech", "water")],
)
def test_transfer_takes_the_style_and_keeps_the_onsets(content, style):
    kept, wanted = clip(content, 1), clip(style, 1)
    kept = replace(kept, samples=0.25 * kept.samples)  # or the limiter takes some of the level
    result = jaxst.transfer(kept, wanted, steps=25)
    assert result.status == Status.FINISHED
    assert result.history.keys() == {"total", "style", "content", "texture", "onsets", "harmony"}
    assert all(np.isfinite(values).all() for values in result.history.values())
    for name, share in {"style": 0.2, "total": 0.9}.items():
        assert result.history[name][-1] < share * result.history[name][0]
    assert np.isfinite(result.audio.samples).all()
    assert result.audio.samples.shape == kept.samples.shape
    assert result.audio.sample_rate == kept.sample_rate
    assert onset_correlation(result.audio, kept) > onset_correlation(wanted, kept)
    assert result.audio.rms == pytest.approx(kept.rms, rel=0.01)
    assert np.abs(result.audio.samples).max() <= audio.CEILING


def test_more_content_weight_keeps_more_content(snippets):
    content_loss = [
        jaxst.transfer(*snippets, content_weight=weight, steps=30, **ONE_RESOLUTION).history["content"][-1]
        for weight in (0.1, 10.0)
    ]
    assert content_loss[1] < 0.3 * content_loss[0]


def test_the_result_is_given_the_contents_spectrum_back(snippets):
    def spectrum(x):
        decibels = 10 * np.log10(librosa.feature.melspectrogram(y=x.samples[0], sr=8_000, n_mels=8).mean(axis=1))
        return decibels - decibels.mean()

    content, style = (spectrum(x) for x in snippets)
    none, some, all_of_it = (
        spectrum(jaxst.transfer(*snippets, content_spectrum=share, steps=25, **ONE_RESOLUTION).audio)
        for share in (0.0, 0.15, 1.0)
    )
    assert np.std(all_of_it - content) < 0.3 * np.std(none - content)
    assert np.std(none - style) < 0.5 * np.std(all_of_it - style)
    assert np.std(some - content) == pytest.approx(0.85 * np.std(none - content), rel=0.1)


def test_stereo_content_keeps_length_rate_and_image(stream):
    kept = clip("guitar", 1, mono=False, sample_rate=11_025)
    kept = replace(kept, samples=kept.samples * np.array([[1.0], [0.25]], np.float32))
    result = jaxst.transfer(kept, stream, steps=20, **ONE_RESOLUTION)
    assert result.audio.samples.shape == kept.samples.shape
    assert result.audio.sample_rate == 11_025
    levels = [np.sqrt(np.mean(x.samples**2, axis=1)) for x in (kept, result.audio)]
    assert levels[1][0] / levels[1][1] == pytest.approx(levels[0][0] / levels[0][1], rel=0.25)


@pytest.mark.parametrize("init", ["content", "noise"])
def test_a_voice_in_the_middle_stays_there(init, stream):
    mono = clip("speech", 1, sample_rate=11_025)
    both = replace(mono, samples=np.concatenate([mono.samples, mono.samples]))
    left, right = jaxst.transfer(both, stream, steps=20, init=init, **ONE_RESOLUTION).audio.samples
    assert np.corrcoef(left, right)[0, 1] > 0.95


def test_a_silent_channel_stays_silent(stream):
    mono = clip("speech", 1, sample_rate=11_025)
    one_sided = replace(mono, samples=np.concatenate([mono.samples, 0 * mono.samples]))
    result = jaxst.transfer(one_sided, stream, steps=5, **ONE_RESOLUTION)
    assert np.abs(result.audio.samples[0]).max() > 0.01
    assert np.abs(result.audio.samples[1]).max() == 0


def test_stereo_texture_of_another_length_takes_the_styles_width():
    wide = jaxst.Recording(np.random.default_rng(0).standard_normal((2, RATE)) * 0.1, RATE, "wide")
    narrow = replace(wide, samples=wide.samples[:1] + 0.1 * wide.samples)
    results = [jaxst.texture(style, duration=1.2345, steps=20, **ONE_RESOLUTION) for style in (wide, narrow)]
    assert results[0].audio.samples.shape == (2, round(1.2345 * RATE))
    correlations = [np.corrcoef(result.audio.samples)[0, 1] for result in results]
    assert abs(correlations[0]) < 0.15
    assert correlations[1] > 0.85


def test_styles_are_pooled_by_their_mix():
    low, high = (
        jaxst.Recording(librosa.tone(frequency, sr=8_000, duration=1.0) * 0.3, 8_000, "tone")
        for frequency in (500, 2_000)
    )

    def balance(mix):
        samples = jaxst.texture([low, high], style_mix=mix, steps=40, **ONE_RESOLUTION).audio.samples[0]
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
        return power[450:550].sum() / power[1_950:2_050].sum()

    assert balance([9, 1]) > 3 * balance([1, 9])


def test_sample_rate_sets_the_rate_of_the_result():
    kept, wanted = clip("guitar", 0.5, sample_rate=22_050), clip("water", 0.5)
    result = jaxst.transfer(kept, wanted, sample_rate=8_000, steps=2, **ONE_RESOLUTION)
    assert result.audio.sample_rate == 8_000
    assert result.audio.duration == pytest.approx(0.5, abs=1e-3)


def test_a_long_style_is_represented_by_excerpts():
    style = jaxst.Recording(np.random.default_rng(1).standard_normal((1, 60 * 8_000)) * 0.1, 8_000, "long")
    result = jaxst.transfer(clip("guitar", 0.5, sample_rate=8_000), style, steps=5, **ONE_RESOLUTION)
    assert result.history["style"][-1] < result.history["style"][0]


@pytest.mark.parametrize(
    ("optimizer", "init"), [("lbfgs", "content"), ("lbfgs", "noise"), ("lbfgs", "style"), ("adam", "content")]
)
def test_every_start_and_optimizer_descends(optimizer, init, snippets):
    history = jaxst.transfer(*snippets, optimizer=optimizer, init=init, steps=25, **ONE_RESOLUTION).history["total"]
    assert history[-1] < (1 if init == "style" else 0.8) * history[0]


def test_digital_silence_within_the_content_is_no_trap(snippets):
    guitar, water = snippets
    samples = guitar.samples.copy()
    samples[:, :2_000] = 0
    result = jaxst.transfer(replace(guitar, samples=samples), water, content_weight=0.01, steps=40, **ONE_RESOLUTION)
    assert np.isfinite(result.audio.samples).all()
    assert np.sqrt(np.mean(result.audio.samples[0, 500:1_500] ** 2)) > 0.05 * result.audio.rms


def test_interruption_returns_what_there_is(water):
    result = jaxst.texture(water, steps=500, on_progress=lambda progress: progress.step >= 1, **ONE_RESOLUTION)
    assert result.status == Status.STOPPED
    assert not result.complete
    assert "of 500 steps" in result.message
    assert np.isfinite(result.audio.samples).all()


@pytest.mark.parametrize("kind", ["constant", "click", "tiny"])
def test_odd_recordings_give_finite_results(kind, water):
    samples = {
        "constant": np.full(RATE, 0.5),
        "click": np.eye(1, RATE, RATE // 2)[0],
        "tiny": 1e-4 * np.random.default_rng(2).standard_normal(RATE),
    }[kind]
    odd = replace(water, samples=samples)
    for result in (
        jaxst.transfer(odd, water, steps=3),
        jaxst.transfer(water, odd, steps=3),
        jaxst.texture(odd, steps=3),
    ):
        assert np.isfinite(result.audio.samples).all()
        assert all(np.isfinite(values).all() for values in result.history.values())


@pytest.mark.parametrize(("sample_rate", "samples"), [(11_025, 11_264), (4_000, 4_096)])
def test_a_recording_as_long_as_the_filters_is_long_enough(sample_rate, samples):
    """Hops are rounded up at most rates, and filters of 128 frames are longer than 128 hops of 8 ms there."""
    options = {"method": "autocorrelation", "shapes": ((0, 128),), "n_filters": 2, "steps": 1}
    noise = np.random.default_rng(3).standard_normal(2 * samples).astype(np.float32) * 0.1
    with pytest.raises(AudioError, match=r"lasts .* s, but at least .* s are needed"):
        jaxst.texture(jaxst.Recording(noise[: round(0.9 * samples)], sample_rate), **options)
    assert jaxst.texture(jaxst.Recording(noise[: round(1.1 * samples)], sample_rate), **options).complete


def test_excerpts_of_many_styles_are_as_long_as_the_filters():
    """Six stereo styles would share 12 s in excerpts of one second, less than 128 frames of 8 ms."""
    noise = np.random.default_rng(4).standard_normal((2, 4_200)).astype(np.float32) * 0.1
    styles = [jaxst.Recording(noise, 4_000, f"style {index}") for index in range(7)]
    style = jaxst.analyze_style(styles, method="autocorrelation", shapes=((0, 128),), n_filters=2)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(style))


def test_silence_and_snippets_are_refused(water):
    silence = jaxst.Recording(np.zeros((1, RATE)), RATE, "nothing.wav")
    snippet = jaxst.Recording(np.ones((1, 500)), RATE, "snippet.wav")
    for content, style in ((silence, water), (water, silence)):
        with pytest.raises(AudioError, match=r"nothing\.wav: is silent"):
            jaxst.transfer(content, style)
    for content, style in ((snippet, water), (water, snippet)):
        with pytest.raises(AudioError, match=r"snippet\.wav: lasts 0\.0625 s, but at least"):
            jaxst.transfer(content, style)
    for duration in (0, -1, 0.01, 1801, 1e9, float("nan")):
        with pytest.raises(ConfigError, match=r"duration=.* must be from 0\.338 to 1800 seconds"):
            jaxst.texture(water, duration=duration)
    for seconds, method, longest in ((1_801, "arccos", r"1800 s are"), (31, "ulyanov", "30 s .*variable=spectrogram")):
        with pytest.raises(AudioError, match=rf"recording: lasts {seconds} s, but results of at most {longest}"):
            jaxst.transfer(jaxst.Recording(np.ones((1, seconds * 4_000)), 4_000), water, method=method)
    with pytest.raises(ConfigError, match="loop: variable=spectrogram cannot be joined"):
        jaxst.texture(water, loop=True, method="ulyanov")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style_mix": [1, 2]}, "style_mix has 2 weights for 1 style"),
        ({"style_mix": [-1]}, "style_mix=-1 must be positive"),
        ({"content_weight": 0}, "content_weight=0 must be a positive number"),
        ({"sample_rate": 10}, "sample_rate=10 must be from"),
        ({"method": "magic"}, "method='magic' is unknown"),
        ({"colour": 1}, "colour: no such option"),
        ({"method": "mel", "n_mels": 3000}, "of n_mels=3000 filters hold no frequency .* choose longer windows"),
        (
            {"method": "kanak", "shapes": ((400, 3),)},
            "filters span 400 frequencies, but there are 49 with method=kanak",
        ),
        (
            {**ONE_RESOLUTION, "variable": "spectrogram", "texture_weight": 0.5},
            "texture_weight=0.5 must be left out unless a waveform is moved",
        ),
        ({"windows": (0.02,), "hops": (0.01,), "patch_frames": (3,)}, "hops=0.01: less than a sample at 8000 Hz"),
        ({"method": "kanak", "shapes": ((3, 3, 3),)}, "shapes=.* must be shapes such as 0x11"),
        ({"method": "autocorrelation"}, "was published without a content term; use jaxst.texture, or give a content_w"),
    ],
)
def test_wrong_options_are_refused(options, message, water):
    with pytest.raises(ConfigError, match=message):
        jaxst.transfer(water, water, **options)
