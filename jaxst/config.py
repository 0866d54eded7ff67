"""The configuration of one transfer: a pytree, so that a sweep stacks it and vmaps what a single run runs."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import Array, Float, Int

from jaxst.errors import ConfigError
from jaxst.network import DISTRIBUTIONS, NETWORKS, PADDINGS, SCALES, InfiniteNetwork, Network, RandomNetwork
from jaxst.options import Option, checked, choice, count, not_negative, number, positive, several, share, whole
from jaxst.representation import REPRESENTATIONS, LogMagnitude, Representation, Sinusoids
from jaxst.representation.log_magnitude import REFERENCES

OPTIMIZERS = ("lbfgs", "adam")
STARTS = ("content", "noise", "tapered-noise", "style", "mix")
STATISTICS = ("gram", "per-frequency", "gaussian")
NORMALIZATIONS = ("relative", "sum", "mean", "gatys")
VARIABLES = ("preconditioned", "waveform", "spectrogram", "sinusoids")
SEPARATIONS = ("none", "sines")

Number = float | Float[Array, "..."]


def _static(default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Config:
    """What one run does: numbers, and the parts that it is put together from. Numbers that may vary inside one compiled
    program come first; what shapes the program is static. Options of representation and network are fields of theirs.

    Attributes:
        style_weight: weight of the style term.
        content_weight: weight of the content term; 0 for texture synthesis.
        variation_weight: weight of the total variation of the features over time and frequency; `None` for no such
            term, as with the five that follow.
        autocorrelation_weight: weight of the difference in what repeats within 0.2 to 2 s.
        diversity_weight: weight of the likeness to a shifted style.
        texture_weight: weight of the difference in texture statistics (`jaxst.auditory`), relative to the style's.
        copying_weight: weight of what is quoted of the style's waveform (`jaxst.statistics.copying`), relative to the
            style's.
        onset_weight: weight of the difference in onsets from the content, relative to the content's.
        harmony_weight: weight of the difference in harmony from the content, relative to the content's.
        learning_rate: step size of Adam in units of what is moved: the preconditioned waveform, whose start has
            deviation 1; a waveform, at -20 dB RMS; features. L-BFGS has none.
        seed: of the noise in the start.
        equalization: share, in decibels, of the difference between the long-term spectra of content and style that the
            content is filtered by before it is anything else; 0 none, 1 all.
        content_spectrum: share, in decibels, of the difference between the long-term spectra of result and content that
            the result is filtered by in the end; `None` for no filter.
        start_noise: level of the noise that a content or style start is given, relative to a start from noise alone.
        start_mix: share of the style in a `mix` start.
        residual_gain: level at which what was separated from the content is put back.
        representation: what networks see, one of `jaxst.representation`.
        network: what statistics are taken of, one of `jaxst.network`.
        method: name of the preset in `jaxst.methods`.
        statistic: what is compared with the style: `gram`, of all filters and frequencies; `per-frequency`, of the
            filters at each frequency; `gaussian`, mean and covariance of each filter.
        normalization: what style and content terms are divided by: `relative`, their value for responses of zero;
            `sum`, nothing; `mean`, their number of entries; `gatys`, 4 filters^2 frequencies frames and 4 filters
            frequencies frames. With the last two Gram matrices are sums over as many frames as the result has.
        variable: what is moved: `preconditioned`, the waveform in a basis where the style's spectrum is flat;
            `waveform`, its samples; `spectrogram`, the features, from which a waveform is made in the end;
            `sinusoids`, the parameters of partials.
        separation: what is transferred: `none`, whole recordings; `sines`, their partials, and what is left of the
            content is put back in the end.
        steps: of the optimizer.
        optimizer: `lbfgs` or `adam`.
        memory: steps that L-BFGS remembers.
        init: `content`; `noise`; `tapered-noise`, under a Hann window; `style`; `mix` of content and style.
        phase_iterations: of Griffin-Lim, where a spectrogram is moved.
    """

    style_weight: Number = 1.0
    content_weight: Number = 0.1
    variation_weight: Number | None = None
    autocorrelation_weight: Number | None = None
    diversity_weight: Number | None = None
    texture_weight: Number | None = None
    copying_weight: Number | None = None
    onset_weight: Number | None = None
    harmony_weight: Number | None = None
    learning_rate: Number = 0.05
    seed: int | Int[Array, "..."] = 0
    equalization: Number = 1.0
    content_spectrum: Number | None = None
    start_noise: Number = 0.03
    start_mix: Number = 0.5
    residual_gain: Number = 1.0
    representation: Representation = REPRESENTATIONS["log-magnitude"]
    network: Network = NETWORKS["infinite"]
    method: str = _static("arccos")
    statistic: str = _static("gram")
    normalization: str = _static("relative")
    variable: str = _static("preconditioned")
    separation: str = _static("none")
    steps: int = _static(50)
    optimizer: str = _static("lbfgs")
    memory: int = _static(20)
    init: str = _static("content")
    phase_iterations: int = _static(500)


# Weights of what is heard (`jaxst.auditory`), which is learned if one of them is given.
HEARING = ("texture_weight", "copying_weight", "onset_weight", "harmony_weight")
# Parts by the names that they are chosen by.
_PARTS: Mapping[str, Mapping[str, Any]] = {"representation": REPRESENTATIONS, "network": NETWORKS}


def options(config: Config) -> dict[str, Any]:
    """Every option by name: numbers, names of parts, and the parts' own options."""
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in _PARTS:
            flat[field.name] = part_name(field.name, value)
            flat |= {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        else:
            flat[field.name] = value
    return flat


def option_names(part: Any) -> set[str]:
    """Names of the options that a part has of its own; none for what is no part."""
    return {field.name for field in dataclasses.fields(part)} if dataclasses.is_dataclass(part) else set()


def part_name(kind: str, part: Any) -> str:
    """The name that a part is chosen by."""
    if isinstance(part, LogMagnitude):
        return "mel" if part.n_mels else "log-magnitude"
    return next(name for name, known in _PARTS[kind].items() if type(known) is type(part))


def configure(base: Config, **overrides: Any) -> Config:
    """`base` with some options replaced, `None` meaning unchanged, and checked. A part that is replaced by another, by
    its name, begins with that one's defaults.

    Raises:
        ConfigError: for a name that this configuration does not have, or a value that the option cannot have.
    """
    overrides = {name: value for name, value in overrides.items() if value is not None}
    config = base
    for kind in _PARTS.keys() & overrides.keys():
        name = checked(OPTIONS, kind, overrides[kind])
        if name != part_name(kind, getattr(config, kind)):
            config = _fitting(dataclasses.replace(config, **{kind: _PARTS[kind][name]}))
    has = options(config).keys() & OPTIONS.keys()
    for name, value in overrides.items():
        if name not in has:
            raise ConfigError(f"{name}: {_absence(name, config)}; there are {', '.join(sorted(has))}")
        overrides[name] = checked(OPTIONS, name, value)
    for kind in _PARTS:
        part = getattr(config, kind)
        own = option_names(part) & overrides.keys()
        config = dataclasses.replace(config, **{kind: dataclasses.replace(part, **{n: overrides[n] for n in own})})
    own = option_names(config) - _PARTS.keys()
    config = dataclasses.replace(config, **{name: overrides[name] for name in own & overrides.keys()})
    config = dataclasses.replace(config, **dict.fromkeys(_unheard(config, overrides)))
    _check_combination(config, overrides)
    return config


def _unheard(config: Config, overrides: Mapping[str, Any]) -> set[str]:
    """Terms that are left out, at no cost: those given a weight of 0; a preset's own, too, where features are moved."""
    return {name for name in HEARING if overrides.get(name) == 0 or not (moves_a_waveform(config) or name in overrides)}


def moves_a_waveform(config: Config) -> bool:
    """Whether a waveform is what is moved, as it is or in another basis."""
    return config.variable in ("preconditioned", "waveform")


def _fitting(config: Config) -> Config:
    """With patches for as many resolutions as there are, where parts were brought together whose defaults disagree."""
    network, n_windows = config.network, len(config.representation.windows)
    if not isinstance(network, InfiniteNetwork) or len(network.patch_frames) == n_windows:
        return config
    patch_frames = network.patch_frames[-1:] * n_windows
    return dataclasses.replace(config, network=dataclasses.replace(network, patch_frames=patch_frames))


def _absence(name: str, config: Config) -> str:
    for kind, known in _PARTS.items():
        others = [other for other, part in known.items() if name in option_names(part)]
        if others:
            return f"{kind}={part_name(kind, getattr(config, kind))} has no such option, {' and '.join(others)} have"
    return "no such option"


def _shape(text: str) -> tuple[int, int]:
    n_bins, n_frames = text.split("x")
    return int(n_bins), int(n_frames)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31


def _is_shape(value: Any) -> bool:
    return len(value) == 2 and _is_whole(value[0], 0) and _is_whole(value[1], 1)


def _is_length(value: Any) -> bool:
    return 0 < value < float("inf")


_LENGTHS = ("positive lengths in milliseconds", _is_length, float)

OPTIONS: Mapping[str, Option] = {
    "style_weight": positive("Weight of the style term."),
    "content_weight": not_negative("Weight of the content term: more keeps more."),
    "variation_weight": not_negative("Weight of the total variation of the features over time and frequency."),
    "autocorrelation_weight": not_negative("Weight of the difference in what repeats within 0.2 to 2 s."),
    "diversity_weight": not_negative("Weight of the likeness to a shifted style."),
    "texture_weight": not_negative("Weight of texture statistics, relative to that of the style; 0 for none."),
    "copying_weight": not_negative("Weight of what is quoted of the style, relative to that of the style; 0 for none."),
    "onset_weight": not_negative("Weight of the content's onsets, relative to that of the content; 0 for none."),
    "harmony_weight": not_negative("Weight of the content's harmony, relative to that of the content; 0 for none."),
    "learning_rate": positive("Step size of Adam; L-BFGS finds its own."),
    "seed": whole("Seed of the noise in the start: another seed, another result.", 0),
    "equalization": share("Share of the style's long-term spectrum that the content is given by a filter before all."),
    "content_spectrum": share("Share of the content's long-term spectrum that the result is given back by a filter."),
    "start_noise": not_negative("Level of the noise that is added to a start from a recording."),
    "start_mix": share("Share of the style in a start from a mix."),
    "residual_gain": not_negative("Level at which what was separated from the content is put back."),
    "representation": choice("What networks see.", *REPRESENTATIONS),
    "network": choice("What statistics are taken of.", *NETWORKS),
    "statistic": choice("What is compared with the style.", *STATISTICS),
    "normalization": choice("What style and content terms are divided by.", *NORMALIZATIONS),
    "variable": choice("What is moved.", *VARIABLES),
    "separation": choice("Which part of both recordings is transferred.", *SEPARATIONS),
    "steps": count("Steps of the optimizer."),
    "optimizer": choice("How the loss is lowered.", *OPTIMIZERS),
    "memory": count("Steps that L-BFGS remembers."),
    "init": choice("Start of the optimization.", *STARTS),
    "phase_iterations": count("Rounds of Griffin-Lim, where a spectrogram is moved."),
    # of representations
    "compression": positive("C in log(1 + C |X|)."),
    "whitening": share("Power of the style's mean magnitude that each frequency is divided by."),
    "centering": share("Share of the style's mean log magnitude that is subtracted from each frequency."),
    "reference": choice("Magnitude that counts as 1.", *REFERENCES),
    "n_mels": count("Mel bands."),
    "windows": several("STFT windows in milliseconds, one for each resolution.", *_LENGTHS),
    "hops": several("STFT hops in milliseconds, one for each resolution.", *_LENGTHS),
    "steepness": positive("Of the sigmoid that compresses real and imaginary parts."),
    "n_partials": count("Partials that sound at once."),
    "threshold": number("Level of the quietest partial in dB of full scale.", -200, 0),
    # of networks
    "bias": not_negative("Of the filters, relative to the size of what they see."),
    "patch_frames": several(
        "Frames that filters span, one number for each resolution.",
        "positive whole numbers", lambda value: _is_whole(value, 1), int,
    ),
    "patch_bins": count("Frequencies that filters span, where they are compared at each frequency."),
    "like": count("Filters that sums are over, in expectation."),
    "filter_seed": whole("Seed of the filters.", 0),
    "bank_weights": several("Weight of each bank.", "positive numbers", _is_length, float),
    "shapes": several(
        "Frequencies x frames of each bank's filters; 0 for all frequencies.",
        "shapes such as 0x11 or 3x3", _is_shape, _shape,
    ),
    "n_filters": count("Filters in each bank."),
    "distribution": choice("That filters are drawn from.", *DISTRIBUTIONS),
    "filter_scale": choice("Standard deviation or bound of the filters.", *SCALES),
    "filter_gain": positive("What that is multiplied by."),
    "slope": share("Of the ReLU below zero."),
    "padding": choice("Whether filters stay inside of the features.", *PADDINGS),
}  # fmt: skip


def _check_combination(config: Config, overrides: Mapping[str, Any]) -> None:
    """What no option decides alone."""
    representation, network = config.representation, config.network
    windows, hops = representation.windows, representation.hops

    def require(valid: bool, name: str, need: str) -> None:
        if not valid:
            raise ConfigError(f"{name}={options(config)[name]!r} must be {need}")

    as_many = f"as many as there are windows, {len(windows)}"
    require(len(hops) == len(windows), "hops", as_many)
    pairs = zip(windows, hops, strict=True)
    require(all(hop <= window / 2 for window, hop in pairs), "hops", "positive and at most half of their windows")
    if isinstance(network, InfiniteNetwork):
        require(len(network.patch_frames) == len(windows), "patch_frames", as_many)
        require(config.statistic != "gaussian", "statistic", "gram or per-frequency with network=infinite")
        require(config.normalization in ("relative", "sum"), "normalization", "relative or sum with network=infinite")
    if isinstance(network, RandomNetwork):
        n_banks, n_weights = len(network.shapes), len(network.bank_weights)
        require(n_weights in (0, 1, n_banks), "bank_weights", f"one, or as many as there are shapes, {n_banks}")
        over_time = any(n_bins == 0 for n_bins, _ in network.shapes)
        require(not over_time or config.statistic == "gram", "statistic", "gram where filters span all frequencies")
    if isinstance(representation, Sinusoids):
        require(config.variable == "sinusoids", "variable", "sinusoids with representation=sinusoids")
        require(len(windows) == 1, "windows", "one with representation=sinusoids")
    require(config.variable != "spectrogram" or len(windows) == 1, "windows", "one with variable=spectrogram")
    for name in HEARING:
        given = getattr(config, name) is not None
        require(moves_a_waveform(config) or not given, name, "left out unless a waveform is moved")
    if config.variable == "sinusoids":
        require(config.init in ("content", "style"), "init", "content or style with variable=sinusoids")
    if overrides.get("learning_rate") is not None and config.optimizer == "lbfgs":
        raise ConfigError("learning_rate: L-BFGS finds its own step size; give it together with optimizer=adam")
