"""Lanes of one program beside as many single runs.

The default with Adam, each run from the task to the audio. On CPUs sweeps take lanes in turn, elsewhere in step; both
are measured.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from jaxst.bench.findings import OURS, Comparison, Curve, Figure
from jaxst.bench.suites.recordings import recording
from jaxst.bench.timing import interleaved
from jaxst.lanes import batches
from jaxst.lanes.program import compile_program, make_inputs, make_layout
from jaxst.result import Result
from jaxst.task import Task, transfer_config, transfer_task
from jaxst.transfer import run_task

RATE, SECONDS, STEPS = 16_000, 2, 10
COUNTS = (1, 4, 16, 64)
ROUNDS = {1: 5, 4: 3, 16: 3, 64: 1}
CPU_TARGET, ACCELERATOR_TARGET = 1 / 1.1, 8.0  # of 16 lanes and more: times the throughput of single runs


def make_tasks(count: int) -> list[Task]:
    """Transfers that differ in the style's weight and in the seed."""
    styles = [recording("water", SECONDS, RATE)]
    config = transfer_config("arccos", {"optimizer": "adam", "steps": STEPS}, styles)
    content = recording("guitar", SECONDS, RATE)
    task = transfer_task(config, content, styles, style_mix=None, sample_rate=None)
    configs = [replace(config, style_weight=0.5 + index / count, seed=index) for index in range(count)]
    return [replace(task, config=config) for config in configs]


def run(threads: int, device: str | None) -> Iterator[Comparison | Curve | Figure]:
    """For each number of lanes; there is no baseline."""
    seconds = []
    for count in COUNTS:
        comparison, memory = _lanes(count)
        seconds.append(comparison.timings[OURS].median)
        yield comparison
        yield Figure(f"{count} lanes: memory on each device", memory, "MiB")
    yield Curve(f"A sweep of transfers, {SECONDS} s at {RATE:,} Hz, {STEPS} steps", "lanes", COUNTS, {OURS: seconds})


def _lanes(count: int) -> tuple[Comparison, float]:
    tasks, mesh = make_tasks(count), batches.device_mesh()
    in_turn = mesh.devices.flat[0].platform == "cpu"
    size = -(-count // mesh.size) * mesh.size
    layout = make_layout(tasks)
    inputs = make_inputs(tasks, size, mesh, layout)
    programs, compiling = {}, {}
    for way in (True, False):
        began = time.perf_counter()
        programs[way] = compile_program(tasks[0], inputs, mesh, layout, in_turn=way)
        compiling[way] = time.perf_counter() - began

    def together(way: bool) -> Sequence[Result] | None:
        began = time.perf_counter()
        inputs = make_inputs(tasks, size, mesh, layout)
        return batches.solve_batch(programs[way], tasks, inputs, began, lambda progress: None)

    names = {True: "lanes in turn", False: "lanes in step"}
    calls = {
        OURS: lambda: [result.audio.samples for result in together(in_turn) or []],
        names[not in_turn]: lambda: [result.audio.samples for result in together(not in_turn) or []],
        "single runs": lambda: [result.audio.samples for result in map(run_task, tasks)],
    }
    timings = interleaved(calls, rounds=ROUNDS[count])
    target = {"single runs": CPU_TARGET if in_turn else ACCELERATOR_TARGET} if count >= 16 else {}
    setting = f"{SECONDS} s at {RATE:,} Hz, {STEPS} steps of Adam; {names[in_turn]}, devices: {mesh.size}"
    comparison = Comparison(f"{count} transfers", setting, timings, compiling[in_turn], targets=target)
    return comparison, programs[in_turn].bytes / 2**20
