"""jaxst-resynth: what a model keeps of a recording, to be heard."""

from pathlib import Path

from absl import flags

from jaxst import audio, environment, resynthesize
from jaxst.audio import Recording
from jaxst.bin import command, job, result_flags
from jaxst.bin.job import Account
from jaxst.errors import ConfigError
from jaxst.report import Measure, Tracks
from jaxst.resynthesis import Resynthesis
from jaxst.resynthesis.models import MODELS, OPTIONS, model_named

INPUT = flags.DEFINE_string("input", None, "Recording to resynthesize: WAV, FLAC, OGG or MP3.")
MODEL = flags.DEFINE_string("model", "sms", f"One of {', '.join(MODELS)}; 'help' says what each one keeps.")
PARTS = flags.DEFINE_string(
    "parts", None, "Folder for sines, residual and stochastic part, where the model has them, in the output's format."
)
_DEFINE = {float: flags.DEFINE_float, int: flags.DEFINE_integer, str: flags.DEFINE_string}


def _help(name: str) -> str:
    """Meaning of an option, with the defaults of the models that have it."""
    option = OPTIONS[name]
    models_by_default: dict[str, list[str]] = {}
    for model in (model for model in MODELS if name in MODELS[model].options):
        value = MODELS[model].options[name]
        models_by_default.setdefault(f"{value:g}" if option.kind is float else str(value), []).append(model)
    defaults = [f"{value} ({', '.join(models)})" for value, models in models_by_default.items()]
    return f"{option.meaning} {option.need.capitalize()}. Default: {'; '.join(defaults)}."


OPTION_FLAGS = {name: _DEFINE[option.kind](name, None, _help(name)) for name, option in OPTIONS.items()}

USAGE = """Describe a recording by a model and make sound of the description again, to hear what the model keeps.

  jaxst-resynth --input=guitar.wav --model=sms --output=result.wav --parts=parts --report=result"""

_MEASURES = {
    "snr": (
        "Signal-to-noise ratio",
        "dB",
        "power of the input over that of its difference to the output; says little where phases are not kept",
    ),
    "sines_snr": ("Of the sines alone", "dB", "without the noise in place of the residual"),
    "spectral_convergence": (
        "Spectral convergence",
        "",
        "how far magnitudes are from the input's, whatever the phases: 0 equal, 1 as far as silence",
    ),
}


def main() -> int:
    """Flags to files; returns the exit status."""
    if not INPUT.value:
        raise ConfigError("--input is missing; name the recording to resynthesize")
    outputs = result_flags.outputs(_part_files())
    recording = audio.read(INPUT.value)
    environment.enable_compilation_cache()
    options = {name: flag.value for name, flag in OPTION_FLAGS.items()}
    return job.execute(
        lambda on_progress: account(
            resynthesize(
                recording, MODEL.value, sample_rate=result_flags.SAMPLE_RATE.value, on_progress=on_progress, **options
            ),
            recording,
        ),
        outputs,
    )


def models() -> str | None:
    """The list that `--model=help` asks for; `None` if it does not."""
    if MODEL.value != "help":
        return None
    return "\n".join(
        f"{name}: {model.summary} [{model.source}]\n    --{' --'.join(model.options)}" for name, model in MODELS.items()
    )


def account(result: Resynthesis, recording: Recording) -> Account:
    """What to tell of a run."""
    return Account(
        title=f"{Path(recording.name).stem} by {result.model}",
        inputs={"input": recording},
        audio=result.audio,
        config={"model": result.model, **result.options},
        history=result.history,
        timings=result.timings,
        status=result.status,
        message=result.message,
        summary=f"SNR {result.measures['snr']:.1f} dB, "
        f"spectral convergence {result.measures['spectral_convergence']:.3g}",
        curves="Convergence over the rounds",
        parts=result.parts,
        measures=[Measure(key, value, *_MEASURES[key]) for key, value in result.measures.items()],
        tracks=_tracks(result),
    )


def _part_files() -> dict[str, Path]:
    if not PARTS.value:
        return {}
    names = model_named(MODEL.value).parts
    if not names:
        raise ConfigError(
            f"parts: model={MODEL.value} takes nothing apart; "
            f"{', '.join(name for name, model in MODELS.items() if model.parts)} do"
        )
    suffix = Path(result_flags.OUTPUT.value or "").suffix
    return {name: Path(PARTS.value) / f"{name}{suffix}" for name in names}


def _tracks(result: Resynthesis) -> Tracks | None:
    if result.partials is None:
        return None
    return Tracks(result.partials[..., 0], result.partials[..., 1], result.frame_rate)


def run() -> None:
    """Entry point of the console script."""
    command.run(main, USAGE, modules=result_flags.modules(__name__), listing=models)


if __name__ == "__main__":
    run()
