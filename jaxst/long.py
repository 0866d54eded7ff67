"""Long audio from its first chunk to its last, kept on the way if wanted."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from jaxst.checkpoint import Checkpoint
from jaxst.chunks import Cut, chunk, finish, keep
from jaxst.errors import InterruptionError
from jaxst.lanes import batches
from jaxst.result import Result
from jaxst.solver import OnProgress, Progress, Status
from jaxst.task import Task


class _End(NamedTuple):
    """How a chunk ended, and the seconds of solving, none if it was kept."""

    status: Status
    history: Mapping[str, np.ndarray]
    seconds: float


def run_chunks(
    task: Task, how: Cut, on_progress: OnProgress | None = None, *, began: float, checkpoint: Checkpoint | None = None
) -> Result:
    """Solve a task chunk by chunk.

    Args:
        task: the whole.
        how: it is cut up.
        on_progress: as for `transfer`. A run that is ended has the chunks from the first one on that are done.
        began: when its preparation did, by `time.perf_counter`.
        checkpoint: keeps chunks, and has those of a run before.

    Raises:
        InterruptionError: if it is ended before the first chunk is done.
    """
    count, mesh = len(how.starts), batches.device_mesh()
    tracker = batches.Tracker(on_progress, count * task.config.steps)
    tracker(Progress(0, 0, {}, stage="preparing"))
    kept = keep(task, how)
    signal = np.zeros(task.samples.shape, np.float32)
    done: dict[int, _End] = {}

    def place(index: int, result: Result) -> None:
        signal[:, how.places(index)] = result.audio.samples
        done[index] = _End(result.status, result.history, result.timings.get("solve", 0.0))

    prepared = time.perf_counter()
    limit = batches.side_by_side(mesh, count)
    for together in how.rounds(limit):
        known = {} if checkpoint is None else {i: found for i in together if (found := checkpoint.read(i, task))}
        for index, result in known.items():
            place(index, result)
        waiting = [index for index in together if index not in known]
        chunks = [chunk(task, how, index, kept, signal) for index in waiting]
        for batch in batches.solve_group(chunks, mesh, limit=limit, on_progress=tracker) if chunks else ():
            for at, result in batch:
                place(waiting[at], result)
                if checkpoint is not None:
                    checkpoint.write(waiting[at], result)
        tracker.done += len(together) * task.config.steps
        if tracker.stopped:
            break
    # What missing chunks would change is left out: of every second one both neighbors are done before.
    length = min((start for index, start in enumerate(how.starts) if index not in done), default=how.length)
    if length == 0:
        raise InterruptionError("nothing was written")
    solved = time.perf_counter()
    whole = replace(task, residual=None if task.residual is None else task.residual[:, :length])
    audio = whole.result(finish(task, how, kept, signal)[:, :length])
    finished = time.perf_counter()
    solving = sum(end.seconds for end in done.values())
    return Result(
        audio=audio,
        config=task.config,
        history=_mean([end.history for end in done.values()]),
        status=_status([end.status for end in done.values()], complete=len(done) == count),
        timings={
            "prepare": prepared - began,
            "compile": solved - prepared - solving,
            "solve": solving,
            "finish": finished - solved,
        },
        style=task.style,
        chunks=count,
        chunks_done=len(done),
    )


def _mean(histories: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Of chunks; those that took fewer steps stay where they ended."""
    longest = max(len(history["total"]) for history in histories)

    def lasting(values: np.ndarray) -> np.ndarray:
        return np.append(values, np.full(longest - len(values), values[-1]))

    return {name: np.mean([lasting(history[name]) for history in histories], axis=0) for name in histories[0]}


def _status(ends: Sequence[Status], *, complete: bool) -> Status:
    if Status.DIVERGED in ends:
        return Status.DIVERGED
    return Status.FINISHED if complete else Status.STOPPED
