"""Griffin-Lim against librosa's on this machine: `python -m bench.griffin_lim`.

Prints, for the packaged recordings, the spectral convergence that both reach from the same random phases with the same
settings, and then the seconds they take, interleaved, with the time of compilation apart. Exits with status 1 if the
convergence is worse anywhere or the speed misses its target.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import librosa
import numpy as np

import jaxst
from bench.timing import interleaved
from jaxst import audio, environment
from jaxst.kernels.griffin_lim import griffin_lim

CLIPS = ("guitar", "speech", "tabla", "water")
ITERATIONS = (32, 100)
MOMENTA = {"classic": 0.0, "fast": 0.99}
# Sample rate in Hz, seconds, n_fft, hop_length.
SETTINGS = [(22_050, 10, 2048, 512), (44_100, 10, 2048, 512), (22_050, 5, 1024, 256), (44_100, 5, 1024, 256)]
SEED, ROUNDS = 0, 7
FASTER, NO_WORSE = 3.0, 1.001  # the convergence of two orders of summation differs in the fifth digit


def clip(name: str, sample_rate: int, seconds: float) -> np.ndarray:
    """The first channel, repeated if it is too short."""
    samples = audio.resample(jaxst.read(jaxst.example(name)), sample_rate).samples[0]
    return np.resize(samples, round(seconds * sample_rate))


def both(x: np.ndarray, n_fft: int, hop_length: int, iterations: int, momentum: float) -> tuple[Callable, Callable]:
    """Ours and librosa's from the same magnitudes and phases: functions without arguments to a waveform."""
    settings = {"n_fft": n_fft, "hop_length": hop_length, "length": len(x), "pad_mode": "reflect"}
    magnitude = np.abs(librosa.stft(x, n_fft=n_fft, hop_length=hop_length, pad_mode="reflect"))
    turns = np.random.RandomState(SEED).random(magnitude.shape)  # as librosa draws them
    compiled = jax.jit(partial(griffin_lim, **settings, iterations=iterations, momentum=momentum))
    arguments = jnp.asarray(magnitude.T), jnp.asarray(2 * np.pi * turns.T, jnp.float32)

    def ours():
        return compiled(arguments[0], phase=arguments[1]).waveform

    def theirs():
        return librosa.griffinlim(magnitude, **settings, n_iter=iterations, momentum=momentum, random_state=SEED)

    return ours, theirs


def spectral_convergence(x: np.ndarray, result: np.ndarray, n_fft: int, hop_length: int) -> float:
    """|| |STFT(result)| - |STFT(x)| || / || |STFT(x)| ||, by librosa."""
    expected, reached = (
        np.abs(librosa.stft(signal, n_fft=n_fft, hop_length=hop_length, pad_mode="reflect")) for signal in (x, result)
    )
    return float(np.linalg.norm(reached - expected) / np.linalg.norm(expected))


def main() -> int:
    """Print the tables; 1 if a target is missed."""
    print(", ".join(f"{name} {value}" for name, value in environment.describe().items()))
    missed = 0

    print("\nspectral convergence, ours / librosa's, 3 s at 22,050 Hz, n_fft 1024, hop 256")
    for name in CLIPS:
        x = clip(name, 22_050, 3)
        for label, momentum in MOMENTA.items():
            for iterations in ITERATIONS:
                functions = both(x, 1024, 256, iterations, momentum)
                ours, theirs = (spectral_convergence(x, np.asarray(f()), 1024, 256) for f in functions)
                met = ours <= NO_WORSE * theirs
                missed += not met
                verdict = "ok" if met else "MISSED"
                print(
                    f"  {name:7} {label:8} {iterations:4} iterations: {ours:.5f} / {theirs:.5f} {verdict}", flush=True
                )

    print(f"\nseconds of {ITERATIONS[0]} iterations, ours / librosa's (target: {FASTER:g} times faster)")
    for sample_rate, seconds, n_fft, hop_length in SETTINGS:
        x = clip("guitar", sample_rate, seconds)
        for label, momentum in MOMENTA.items():
            ours, theirs = both(x, n_fft, hop_length, ITERATIONS[0], momentum)
            began = time.perf_counter()
            jax.block_until_ready(ours())
            first = time.perf_counter() - began
            medians = interleaved({"ours": ours, "theirs": theirs}, rounds=ROUNDS)
            ratio = medians["theirs"] / medians["ours"]
            missed += ratio < FASTER
            print(
                f"  {seconds} s at {sample_rate} Hz, n_fft {n_fft}, hop {hop_length}, {label:8}"
                f"{medians['ours']:.3f} / {medians['theirs']:.3f}, {ratio:.1f} times faster,"
                f" {first - medians['ours']:.1f} s to compile {'ok' if ratio >= FASTER else 'MISSED'}",
                flush=True,
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
