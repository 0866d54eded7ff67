"""What a run made, and how it ended."""

from dataclasses import dataclass

import numpy as np

from jaxst import solver
from jaxst.audio import Recording
from jaxst.config import Config
from jaxst.style import Style


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
        chunks: that long audio was cut into. The history is then their mean.
        chunks_done: how many of them are done; the audio ends with these.
    """

    audio: Recording
    config: Config
    history: dict[str, np.ndarray]
    status: solver.Status
    timings: dict[str, float]
    style: Style
    chunks: int = 1
    chunks_done: int = 1

    @property
    def complete(self) -> bool:
        """Whether all steps were taken, or no step could lower the loss any more."""
        return self.status.complete

    @property
    def message(self) -> str:
        """One line on how the run ended."""
        taken = len(self.history["total"]) - 1
        if self.chunks > 1 and self.status != solver.Status.DIVERGED:
            each = f"chunks of {self.config.steps} steps"
            partly = f"interrupted after {self.chunks_done} of "
            return f"{'' if self.complete else partly}{self.chunks} {each}"
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
