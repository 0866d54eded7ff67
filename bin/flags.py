"""The flags that all binaries share, and the files that they name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from absl import flags

from jaxst import audio
from jaxst.errors import OutputError

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


def check_files(files: Sequence[tuple[str, str | Path]], others: Sequence[tuple[str, str | Path]] = ()) -> None:
    """Refuse files that could not be written, or that two flags name.

    Args:
        files: each with its flag; those of the report and of parts are in a folder that is made if it does not exist.
        others: files that were checked before.

    Raises:
        OutputError: if there is such a file.
    """
    for flag, path in files:
        if flag in ("report", "parts"):
            check_in_folder(flag, Path(path))
        else:
            audio.check_target(path, overwrite=OVERWRITE.value)
    flag_of: dict[Path, str] = {}
    for flag, path in [*others, *files]:
        if (other := flag_of.setdefault(Path(path).resolve(), flag)) != flag:
            raise OutputError(f"{path}: --{flag} and --{other} name the same file")


def check_in_folder(flag: str, path: Path) -> None:
    """Refuse a file that cannot be written to a folder that is made if it does not exist.

    Raises:
        OutputError: if it cannot.
    """
    folder = path.parent
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; --{flag} takes a folder")
    audio.check_target(path if folder.exists() else folder, overwrite=OVERWRITE.value)
