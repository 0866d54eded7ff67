"""Runs as lanes of programs: which share one, how many fit in memory, and batch after batch of them."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxst import solver
from jaxst.errors import ResourceError
from jaxst.lanes.memory import free_bytes
from jaxst.lanes.program import LANES, Inputs, Program, compile_program, make_inputs, make_layout
from jaxst.network import RandomNetwork
from jaxst.result import Result
from jaxst.task import Run

CPU_LANES = 8  # at once on each CPU device: more are no faster there


def device_mesh() -> Mesh:
    """All devices of this process."""
    return Mesh(np.array(jax.local_devices()), (LANES,))


def side_by_side(mesh: Mesh, count: int) -> int:
    """Runs of `count` that are to be solved together where order matters: one on each CPU device, else all."""
    return mesh.size if _is_cpu(mesh) else count


def group(tasks: Sequence[Run]) -> list[list[int]]:
    """Which tasks, of one content and style, share a program: places in `tasks`, in the order of the first ones."""
    groups: dict[Any, list[int]] = {}
    for place, task in enumerate(tasks):
        network = task.config.network
        # All lanes have the same filters: convolutions with filters for each are slow everywhere.
        filters = network.filter_seed if isinstance(network, RandomNetwork) else None
        groups.setdefault((jax.tree.structure(task.program), task.tapered, filters), []).append(place)
    return list(groups.values())


def batch_size(count: int, mesh: Mesh, limit: int | None = None) -> int:
    """Lanes at once before memory is looked at: a multiple of the devices, in batches of equal size.

    Args:
        count: lanes to run.
        mesh: the devices.
        limit: the most lanes at once; default 8 for each CPU device, else all.
    """
    if limit is None:
        limit = CPU_LANES * mesh.size if _is_cpu(mesh) else count
    n_batches = -(-count // _multiple(limit, mesh))
    return -(-count // n_batches // mesh.size) * mesh.size


def solve_group(
    tasks: Sequence[Run], mesh: Mesh, *, limit: int | None = None, on_progress: solver.OnProgress | None = None
) -> Iterator[list[tuple[int, Result]]]:
    """Run tasks that share a program, as many at once as fit in memory.

    Args:
        tasks: of one group.
        mesh: the devices.
        limit: the most lanes at once.
        on_progress: hears of the steps of all lanes together; returning true ends the run.

    Yields:
        Each batch's results, with the places of their tasks. A batch in which the run was ended is not among them.

    Raises:
        ResourceError: where not even one lane on each device fits in memory.
    """
    places, total, done = list(range(len(tasks))), sum(task.config.steps for task in tasks), 0
    size, program = batch_size(len(tasks), mesh, limit), None

    def announce(progress: solver.Progress) -> bool | None:
        return on_progress(replace(progress, step=done + progress.step, steps=total)) if on_progress else None

    while places:
        try:
            if program is None:
                announce(solver.Progress(0, 0, {}, stage="compiling" if size == 1 else f"compiling for {size} lanes"))
                program = fitting_program(tasks, size, mesh)
            began, size = time.perf_counter(), program.size
            batch = [tasks[place] for place in places[:size]]
            inputs = make_inputs(batch, size, mesh, program.layout)
            results = solve_batch(program, batch, inputs, began, announce)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            if size == mesh.size:
                raise ResourceError(
                    "not even one lane on each device fits in memory; shorten the recordings or choose fewer filters"
                ) from error
            size, program = _multiple(size // 2, mesh), None
            continue
        if results is None:
            return
        yield list(zip(places, results, strict=False))
        places, done = places[size:], done + sum(task.config.steps for task in batch)


def fitting_program(tasks: Sequence[Run], size: int, mesh: Mesh) -> Program:
    """Compile for lanes of a group: so many, or fewer if these do not fit in memory by the compiler's account."""
    layout = make_layout(tasks)
    while True:
        inputs = make_inputs(tasks[:size], size, mesh, layout)
        program = compile_program(tasks[0], inputs, mesh, layout, in_turn=_is_cpu(mesh))
        free = free_bytes(mesh)
        if program.bytes <= free or size == mesh.size:
            return program
        size = _multiple(int(size * free / program.bytes), mesh)


def solve_batch(
    program: Program, batch: Sequence[Run], inputs: Inputs, began: float, on_progress: solver.OnProgress
) -> list[Result] | None:
    """The results of a batch, each with its share of the time; `None` if the run was ended."""
    configs, problem, waveforms, noises = inputs
    state = program.start(configs, problem, waveforms, noises)
    steps = [task.config.steps for task in batch] + [0] * (program.size - len(batch))

    def advance(state, counts):
        counts = jax.device_put(counts.astype(np.int32), noises.sharding)
        return program.advance(configs, problem, state, counts)

    prepared = time.perf_counter()
    best, outcomes = solver.solve_lanes(advance, state, steps, on_progress)
    if any(status == solver.Status.STOPPED for status, _ in outcomes):
        return None
    solved = time.perf_counter()
    samples = np.asarray(program.finish(configs, problem, best))
    audio = [task.result(samples[lane]) for lane, task in enumerate(batch)]
    finished = time.perf_counter()
    seconds = {"prepare": prepared - began, "solve": solved - prepared, "finish": finished - solved}
    timings = {name: value / len(batch) for name, value in seconds.items()}
    return [
        Result(audio[lane], task.config, history, status, timings, task.style)
        for lane, (task, (status, history)) in enumerate(zip(batch, outcomes, strict=False))
    ]


class Tracker:
    """Adds up the steps of groups for whoever follows all of them.

    Attributes:
        on_progress: who does.
        total: steps of all groups.
        done: those of groups that have ended.
        stopped: whether all is to end.
    """

    def __init__(self, on_progress: solver.OnProgress | None, total: int):
        """None is done yet."""
        self.on_progress, self.total, self.done, self.stopped = on_progress, total, 0, False

    def __call__(self, progress: solver.Progress) -> bool:
        """Hear of one group; whether it is to end."""
        told = replace(progress, step=self.done + progress.step, steps=self.total)
        self.stopped = bool(self.on_progress and self.on_progress(told)) or self.stopped
        return self.stopped


def _is_cpu(mesh: Mesh) -> bool:
    """Whether devices are CPUs, which one lane keeps busy: lanes in step would only need more memory, and wait for the
    slowest line search."""
    return mesh.devices.flat[0].platform == "cpu"


def _multiple(lanes: int, mesh: Mesh) -> int:
    """As many or fewer, in a multiple of the devices; at least one on each."""
    return max(lanes // mesh.size, 1) * mesh.size
