"""What options may be, and what a user is told of those that may not."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import pytest

from jaxst.config import HEARING, OPTIMIZERS, OPTIONS, STARTS, Config, configure, options
from jaxst.errors import ConfigError
from jaxst.methods import METHODS, method_named

TRACED = {"style_weight", "content_weight", "learning_rate", "seed"}  # at the least: a sweep varies them in one program
STATIC = {
    *("method", "statistic", "normalization", "variable", "separation"),
    *("steps", "optimizer", "memory", "init", "phase_iterations"),
}

ONE_RESOLUTION = {"windows": (64.0,), "hops": (16.0,), "patch_frames": (11,)}


def test_without_overrides_nothing_changes():
    assert configure(Config()) == Config()
    assert configure(Config(steps=7), steps=None, seed=None) == Config(steps=7)


def test_overrides_replace_what_they_name_and_nothing_else():
    base = Config(style_weight=3.0, seed=5)
    config = configure(base, steps=12, style_weight=0.5, init="noise")
    before, after = options(base), options(config)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"steps", "style_weight", "init"}
    assert (config.steps, config.style_weight, config.init, config.seed) == (12, 0.5, "noise", 5)
    assert (base.steps, base.style_weight, base.init) == (Config().steps, 3.0, Config().init)


@pytest.mark.parametrize(
    "overrides",
    [
        {"content_weight": 0.0},
        {"content_weight": 1e-9},
        {"start_noise": 0.0},
        {"whitening": 0.0},
        {"whitening": 1.0},
        {"centering": 0.0},
        {"centering": 1.0},
        {"content_spectrum": 0.0},
        {"content_spectrum": 1.0},
        {"seed": 2**31 - 1},
        {"steps": 1},
        {"optimizer": "adam", "learning_rate": 0.1},
        {"windows": (50.0,), "hops": (25.0,), "patch_frames": (1,)},
        *({"optimizer": optimizer} for optimizer in OPTIMIZERS),
        *({"init": init} for init in STARTS),
    ],
    ids=str,
)
def test_the_ends_of_every_range_are_allowed(overrides):
    config = configure(Config(), **overrides)
    assert {name: options(config)[name] for name in overrides} == overrides


REFUSED = {
    "style_weight": [0.0, -1.0, math.nan, math.inf],
    "content_weight": [-1e-9, math.nan, math.inf],
    "learning_rate": [0.0, -0.1, math.nan, math.inf],
    "compression": [0.0, -1.0, math.nan, math.inf],
    "start_noise": [-0.1, math.nan, math.inf],
    "whitening": [-0.1, 1.1, math.nan],
    "centering": [-0.1, 1.1, math.nan],
    "equalization": [-0.1, 1.1, math.nan],
    "content_spectrum": [-0.1, 1.1, math.nan],
    "texture_weight": [-1e-9, math.nan, math.inf],
    "copying_weight": [-1e-9, math.nan, math.inf],
    "seed": [-1, 2**31],
    "steps": [0, -1, True],
    "optimizer": ["", "sgd", "LBFGS"],
    "init": ["", "silence"],
    "windows": [()],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values])
def test_a_value_outside_its_range_is_refused_by_name_and_value(name, value):
    with pytest.raises(ConfigError) as caught:
        configure(Config(optimizer="adam") if name == "learning_rate" else Config(), **{name: value})
    message = str(caught.value)
    assert message.startswith(f"{name}={value!r} must be ")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "sizes", "reason"),
    [
        ("hops", {"hops": (5.0,)}, "as many as there are windows, 2"),
        ("patch_frames", {"patch_frames": (3, 3, 3)}, "as many as there are windows, 2"),
        ("hops", {"hops": (10.0, 11.0)}, "at most half of their windows"),
        ("hops", {"hops": (10.0, 0.0)}, "positive lengths"),
        ("hops", {"hops": (-1.0, 5.0)}, "positive lengths"),
        ("hops", {"hops": (math.nan, 5.0)}, "positive lengths"),
        ("patch_frames", {"patch_frames": (3, 0)}, "positive whole numbers"),
    ],
)
def test_sizes_that_do_not_fit_together_are_refused(name, sizes, reason):
    base = configure(Config(), windows=(40.0, 20.0), hops=(10.0, 5.0), patch_frames=(3, 3))
    assert configure(base) == base
    with pytest.raises(ConfigError, match=rf"^{name}=\(.* must be .*{reason}"):
        configure(base, **sizes)


def test_a_presets_own_hearing_goes_where_features_are_moved():
    base = METHODS["arccos"].transfer
    for variable, hears in (("preconditioned", True), ("waveform", True), ("spectrogram", False), ("sinusoids", False)):
        config = configure(base, variable=variable, **ONE_RESOLUTION)
        for name in HEARING:
            assert getattr(config, name) == (getattr(base, name) if hears else None)


@pytest.mark.parametrize("variable", ["preconditioned", "spectrogram"])
def test_what_is_heard_is_left_out_by_a_weight_of_zero(variable):
    weights = {"texture_weight": 0.0, "copying_weight": 0, "onset_weight": 0, "harmony_weight": 0.0}
    config = configure(METHODS["arccos"].transfer, **weights, variable=variable, **ONE_RESOLUTION)
    assert [getattr(config, name) for name in HEARING] == [None] * 4
    assert configure(METHODS["arccos"].transfer, onset_weight=0).texture_weight > 0


def test_an_unknown_option_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"^stylewight: no such option; there are .*style_weight") as caught:
        configure(Config(), stylewight=1.0)
    assert all(name in str(caught.value) for name in options(Config()) if name != "method")


def test_a_step_size_for_an_optimizer_that_has_none_is_refused():
    with pytest.raises(ConfigError, match=r"^learning_rate: .*optimizer=adam"):
        configure(Config(optimizer="lbfgs"), learning_rate=0.1)
    assert configure(Config(optimizer="lbfgs"), learning_rate=None) == Config(optimizer="lbfgs")


def test_what_shapes_the_program_is_static_and_the_rest_is_traced():
    fields = {field.name for field in dataclasses.fields(Config)}
    leaves = {path[0].name for path, _ in jax.tree_util.tree_leaves_with_path(Config())}
    assert leaves >= TRACED
    without = {"variation_weight", "autocorrelation_weight", "diversity_weight", "content_spectrum", *HEARING}
    assert fields - leaves == STATIC | without


def test_a_sweep_compiles_once_and_vmaps():
    traces = []

    @jax.jit
    def product(config: Config):
        traces.append(config)
        return config.style_weight * config.seed

    assert product(Config(style_weight=2.0, seed=3)) == 6
    assert product(Config(style_weight=5.0, seed=7)) == 35
    assert len(traces) == 1
    product(Config(steps=Config().steps + 1))
    assert len(traces) == 2

    configs = [Config(style_weight=weight, seed=seed) for weight, seed in ((1.0, 1), (2.0, 3))]
    stacked = jax.tree.map(lambda *values: jnp.stack([jnp.asarray(value) for value in values]), *configs)
    assert jax.vmap(product)(stacked).tolist() == [1, 6]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_valid_and_knows_its_name(name):
    method = method_named(name)
    for config in (method.transfer, method.texture):
        assert configure(config) == config
        assert config.method == name
    assert (method.transfer.content_weight == 0) == method.texture_only
    assert method.texture.content_weight == 0
    assert method.texture.init == ("style" if method.texture.variable == "sinusoids" else method.texture.init)
    assert method.texture.init != "content"


def test_an_unknown_method_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"^method='gatys' is unknown; choose one of .*arccos"):
        method_named("gatys")


def test_every_option_has_its_bounds_and_every_bound_its_option():
    configs = [method.transfer for method in METHODS.values()]
    assert set().union(*(options(config) for config in configs)) - {"method"} == OPTIONS.keys()


def test_options_belong_to_the_part_that_has_them():
    base = configure(Config(), network="random", n_filters=12, slope=0.1)
    assert (options(base)["network"], base.network.n_filters, base.network.slope) == ("random", 12, 0.1)
    with pytest.raises(
        ConfigError, match=r"^bias: network=random has no such option, infinite have; there are .*slope"
    ):
        configure(base, bias=0.1)
    with pytest.raises(ConfigError, match=r"^steepness: representation=log-magnitude has no such option, real-imag"):
        configure(base, steepness=3.0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("part", ["infinite", "random", "log-magnitude", "mel", "real-imaginary"])
def test_every_method_takes_another_part(method, part):
    config = METHODS[method].transfer
    kind = "network" if part in ("infinite", "random") else "representation"
    variable = "sinusoids" if kind == "network" and method == "sines-tensor" else "preconditioned"
    config = configure(config, **{kind: part}, statistic="gram", normalization="relative", variable=variable)
    assert options(config)[kind] == part


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"statistic": "gaussian"}, "statistic='gaussian' must be gram or per-frequency with network=infinite"),
        ({"normalization": "mean"}, "normalization='mean' must be relative or sum with network=infinite"),
        ({"network": "random", "statistic": "per-frequency"}, "statistic='per-frequency' must be gram where filters"),
        ({"network": "random", "bank_weights": (1.0, 2.0)}, "bank_weights=.* must be one, or as many as there are"),
        ({"variable": "spectrogram"}, "windows=.* must be one with variable=spectrogram"),
        ({"representation": "sinusoids"}, "variable='preconditioned' must be sinusoids with representation=sinusoids"),
        ({"variable": "sinusoids", "init": "noise"}, "init='noise' must be content or style with variable=sinusoids"),
        *(
            ({name: 0.5, "variable": variable, **ONE_RESOLUTION}, f"{name}=0.5 must be left out unless a waveform is")
            for name, variable in zip(HEARING, ("spectrogram", "spectrogram", "sinusoids", "sinusoids"), strict=True)
        ),
        ({"network": "random", "shapes": ((3, 0),)}, "shapes=.* must be shapes such as 0x11"),
        ({"network": "random", "shapes": (3,)}, "shapes=.* must be shapes such as 0x11"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(overrides, reason):
    with pytest.raises(ConfigError, match=f"^{reason}"):
        configure(Config(), **overrides)
