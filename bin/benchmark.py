"""jaxst-bench: how fast all this is on your machine, beside PyTorch."""

from pathlib import Path

from absl import flags

from jaxst.bench.run import files, measure, report_missed, write
from jaxst.bench.suites import SUITES
from jaxst.bin import command
from jaxst.bin import flags as shared

SUITE = flags.DEFINE_enum("suite", "all", [*SUITES, "all"], "What to measure.")
BASELINE = flags.DEFINE_enum("baseline", "torch", ["torch", "none"], "What to compare with.")
OUTPUT = flags.DEFINE_string(
    "output", None, "Folder for RESULTS.md, results.json and charts. Default: tables here alone."
)

USAGE = """Measure kernels, losses, whole transfers, sweeps, and how time grows, beside PyTorch on as many threads.

  jaxst-bench --suite=kernels --output=bench
  jaxst-bench --suite=transfer --baseline=none

All of it takes half an hour on two cores. Both sides are called in turn in one process, warmed up; what is told are
medians and quartiles. The exit status is 1 where a target is missed. PyTorch comes with pip install 'jaxst[bench]'."""


def main() -> int:
    """Flags to tables; returns the exit status."""
    names = list(SUITES) if SUITE.value == "all" else [SUITE.value]
    folder = Path(OUTPUT.value) if OUTPUT.value else None
    if folder is not None:
        for file in files(names):
            shared.check_in_folder("output", folder / file)
    machine, found = measure(names, BASELINE.value)
    if folder is not None:
        write(folder, machine, found)
    return report_missed(found)


def run() -> None:
    """Entry point of the console script."""
    command.run(main, USAGE, modules=(__name__,), listing=lambda: None)


if __name__ == "__main__":
    run()
