"""Every preset on real recordings, cut short, with few filters: what a user may rely on, and how the published ones
fail."""

import numpy as np
import pytest

import jaxst
from jaxst import audio
from jaxst.config import HEARING
from jaxst.errors import ConfigError
from jaxst.methods import METHODS
from jaxst.solver import Status

TEXTURE_ONLY = [name for name in METHODS if METHODS[name].texture_only]
PAIRS = [("guitar", "water"), ("speech", "tabla")]
FEW = {"n_filters": 32, "phase_iterations": 10, "steps": 8}
# Two banks, or one resolution, stand for all: each is compiled. All that the default has is in `test_transfer.py`.
TWO = {"shapes": ((3, 3), (27, 27)), "n_filters": 3}
OPTIONS = {
    "arccos": {"windows": (64.0,), "hops": (16.0,), "patch_frames": (11,), "n_filters": None}
    | dict.fromkeys(HEARING, 0),
    "ulyanov-limit": {"n_filters": None},
    "single-layer": {"n_filters": 8, "steps": 50},
    "kanak": {**TWO, "steps": 200},
    "caracalla-roebel": {**TWO, "bank_weights": (1.0,)},
    "ri-spectrogram": {"shapes": ((101, 2), (27, 27)), "n_filters": 3},
    "gaussian-ot": {"shapes": ((101, 2), (27, 27)), "n_filters": 3},
    "autocorrelation": {"shapes": ((0, 2), (0, 64)), "n_filters": 8},
    "mel": {"n_mels": 32},
}
# At which spectrograms hold the largest filters and little more.
RATES = {"ri-spectrogram": 8_000, "gaussian-ot": 8_000, "caracalla-roebel": 6_000, "kanak": 6_000}
SECONDS = {"kanak": 0.3, "autocorrelation": 1.0}


def clip(name, sample_rate, seconds):
    """From where all of them sound."""
    recording = audio.resample(jaxst.read(jaxst.example(name)), sample_rate)
    samples = recording.samples.mean(axis=0, keepdims=True)[:, round(0.3 * sample_rate) :]
    return jaxst.Recording(samples[:, : round(seconds * sample_rate)], sample_rate, name)


def options(name, **others):
    return {**FEW, **OPTIONS.get(name, {}), **({"content_weight": 0.3} if name in TEXTURE_ONLY else {}), **others}


def pair(name, content, style):
    """The style is longer than the content."""
    rate, seconds = RATES.get(name, 4_000), SECONDS.get(name, 0.55)
    return clip(content, rate, seconds), clip(style, rate, 1.2 * seconds)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_lowers_its_loss_and_keeps_length_and_rate(name):
    for content, style in PAIRS:
        kept, wanted = pair(name, content, style)
        result = jaxst.transfer(kept, wanted, method=name, **options(name))
        assert result.status == Status.FINISHED
        assert all(np.isfinite(values).all() for values in result.history.values())
        assert result.history["total"][-1] < 0.9 * result.history["total"][0]
        assert {"total", "style", "content"} <= result.history.keys()
        assert result.audio.samples.shape == kept.samples.shape
        assert result.audio.sample_rate == kept.sample_rate
        assert np.isfinite(result.audio.samples).all()
        assert result.audio.rms > 0.5 * kept.rms


def test_methods_that_were_published_for_textures_are_known():
    assert set(TEXTURE_ONLY) == {"caracalla-roebel", "ri-spectrogram", "gaussian-ot", "autocorrelation"}


@pytest.mark.parametrize("name", TEXTURE_ONLY)
@pytest.mark.parametrize("given", [{}, {"content_weight": 0.0}])
def test_methods_without_content_term_are_refused_for_transfer(name, given):
    kept, wanted = pair(name, *PAIRS[0])
    message = f"method={name} synthesizes texture" if not given else "content_weight=0 must be a positive number"
    with pytest.raises(ConfigError, match=message) as error:
        jaxst.transfer(kept, wanted, method=name, **given)
    assert "jaxst.texture" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["arccos", "kanak"])
def test_adam_at_a_tenth_diverges_on_a_waveform_and_says_so(name):
    """As published for spectrograms: each step moves every sample by a tenth, and samples are at -20 dB."""
    kept, wanted = pair(name, *PAIRS[1])
    adam = {"variable": "waveform", "init": "content", "optimizer": "adam", "learning_rate": 0.1, "steps": 60}
    adam = options(name, **adam)
    result = jaxst.transfer(kept, wanted, method=name, **adam)
    totals = result.history["total"]
    best = np.argmin(totals)
    assert result.status == Status.DIVERGED
    assert not result.complete
    assert "the loss rose from" in result.message
    assert f"the best waveform, of step {best}, is kept" in result.message
    # Stopped at its best step, it gives the same waveform.
    there = jaxst.transfer(kept, wanted, method=name, **adam, on_progress=lambda p: p.step >= best)
    np.testing.assert_array_equal(result.audio.samples, there.audio.samples)
    assert np.isfinite(result.audio.samples).all()
    far = jaxst.transfer(kept, wanted, method=name, **{**adam, "learning_rate": 1e38})
    assert far.status == Status.DIVERGED
    assert "the loss is not finite at step" in far.message
    assert np.isfinite(far.audio.samples).all()
