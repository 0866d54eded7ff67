"""How time and memory are taken."""

import ctypes
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

LEAST = 0.02  # seconds that a measurement should take: what is shorter is called several times


class Timing(NamedTuple):
    """Seconds of one call.

    Attributes:
        median: of all measurements.
        low, high: their quartiles.
    """

    median: float
    low: float
    high: float


def spread(seconds: Sequence[float]) -> Timing:
    """Median and quartiles of measurements."""
    return Timing(*np.quantile(seconds, (0.5, 0.25, 0.75)).tolist())


def interleaved(functions: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, Timing]:
    """Seconds of each function, called in turn so that a busy machine slows all of them alike.

    The first round compiles and warms up, the second tells how often to call; neither is counted.
    """
    counts = dict.fromkeys(functions, 1)
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for counted in [False, False] + [True] * rounds:
        for name, function in functions.items():
            began = time.perf_counter()
            for _ in range(counts[name]):
                jax.block_until_ready(function())
            taken = (time.perf_counter() - began) / counts[name]
            if counted:
                seconds[name].append(taken)
            else:
                counts[name] = max(1, math.ceil(LEAST / taken))
    return {name: spread(values) for name, values in seconds.items()}


def compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Callable[[], Any], float]:
    """A function of arrays, compiled for these and given them, and the seconds that this took."""
    leaves, tree = jax.tree.flatten(arguments)
    began = time.perf_counter()
    program = jax.jit(lambda *leaves: function(*jax.tree.unflatten(tree, leaves))).lower(*leaves).compile()
    return lambda: program(*leaves), time.perf_counter() - began


def peak_memory(module: str, function: str, *arguments: Any) -> float:
    """MiB that calls take at most beyond what their process, one of their own, had before the first.

    Args:
        module: of the function.
        function: makes, of the arguments, what is called.
        arguments: such as JSON can hold.
    """
    command = [sys.executable, "-m", __name__, module, function, json.dumps(arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _print_peak(module: str, function: str, arguments: str) -> None:
    """In the process itself, by Linux's account."""
    call = getattr(__import__(module, fromlist=[function]), function)(*json.loads(arguments))
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _status("VmRSS")
    for _ in range(2):
        jax.block_until_ready(call())
    print(_status("VmHWM") - before)


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


if __name__ == "__main__":
    _print_peak(*sys.argv[1:])
