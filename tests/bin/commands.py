"""Run a binary's command lines one after another in a process of its own: start-up and compilation are paid once."""

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from absl import flags

NAMES = ("transfer", "texture", "resynth", "evaluate", "sweep")
MODULES = {f"jaxst-{name}": f"jaxst.bin.{name}" for name in NAMES} | {"jaxst-bench": "jaxst.bin.benchmark"}


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        status: its exit status; `None` if it raised something.
        out: what it wrote to stdout, C libraries included.
        err: what it wrote to stderr, likewise.
    """

    status: int | None
    out: str
    err: str


@dataclass(frozen=True)
class Command:
    """A binary that waits for command lines.

    Attributes:
        name: of the binary.
        process: which runs it, and nothing else.
    """

    name: str
    process: subprocess.Popen

    def __call__(self, *arguments: str, folder: Path) -> Outcome:
        """Run one command line in `folder`."""
        print(json.dumps([arguments, str(folder)]), file=self.process.stdin, flush=True)
        reply = self.process.stdout.readline()
        assert reply, f"{self.name} {' '.join(arguments)}: the process died"
        return Outcome(*json.loads(reply))

    @contextmanager
    def largest_file(self, size: int) -> Iterator[None]:
        """Meanwhile, let every write fail that would make a file larger than so many bytes."""
        limits = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            yield
        finally:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, limits)


@contextmanager
def serving(binary: str, environment: dict[str, str]) -> Iterator[Command]:
    """Start a process for a binary, with some environment variables more."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", __file__, binary],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    with process:
        yield Command(binary, process)
        process.stdin.close()


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, hidden ones too, with what the file holds."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def assert_refused(command: Callable[..., Outcome], arguments: list[str], folder: Path, *mentions: str) -> None:
    """One line on stderr that mentions what is wrong, status 2, and every file as it was."""
    before = contents(folder)
    outcome = command(*arguments, folder=folder)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert outcome.err.index("\n") == len(outcome.err) - 1, "more than one line"
    for mention in mentions:
        assert mention in outcome.err
    assert contents(folder) == before


def _serve(binary: str) -> None:
    replies = os.fdopen(os.dup(1), "w")
    module = importlib.import_module(MODULES[binary])
    for line in sys.stdin:
        arguments, folder = json.loads(line)
        os.chdir(folder)
        sys.argv = [binary, *arguments]
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            status = _status(module.run)
            sys.stdout.flush()
            sys.stderr.flush()
            texts = [(file.seek(0), file.read())[1] for file in (out, err)]
        flags.FLAGS.unparse_flags()
        print(json.dumps([status, *texts]), file=replies, flush=True)


def _status(run: Callable[[], None]) -> int | None:
    try:
        run()
    except SystemExit as exit:
        return exit.code
    except BaseException:
        traceback.print_exc()
    return None


if __name__ == "__main__":
    _serve(sys.argv[1])
