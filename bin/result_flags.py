"""The flags of the binaries that make a recording, and the files that they write."""

from collections.abc import Mapping
from pathlib import Path

from absl import flags

from jaxst import audio
from jaxst.bin import flags as shared
from jaxst.bin import report_flags
from jaxst.bin.flags import Outputs
from jaxst.errors import ConfigError

OUTPUT = flags.DEFINE_string("output", None, "File to write: .wav, .flac or .ogg.")
SAMPLE_RATE = flags.DEFINE_integer(
    "sample_rate", None, "Rate in Hz of processing and of the output. Default: that of the first recording."
)


def modules(*others: str) -> tuple[str, ...]:
    """Names of modules that define flags, for help: some, and those for what is written."""
    return (*others, __name__, report_flags.__name__)


def outputs(parts: Mapping[str, Path] | None = None, others: Mapping[str, Path] | None = None) -> Outputs:
    """The files that the flags name, refused here if they could not be written, before any work is done for them.

    Args:
        parts: files for parts of the result, all in one folder.
        others: files that the binary's own flags name, by flag, and that it has checked.

    Raises:
        ConfigError: if none is named for the result.
        OutputError: if one could not be written.
    """
    if not OUTPUT.value:
        raise ConfigError("--output is missing; name the file to write")
    result = Outputs(
        audio=Path(OUTPUT.value),
        json=Path(report_flags.JSON.value) if report_flags.JSON.value else None,
        report=report_flags.report_page(),
        overwrite=shared.OVERWRITE.value,
        parts=parts or {},
    )
    audio.check_writable(result.audio, overwrite=result.overwrite)
    in_folders = [("report", result.report), *(("parts", part) for part in result.parts.values())]
    files = [("json", report_flags.JSON.value), *in_folders]
    shared.check_files(
        [(flag, path) for flag, path in files if path], [("output", result.audio), *(others or {}).items()]
    )
    return result
