"""What the binaries that make one recording in a style share: their flags, and what to tell of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from absl import flags

from jaxst.audio import Recording
from jaxst.bin import flags as shared
from jaxst.bin import result_flags, style_flags
from jaxst.bin.job import SHOWN_SECONDS, Account, beginning
from jaxst.chunks import CHUNK_SECONDS
from jaxst.config import Config
from jaxst.config import options as config_options
from jaxst.evaluation import Evaluation, evaluate, optimized_measures
from jaxst.excerpts import MAX_SECONDS, excerpted
from jaxst.style import Style
from jaxst.style_file import check_style_path, save_style
from jaxst.task import told_apart
from jaxst.transfer import Result

SAVE_STYLE = flags.DEFINE_string(
    "save_style", None, "NPZ file for what was learned of the style; --style takes it, with the same method and rate."
)
CHECKPOINT_DIR = flags.DEFINE_string(
    "checkpoint_dir",
    None,
    f"Folder that keeps each chunk of what lasts more than {CHUNK_SECONDS:g} s as soon as it is solved. The same "
    "command goes on where it was ended.",
)
EVALUATE = flags.DEFINE_bool(
    "evaluate",
    True,
    "Measure the result for --report and --json, as jaxst-evaluate does, its first "
    f"{SHOWN_SECONDS:g} s beside at most {MAX_SECONDS:g} s of each style: some seconds more.",
)


def options(defined: Mapping[str, flags.FlagHolder]) -> dict[str, Any]:
    """Values of the flags that are handed on, as keyword arguments; see `jaxst.bin.style_flags.options`."""
    return {
        **style_flags.options(defined),
        "sample_rate": result_flags.SAMPLE_RATE.value,
        "checkpoint_dir": CHECKPOINT_DIR.value,
        "overwrite": shared.OVERWRITE.value,
    }


def modules(binary: str) -> tuple[str, ...]:
    """Those that define flags, for help."""
    return result_flags.modules(binary, style_flags.__name__, __name__)


def outputs() -> shared.Outputs:
    """The files that the flags name, refused if they could not be written; see `jaxst.bin.result_flags.outputs`."""
    if not SAVE_STYLE.value:
        return result_flags.outputs()
    check_style_path(SAVE_STYLE.value, overwrite=shared.OVERWRITE.value)
    return result_flags.outputs(others={"save_style": Path(SAVE_STYLE.value)})


def read_styles() -> list[Recording] | Style:
    """The recordings that `--style` names, the long ones in excerpts, or what was learned of them.

    Raises:
        ConfigError: if it names none.
        AudioError: if one cannot be used.
    """
    paths = style_flags.names()
    learned = told_apart(paths)
    return learned if isinstance(learned, Style) else list(map(excerpted, paths))


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
    """The result beside references; of a style that was read from a file there is no recording."""
    styles = [recording for role, recording in inputs.items() if role != "content"]
    content = beginning(inputs["content"]) if "content" in inputs else None
    optimized = optimized_measures(config_options(config))
    evaluation = evaluate(output, style=styles or None, content=content, optimized=optimized)
    if styles:
        return evaluation
    return replace(evaluation, absent={"style": f"{','.join(style_flags.names())} holds no recording to compare with"})
