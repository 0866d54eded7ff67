"""The job: two recordings in, a new recording out; or one, and as much of its texture as is wanted."""

import os
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxst import problem, solver
from jaxst.audio import Source
from jaxst.checkpoint import open_checkpoint
from jaxst.chunks import cut_up
from jaxst.long import run_chunks
from jaxst.result import Result
from jaxst.style import Style
from jaxst.task import Task, texture_config, texture_task, told_apart, transfer_config, transfer_task


def transfer(
    content: Source,
    style: Source | Sequence[Source] | Style,
    *,
    method: str | None = None,
    style_mix: Sequence[float] | None = None,
    sample_rate: int | None = None,
    checkpoint_dir: str | os.PathLike | None = None,
    overwrite: bool = False,
    on_progress: solver.OnProgress | None = None,
    **options: Any,
) -> Result:
    """Give the content of one recording the style of another.

    Args:
        content: a recording, or the path of one. The result has its length, channels, stereo image and level.
        style: one recording or path, or several, which are pooled; or what `analyze_style` learned or `save_style`
            wrote, with the method and the sample rate that it was learned for.
        method: name of a preset; default `arccos`.
        style_mix: a weight for each style; default all equal, whatever their lengths.
        sample_rate: rate of processing and of the result in Hz; default the content's own.
        checkpoint_dir: folder that keeps every chunk of a long run as soon as it is solved; the same run with the same
            folder goes on from there. Contents of more than 8 s are cut into chunks.
        overwrite: whether another run's chunks in that folder are removed.
        on_progress: called about twice a second with a `solver.Progress`; returning true ends the run with what there
            is.
        options: any field of `Config` or of its parts, such as `content_weight` or `n_filters`.

    Raises:
        AudioError: for a recording that cannot be used.
        ConfigError: for an option with a value that it cannot have, or a method without content term, unless it is
            given a `content_weight`.
        OutputError: for a folder that holds something else or cannot be written to.
    """
    began = time.perf_counter()
    learned = told_apart(style)
    config = transfer_config(method, options, learned)
    task = transfer_task(config, content, learned, style_mix=style_mix, sample_rate=sample_rate)
    return run_task(task, on_progress, began=began, checkpoint_dir=checkpoint_dir, overwrite=overwrite)


def texture(
    style: Source | Sequence[Source] | Style,
    *,
    duration: float | None = None,
    loop: bool = False,
    method: str | None = None,
    style_mix: Sequence[float] | None = None,
    sample_rate: int | None = None,
    checkpoint_dir: str | os.PathLike | None = None,
    overwrite: bool = False,
    on_progress: solver.OnProgress | None = None,
    **options: Any,
) -> Result:
    """Synthesize sound that has a recording's texture and is nowhere a copy of it.

    Args:
        style: as for `transfer`. The result has the first recording's channels, image and level.
        duration: of the result in seconds; default that of the first style, at most 30 s.
        loop: whether the end leads on to the beginning, so that it can be played over and over.
        sample_rate: rate of processing and of the result in Hz; default that of the first style.
        method, style_mix, checkpoint_dir, overwrite, on_progress, options, Raises: as for `transfer`.
    """
    began = time.perf_counter()
    learned = told_apart(style)
    config = texture_config(method, options, learned)
    task = texture_task(config, learned, duration=duration, style_mix=style_mix, sample_rate=sample_rate, loop=loop)
    return run_task(task, on_progress, began=began, checkpoint_dir=checkpoint_dir, overwrite=overwrite)


def run_task(
    task: Task,
    on_progress: solver.OnProgress | None = None,
    *,
    began: float | None = None,
    checkpoint_dir: str | os.PathLike | None = None,
    overwrite: bool = False,
) -> Result:
    """Pose the problem, solve it, and give the result its levels; chunk by chunk where it is long.

    Args:
        task: what is to be done.
        on_progress, checkpoint_dir, overwrite, Raises: as for `transfer`.
        began: when its preparation did, by `time.perf_counter`.
    """
    began = time.perf_counter() if began is None else began
    how = cut_up(task)
    if how is None:
        return _run_whole(task, on_progress, began)
    checkpoint = None if checkpoint_dir is None else open_checkpoint(checkpoint_dir, task, how, overwrite=overwrite)
    return run_chunks(task, how, on_progress, began=began, checkpoint=checkpoint)


def _run_whole(task: Task, on_progress: solver.OnProgress | None, began: float) -> Result:
    config, program = task.config, task.program
    announce = on_progress or (lambda progress: None)
    prepared = time.perf_counter()
    announce(solver.Progress(0, config.steps, {}, stage="compiling (cached for the next run)"))
    posed, content = task.pose()
    state = problem.start(program, posed, *task.beginning(content), tapered=task.tapered)
    advance = partial(problem.advance, program, posed)
    state, *_ = advance(state, 0)  # compiles, and takes no step
    jax.block_until_ready(state)
    compiled = time.perf_counter()
    solution = solver.solve(advance, state, config.steps, on_progress)
    solved = time.perf_counter()
    announce(solver.Progress(len(solution.history["total"]) - 1, config.steps, {}, stage="finishing"))
    samples = np.asarray(problem.finish(program, posed, solution.parameters, sample_rate=task.style.sample_rate))
    result = task.result(samples)
    finished = time.perf_counter()
    return Result(
        audio=result,
        config=config,
        history=solution.history,
        status=solution.status,
        timings={
            "prepare": prepared - began,
            "compile": compiled - prepared,
            "solve": solved - compiled,
            "finish": finished - solved,
        },
        style=task.style,
    )
