"""The flags that all binaries share, and the files that they name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from absl import flags

from jaxst import audio
from jaxst.errors import ConfigError, OutputError

OUTPUT = flags.DEFINE_string("output", None, "File to write: .wav, .flac or .ogg.")
SAMPLE_RATE = flags.DEFINE_integer(
    "sample_rate", None, "Rate in Hz of processing and of the output. Default: that of the first recording."
)
REPORT = flags.DEFINE_string("report", None, "Folder for report.html: players, spectrograms, curves, settings.")
JSON = flags.DEFINE_string("json", None, "File for curves, settings and timings as JSON.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace files that exist.")


@dataclass(frozen=True)
class Outputs:
    """Files that a run writes. Folders of the report and of the parts are made when they are needed.

    Attributes:
        audio: the result.
        json: curves, settings and timings, if wanted.
        report: the page, if wanted.
        overwrite: whether files that exist are replaced.
        parts: what the result consists of, by name, if wanted.
    """

    audio: Path
    json: Path | None
    report: Path | None
    overwrite: bool
    parts: Mapping[str, Path] = field(default_factory=dict)


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
        json=Path(JSON.value) if JSON.value else None,
        report=Path(REPORT.value) / "report.html" if REPORT.value else None,
        overwrite=OVERWRITE.value,
        parts=parts or {},
    )
    audio.check_writable(result.audio, overwrite=result.overwrite)
    if result.json is not None:
        audio.check_target(result.json, overwrite=result.overwrite)
    if result.report is not None:
        _check_in_folder("report", result.report, result.overwrite)
    for path in result.parts.values():
        _check_in_folder("parts", path, result.overwrite)
    flag_of: dict[Path, str] = {}
    files = [("output", result.audio), ("json", result.json), ("report", result.report)]
    for flag, path in [*files, *(("parts", path) for path in result.parts.values()), *(others or {}).items()]:
        if path is not None and (other := flag_of.setdefault(path.resolve(), flag)) != flag:
            raise OutputError(f"{JSON.value if flag == 'json' else path}: --{flag} and --{other} name the same file")
    return result


def _check_in_folder(flag: str, path: Path, overwrite: bool) -> None:
    """Refuse a file that cannot be written to a folder that is made if it does not exist."""
    folder = path.parent
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; --{flag} takes a folder")
    audio.check_target(path if folder.exists() else folder, overwrite=overwrite)
