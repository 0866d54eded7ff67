"""How time grows with the length of a recording, and with the number of filters. With lanes: the suite of sweeps."""

import resource
from collections.abc import Iterator

import jaxst
from jaxst.bench.findings import OURS, Curve, Figure
from jaxst.bench.suites.losses import EVALUATIONS, RATE, SETTING, ours, theirs
from jaxst.bench.suites.recordings import recording
from jaxst.bench.timing import interleaved

LENGTHS, LONG_FROM, STEPS = (2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0), 8.0, 20
FILTERS, ROUNDS = (32, 64, 128, 256, 512), 3
EXPONENT, MEMORY = 1.1, 3.0


def run(threads: int, device: str | None) -> Iterator[Curve | Figure]:
    """Lengths, then filters; arguments as for the kernels."""
    style = recording("water", 4, RATE)
    seconds = [_transfer(length, style) for length in LENGTHS]
    name = f"A default transfer, mono at {RATE:,} Hz, {STEPS} steps, compilation apart"
    yield Curve(name, "seconds of audio", LENGTHS, {OURS: seconds}, LONG_FROM, EXPONENT)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    yield Figure("memory of this process at most, the longest transfer included", peak, "GiB", most=MEMORY)
    yield Curve(
        f"The loss of caracalla-roebel, value and gradient, {SETTING}",
        "filters in each of 8 banks",
        FILTERS,
        _filters(threads, device),
    )


def _transfer(length: float, style: jaxst.Recording) -> float:
    """From the task to the audio, by programs that a first transfer, of one step, has compiled."""
    content = recording("guitar", length, RATE)
    _, result = (jaxst.transfer(content, style, steps=steps) for steps in (1, STEPS))
    return sum(result.timings[stage] for stage in ("prepare", "compile", "solve", "finish"))


def _filters(threads: int, device: str | None) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    if device is not None:
        from jaxst.bench.torch_baseline.settings import prepare

        prepare(threads, device)
    for count in FILTERS:
        calls = {OURS: ours("caracalla-roebel", count)[0]}
        if device is not None:
            baseline, x = theirs("caracalla-roebel", count, "fastest", device)
            calls["torch"] = lambda baseline=baseline, x=x: baseline.evaluate(x)
        for side, timing in interleaved(calls, rounds=ROUNDS).items():
            found.setdefault(side, []).append(timing.median / (EVALUATIONS if side == OURS else 1))
    return found
