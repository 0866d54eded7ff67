"""Chunks of a long run on disk, each as soon as it is solved, so that the same run goes on where it was ended.

run.json          a digest of all that the run depends on
chunk-0007.npz    samples, history and status of one chunk, with the same digest; whole or not there at all
"""

import hashlib
import json
import os
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import numpy as np

from jaxst import audio
from jaxst.audio import Recording
from jaxst.chunks import Cut
from jaxst.config import options
from jaxst.errors import OutputError
from jaxst.result import Result
from jaxst.solver import Status
from jaxst.task import Task
from jaxst.version import __version__

_NAME = "chunk-{:04}.npz"
_DAMAGED = (OSError, EOFError, LookupError, ValueError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Checkpoint:
    """A folder.

    Attributes:
        folder: its path.
        digest: of the run.
    """

    folder: Path
    digest: str

    def write(self, index: int, result: Result) -> None:
        """Keep a chunk.

        Raises:
            OutputError: when the disk refuses.
        """
        arrays = {f"history of {name}": values for name, values in result.history.items()}
        known = {"digest": np.array(self.digest), "status": np.array(result.status.name)}
        with audio.write_atomically(self.folder / _NAME.format(index)) as temporary, open(temporary, "wb") as file:
            np.savez(file, samples=result.audio.samples, **known, **arrays)  # pyright: ignore[reportArgumentType]
            file.flush()
            os.fsync(file.fileno())

    def read(self, index: int, task: Task) -> Result | None:
        """What was kept of a chunk of this run; `None` if there is nothing, or nothing whole."""
        try:
            with open(self.folder / _NAME.format(index), "rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = dict(file)
            if str(arrays.pop("digest")) != self.digest:
                return None
            sample_rate, status = task.style.sample_rate, Status[str(arrays.pop("status"))]
            recording = Recording(arrays.pop("samples"), sample_rate, f"chunk {index}")
        except _DAMAGED:
            return None
        history = {name.removeprefix("history of "): values for name, values in arrays.items()}
        return Result(recording, task.config, history, status, {}, task.style)


def open_checkpoint(folder: str | os.PathLike, task: Task, how: Cut, *, overwrite: bool = False) -> Checkpoint:
    """Make a run's folder, or see that it holds no other run's chunks.

    Args:
        folder: made if it does not exist.
        task: the run.
        how: it is cut up.
        overwrite: whether another run's chunks are removed.

    Raises:
        OutputError: if the folder cannot be written to, or holds another run or other files.
    """
    folder, digest = Path(folder), _digest(task, how)
    manifest, text = folder / "run.json", json.dumps({"jaxst": __version__, "digest": digest}, indent=1) + "\n"
    try:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: is a file; give a folder")
        folder.mkdir(exist_ok=True)
        chunks = sorted(folder.glob("chunk-*.npz"))
        others = {entry.name for entry in folder.iterdir() if entry.suffix != ".part"}
        others -= {"run.json", *(chunk.name for chunk in chunks)}
        if others:
            raise OutputError(f"{folder}: holds other files; choose a new folder")
        if chunks and (not manifest.exists() or manifest.read_text(encoding="utf-8") != text):
            if not overwrite:
                raise OutputError(
                    f"{folder}: holds chunks of another run; choose another folder, give the same recordings and "
                    "options again, or pass --overwrite"
                )
            for chunk in chunks:
                chunk.unlink()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no folder of chunks"
        raise OutputError(f"{folder}: cannot be used ({reason}); choose another place") from error
    audio.write_text(manifest, text)
    return Checkpoint(folder, digest)


def _digest(task: Task, how: Cut) -> str:
    """Of everything that decides the samples of a result."""
    found = hashlib.sha256(
        json.dumps([__version__, jax.__version__, options(task.config), asdict(how)], default=str).encode()
    )
    for leaf in jax.tree.leaves((task.style, task.samples)):
        found.update(np.ascontiguousarray(leaf).view(np.uint8).data)
    return found.hexdigest()
