"""The other job: a recording in, and out comes what a model keeps of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxst import audio
from jaxst.audio import Recording, Source
from jaxst.metrics.signal import signal_to_noise, spectral_convergence
from jaxst.resynthesis import models, sinusoidal, spectral
from jaxst.resynthesis.models import Synthesis
from jaxst.solver import OnProgress, Progress, Status

_RUN: Mapping[str, Callable[[np.ndarray, int, Mapping[str, Any], OnProgress], Synthesis]] = {
    "stft": spectral.everything,
    "griffin_lim": spectral.phases_by_projections,
    "fast_griffin_lim": spectral.phases_by_projections,
    "lbfgs": spectral.phases_by_lbfgs,
    "mel": spectral.phases_by_projections,
    "sines": sinusoidal.sines,
    "harmonic": sinusoidal.harmonic,
    "sms": sinusoidal.sms,
}


@dataclass(frozen=True)
class Resynthesis:
    """What a model kept of a recording.

    Attributes:
        audio: the result, with the recording's length and channels. Its level is not limited: peaks may exceed full
            scale.
        model: name of the model.
        options: every option of the model, defaults included.
        parts: of `sines`, `harmonic` and `sms` their `sines` and the `residual`, which add up to the recording; of
            `sms` also the `stochastic` part, which takes the residual's place in the result.
        partials: `(channels, partials, frames, 3)`: frequency in Hz, amplitude, and phase in radians at the frame's
            center; zeros where a partial rests. `None` for models without partials.
        frame_rate: frames of the partials in a second; the first is at 0 s.
        measures: `snr`, power of the recording over that of its difference to the result, in dB;
            `spectral_convergence`, how far magnitudes are from the recording's, 0 being equal, 1 as far as silence; of
            `sms` also `sines_snr`, the `snr` of the sines alone.
        history: of models that search for phases `spectral_convergence`, as the model's own window sees it, before the
            first round and after each: an array of `(rounds taken + 1,)`.
        status: `FINISHED`; or of a search `STALLED` where float32 resolves no progress, or `STOPPED` on request.
        timings: seconds by what was done in them, compilation included.
    """

    audio: Recording
    model: str
    options: dict[str, Any]
    parts: dict[str, Recording]
    partials: Float[np.ndarray, "channels partials frames 3"] | None
    frame_rate: float
    measures: dict[str, float]
    history: dict[str, np.ndarray]
    status: Status
    timings: dict[str, float]

    @property
    def complete(self) -> bool:
        """Whether all rounds were taken, or no more could be gained."""
        return self.status.complete

    @property
    def message(self) -> str:
        """One line on how the run ended."""
        if self.partials is not None:
            most = np.count_nonzero(self.partials[..., 0], axis=1).max()
            return f"{most} partials at most at once"
        if not self.history:
            return f"resynthesized by {self.model}"
        taken, rounds = len(self.history["spectral_convergence"]) - 1, self.options["iterations"]
        match self.status:
            case Status.STALLED:
                return f"converged after {taken} of {rounds} rounds"
            case Status.STOPPED:
                return f"interrupted after {taken} of {rounds} rounds"
            case _:
                return f"{taken} rounds"


def resynthesize(
    recording: Source,
    model: str = "sms",
    *,
    sample_rate: int | None = None,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Resynthesis:
    """Describe a recording by a model and make sound of the description again, to hear what the model keeps.

    Args:
        recording: or the path of one; of any length, mono or stereo.
        model: a name in `models.MODELS`.
        sample_rate: rate of processing and of the result in Hz; default the recording's own.
        on_progress: called between steps with a `solver.Progress`. Returning true ends a search for phases with what
            there is, and any other model with a `KeyboardInterrupt`.
        options: of the model; `models.MODELS` has their defaults, `models.OPTIONS` their meanings.

    Raises:
        AudioError: for a recording that cannot be used.
        ConfigError: for an unknown model, an option that the model does not have, or a value that it cannot have.
    """
    chosen = models.choose(model, options)
    began = time.perf_counter()
    marks: list[tuple[float, Progress]] = []

    def watch(progress: Progress) -> bool:
        marks.append((time.perf_counter(), progress))
        return on_progress is not None and bool(on_progress(progress))

    source = audio.load(recording, sample_rate)
    made = _RUN[model](source.samples, source.sample_rate, chosen, watch)
    last = marks[-1][1]
    watch(replace(last, step=last.steps if made.status == Status.FINISHED else last.step, stage="measuring"))
    measures = {"snr": signal_to_noise(source.samples, made.samples)}
    if "stochastic" in made.parts:
        measures["sines_snr"] = signal_to_noise(source.samples, made.parts["sines"])
    measures["spectral_convergence"] = spectral_convergence(source.samples, made.samples, source.sample_rate)
    return Resynthesis(
        audio=replace(source, samples=made.samples, name="output"),
        model=model,
        options=chosen,
        parts={name: replace(source, samples=part, name=name) for name, part in made.parts.items()},
        partials=made.partials,
        frame_rate=made.frame_rate,
        measures=measures,
        history={"spectral_convergence": made.history} if made.history.size else {},
        status=made.status,
        timings=_timings(began, marks, time.perf_counter()),
    )


def _timings(began: float, marks: Sequence[tuple[float, Progress]], ended: float) -> dict[str, float]:
    """Seconds spent in each stage, summed over its steps."""
    starts, stages = [began], ["reading"]
    for start, progress in marks:
        starts.append(start)
        stages.append(progress.stage)
    timings = dict.fromkeys(stages, 0.0)
    for stage, seconds in zip(stages, np.diff([*starts, ended]), strict=True):
        timings[stage] += float(seconds)
    return timings
