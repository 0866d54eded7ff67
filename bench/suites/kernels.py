"""Kernels beside PyTorch's, librosa's and sms-tools'."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import scipy.signal

from jaxst.bench import sms_tools
from jaxst.bench.findings import OURS, Comparison
from jaxst.bench.suites.recordings import recording
from jaxst.bench.timing import compiled, interleaved, spread
from jaxst.kernels.griffin_lim import griffin_lim
from jaxst.kernels.mel import invert_mel, mel_filters
from jaxst.kernels.sinusoids.partials import track_partials
from jaxst.kernels.sinusoids.peaks import find_peaks
from jaxst.kernels.spectrogram import magnitude as magnitude_of
from jaxst.kernels.stft import istft, stft

RATE, SECONDS, ROUNDS = 22_050, 10, 9
GRID: dict[str, Any] = {"n_fft": 2048, "hop_length": 512}
SETTING = f"{SECONDS} s at {RATE:,} Hz, n_fft {GRID['n_fft']}, hop {GRID['hop_length']}"
ITERATIONS, MEL_BANDS = 32, 128
PARTIALS_RATE, PARTIALS_SECONDS = 44_100, 5
PEAKS = {"sample_rate": PARTIALS_RATE, "n_fft": 2048, "hop_length": 128, "threshold": -80.0}
WINDOW, WIN_LENGTH, PARTIALS, DURATION = "blackman", 1501, 100, 0.02

Calls = Mapping[str, Callable[[], Any]]


def run(threads: int, device: str | None) -> Iterator[Comparison]:
    """One after another.

    Args:
        threads: of the baseline.
        device: of PyTorch; none without it.
    """
    x = recording("guitar", SECONDS, RATE).samples[0]
    settings: dict[str, Any] = {**GRID, "length": len(x)}
    weights = np.random.default_rng(0).standard_normal((1 + len(x) // GRID["hop_length"], GRID["n_fft"] // 2 + 1))
    weights = jnp.asarray(weights, jnp.float32)
    spectrum = np.asarray(stft(jnp.asarray(x), **GRID))
    magnitude = np.abs(spectrum)
    phase = np.random.default_rng(1).uniform(-np.pi, np.pi, magnitude.shape).astype(np.float32)
    filters = mel_filters(sample_rate=RATE, n_fft=GRID["n_fft"], n_mels=MEL_BANDS)
    mel = magnitude @ filters.T.astype(np.float32)
    theirs = {} if device is None else _torch(x, weights, spectrum, phase, filters, mel, threads, device)

    def compare(name: str, function: Callable[..., Any], arguments: tuple, others: Calls, **extra: Any) -> Comparison:
        ours, seconds = compiled(function, *map(jnp.asarray, arguments))
        calls = {OURS: ours, **theirs.get(name, {}), **others}
        return Comparison(name, SETTING, interleaved(calls, rounds=ROUNDS), seconds, **extra)

    def weighted(x, weights):
        return jnp.sum(weights * magnitude_of(stft(x, **GRID)))

    yield compare("STFT", partial(stft, **GRID), (x,), {"librosa": lambda: librosa.stft(x, **GRID)})
    yield compare(
        "STFT magnitudes, value and gradient", jax.value_and_grad(weighted), (x, weights), {}, targets={"torch": 2.0}
    )
    yield compare(
        "inverse STFT",
        partial(istft, **settings),
        (spectrum,),
        {"librosa": lambda: librosa.istft(spectrum.T, **settings)},
    )
    yield compare(
        f"Griffin-Lim, fast, {ITERATIONS} iterations",
        lambda magnitude, phase: griffin_lim(magnitude, phase=phase, iterations=ITERATIONS, **settings).waveform,
        (magnitude, phase),
        {"librosa": lambda: librosa.griffinlim(magnitude.T, n_iter=ITERATIONS, random_state=0, **settings)},
        targets={"torch": 1.5, "librosa": 3.0},
    )
    yield compare(
        f"{MEL_BANDS} mel bands to magnitudes",
        partial(invert_mel, filters=filters),
        (mel,),
        {"librosa": lambda: librosa.util.nnls(filters, mel.T.astype(float))},
    )
    if device is not None and sms_tools.available():
        yield from map(_sinusoids, ("guitar", "speech", "tabla"))


def _torch(x, weights, spectrum, phase, filters, mel, threads: int, device: str) -> dict[str, Calls]:
    from jaxst.bench.torch_baseline import transforms
    from jaxst.bench.torch_baseline.settings import finished, prepare, tensor

    prepare(threads, device)
    sound, factors, parts, turns, bands = (tensor(np.asarray(a), device) for a in (x, weights, spectrum, phase, mel))
    levels, invert = parts.abs(), transforms.mel_inverter(filters, device=device)
    settings: dict[str, Any] = {**GRID, "length": len(x)}

    def gradient():
        leaf = sound.detach().requires_grad_()
        (factors * transforms.stft(leaf, **GRID).abs()).sum().backward()
        return leaf.grad

    def phases(**options):
        return transforms.griffin_lim(levels, phase=turns, iterations=ITERATIONS, **settings, **options)

    plain = partial(phases, inverse=transforms.plain_istft)
    calls = {
        "STFT": {"torch": lambda: transforms.stft(sound, **GRID)},
        "STFT magnitudes, value and gradient": {"torch": gradient},
        "inverse STFT": {
            "torch": lambda: transforms.istft(parts, **settings),
            "torch.istft": lambda: transforms.plain_istft(parts, **settings),
        },
        f"Griffin-Lim, fast, {ITERATIONS} iterations": {"torch": phases, "torch with torch.istft": plain},
        f"{MEL_BANDS} mel bands to magnitudes": {"torch": lambda: invert(bands)},
    }
    return {
        name: {side: partial(finished, call, device) for side, call in sides.items()} for name, sides in calls.items()
    }


def _sinusoids(name: str) -> Comparison:
    """sms-tools runs in a process of its own, and takes its own time, without its start."""
    x = recording(name, PARTIALS_SECONDS, PARTIALS_RATE).samples[0]
    window = scipy.signal.get_window(WINDOW, WIN_LENGTH)

    def analyze(x):
        peaks = find_peaks(x, **PEAKS, window=WINDOW, win_length=WIN_LENGTH, max_peaks=PARTIALS)
        rate = PARTIALS_RATE / PEAKS["hop_length"]
        return track_partials(peaks, frame_rate=rate, max_partials=PARTIALS, min_duration=DURATION)

    ours, seconds = compiled(analyze, jnp.asarray(x))
    timings, others = [], []
    for _ in range(5):
        timings.append(interleaved({OURS: ours}, rounds=3)[OURS].median)
        answer = sms_tools.analyze(x=x, window=window, max_partials=PARTIALS, min_duration=DURATION, **PEAKS)
        others.append(float(answer["seconds"]))
    both = {OURS: spread(timings), "sms-tools": spread(others)}
    setting = f"{PARTIALS_SECONDS} s at {PARTIALS_RATE:,} Hz, n_fft 2048, hop 128, {PARTIALS} partials"
    return Comparison(f"sinusoidal analysis, {name}", setting, both, seconds, targets={"sms-tools": 5.0})
