"""The flags of the binaries that take a style, what they stand for, and what to tell of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from absl import flags

from jaxst import audio
from jaxst.audio import Recording
from jaxst.bin import flags as shared
from jaxst.bin.job import Account
from jaxst.config import OPTIMIZERS
from jaxst.errors import ConfigError
from jaxst.methods import METHODS
from jaxst.transfer import Result

_DEFAULTS = METHODS["arccos"].transfer

STYLE = flags.DEFINE_list("style", None, "Recording to take the style from; several, separated by commas, are pooled.")
STYLE_MIX = flags.DEFINE_list("style_mix", None, "Weight of each style, such as 0.7,0.3. Default: all equal.")
METHOD = flags.DEFINE_string("method", "arccos", "Preset to run; 'help' lists them.")
STYLE_WEIGHT = flags.DEFINE_float(
    "style_weight", None, f"Weight of the style term. Default: {_DEFAULTS.style_weight:g}."
)
STEPS = flags.DEFINE_integer(
    "steps",
    None,
    f"Steps of the optimizer. Default: {_DEFAULTS.steps}, for textures {METHODS['arccos'].texture.steps}.",
)
OPTIMIZER = flags.DEFINE_string("optimizer", None, f"One of {', '.join(OPTIMIZERS)}. Default: {_DEFAULTS.optimizer}.")
LEARNING_RATE = flags.DEFINE_float(
    "learning_rate", None, f"Step size of Adam; L-BFGS finds its own. Default: {_DEFAULTS.learning_rate:g}."
)
SEED = flags.DEFINE_integer("seed", None, "Seed of the noise in the start: another seed, another result. Default: 0.")


def methods() -> str | None:
    """The list that `--method=help` asks for; `None` if it does not."""
    if METHOD.value != "help":
        return None
    return "\n".join(f"{name}: {method.summary} [{method.source}]" for name, method in METHODS.items())


def options() -> dict[str, object]:
    """Values of the flags that both jobs hand on, as keyword arguments."""
    return {
        "method": METHOD.value,
        "style_mix": _style_mix(),
        "sample_rate": shared.SAMPLE_RATE.value,
        "style_weight": STYLE_WEIGHT.value,
        "steps": STEPS.value,
        "optimizer": OPTIMIZER.value,
        "learning_rate": LEARNING_RATE.value,
        "seed": SEED.value,
    }


def _style_mix() -> list[float] | None:
    weights = STYLE_MIX.value
    try:
        return None if weights is None else [float(weight) for weight in weights]
    except ValueError as error:
        raise ConfigError(f"style_mix={','.join(weights or [])} must be numbers separated by commas") from error


def read_styles() -> list[Recording]:
    """The recordings that `--style` names.

    Raises:
        ConfigError: if it names none.
        AudioError: if one cannot be used.
    """
    if not STYLE.value or not all(STYLE.value):
        raise ConfigError("--style lacks a name; give the recording to take the style from")
    return [audio.read(path) for path in STYLE.value]


def roles(styles: Sequence[Recording]) -> dict[str, Recording]:
    """What each style is called in the report."""
    if len(styles) == 1:
        return {"style": styles[0]}
    return {f"style {index} of {len(styles)}": style for index, style in enumerate(styles, 1)}


def account(result: Result, inputs: Mapping[str, Recording]) -> Account:
    """What to tell of a run, given its recordings by role."""
    names = " and ".join(Path(r.name).stem for role, r in inputs.items() if role != "content")
    content = Path(inputs["content"].name).stem if "content" in inputs else "Texture"
    style = result.history["style"]
    return Account(
        title=f"{content} in the style of {names}",
        inputs=inputs,
        audio=result.audio,
        config=asdict(result.config),
        history=result.history,
        timings=result.timings,
        status=result.status,
        message=result.message,
        summary=f"style loss {style[0]:.3g} -> {style[-1]:.3g}",
        advice="lower --learning_rate or use --optimizer=lbfgs",
    )
