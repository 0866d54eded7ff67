"""The job: two recordings in, a new recording out; or one, and as much of its texture as is wanted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxst import problem, solver
from jaxst.audio import Recording, Source
from jaxst.config import Config
from jaxst.style import Style
from jaxst.task import Task, texture_config, texture_task, told_apart, transfer_config, transfer_task


@dataclass(frozen=True)
class Result:
    """What a run made and how.

    Attributes:
        audio: the result.
        config: all options, defaults included.
        history: `total` and every term, unweighted, before the first step and after each: arrays of
            `(steps taken + 1,)`.
        status: why the run ended.
        timings: seconds spent in `prepare` (resampling, analysis), `compile`, `solve` and `finish` (phases, levels).
        style: what was learned of the style, for other runs.
    """

    audio: Recording
    config: Config
    history: dict[str, np.ndarray]
    status: solver.Status
    timings: dict[str, float]
    style: Style

    @property
    def complete(self) -> bool:
        """Whether all steps were taken, or no step could lower the loss any more."""
        return self.status.complete

    @property
    def message(self) -> str:
        """One line on how the run ended."""
        taken = len(self.history["total"]) - 1
        match self.status:
            case solver.Status.STALLED:
                return f"converged after {taken} of {self.config.steps} steps: float32 resolves no further decrease"
            case solver.Status.DIVERGED:
                return self._divergence(taken)
            case solver.Status.STOPPED:
                return f"interrupted after {taken} of {self.config.steps} steps"
            case _:
                return f"{taken} steps"

    def _divergence(self, taken: int) -> str:
        totals = self.history["total"]
        if np.isfinite(totals[-1]):
            rise = f"the loss rose from {totals[0]:.3g} to {totals[-1]:.3g} in {taken} steps"
            return f"{rise}; the best waveform, of step {np.argmin(totals)}, is kept"
        bad = [name for name, values in self.history.items() if name != "total" and not np.isfinite(values[-1])]
        where = f"at step {taken} (in {' and '.join(bad or ['total'])})"
        return f"the loss is not finite {where}; the best waveform before it is kept"


def transfer(
    content: Source,
    style: Source | Sequence[Source] | Style,
    *,
    method: str | None = None,
    style_mix: Sequence[float] | None = None,
    sample_rate: int | None = None,
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
        on_progress: called about twice a second with a `solver.Progress`; returning true ends the run with what there
            is.
        options: any field of `Config` or of its parts, such as `content_weight` or `n_filters`.

    Raises:
        AudioError: for a recording that cannot be used.
        ConfigError: for an option with a value that it cannot have, or a method without content term, unless it is
            given a `content_weight`.
    """
    began = time.perf_counter()
    learned = told_apart(style)
    config = transfer_config(method, options, learned)
    task = transfer_task(config, content, learned, style_mix=style_mix, sample_rate=sample_rate)
    return run_task(task, on_progress, began=began)


def texture(
    style: Source | Sequence[Source] | Style,
    *,
    duration: float | None = None,
    method: str | None = None,
    style_mix: Sequence[float] | None = None,
    sample_rate: int | None = None,
    on_progress: solver.OnProgress | None = None,
    **options: Any,
) -> Result:
    """Synthesize sound that has a recording's texture and is nowhere a copy of it.

    Args:
        style: as for `transfer`. The result has the first recording's channels, image and level.
        duration: of the result in seconds; default that of the first style, at most 30 s.
        sample_rate: rate of processing and of the result in Hz; default that of the first style.
        method, style_mix, on_progress, options, Raises: as for `transfer`.
    """
    began = time.perf_counter()
    learned = told_apart(style)
    config = texture_config(method, options, learned)
    task = texture_task(config, learned, duration=duration, style_mix=style_mix, sample_rate=sample_rate)
    return run_task(task, on_progress, began=began)


def run_task(task: Task, on_progress: solver.OnProgress | None = None, *, began: float | None = None) -> Result:
    """Pose the problem, solve it, and give the result its levels.

    Args:
        task: what is to be done.
        on_progress: as for `transfer`.
        began: when its preparation did, by `time.perf_counter`.
    """
    config, program = task.config, task.program
    announce = on_progress or (lambda progress: None)
    prepared = time.perf_counter()
    began = prepared if began is None else began
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
