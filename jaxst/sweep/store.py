"""A sweep's folder: its plan, and every result as soon as there is one, whole or not at all.

manifest.json       the plan; other plans are refused
lanes/017.flac      a result
lanes/017.json      what is known of it, with a checksum of the audio; written last, so that there is no such file
                    without its audio
references.json     measures of what results are compared with
sweep.csv, sweep.json, index.html

Files of JSON but for the plan hold its digest and a checksum of their own: what is of another plan, or damaged, is as
good as missing.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from jaxst import audio
from jaxst.audio import Recording
from jaxst.config import options
from jaxst.errors import OutputError
from jaxst.solver import Status
from jaxst.sweep.plan import Lane, differences
from jaxst.transfer import Result

_RESULTS = ("lanes", "references.json", "sweep.csv", "sweep.json", "index.html")


@dataclass(frozen=True)
class Outcome:
    """How one lane ended.

    Attributes:
        lane: which.
        audio: the result, or the file that holds it.
        status: why it ended.
        message: that in one line.
        history: `total` and every term, before the first step and after each.
        timings: its share of the seconds of its batch, by name.
        values: measures of the result by key, `None` for one without a number; empty before it is evaluated.
        reasons: why measures have none, by key.
    """

    lane: Lane
    audio: Recording | Path
    status: Status
    message: str
    history: Mapping[str, np.ndarray]
    timings: Mapping[str, float]
    values: Mapping[str, float | None]
    reasons: Mapping[str, str]

    @cached_property
    def losses(self) -> dict[str, float | None]:
        """Those after the last step, by `total` and the terms' names; `None` where not finite."""
        return {name: _finite(values[-1].item()) for name, values in self.history.items()}

    def load(self) -> Recording:
        """The result."""
        return self.audio if isinstance(self.audio, Recording) else audio.read(self.audio)


def unevaluated(lane: Lane, result: Result) -> Outcome:
    """That of a result, before it is measured."""
    return Outcome(lane, result.audio, result.status, result.message, result.history, result.timings, {}, {})


@dataclass(frozen=True)
class Store:
    """The folder of one sweep.

    Attributes:
        folder: its path.
        manifest: of the plan; results of others are not read.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @cached_property
    def digest(self) -> str:
        """Of the plan."""
        return _digest(self.manifest)

    def path(self, lane: Lane) -> Path:
        """Of a lane's audio."""
        return self.folder / "lanes" / f"{lane.name}.flac"

    def write(self, done: Outcome) -> Outcome:
        """Keep an outcome: its audio first, if it is not yet there. Returns it with the file for the audio.

        Raises:
            OutputError: when the disk refuses.
        """
        path = self.path(done.lane)
        if isinstance(done.audio, Recording):
            audio.write(path, done.audio, overwrite=True)
        content = {
            "name": done.lane.name,
            "pair": done.lane.pair,
            "settings": dict(done.lane.settings),
            "audio": path.name,
            "sha256": _checksum(path),
            "status": done.status.name.lower(),
            "message": done.message,
            "values": dict(done.values),
            "reasons": dict(done.reasons),
            "timings": dict(done.timings),
            "config": options(done.lane.config),
            "history": {name: [_finite(value) for value in values.tolist()] for name, values in done.history.items()},
        }
        self._write(path.with_suffix(".json"), content)
        return replace(done, audio=path)

    def read(self, lane: Lane) -> Outcome | None:
        """What was kept of a lane; `None` if there is nothing, or nothing whole."""
        path = self.path(lane)
        found = self._read(path.with_suffix(".json"))
        if found is None or found["name"] != lane.name or found["sha256"] != _checksum(path):
            return None
        return Outcome(
            lane,
            path,
            Status[found["status"].upper()],
            found["message"],
            {name: np.array(values, float) for name, values in found["history"].items()},  # NaN for None
            found["timings"],
            found["values"],
            found["reasons"],
        )

    def write_references(self, references: Mapping[str, Any]) -> None:
        """Keep measures of what results are compared with.

        Raises:
            OutputError: when the disk refuses.
        """
        self._write(self.folder / "references.json", {"pairs": references})

    def read_references(self) -> dict[str, Any]:
        """What was kept of them."""
        found = self._read(self.folder / "references.json")
        return {} if found is None else found["pairs"]

    def _write(self, path: Path, content: Mapping[str, Any]) -> None:
        content = {**content, "plan": self.digest}
        _write_json(path, {**content, "checksum": _digest(content)})

    def _read(self, path: Path) -> dict[str, Any] | None:
        found = _read_json(path)
        whole = found.pop("checksum", None) == _digest(found)
        return found if whole and found["plan"] == self.digest else None


def open_store(folder: Path, manifest: Mapping[str, Any], *, overwrite: bool = False) -> Store:
    """Make a sweep's folder, or see that it holds no results of another sweep.

    Args:
        folder: made if it does not exist.
        manifest: of the plan.
        overwrite: whether another sweep in the folder is removed.

    Raises:
        OutputError: if it cannot be written to, or holds another sweep or other files.
    """
    store, path = Store(folder, json.loads(json.dumps(manifest))), folder / "manifest.json"
    before = _read_json(path)
    try:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: is a file; give a folder")
        if folder.exists() and before != store.manifest:
            _make_room(store, before, overwrite)
        (folder / "lanes").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be used ({error.strerror}); choose another place") from error
    if before != store.manifest:
        _write_json(path, store.manifest)
    return store


def _make_room(store: Store, before: Mapping[str, Any], overwrite: bool) -> None:
    """Refuse or remove what a folder holds that has another manifest, or a damaged one, or none."""
    folder, known = store.folder, "jaxst" in before
    names = {entry.name for entry in folder.iterdir() if entry.suffix != ".part"}
    if names and not known and ("lanes" not in names or names - {"manifest.json", *_RESULTS}):
        raise OutputError(f"{folder}: holds other files; choose a new folder")
    lanes = map(_read_json, (folder / "lanes").glob("*.json"))
    if all(lane.get("plan") in (None, store.digest) for lane in lanes):
        return
    if not overwrite:
        what = "; ".join(differences(before, store.manifest)) if known else "its manifest.json is lost"
        raise OutputError(f"{folder}: holds another sweep ({what}); choose another folder or pass --overwrite")
    for name in names.intersection(_RESULTS):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _read_json(path: Path) -> dict[str, Any]:
    """A file's content; empty if there is none, or it is no JSON object."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Whole or not at all; raises OutputError when the disk refuses."""
    audio.write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _checksum(path: Path) -> str | None:
    """Of a file; none if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None
