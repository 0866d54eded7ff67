"""Suites from their names to findings, told as they come, and to files."""

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax

from jaxst import audio, environment
from jaxst.bench import findings
from jaxst.bench.findings import Finding
from jaxst.bench.suites import SUITES
from jaxst.bench.torch_baseline import describe
from jaxst.errors import ConfigError


def files(names: Sequence[str]) -> list[str]:
    """Names of those that `write` makes."""
    return ["RESULTS.md", "results.json", *(f"{name}.png" for name in names)]


def measure(names: Sequence[str], baseline: str) -> tuple[dict[str, str], dict[str, list[Finding]]]:
    """Run suites, one after another, and print what they find.

    Args:
        names: of `SUITES`.
        baseline: `torch`, on as many threads, or on the GPU where there is one; or `none`.

    Returns:
        The machine and its settings, and the findings of each suite.

    Raises:
        ConfigError: without PyTorch, where that is the baseline.
    """
    if baseline == "torch" and importlib.util.find_spec("torch") is None:
        raise ConfigError("baseline=torch: PyTorch is not installed; pip install 'jaxst[bench]', or --baseline=none")
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    device = None if baseline == "none" else ("cuda" if jax.default_backend() == "gpu" else "cpu")
    machine = {**environment.describe(), "precision": "float32, products in losses at HIGHEST: no TF32"}
    if device is not None:
        machine["torch"] = describe(threads, device)
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    return machine, {name: _measured(name, threads, device) for name in names}


def _measured(name: str, threads: int, device: str | None) -> list[Finding]:
    print(f"\n## {name.capitalize()}\n", flush=True)
    found = []
    for finding in SUITES[name](threads, device):
        found.append(finding)
        print(f"{finding.name} ...", file=sys.stderr, flush=True)
    print(findings.as_markdown(found), flush=True)
    return found


def write(folder: Path, machine: Mapping[str, str], found: Mapping[str, Sequence[Finding]]) -> None:
    """Tables, charts and JSON to a folder, which is made if it does not exist."""
    folder.mkdir(exist_ok=True)
    parts = ["# Measured", "\n".join(f"* {name}: {value}" for name, value in machine.items())]
    for name, each in found.items():
        chart = findings.charts(each, folder / f"{name}.png")
        picture = f"\n\n![{name}]({name}.png)" if chart else ""
        parts.append(f"## {name.capitalize()}\n\n{findings.as_markdown(each)}{picture}")
    audio.write_text(folder / "RESULTS.md", "\n\n".join(parts) + "\n")
    audio.write_text(folder / "results.json", findings.as_json(machine, found))
    print(f"\n{folder / 'RESULTS.md'}: tables and charts")


def report_missed(found: Mapping[str, Sequence[Finding]]) -> int:
    """1 where targets are missed, which are printed; else 0."""
    missed = [text for each in found.values() for finding in each for text in finding.missed]
    for text in missed:
        print(f"MISSED {text}")
    return 1 if missed else 0
