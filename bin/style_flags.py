"""The flags of the binaries that take a style, and what they stand for."""

from collections.abc import Collection, Mapping
from typing import Any

from absl import flags

from jaxst.config import OPTIONS, Config
from jaxst.config import options as config_options
from jaxst.errors import ConfigError
from jaxst.methods import METHODS
from jaxst.options import parsed

STYLE = flags.DEFINE_list(
    "style",
    None,
    "Recording to take the style from, or what --save_style wrote; several recordings, by commas, are pooled.",
)
STYLE_MIX = flags.DEFINE_list("style_mix", None, "Weight of each style, such as 0.7,0.3. Default: all equal.")
METHOD = flags.DEFINE_string("method", None, "Preset to run; 'help' lists them. Default: arccos.")
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
    """Values of the flags that all jobs hand on, as keyword arguments.

    Args:
        defined: what `define` defined.
    """
    values = {name: flag.value for name, flag in defined.items()}
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    return {
        "method": METHOD.value,
        "style_mix": _style_mix(),
        **values,
        **{name: parsed(OPTIONS, name, text) for name, text in texts.items()},
    }


def _style_mix() -> list[float] | None:
    weights = STYLE_MIX.value
    try:
        return None if weights is None else [float(weight) for weight in weights]
    except ValueError as error:
        raise ConfigError(f"style_mix={','.join(weights or [])} must be numbers separated by commas") from error


def names() -> list[str]:
    """The files that `--style` names.

    Raises:
        ConfigError: if it names none.
    """
    if not STYLE.value or not all(STYLE.value):
        raise ConfigError("--style lacks a name; give the recording to take the style from")
    return STYLE.value
