"""jaxst-texture: sound with the texture of a recording, as long as wanted."""

from absl import flags

from jaxst import environment, texture
from jaxst.bin import command, job
from jaxst.bin import flags as shared

DURATION = flags.DEFINE_float("duration", None, "Seconds to synthesize. Default: as long as the first style.")
INIT = flags.DEFINE_enum("init", None, ["noise", "style"], "Start of the optimization. Default: noise.")

USAGE = """Synthesize sound that has the texture of a recording and copies no part of it.

  jaxst-texture --style=rain.wav --output=more_rain.wav --duration=8 --report=more_rain"""


def main() -> int:
    """Flags to files; returns the exit status."""
    outputs = shared.outputs()
    styles = shared.read_styles()
    environment.enable_compilation_cache()
    options = {**shared.common_options(), "duration": DURATION.value, "init": INIT.value}
    return job.execute(
        lambda on_progress: texture(styles, on_progress=on_progress, **options), shared.style_roles(styles), outputs
    )


def run() -> None:
    """Entry point of the console script."""
    command.run(main, __name__, USAGE)


if __name__ == "__main__":
    run()
