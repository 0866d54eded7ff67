"""jaxst-transfer: the content of one recording in the style of another."""

from absl import flags

from jaxst import audio, environment, transfer
from jaxst.bin import command, job, style_flags, style_job
from jaxst.errors import ConfigError
from jaxst.methods import METHODS

CONTENT = flags.DEFINE_string("content", None, "Recording to keep the content of: WAV, FLAC, OGG or MP3.")
OPTIONS = style_flags.define(METHODS["arccos"].transfer)

USAGE = """Give the content of one recording the style of another.

  jaxst-transfer --content=guitar.wav --style=rain.wav --output=result.wav --report=result"""


def main() -> int:
    """Flags to files; returns the exit status."""
    if not CONTENT.value:
        raise ConfigError("--content is missing; name the recording to keep the content of")
    outputs = style_job.outputs()
    content, styles = audio.read(CONTENT.value), style_job.read_styles()
    inputs = {"content": content, **style_job.roles(styles)}
    environment.enable_compilation_cache()
    options = style_job.options(OPTIONS)
    return job.execute(
        lambda on_progress: style_job.account(transfer(content, styles, on_progress=on_progress, **options), inputs),
        outputs,
    )


def run() -> None:
    """Entry point of the console script."""
    command.run(main, USAGE, modules=style_job.modules(__name__), listing=style_flags.methods)


if __name__ == "__main__":
    run()
