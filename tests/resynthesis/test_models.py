"""Options of the models of resynthesis."""

import numpy as np
import pytest

from jaxst.errors import ConfigError
from jaxst.resynthesis.models import MODELS, OPTIONS, choose, transform_at


def test_defaults_are_options_with_valid_values():
    used = set()
    for name, model in MODELS.items():
        assert choose(name, {}) == dict(model.options)
        used |= set(model.options)
    assert used == set(OPTIONS)


def test_given_values_replace_defaults_and_none_does_not():
    chosen = choose("harmonic", {"f_min": 80, "window": None, "synthesis": "oscillators"})
    assert chosen == {**MODELS["harmonic"].options, "f_min": 80.0, "synthesis": "oscillators"}
    assert type(chosen["f_min"]) is float


def test_the_hop_changes_with_the_window_unless_given():
    assert choose("sms", {"window": 92.0})["hop"] == pytest.approx(11.5)
    assert choose("stft", {"window": 1.0})["hop"] == pytest.approx(0.25)
    assert choose("sms", {"window": 92.0, "hop": 3.0})["hop"] == 3


@pytest.mark.parametrize(
    ("model", "option", "value"),
    [
        ("stft", "window", np.nan),
        ("stft", "window", "46"),
        ("stft", "window", True),
        ("stft", "hop", 1001.0),
        ("stft", "window_shape", "flat"),
        ("griffin_lim", "iterations", 0),
        ("griffin_lim", "iterations", 2.0),
        ("griffin_lim", "iterations", True),
        ("griffin_lim", "seed", 2**31),
        ("fast_griffin_lim", "momentum", 1.01),
        ("sines", "threshold", -np.inf),
        ("sms", "n_bands", 257),
    ],
)
def test_a_value_that_an_option_cannot_have_is_refused(model, option, value):
    with pytest.raises(ConfigError, match=rf"^{option}={value!r} must be (a|one of)"):
        choose(model, {option: value})


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("stft", {"window": 20.0, "hop": 10.1}, "hop=10.1 must be at most half of window=20"),
        ("stft", {"window": 1000.0, "hop": 10.0}, "hop=10 must be at least a 64th of window=1000"),
        ("harmonic", {"f_min": 300.0, "f_max": 300.0}, "f_min=300 must be less than f_max=300"),
        ("stft", {"iterations": 5}, "iterations: model=stft has no such option; it has window, hop, window_shape"),
        ("sms", {"nonsense": 5}, "nonsense: model=sms has no such option; it has window"),
        ("cqt", {}, "model='cqt' is unknown; choose one of stft, griffin_lim"),
    ],
)
def test_what_does_not_fit_together_is_refused(model, options, message):
    with pytest.raises(ConfigError) as error:
        choose(model, options)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("window", "hop", "rate", "n_fft", "hop_length"),
    [
        (25.0, 10.0, 16_000, 400, 160),
        (46.0, 11.5, 44_100, 2048, 512),
        (50.0, 20.0, 44_100, 2250, 900),
        (1.0, 0.1, 4_000, 4, 1),
    ],
)
def test_windows_are_as_long_as_asked_for(window, hop, rate, n_fft, hop_length):
    """Up to the next length that is quickly transformed; hops keep their share, and are never nothing."""
    assert transform_at({"window": window, "hop": hop}, rate) == (n_fft, hop_length)
