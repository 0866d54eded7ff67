"""The flags that the binaries share, and what they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from jaxst import audio
from jaxst.audio import Recording
from jaxst.config import OPTIMIZERS
from jaxst.errors import ConfigError, OutputError
from jaxst.methods import METHODS

_DEFAULTS = METHODS["arccos"].transfer

STYLE = flags.DEFINE_list("style", None, "Recording to take the style from; several, separated by commas, are pooled.")
STYLE_MIX = flags.DEFINE_list("style_mix", None, "Weight of each style, such as 0.7,0.3. Default: all equal.")
OUTPUT = flags.DEFINE_string("output", None, "File to write: .wav, .flac or .ogg.")
SAMPLE_RATE = flags.DEFINE_integer(
    "sample_rate",
    None,
    "Rate in Hz of processing and of the output. Default: the content's own, for textures the style's.",
)
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
REPORT = flags.DEFINE_string("report", None, "Folder for report.html: players, spectrograms, losses, settings.")
JSON = flags.DEFINE_string("json", None, "File for losses, settings and timings as JSON.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace files that exist.")


@dataclass(frozen=True)
class Outputs:
    """Files that a run writes.

    Attributes:
        audio: the result.
        json: losses, settings and timings, if wanted.
        report: the page, if wanted; its folder is made when it is written.
        overwrite: whether files that exist are replaced.
    """

    audio: Path
    json: Path | None
    report: Path | None
    overwrite: bool


def outputs() -> Outputs:
    """The files that the flags name, refused here if they could not be written, before any work is done for them.

    Raises:
        ConfigError: if none is named for the result.
        OutputError: if one could not be written.
    """
    if not OUTPUT.value:
        raise ConfigError("--output is missing; name the file to write")
    result = Outputs(
        audio=Path(OUTPUT.value),
        json=Path(JSON.value) if JSON.value else None,
        report=Path(REPORT.value) / "report.html" if REPORT.value else None,
        overwrite=OVERWRITE.value,
    )
    audio.check_writable(result.audio, overwrite=result.overwrite)
    if result.json is not None:
        audio.check_target(result.json, overwrite=result.overwrite)
        if result.json.resolve() == result.audio.resolve():
            raise OutputError(f"{JSON.value}: --json and --output name the same file")
    if result.report is not None:
        folder = result.report.parent
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: is a file; --report takes a folder")
        audio.check_target(result.report if folder.exists() else folder, overwrite=result.overwrite)
    return result


def common_options() -> dict[str, object]:
    """Values of the flags that both jobs hand on, as keyword arguments."""
    return {
        "method": METHOD.value,
        "style_mix": _style_mix(),
        "sample_rate": SAMPLE_RATE.value,
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


def style_roles(styles: Sequence[Recording]) -> dict[str, Recording]:
    """What each style is called in the report."""
    if len(styles) == 1:
        return {"style": styles[0]}
    return {f"style {index} of {len(styles)}": style for index, style in enumerate(styles, 1)}
