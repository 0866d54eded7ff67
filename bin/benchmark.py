"""jaxst-bench: how fast all this is on your machine, beside PyTorch."""

import importlib.util
import os
import sys
from pathlib import Path

import jax
from absl import flags

from jaxst import audio, environment
from jaxst.bench import findings
from jaxst.bench.suites import SUITES
from jaxst.bench.torch_baseline import describe
from jaxst.bin import command
from jaxst.bin import flags as shared
from jaxst.errors import ConfigError

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
        for file in ("RESULTS.md", "results.json", *(f"{name}.png" for name in names)):
            shared.check_in_folder("output", folder / file)
    if BASELINE.value == "torch" and importlib.util.find_spec("torch") is None:
        raise ConfigError("baseline=torch: PyTorch is not installed; pip install 'jaxst[bench]', or --baseline=none")
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    device = None if BASELINE.value == "none" else ("cuda" if jax.default_backend() == "gpu" else "cpu")
    machine = {**environment.describe(), "precision": "float32, products in losses at HIGHEST: no TF32"}
    if device is not None:
        machine["torch"] = describe(threads, device)
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    found = {name: _measured(name, threads, device) for name in names}
    if folder is not None:
        _write(folder, machine, found)
    missed = [text for each in found.values() for finding in each for text in finding.missed]
    for text in missed:
        print(f"MISSED {text}")
    return 1 if missed else 0


def _measured(name: str, threads: int, device: str | None) -> list[findings.Finding]:
    print(f"\n## {name.capitalize()}\n", flush=True)
    found = []
    for finding in SUITES[name](threads, device):
        found.append(finding)
        print(f"{finding.name} ...", file=sys.stderr, flush=True)
    print(findings.as_markdown(found), flush=True)
    return found


def _write(folder: Path, machine: dict[str, str], found: dict[str, list[findings.Finding]]) -> None:
    folder.mkdir(exist_ok=True)
    parts = ["# Measured", "\n".join(f"* {name}: {value}" for name, value in machine.items())]
    for name, each in found.items():
        chart = findings.charts(each, folder / f"{name}.png")
        picture = f"\n\n![{name}]({name}.png)" if chart else ""
        parts.append(f"## {name.capitalize()}\n\n{findings.as_markdown(each)}{picture}")
    audio.write_text(folder / "RESULTS.md", "\n\n".join(parts) + "\n")
    audio.write_text(folder / "results.json", findings.as_json(machine, found))
    print(f"\n{folder / 'RESULTS.md'}: tables and charts")


def run() -> None:
    """Entry point of the console script."""
    command.run(main, USAGE, modules=(__name__,), listing=lambda: None)


if __name__ == "__main__":
    run()
