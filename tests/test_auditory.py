"""What is heard of a signal: nothing to hear where nothing differs, and each term of what it is for. Its formulas are
those of `published.arccos_heard`, in `test_methods.py`."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxst
from jaxst import audio, auditory
from jaxst.auditory import hearing_terms
from jaxst.config import Config
from jaxst.kernels.envelopes import band_powers
from jaxst.losses import loss_terms, make_targets, with_content
from jaxst.network import InfiniteNetwork
from jaxst.representation import LogMagnitude
from jaxst.statistics.texture import texture_statistics

RATE, LENGTH = 8_000, 6_000  # of all signals, in two channels: programs are compiled once
learn = jax.jit(auditory.learn, static_argnums=(1, 2))
keep = jax.jit(auditory.with_content)


@jax.jit
def hear(x, hearing):
    """Terms, and the gradient of their sum."""

    def total(x):
        terms = hearing_terms(hearing.features(x), hearing)
        return sum(terms.values()), terms

    (_, terms), gradient = jax.value_and_grad(total, has_aux=True)(x)
    return terms, gradient


def at_unit_level(x):
    return jnp.asarray(x / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True)), jnp.float32)


def clip(name):
    """From where all of them sound."""
    recording = audio.resample(jaxst.read(jaxst.example(name)), RATE)
    return at_unit_level(recording.samples.mean(axis=0)[round(0.3 * RATE) :][:LENGTH])


def tone(frequency, slope=1.0):
    """Harmonics of amplitudes 1, 1/2, 1/3, ... to a power."""
    times = np.arange(LENGTH) / RATE
    harmonics = range(1, int(3_500 / frequency) + 1)
    return at_unit_level(sum(np.sin(2 * np.pi * h * frequency * times) / h**slope for h in harmonics))


def noise(*shape):
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


def heard(x, *, style, content):
    """Distances of a signal from a style and a content, each twice or of two channels."""
    x, content = (jnp.broadcast_to(signal, (2, LENGTH)) for signal in (x, content))
    terms, gradient = hear(x, keep(learn([style], (1.0,), RATE), content))
    assert np.isfinite(gradient).all()
    assert 0 <= terms.pop("copying") < 1  # of what is near, the more
    return {name: float(value) for name, value in terms.items()}


@pytest.mark.parametrize("name", ["guitar", "speech", "tabla", "water"])
def test_the_signal_itself_differs_in_nothing(name):
    x = clip(name)
    assert heard(x, style=x, content=x) == pytest.approx({"texture": 0, "onsets": 0, "harmony": 0}, abs=1e-4)


def test_a_copy_of_the_style_is_heard_as_one():
    style, other = clip("water"), clip("guitar")
    hearing = learn([style], (1.0,), RATE)
    copied, new = (hear(jnp.stack([x, x]), hearing)[0]["copying"] for x in (jnp.roll(style, LENGTH // 8), other))
    assert copied > 0.2
    assert new < 0.01


def test_other_signals_differ_in_all():
    terms = heard(clip("water"), style=clip("tabla"), content=clip("guitar"))
    assert min(terms.values()) > 0.2


@pytest.mark.parametrize("gain", [0.3, 3.0])
def test_level_is_the_styles_to_decide(gain):
    x = clip("guitar")
    terms = heard(gain * x, style=x, content=x)
    assert terms["onsets"] < 0.02
    assert terms["harmony"] < 1e-4
    assert terms["texture"] > 5e-3


def test_a_shift_moves_onsets_and_leaves_the_texture():
    x = clip("tabla")
    terms = heard(jnp.roll(x, RATE // 4), style=x, content=x)
    assert terms["onsets"] > 0.5
    assert terms["texture"] < 0.25


def test_brightness_is_no_onset_and_no_harmony():
    """Of a filter that lifts the highest partials by 25 dB."""
    x = clip("guitar")
    terms = heard(at_unit_level(x - 0.9 * jnp.roll(x, 1)), style=x, content=x)
    assert terms["onsets"] < 0.1
    assert terms["harmony"] < 0.3
    assert terms["texture"] > 5e-3


def test_another_pitch_is_another_harmony_and_another_timbre_is_not():
    x = tone(220)
    transposed, brighter = (heard(y, style=x, content=x)["harmony"] for y in (tone(247), tone(220, slope=0.5)))
    assert transposed > 0.9
    assert brighter < 0.3
    assert heard(x + 0.3 * noise(LENGTH), style=x, content=x)["harmony"] < 0.1


def test_rises_are_heard_and_falls_are_not():
    """Noise that is switched on three times, fading; played backward it fades in and breaks off."""
    times = np.arange(LENGTH) / RATE
    x = at_unit_level(noise(LENGTH) * np.exp(-8 * (times % (1 / 3))))
    assert heard(x, style=x, content=x)["onsets"] == pytest.approx(0, abs=1e-4)
    assert heard(x[::-1], style=x, content=x)["onsets"] > 0.5


@pytest.mark.parametrize("kind", ["silence", "click", "steady tone", "constant", "full scale"])
def test_odd_signals_and_contents_have_finite_terms_and_gradients(kind):
    odd = {
        "silence": jnp.zeros(LENGTH),
        "click": jnp.zeros(LENGTH).at[LENGTH // 2].set(1.0),
        "steady tone": jnp.asarray(np.sin(2 * np.pi * 440 * np.arange(LENGTH) / RATE), jnp.float32),
        "constant": jnp.ones(LENGTH),
        "full scale": 100 * jnp.sign(noise(LENGTH)),
    }[kind]
    ordinary = clip("guitar")
    styles = [ordinary] if kind == "silence" else [ordinary, odd]
    for x, style, content in [(odd, s, c) for s in styles for c in (ordinary, odd)] + [(ordinary, ordinary, odd)]:
        for value in heard(x, style=style, content=content).values():
            assert np.isfinite(value)


def test_channels_are_averaged_and_a_silent_one_decides_nothing_about_harmony():
    style, guitar, speech = clip("water"), clip("guitar"), clip("speech")
    both = heard(jnp.stack([speech, guitar]), style=style, content=jnp.stack([guitar, 0 * guitar]))
    alone = [heard(x, style=style, content=guitar) for x in (speech, guitar)]
    assert both["texture"] == pytest.approx((alone[0]["texture"] + alone[1]["texture"]) / 2, rel=1e-4)
    assert both["harmony"] == pytest.approx(alone[0]["harmony"], rel=1e-3)
    assert both["onsets"] == pytest.approx((alone[0]["onsets"] + 1) / 2, rel=1e-3)


def test_styles_are_pooled_by_their_mix():
    styles = [clip("water"), clip("tabla")]
    mixed = learn(styles, (3.0, 1.0), RATE)
    powers = [jax.jit(lambda x: band_powers(x, sample_rate=RATE))(x) for x in styles]
    np.testing.assert_allclose(mixed.floor, 1e-8 * (0.75 * powers[0] + 0.25 * powers[1]), rtol=1e-4)

    @jax.jit
    def statistics(x):
        return texture_statistics(mixed.features(x[None]).envelopes[0], frame_rate=400.0)

    for block, one, other in zip(mixed.texture, *map(statistics, styles), strict=True):
        np.testing.assert_allclose(block, 0.75 * one + 0.25 * other, rtol=1e-3, atol=1e-4)
    assert mixed.content is None


CONFIG = Config(
    style_weight=2.0,
    content_weight=0.5,
    representation=LogMagnitude(windows=(32.0,), hops=(16.0,)),
    network=InfiniteNetwork(patch_frames=(3,)),
)


@jax.jit
def loss(config, x, style, content):
    """Of a transfer, or of a texture where there is no content."""
    targets, hearing = make_targets([style], (1.0,), RATE, config), auditory.learn([style], (1.0,), RATE)
    if content is not None:
        targets, hearing = with_content(targets, content), auditory.with_content(hearing, content)
    features = [*(target.analysis.features(x) for target in targets), hearing.features(x)]
    return loss_terms(features, targets, config, hearing)


def test_terms_count_with_their_weight_times_that_of_style_or_content():
    x, style, content = clip("speech")[None], clip("water"), clip("guitar")[None]
    config = replace(CONFIG, texture_weight=3.0, copying_weight=7.0, onset_weight=5.0, harmony_weight=0.25)
    value, terms = loss(config, x, style, content)
    assert terms.keys() == {"style", "content", "texture", "copying", "onsets", "harmony"}
    wanted = heard(x[0], style=style, content=content[0])
    for name, expected in wanted.items():
        assert float(terms[name]) == pytest.approx(expected, rel=1e-4), name
    kept = terms["content"] + 5 * wanted["onsets"] + 0.25 * wanted["harmony"]
    taken = terms["style"] + 3 * wanted["texture"] + 7 * terms["copying"]
    assert float(value) == pytest.approx(float(2 * taken + 0.5 * kept), rel=1e-4)


def test_terms_without_a_weight_are_left_out():
    x, style, content = clip("speech")[None], clip("water"), clip("guitar")[None]
    value, terms = loss(replace(CONFIG, onset_weight=5.0), x, style, content)
    assert terms.keys() == {"style", "content", "onsets"}
    expected = 2 * terms["style"] + 0.5 * (terms["content"] + 5 * terms["onsets"])
    assert float(value) == pytest.approx(float(expected), rel=1e-5)


def test_a_texture_has_nothing_to_keep():
    config = replace(CONFIG, texture_weight=3.0, onset_weight=5.0, harmony_weight=0.25)
    value, terms = loss(config, clip("speech")[None], clip("water"), None)
    assert terms.keys() == {"style", "texture"}
    assert float(value) == pytest.approx(float(2 * (terms["style"] + 3 * terms["texture"])), rel=1e-5)
