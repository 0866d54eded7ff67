"""sms-tools' sine and sinusoidal-plus-stochastic models, an oracle and a rival, in a process and an environment of
their own, which `tests/install_sms_tools` makes.

Called with two file names this module is that process: it reads a signal and parameters, and writes what sms-tools
makes of them. It runs on NumPy 1.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

PYTHON = Path(__file__).parents[1] / ".venv" / "sms-tools" / "bin" / "python"
NAMES = ("x", "window", "sample_rate", "n_fft", "hop_length", "threshold", "max_partials", "min_duration")


def available() -> bool:
    """Whether `tests/install_sms_tools` has installed it."""
    return PYTHON.exists()


def analyze(**parameters: Any) -> dict[str, np.ndarray]:
    """`sines`, the resynthesis of the sine model, `stochastic`, that of its residual's envelope, and the `seconds` that
    the analysis into partials took, for the parameters named in `NAMES`."""
    with tempfile.TemporaryDirectory() as folder:
        given: dict[str, Any] = {name: parameters[name] for name in NAMES}
        np.savez(f"{folder}/in.npz", **given)
        command = [PYTHON, "-W", "ignore", __file__, f"{folder}/in.npz", f"{folder}/out.npz"]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "MPLBACKEND": "agg"})
        with np.load(f"{folder}/out.npz") as result:
            return dict(result)


def _answer(source: str, target: str) -> None:
    from smstools.models import sineModel, spsModel  # pyright: ignore[reportMissingImports]

    given = np.load(source)
    x, window = given["x"].astype(np.float64), given["window"].astype(np.float64)
    rate, n_fft, hop, threshold, partials, duration = (given[name].item() for name in NAMES[2:])
    began = time.perf_counter()
    tracks = sineModel.sineModelAnal(x, rate, window, n_fft, hop, threshold, partials, duration)
    seconds = time.perf_counter() - began
    sines = sineModel.sineModelSynth(*tracks, 4 * hop, hop, rate)
    np.random.seed(0)  # the generator that it uses
    tracks = spsModel.spsModelAnal(x, rate, window, n_fft, hop, threshold, duration, partials, 20, 0.01, 0.2)
    _, _, stochastic = spsModel.spsModelSynth(*tracks, 4 * hop, hop, rate)
    np.savez(target, sines=sines, stochastic=stochastic, seconds=seconds)


if __name__ == "__main__":
    _answer(*sys.argv[1:])
