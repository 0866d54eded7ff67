"""The flags of the binaries that take a style, what they stand for, and what to tell of a run."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from absl import flags

from jaxst import audio
from jaxst.audio import Recording
from jaxst.bin import flags as shared
from jaxst.bin import result_flags
from jaxst.bin.job import Account
from jaxst.config import OPTIONS, Config
from jaxst.config import options as config_options
from jaxst.errors import ConfigError
from jaxst.evaluation import Evaluation, evaluate, optimized_measures
from jaxst.evaluation.references import beginning
from jaxst.methods import METHODS
from jaxst.options import parsed
from jaxst.style import Style
from jaxst.style_file import check_style_path, load_style, save_style, saved_among
from jaxst.transfer import Result

STYLE = flags.DEFINE_list(
    "style",
    None,
    "Recording to take the style from, or what --save_style wrote; several recordings, by commas, are pooled.",
)
STYLE_MIX = flags.DEFINE_list("style_mix", None, "Weight of each style, such as 0.7,0.3. Default: all equal.")
METHOD = flags.DEFINE_string("method", None, "Preset to run; 'help' lists them. Default: arccos.")
SAVE_STYLE = flags.DEFINE_string(
    "save_style", None, "NPZ file for what was learned of the style; --style takes it, with the same method and rate."
)
EVALUATED_SECONDS = 30.0  # of each style: of 5 min the measures take minutes
EVALUATE = flags.DEFINE_bool(
    "evaluate",
    True,
    "Measure the result for --report and --json, as jaxst-evaluate does, beside the first "
    f"{EVALUATED_SECONDS:g} s of each style: some seconds more.",
)
_DEFINE = {float: flags.DEFINE_float, int: flags.DEFINE_integer}


def _help(name: str, config: Config) -> str:
    """Meaning and bounds of an option, with its default or, if the default method lacks it, who has it."""
    option, default = OPTIONS[name], config_options(config).get(name)
    if default is None or (default == 0 and option.kind is int):
        last = "Not in the default method." if default is None else ""
    else:
        last = f"Default: {_text(default)}."
    return " ".join(part for part in (option.meaning, f"{option.need.capitalize()}.", last) if part)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def define(config: Config, *, without: Collection[str] = ()) -> dict[str, flags.FlagHolder]:
    """A flag for each option of `Config` and its parts, but for some; defaults are those of the methods, help tells
    those of one configuration."""
    return {
        name: _DEFINE.get(option.kind, flags.DEFINE_string)(name, None, _help(name, config), module_name=__name__)
        for name, option in OPTIONS.items()
        if name not in without
    }


def methods() -> str | None:
    """The list that `--method=help` asks for; `None` if it does not."""
    if METHOD.value != "help":
        return None
    return "\n".join(f"{name}: {method.summary} [{method.source}]" for name, method in METHODS.items())


def options(defined: Mapping[str, flags.FlagHolder]) -> dict[str, Any]:
    """Values of the flags that both jobs hand on, as keyword arguments.

    Args:
        defined: what `define` defined.
    """
    values = {name: flag.value for name, flag in defined.items()}
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    return {
        "method": METHOD.value,
        "style_mix": _style_mix(),
        "sample_rate": result_flags.SAMPLE_RATE.value,
        **values,
        **{name: parsed(OPTIONS, name, text) for name, text in texts.items()},
    }


def _style_mix() -> list[float] | None:
    weights = STYLE_MIX.value
    try:
        return None if weights is None else [float(weight) for weight in weights]
    except ValueError as error:
        raise ConfigError(f"style_mix={','.join(weights or [])} must be numbers separated by commas") from error


def outputs() -> shared.Outputs:
    """The files that the flags name, refused if they could not be written; see `jaxst.bin.result_flags.outputs`."""
    if not SAVE_STYLE.value:
        return result_flags.outputs()
    check_style_path(SAVE_STYLE.value, overwrite=shared.OVERWRITE.value)
    return result_flags.outputs(others={"save_style": Path(SAVE_STYLE.value)})


def read_styles() -> list[Recording] | Style:
    """The recordings that `--style` names, or what was learned of them.

    Raises:
        ConfigError: if it names none.
        AudioError: if one cannot be used.
    """
    if not STYLE.value or not all(STYLE.value):
        raise ConfigError("--style lacks a name; give the recording to take the style from")
    saved = saved_among(STYLE.value, len(STYLE.value))
    if saved is not None:
        return load_style(saved)
    return [audio.read(path) for path in STYLE.value]


def roles(styles: Sequence[Recording] | Style) -> dict[str, Recording]:
    """What each style is called in the report."""
    if isinstance(styles, Style):
        return {}
    if len(styles) == 1:
        return {"style": styles[0]}
    return {f"style {index} of {len(styles)}": style for index, style in enumerate(styles, 1)}


def account(result: Result, inputs: Mapping[str, Recording]) -> Account:
    """What to tell of a run, given its recordings by role."""
    names = " and ".join(Path(name).stem for name in result.style.names)
    content = Path(inputs["content"].name).stem if "content" in inputs else "Texture"
    style, path = result.history["style"], SAVE_STYLE.value
    return Account(
        title=f"{content} in the style of {names}",
        inputs=inputs,
        audio=result.audio,
        config=config_options(result.config),
        history=result.history,
        timings=result.timings,
        status=result.status,
        message=result.message,
        summary=f"style loss {style[0]:.3g} -> {style[-1]:.3g}",
        advice="lower --learning_rate or use --optimizer=lbfgs",
        extras={path: partial(save_style, path, result.style, overwrite=shared.OVERWRITE.value)} if path else {},
        evaluate=partial(_evaluated, inputs=inputs, config=result.config) if EVALUATE.value else None,
    )


def _evaluated(output: Recording, *, inputs: Mapping[str, Recording], config: Config) -> Evaluation:
    """The result beside references; of a style that was read from a file there is no recording. One whose beginning is
    silent cannot be evaluated so, and the report says it."""
    styles = [beginning(recording, EVALUATED_SECONDS) for role, recording in inputs.items() if role != "content"]
    optimized = optimized_measures(config_options(config))
    evaluation = evaluate(output, style=styles or None, content=inputs.get("content"), optimized=optimized)
    if styles:
        return evaluation
    return replace(evaluation, absent={"style": f"{','.join(STYLE.value or [])} holds no recording to compare with"})
