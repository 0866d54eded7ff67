"""How time is taken."""

import time
from collections.abc import Callable, Mapping

import jax
import numpy as np


def interleaved(functions: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Median seconds of each function, called in turn so that a busy machine slows all of them alike.

    The first round compiles and warms up, and is not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for counted in [False] + [True] * rounds:
        for name, function in functions.items():
            began = time.perf_counter()
            jax.block_until_ready(function())
            if counted:
                seconds[name].append(time.perf_counter() - began)
    return {name: float(np.median(values)) for name, values in seconds.items()}
