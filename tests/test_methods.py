"""Every preset against its published formula, and on real recordings."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from published import FORMULAS, arccos_heard

import jaxst
from jaxst import audio, auditory
from jaxst.config import HEARING, configure
from jaxst.losses import loss_terms, make_targets, with_content
from jaxst.methods import METHODS
from jaxst.representation import Sinusoids, resolution_at

# Sample rates at which spectrograms hold the largest filters and little more.
RATES = {"single-layer": 2_000, "kanak": 6_000, "autocorrelation": 2_000, "arccos": 4_000, "mel": 22_050}
RATES |= dict.fromkeys(("caracalla-roebel", "ri-spectrogram", "gaussian-ot"), 8_000)
SECONDS = {"kanak": 0.2, "autocorrelation": 1.3, "single-layer": 0.15}
TEXTURE_CONTENT_WEIGHT = 0.3


def small(name, n_filters=None):
    """What networks of the preset see, with few filters, and a content weight if it has none."""
    config = dataclasses.replace(METHODS[name].transfer, **dict.fromkeys(HEARING))
    if name not in ("arccos", "ulyanov-limit"):
        n_filters = n_filters or min(config.network.n_filters, 3 if len(config.network.shapes) > 1 else 32)
        config = configure(config, n_filters=n_filters)
    return configure(config, content_weight=TEXTURE_CONTENT_WEIGHT) if METHODS[name].texture_only else config


def noises(name, n_signals=3):
    """Noise whose spectrum and level change, at unit RMS; the second is longer than the others."""
    rng, rate, seconds = np.random.default_rng(0), RATES.get(name, 4_000), SECONDS.get(name, 0.55)
    signals = []
    for index in range(n_signals):
        length = round((1.2 if index == 1 else 1) * seconds * rate)
        times = np.arange(length) / rate
        x = rng.standard_normal(length) * (1.2 + np.sin(2 * np.pi * (4 + 3 * index) * times))
        x = x + 0.5 * (index + 1) * np.roll(x, 1) + np.cos(2 * np.pi * (100 + 60 * index) * times)
        signals.append(x / np.sqrt(np.mean(x**2)))
    return signals, rate


@partial(jax.jit, static_argnames="rate")
def analyze(config, style, content, *, rate):
    """Targets for a style and a content."""
    return with_content(make_targets([style], (1.0,), rate, config), content)


@jax.jit
def evaluate(config, targets, parameters, hearing=None):
    """Loss, terms and gradient with respect to the waveform, or to features where these are moved."""

    def loss(parameters):
        analyses = [*(target.analysis for target in targets), *([] if hearing is None else [hearing])]
        direct = isinstance(config.representation, Sinusoids)
        features = [parameters] if direct else [analysis.features(parameters) for analysis in analyses]
        return loss_terms(features, targets, config, hearing)

    return jax.value_and_grad(loss, has_aux=True)(parameters)


@pytest.mark.parametrize("name", METHODS)
def test_loss_and_gradient_are_those_of_the_published_formula(name):
    """Of a texture and of a transfer; the gradient by central differences along a random direction."""
    config = small(name)
    (x, s, c), rate = noises(name)
    with jax.enable_x64(True):
        targets = analyze(config, jnp.asarray(s), jnp.asarray(c)[None], rate=rate)
        resolutions = [target.analysis.resolution for target in targets]
        banks = [np.asarray(layer.layer.filters) for layer in targets[0].layers if hasattr(layer.layer, "filters")]
        if isinstance(config.representation, Sinusoids):  # features themselves are moved, and their losses compared
            track = jax.jit(targets[0].analysis.features)
            s, c = (np.asarray(track(jnp.asarray(w)[None])[0]) for w in (s, c))
            x = c + np.random.default_rng(1).standard_normal(c.shape)
        style, content = FORMULAS[name](x, s, c, resolutions, banks, rate)
        content *= TEXTURE_CONTENT_WEIGHT if METHODS[name].texture_only else 1
        at = jnp.asarray(x)[None]
        step = 1e-6 * jnp.asarray(np.random.default_rng(2).standard_normal(at.shape))
        for content_weight, expected in ((0.0, style), (config.content_weight, style + content)):
            weighted = dataclasses.replace(config, content_weight=jnp.asarray(content_weight))
            (value, terms), gradient = evaluate(weighted, targets, at)
            rise = evaluate(weighted, targets, at + step)[0][0] - evaluate(weighted, targets, at - step)[0][0]
            assert {"style", "content"} <= terms.keys()
            assert float(value) == pytest.approx(expected, rel=1e-6)
            assert float(rise) / 2 == pytest.approx(float(jnp.sum(gradient * step)), rel=1e-5)


def test_what_arccos_hears_is_that_of_its_formulas():
    """Envelopes are sampled no more often than their squares need: the power that compresses them aliases, and C2 of
    the slowest octaves is a sum over few samples, which shows in onsets and texture. One resolution stands for all."""
    config = configure(METHODS["arccos"].transfer, windows=(64.0,), hops=(16.0,), patch_frames=(11,))
    (x, s, c), rate = noises("arccos")
    with jax.enable_x64(True):
        style, content, at = (jnp.asarray(w) for w in (s, c[None], x[None]))
        targets = analyze(config, style, content, rate=rate)
        hearing = jax.jit(lambda s, c: auditory.with_content(auditory.learn([s], (1.0,), rate), c))(style, content)
        step = 1e-6 * jnp.asarray(np.random.default_rng(2).standard_normal(at.shape))
        (value, terms), gradient = evaluate(config, targets, at, hearing)
        ahead, behind = (float(evaluate(config, targets, at + sign * step, hearing)[0][0]) for sign in (1, -1))
        slope = float(jnp.sum(gradient * step))
    terms = {name: float(term) for name, term in terms.items()}
    heard, tolerance = arccos_heard(x, s, c, rate), {"texture": 4e-3, "onsets": 2e-3, "harmony": 1e-6}
    assert terms.keys() == {"style", "content"} | heard.keys()
    for name, expected in heard.items():
        assert terms[name] == pytest.approx(expected, rel=tolerance[name]), name
    style = terms["style"] + config.texture_weight * terms["texture"]
    content = terms["content"] + config.onset_weight * terms["onsets"] + config.harmony_weight * terms["harmony"]
    assert float(value) == pytest.approx(config.style_weight * style + config.content_weight * content, rel=1e-9)
    assert (ahead - behind) / 2 == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "sample_rate", "n_fft", "hop_length"),
    [
        ("ulyanov", 22_050, 2048, 512),
        ("ulyanov-limit", 22_050, 2048, 512),
        ("sines", 22_050, 2048, 512),
        ("mel", 22_050, 2048, 512),
        ("single-layer", 22_050, 512, 128),
        ("kanak", 44_100, 512, 256),
        ("caracalla-roebel", 16_000, 512, 256),
        ("ri-spectrogram", 16_000, 512, 256),
        ("gaussian-ot", 16_000, 512, 256),
        ("autocorrelation", 16_000, 512, 128),
        ("sines-tensor", 22_050, 1024, 128),
    ],
)
def test_windows_and_hops_are_the_published_ones_at_the_published_rate(name, sample_rate, n_fft, hop_length):
    representation = METHODS[name].transfer.representation
    (window,), (hop,) = representation.windows, representation.hops
    assert resolution_at(window, hop, sample_rate) == (n_fft, hop_length)


def drawn(name, n_bins, n_planes=1):
    """The preset's filters, for so many frequencies."""
    config = METHODS[name].transfer
    grouping = {"gram": "all", "per-frequency": "frequency", "gaussian": "filter"}[config.statistic]
    layers = jax.jit(lambda: config.network.fit([jnp.zeros((1, n_bins, n_planes))], 0, grouping))()
    return [np.asarray(layer.filters) for layer in layers]


def test_the_filters_of_ulyanov_have_the_published_shape_and_deviation():
    (filters,) = drawn("ulyanov", 33)
    assert filters.shape == (11, 33, 4096)
    deviation = np.sqrt(2) * np.sqrt(2 / ((33 + 4096) * 11))
    assert filters.std() == pytest.approx(deviation, rel=3e-3)
    assert abs(filters.mean()) < 3e-3 * deviation
    assert METHODS["ulyanov"].transfer.network == METHODS["sines"].transfer.network == METHODS["mel"].transfer.network


@pytest.mark.parametrize(
    ("name", "shapes", "n_filters", "bound"),
    [
        ("kanak", [(n, n) for n in (3, 5, 7, 11, 15, 19, 23, 27)], 32, None),
        ("caracalla-roebel", [(n, n) for n in (3, 5, 7, 11, 15, 19, 23, 27)], 128, None),
        (
            "ri-spectrogram",
            [(101, 2), (53, 3), (11, 5), (3, 3), (5, 5), (11, 11), (19, 19), (27, 27)],
            128,
            0.05,
        ),
        ("gaussian-ot", [(101, 2), (53, 3), (11, 5), (3, 3), (7, 7), (11, 11), (19, 19), (27, 27)], 128, 0.05),
        ("single-layer", [(3, 1)], 32, None),
    ],
)
def test_banks_have_the_published_shapes(name, shapes, n_filters, bound):
    """Frequencies x frames, as the papers have them; arrays are time first."""
    n_planes = 2 if bound else 1
    banks = drawn(name, 257, n_planes)
    assert [bank.shape for bank in banks] == [(frames, bins, n_planes, n_filters) for bins, frames in shapes]
    if bound:
        assert max(np.abs(bank).max() for bank in banks) == pytest.approx(bound, rel=1e-3)
        assert np.mean(banks[-1] ** 2) == pytest.approx(bound**2 / 3, rel=0.01)
    if name == "single-layer":
        assert banks[0].std() == pytest.approx(1, rel=0.25)


def test_networks_over_time_have_the_published_widths():
    banks = drawn("autocorrelation", 5)
    assert [bank.shape for bank in banks] == [(frames, 5, 512) for frames in (2, 4, 8, 16, 64, 128)]


def test_other_published_numbers():
    ulyanov, kanak, single = (METHODS[name].transfer for name in ("ulyanov", "kanak", "single-layer"))
    assert (ulyanov.content_weight, ulyanov.style_weight, ulyanov.steps, ulyanov.phase_iterations) == (
        1e-2,
        1,
        300,
        500,
    )
    assert (ulyanov.variable, ulyanov.init, ulyanov.optimizer) == ("spectrogram", "noise", "lbfgs")
    assert (kanak.content_weight, kanak.style_weight, kanak.learning_rate, kanak.steps) == (1, 0.01, 0.1, 1000)
    assert (kanak.variable, kanak.init, kanak.optimizer) == ("spectrogram", "content", "adam")
    assert (single.content_weight, single.style_weight, single.learning_rate, single.steps) == (1e2, 1, 2e-3, 20_000)
    assert METHODS["gaussian-ot"].texture.memory == 25
    assert METHODS["gaussian-ot"].texture.steps == 20 * 20
    assert METHODS["ri-spectrogram"].texture.init == "tapered-noise"
    assert METHODS["caracalla-roebel"].texture.variable == "waveform"
    for method in METHODS.values():
        assert method.texture.content_weight == 0
        assert method.texture.init != "content"
        assert method.summary
        assert method.source


def clip(name, sample_rate, seconds):
    """At unit RMS."""
    recording = audio.resample(jaxst.read(jaxst.example(name)), sample_rate)
    x = recording.samples.mean(axis=0)[round(0.5 * sample_rate) :][: round(seconds * sample_rate)]
    return jnp.asarray(x / np.sqrt(np.mean(x**2)))


def test_ulyanov_approaches_its_limit():
    """One draw, with respect to the spectrogram, of 193 frequencies. The more there are, the more filters it takes:
    with 1,025 the cosines are 0.76 and 0.92."""
    rate = 4_000
    content, style = (clip(name, rate, 0.7) for name in ("guitar", "water"))

    @jax.jit
    def differentiate(config):
        targets = with_content(make_targets([style], (1.0,), rate, config), content[None])
        features = targets[0].analysis.features(jax.random.normal(jax.random.key(0), (1, len(content))))
        return jax.value_and_grad(lambda features: loss_terms([features], targets, config)[0])(features)

    for n_filters, least_cosine in ((4096, 0.9), (16_384, 0.97)):
        (value, gradient), (limit, limit_gradient) = (
            differentiate(config)
            for config in (
                configure(METHODS["ulyanov"].transfer, n_filters=n_filters),
                configure(METHODS["ulyanov-limit"].transfer, like=n_filters),
            )
        )
        cosine = jnp.vdot(gradient, limit_gradient) / jnp.linalg.norm(gradient) / jnp.linalg.norm(limit_gradient)
        assert float(cosine) > least_cosine
        assert float(value / limit) == pytest.approx(1, abs=0.1)
        assert float(jnp.linalg.norm(gradient) / jnp.linalg.norm(limit_gradient)) == pytest.approx(1, abs=0.15)


# One of each kind of statistic, with filters that are short beside the recording: those that see the joint see what
# there is only once.
STATISTICS = {
    "arccos": {"windows": (64.0,), "hops": (16.0,), "patch_frames": (11,)},
    "ulyanov": {"n_filters": 32},
    "single-layer": {"n_filters": 8},
    "kanak": {"shapes": ((3, 3), (7, 7)), "n_filters": 4},
    "gaussian-ot": {"shapes": ((11, 5), (3, 3)), "n_filters": 4},
    "autocorrelation": {"shapes": ((0, 2), (0, 8)), "n_filters": 8},
}


@pytest.mark.parametrize("name", STATISTICS)
def test_a_style_concatenated_with_itself_is_the_same_style(name):
    """To 1 % of the statistic's norm, as style and as signal. It is a whole number of hops: else the repetition would
    be seen at other samples."""
    rate = 4_000
    config = configure(METHODS[name].texture, normalization="relative", **STATISTICS[name])
    once = np.random.default_rng(0).standard_normal(8 * rate)
    twice = np.concatenate([once, once])

    @jax.jit
    def difference(config, x, style):
        targets = make_targets([style], (1.0,), rate, config)
        return loss_terms([target.analysis.features(x[None]) for target in targets], targets, config)[1]

    for x, style in ((once, twice), (twice, once)):
        terms = difference(config, jnp.asarray(x, jnp.float32), jnp.asarray(style, jnp.float32))
        assert 0 <= float(terms["style"]) < 0.01**2
        if "autocorrelation" in terms:
            assert float(terms["autocorrelation"]) < 0.01**2
