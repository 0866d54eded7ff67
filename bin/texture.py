"""jaxst-texture: sound with the texture of a recording, as long as wanted."""

from absl import flags

from jaxst import environment, texture
from jaxst.bin import command, job, style_flags, style_job
from jaxst.methods import METHODS
from jaxst.task import MAX_SECONDS, WHOLE_SECONDS

DURATION = flags.DEFINE_float(
    "duration",
    None,
    f"Seconds to synthesize, at most {MAX_SECONDS:g}. Default: as long as the first style, at most {WHOLE_SECONDS:g}.",
)
LOOP = flags.DEFINE_bool("loop", False, "Make the end lead on to the beginning, to be played over and over.")
# What is about a content.
_WITHOUT = ("content_weight", "equalization", "start_mix", "residual_gain", "init")
OPTIONS = style_flags.define(METHODS["arccos"].texture, without=_WITHOUT)
INIT = flags.DEFINE_string(
    "init", None, "Start of the optimization. One of noise, tapered-noise, style. Default: the method's."
)

USAGE = """Synthesize sound that has the texture of a recording and copies no part of it.

  jaxst-texture --style=rain.wav --output=more_rain.wav --duration=8 --report=more_rain"""


def main() -> int:
    """Flags to files; returns the exit status."""
    outputs = style_job.outputs()
    styles = style_job.read_styles()
    inputs = style_job.roles(styles)
    environment.enable_compilation_cache()
    options = {**style_job.options(OPTIONS), "duration": DURATION.value, "loop": LOOP.value, "init": INIT.value}
    return job.execute(
        lambda on_progress: style_job.account(texture(styles, on_progress=on_progress, **options), inputs), outputs
    )


def run() -> None:
    """Entry point of the console script."""
    command.run(main, USAGE, modules=style_job.modules(__name__), listing=style_flags.methods)


if __name__ == "__main__":
    run()
