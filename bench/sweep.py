"""A sweep's lanes against single runs: `python -m bench.sweep`.

The default with Adam on 2 s at 16 kHz, 16 lanes as one program against 16 single runs that are compiled already, each
from the task to the audio. On CPUs lanes are taken in turn, elsewhere in step; both are shown. Exits with status 1 if
a target is missed: at most 1.1 times the time of single runs on a CPU, at least 8 times their throughput on a GPU.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import jaxst
from bench.timing import interleaved
from jaxst import audio, environment
from jaxst.lanes import batches
from jaxst.lanes.program import compile_program, make_inputs, make_layout
from jaxst.task import Task, transfer_config, transfer_task
from jaxst.transfer import Result, run_task

RATE, SECONDS, STEPS = 16_000, 2, 30
CPU_TARGET, GPU_TARGET = 1.1, 8.0


def clip(name: str) -> jaxst.Recording:
    """Two seconds, mono."""
    recording = audio.resample(jaxst.read(jaxst.example(name)), RATE)
    return replace(recording, samples=recording.samples[:1, : SECONDS * RATE])


def make_tasks(count: int) -> list[Task]:
    """Transfers that differ in the style's weight and in the seed."""
    styles = [clip("water")]
    config = transfer_config("arccos", {"optimizer": "adam", "steps": STEPS}, styles)
    task = transfer_task(config, clip("guitar"), styles, style_mix=None, sample_rate=None)
    configs = [replace(config, style_weight=0.5 + index / count, seed=index) for index in range(count)]
    return [replace(task, config=config) for config in configs]


def measured(count: int, rounds: int) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Median seconds of so many single runs and of as many lanes, in turn and in step; seconds of compilation, and MiB
    that a device needs, of the latter two."""
    tasks, mesh = make_tasks(count), batches.device_mesh()
    size = -(-count // mesh.size) * mesh.size
    layout = make_layout(tasks)
    inputs = make_inputs(tasks, size, mesh, layout)
    programs, compiled = {}, {}
    for name in ("in turn", "in step"):
        began = time.perf_counter()
        programs[name] = compile_program(tasks[0], inputs, mesh, layout, in_turn=name == "in turn")
        compiled[name] = time.perf_counter() - began

    def as_lanes(name: str) -> Sequence[Result] | None:
        began = time.perf_counter()
        inputs = make_inputs(tasks, size, mesh, layout)
        return batches.solve_batch(programs[name], tasks, inputs, began, lambda progress: None)

    calls = {
        "single": lambda: [result.audio.samples for result in map(run_task, tasks)],
        "in turn": lambda: [result.audio.samples for result in as_lanes("in turn") or []],
        "in step": lambda: [result.audio.samples for result in as_lanes("in step") or []],
    }
    medians = interleaved(calls, rounds=rounds)
    return medians, compiled, {name: program.bytes / 2**20 for name, program in programs.items()}


def main() -> int:
    """Print the table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description="Lanes against single runs.")
    parser.add_argument("--lanes", type=int, nargs="+", default=[16], help="numbers of lanes (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements, interleaved (%(default)s)")
    arguments = parser.parse_args()
    print(", ".join(f"{name} {value}" for name, value in environment.describe().items()))
    mesh = batches.device_mesh()
    cpu = mesh.devices.flat[0].platform == "cpu"
    used = "in turn" if cpu else "in step"
    print(f"\n{STEPS} steps of Adam on {SECONDS} s at {RATE} Hz; {mesh.size} devices, where sweeps take lanes {used}\n")
    print("| lanes | single runs, s | in turn | in step | compilation, s | MiB on each device |")
    print("| --- | --- | --- | --- | --- | --- |")
    missed = False
    for count in arguments.lanes:
        seconds, compiled, sizes = measured(count, arguments.rounds)
        ratios = {name: seconds[name] / seconds["single"] for name in ("in turn", "in step")}
        pairs = [" / ".join(f"{each[name]:.0f}" for name in ratios) for each in (compiled, sizes)]
        line = [f"{count}", f"{seconds['single']:.2f}", *(f"{ratio:.2f}" for ratio in ratios.values()), *pairs]
        print(f"| {' | '.join(line)} |", flush=True)
        target = CPU_TARGET if cpu else 1 / GPU_TARGET
        missed |= count >= 16 and ratios[used] > target
    print(f"\n{'MISSED' if missed else 'ok'}: at most {CPU_TARGET if cpu else 1 / GPU_TARGET:g} of single runs' time")
    return missed


if __name__ == "__main__":
    sys.exit(main())
