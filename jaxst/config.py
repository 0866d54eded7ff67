"""The configuration of one transfer: a pytree, so that a sweep stacks it and vmaps what a single run runs."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import Array, Float, Int

from jaxst.errors import ConfigError

OPTIMIZERS = ("lbfgs", "adam")
STARTS = ("content", "noise", "style")
Number = float | Float[Array, "..."]


def _static(default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Config:
    """What one run does. Numbers that may vary inside one compiled program come first; what shapes the program is
    static.

    Attributes:
        style_weight: weight of the style term, which is normalized to 1 for features of zero.
        content_weight: weight of the content term, normalized likewise; 0 for texture synthesis.
        learning_rate: step size of Adam, in units of the preconditioned waveform, whose start has deviation 1. L-BFGS
            has none.
        seed: of the noise in the start.
        equalization: share, in decibels, of the difference between the long-term spectra of content and style that the
            content is filtered by before it is anything else; 0 none, 1 all.
        start_noise: level of the noise that a content or style start is given, relative to a start from noise alone.
        compression: C in log1p(C x): the mean of C x over the style.
        whitening: power of the style's mean magnitude that each frequency is divided by before the compression; 0 none,
            1 all.
        centering: share of the style's mean log magnitude that is subtracted from each frequency; 0 none, 1 all.
        bias: of the random network's filters, relative to the size of what they see; 0 none.
        method: name of the preset in `jaxst.methods`.
        windows: STFT windows in milliseconds, one for each resolution; a window holds four hops, the last one two.
        hops: STFT hops in milliseconds.
        patch_frames: frames in a patch at each resolution, the length of the random network's filters.
        steps: of the optimizer.
        optimizer: `lbfgs` or `adam`.
        init: `content`, `noise` or `style`.
    """

    style_weight: Number = 1.0
    content_weight: Number = 0.1
    learning_rate: Number = 0.05
    seed: int | Int[Array, "..."] = 0
    equalization: Number = 1.0
    start_noise: Number = 0.03
    compression: Number = 0.3
    whitening: Number = 0.85
    centering: Number = 0.95
    bias: Number = 0.5
    method: str = _static("arccos")
    windows: tuple[float, ...] = _static((64.0, 32.0, 8.0))
    hops: tuple[float, ...] = _static((16.0, 8.0, 4.0))
    patch_frames: tuple[int, ...] = _static((21, 11, 11))
    steps: int = _static(100)
    optimizer: str = _static("lbfgs")
    init: str = _static("content")


def configure(base: Config, **overrides: Any) -> Config:
    """`base` with some fields replaced, `None` meaning unchanged, and checked.

    Raises:
        ConfigError: for an unknown name or a value that the field cannot have.
    """
    known = {field.name for field in dataclasses.fields(Config)}
    for name in overrides:
        if name not in known:
            raise ConfigError(f"{name}: no such option; there are {', '.join(sorted(known))}")
    config = dataclasses.replace(base, **{name: value for name, value in overrides.items() if value is not None})
    _check(config, overrides)
    return config


def _check(config: Config, overrides: dict[str, Any]) -> None:
    def require(valid: Any, name: str, need: str) -> None:
        if not valid:
            raise ConfigError(f"{name}={getattr(config, name)!r} must be {need}")

    require(_positive(config.style_weight), "style_weight", "a positive number")
    require(_positive(config.content_weight) or config.content_weight == 0, "content_weight", "a positive number")
    require(_positive(config.learning_rate), "learning_rate", "a positive number")
    require(_positive(config.compression), "compression", "a positive number")
    for name in ("start_noise", "bias"):
        require(0 <= getattr(config, name) < float("inf"), name, "zero or a positive number")
    for name in ("equalization", "whitening", "centering"):
        require(0 <= getattr(config, name) <= 1, name, "between 0 and 1")
    require(_whole(config.seed) and 0 <= config.seed < 2**31, "seed", "a whole number from 0 to 2147483647")
    require(_whole(config.steps) and config.steps > 0, "steps", "a positive whole number")
    require(config.optimizer in OPTIMIZERS, "optimizer", f"one of {', '.join(OPTIMIZERS)}")
    require(config.init in STARTS, "init", f"one of {', '.join(STARTS)}")
    require(len(config.windows) > 0, "windows", "at least one length in milliseconds")
    for name in ("hops", "patch_frames"):
        require(
            len(getattr(config, name)) == len(config.windows),
            name,
            f"as many as there are windows, {len(config.windows)}",
        )
    pairs = zip(config.windows, config.hops, strict=True)
    require(all(0 < hop <= window / 2 for window, hop in pairs), "hops", "positive and at most half of their windows")
    require(all(_whole(n) and n > 0 for n in config.patch_frames), "patch_frames", "positive whole numbers")
    if overrides.get("learning_rate") is not None and config.optimizer == "lbfgs":
        raise ConfigError("learning_rate: L-BFGS finds its own step size; give it together with optimizer=adam")


def _positive(value: Any) -> bool:
    return 0 < value < float("inf")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
