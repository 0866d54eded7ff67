"""Speed of the sinusoidal analysis against sms-tools' on this machine: `python -m bench.sinusoids`.

Both analyze the bundled guitar, speech and tabla with equal parameters; sms-tools in an environment of its own, which
`tests/install_sms_tools` makes, and its time is its own measurement, its start not included. Exits with status 1 if the
target is missed.
"""

import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import scipy.signal

import jaxst
from bench import sms_tools
from jaxst import audio, environment
from jaxst.kernels.sinusoids.partials import track_partials
from jaxst.kernels.sinusoids.peaks import find_peaks
from jaxst.kernels.sinusoids.synthesis import synthesize_lobes, synthesize_oscillators

RATE, SECONDS, ROUNDS, TARGET = 44_100, 5, 5, 5.0
COMMON = {"sample_rate": RATE, "n_fft": 2048, "hop_length": 128, "threshold": -80.0}
WINDOW, WIN_LENGTH, PARTIALS, DURATION = "blackman", 1501, 100, 0.02


def clip(name: str) -> np.ndarray:
    """Five seconds, mono, at 44.1 kHz."""
    recording = audio.resample(jaxst.read(jaxst.example(name)), RATE)
    return np.resize(recording.samples.mean(axis=0), SECONDS * RATE)


def seconds_of(function, *arguments) -> float:
    """Wall-clock time of one call."""
    began = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - began


def main() -> int:
    """Print the table; 1 if the target is missed."""
    print(", ".join(f"{name} {value}" for name, value in environment.describe().items()))
    if not sms_tools.available():
        print("sms-tools is missing: run make test, or tests/install_sms_tools")
        return 1

    @jax.jit
    def analyze(x):
        peaks = find_peaks(x, **COMMON, window=WINDOW, win_length=WIN_LENGTH, max_peaks=PARTIALS)
        rate = RATE / COMMON["hop_length"]
        return track_partials(peaks, frame_rate=rate, max_partials=PARTIALS, min_duration=DURATION)

    synthesis = {
        "lobes": jax.jit(partial(synthesize_lobes, sample_rate=RATE, hop_length=COMMON["hop_length"])),
        "oscillators": jax.jit(partial(synthesize_oscillators, sample_rate=RATE, hop_length=COMMON["hop_length"])),
    }
    print(f"\nsinusoidal analysis of {SECONDS} s at {RATE} Hz, n_fft 2048, hop 128, {PARTIALS} partials at most")
    values = scipy.signal.get_window(WINDOW, WIN_LENGTH)
    ratios = []
    for name in ("guitar", "speech", "tabla"):
        x = clip(name)
        on_device = jnp.asarray(x)
        began = seconds_of(analyze, on_device)  # the first call compiles
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours += [seconds_of(analyze, on_device) for _ in range(3)]
            answer = sms_tools.analyze(x=x, window=values, max_partials=PARTIALS, min_duration=DURATION, **COMMON)
            theirs.append(float(answer["seconds"]))
        ratios.append(np.median(theirs) / np.median(ours))
        print(
            f"  {name}: {np.median(ours) * 1e3:.0f} ms against {np.median(theirs) * 1e3:.0f} ms, "
            f"{ratios[-1]:.1f} times faster (first call, compilation included: {began:.1f} s)",
            flush=True,
        )
        partials = analyze(on_device)
        for kind, synthesize in synthesis.items():
            seconds_of(synthesize, partials)
            median = np.median([seconds_of(synthesize, partials) for _ in range(5)])
            print(f"    synthesis by {kind}: {median * 1e3:.0f} ms")
    met = min(ratios) >= TARGET
    print(f"least: {min(ratios):.1f} times faster (target {TARGET:g}) {'ok' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
