"""The job: two recordings in, a new recording out; or one, and as much of its texture as is wanted."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxst import audio, solver
from jaxst.audio import Recording, Source
from jaxst.config import STARTS, Config, configure
from jaxst.errors import AudioError, ConfigError
from jaxst.kernels.optimizers import Optimizer, adam, evaluator, lbfgs
from jaxst.losses import Target, loss_terms, make_targets
from jaxst.methods import method_named
from jaxst.parametrization import Preconditioner, from_waveform, make_preconditioner, to_waveform
from jaxst.representation import Resolution, resolution_at
from jaxst.spectrum import equalize, power_spectrum

MAX_SECONDS = 30.0  # of a result: work and memory grow with the square of its length
MAX_STYLE_SECONDS = 12.0  # of style that is compared with, over all recordings and channels
EXCERPT_SECONDS = 3.0  # that longer styles are cut into


@dataclass(frozen=True)
class Result:
    """What a run made and how.

    Attributes:
        audio: the result.
        config: all options, defaults included.
        history: `total` and every term, unweighted, before the first step and after each: arrays of
            `(steps taken + 1,)`.
        status: why the run ended.
        timings: seconds spent in `prepare` (resampling, analysis), `compile` and `solve`.
    """

    audio: Recording
    config: Config
    history: dict[str, np.ndarray]
    status: solver.Status
    timings: dict[str, float]

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
                bad = [name for name, values in self.history.items() if name != "total" and not np.isfinite(values[-1])]
                where = f"at step {taken} (in {' and '.join(bad or ['total'])})"
                return f"the loss is not finite {where}; the best waveform before it is kept"
            case solver.Status.STOPPED:
                return f"interrupted after {taken} of {self.config.steps} steps"
            case _:
                return f"{taken} steps"


def transfer(
    content: Source,
    style: Source | Sequence[Source],
    *,
    method: str = "arccos",
    style_mix: Sequence[float] | None = None,
    sample_rate: int | None = None,
    on_progress: solver.OnProgress | None = None,
    **options: Any,
) -> Result:
    """Give the content of one recording the style of another.

    Args:
        content: a recording, or the path of one. The result has its length, channels, stereo image and level.
        style: one recording or path, or several, which are pooled.
        method: name of a preset.
        style_mix: a weight for each style; default all equal, whatever their lengths.
        sample_rate: rate of processing and of the result in Hz; default the content's own.
        on_progress: called about twice a second with a `solver.Progress`; returning true ends the run with what there
            is.
        options: any field of `Config`, such as `content_weight` or `steps`.

    Raises:
        AudioError: for a recording that cannot be used.
        ConfigError: for an option with a value that it cannot have.
    """
    config = configure(method_named(method).transfer, **options)
    if config.content_weight == 0:
        raise ConfigError("content_weight=0 must be a positive number; to synthesize texture use jaxst.texture")
    began = time.perf_counter()
    kept = _load(content, sample_rate, config)
    styles = _load_all(style, kept.sample_rate, config)
    excerpts, mix = _style_excerpts(styles, style_mix)
    balanced = _balanced(kept)
    start = _fit(styles[0], *kept.samples.shape) if config.init == "style" else None
    waveforms = _Waveforms(styles=excerpts, content=balanced, image=balanced)
    return _run(config, waveforms, mix, start, kept, began, on_progress)


def texture(
    style: Source | Sequence[Source],
    *,
    duration: float | None = None,
    method: str = "arccos",
    style_mix: Sequence[float] | None = None,
    sample_rate: int | None = None,
    on_progress: solver.OnProgress | None = None,
    **options: Any,
) -> Result:
    """Synthesize sound that has a recording's texture and is nowhere a copy of it.

    Args:
        style: one recording or path, or several, which are pooled. The result has the first one's channels, image and
            level.
        duration: of the result in seconds; default that of the first style, at most 30 s.
        sample_rate: rate of processing and of the result in Hz; default that of the first style.
        method, style_mix, on_progress, options, Raises: as for `transfer`.
    """
    config = configure(method_named(method).texture, **options)
    if config.content_weight != 0 or config.init == "content":
        raise ConfigError("content_weight and init=content need a content; use jaxst.transfer")
    if duration is not None and not _shortest(config) <= duration <= MAX_SECONDS:
        raise ConfigError(f"duration={duration!r} must be from {_shortest(config):.3g} to {MAX_SECONDS:g} seconds")
    began = time.perf_counter()
    styles = _load_all(style, sample_rate, config)
    excerpts, mix = _style_excerpts(styles, style_mix)
    first = styles[0]
    length = round(min(first.duration if duration is None else duration, MAX_SECONDS) * first.sample_rate)
    fitted = _fit(first, first.channels, length)
    start = fitted if config.init == "style" else None
    waveforms = _Waveforms(styles=excerpts, content=None, image=_balanced(first))
    model = replace(first, samples=np.asarray(fitted) * first.rms)
    return _run(config, waveforms, mix, start, model, began, on_progress)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class _Waveforms:
    """What a run analyzes, at one rate, every channel at unit level.

    Attributes:
        styles: `(time,)` each.
        content: `(channels, time)`, if there is one.
        image: `(channels, time)`, the recording whose stereo image the result takes.
    """

    styles: list[Float[Array, " _"]]
    content: Float[Array, "channels time"] | None
    image: Float[Array, "channels _"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class _Problem:
    """What the loss of a run needs beside its parameters."""

    targets: tuple[Target, ...]
    preconditioner: Preconditioner


@partial(jax.jit, static_argnames=("mix", "length", "sample_rate"))
def _analyze(
    config: Config, waveforms: _Waveforms, *, mix: tuple[float, ...], length: int, sample_rate: int
) -> tuple[_Problem, Array | None]:
    """The problem, and the content as it is to be kept."""
    resolution = resolution_at(config.windows[0], config.hops[0], sample_rate)
    content = waveforms.content
    if content is not None:
        content = _equalized(content, waveforms.styles, mix, resolution, sample_rate, config)
    targets = make_targets(waveforms.styles, mix, content, sample_rate, config)
    levels = [style[None] for style in waveforms.styles] + ([] if content is None else [content])
    return _Problem(targets, make_preconditioner(levels, waveforms.image, resolution, length)), content


def _equalized(
    content: Array,
    styles: list[Array],
    mix: tuple[float, ...],
    resolution: Resolution,
    sample_rate: int,
    config: Config,
) -> Array:
    """The content with the long-term spectrum of the styles, which is theirs to give; what is kept is how it varies."""
    shares = jnp.asarray(np.asarray(mix) / np.sum(mix), content.dtype)
    target = shares @ jnp.concatenate([power_spectrum(style[None], resolution) for style in styles])
    source = jnp.mean(power_spectrum(content, resolution), axis=0)
    filtered = equalize(content, source, target, sample_rate=sample_rate, strength=config.equalization)
    level = jnp.sqrt(jnp.mean(filtered**2, axis=1, keepdims=True))
    return filtered / jnp.where(level > 0, level, 1)


@jax.jit
def _start(config: Config, problem: _Problem, waveform: Array) -> solver.State:
    """The state at a waveform with noise added."""
    parameters = from_waveform(waveform, problem.preconditioner)
    parameters += config.start_noise * jax.random.normal(jax.random.key(config.seed), parameters.shape)
    return solver.start(_evaluator(config, problem), _optimizer(config), parameters)


@partial(jax.jit, donate_argnames="state")
def _advance(config: Config, problem: _Problem, state: solver.State, steps: int | Int[Array, ""]):
    return solver.advance(_evaluator(config, problem), _optimizer(config), state, steps)


def _evaluator(config: Config, problem: _Problem):
    return evaluator(
        lambda parameters: loss_terms(to_waveform(parameters, problem.preconditioner), problem.targets, config)
    )


def _optimizer(config: Config) -> Optimizer:
    return lbfgs() if config.optimizer == "lbfgs" else adam(config.learning_rate)


def _run(
    config: Config,
    waveforms: _Waveforms,
    mix: tuple[float, ...],
    start: Array | None,
    model: Recording,
    began: float,
    on_progress: solver.OnProgress | None,
) -> Result:
    """Analyze, solve, and give the result the length, channel levels and rate of `model`."""
    if model.duration > MAX_SECONDS:
        raise AudioError(
            f"{model.name}: lasts {model.duration:.3g} s, but results of at most {MAX_SECONDS:g} s are made; cut it up"
        )
    prepared = time.perf_counter()
    if on_progress is not None:
        on_progress(solver.Progress(0, config.steps, {}, stage="compiling (cached for the next run)"))
    # Neither the number of steps nor where it starts shapes a program: left out, so that none is compiled twice.
    shaping, length = replace(config, steps=1, init=STARTS[0]), model.samples.shape[1]
    problem, content = _analyze(shaping, waveforms, mix=mix, length=length, sample_rate=model.sample_rate)
    if config.init == "content":
        start = content
    elif config.init == "noise":
        shaping, start = replace(shaping, start_noise=1.0), jnp.zeros(model.samples.shape)
    state = _start(shaping, problem, start)
    advance = partial(_advance, shaping, problem)
    state, *_ = advance(state, 0)  # compiles, and takes no step
    jax.block_until_ready(state)
    compiled = time.perf_counter()
    solution = solver.solve(advance, state, config.steps, on_progress)
    solved = time.perf_counter()
    samples = np.asarray(to_waveform(solution.parameters, problem.preconditioner)) * _channel_rms(model)[:, None]
    samples = audio.match_level(samples, model.rms, model.sample_rate)
    return Result(
        audio=Recording(samples, model.sample_rate, "output"),
        config=config,
        history=solution.history,
        status=solution.status,
        timings={"prepare": prepared - began, "compile": compiled - prepared, "solve": solved - compiled},
    )


def _shortest(config: Config) -> float:
    """Seconds that a recording must last to have a patch at every resolution."""
    patches = [frames * hop for frames, hop in zip(config.patch_frames, config.hops, strict=True)]
    return max(*patches, *config.windows) / 1000


def _load(source: Source, sample_rate: int | None, config: Config) -> Recording:
    recording = audio.load(source, sample_rate)
    if recording.duration < _shortest(config):
        raise AudioError(
            f"{recording.name}: lasts {recording.duration:.3g} s, but at least {_shortest(config):.3g} s are needed; "
            "choose a longer recording"
        )
    return recording


def _load_all(sources: Source | Sequence[Source], sample_rate: int | None, config: Config) -> list[Recording]:
    """All styles at one rate, by default that of the first."""
    several = [sources] if isinstance(sources, (Recording, str, os.PathLike)) else list(sources)
    if not several:
        raise ConfigError("style: give at least one recording")
    first = _load(several[0], sample_rate, config)
    return [first, *(_load(source, first.sample_rate, config) for source in several[1:])]


def _style_excerpts(styles: Sequence[Recording], mix: Sequence[float] | None) -> tuple[list[Array], tuple[float, ...]]:
    """Mono waveforms of unit level and a weight for each: every channel that sounds, cut up evenly where it is long."""
    mix = (1.0,) * len(styles) if mix is None else tuple(mix)
    if len(mix) != len(styles):
        raise ConfigError(f"style_mix has {len(mix)} weights for {len(styles)} styles; give one for each")
    if not all(0 < weight < float("inf") for weight in mix):
        raise ConfigError(f"style_mix={','.join(map(str, mix))} must be positive numbers")
    excerpts, weights = [], []
    for style, weight in zip(styles, mix, strict=True):
        channels = [channel / rms for channel, rms in zip(style.samples, _channel_rms(style), strict=True) if rms > 0]
        seconds = MAX_STYLE_SECONDS / (len(channels) * len(styles))
        cuts = [cut for channel in channels for cut in _spread(channel, seconds, style.sample_rate)]
        excerpts += cuts
        weights += [weight / len(cuts)] * len(cuts)
    return excerpts, tuple(weights)


def _spread(samples: np.ndarray, seconds: float, sample_rate: int) -> list[Array]:
    """The whole, or excerpts of equal length at equal distances that last `seconds` together."""
    if len(samples) <= seconds * sample_rate:
        return [jnp.asarray(samples)]
    count = max(1, round(seconds / EXCERPT_SECONDS))
    size = round(seconds * sample_rate / count)
    starts = np.linspace(0, len(samples) - size, count).round().astype(int)
    return [jnp.asarray(samples[begin : begin + size]) for begin in starts]


def _fit(recording: Recording, channels: int, length: int) -> Array:
    """Repeat or cut in time, and copy or mix down channels; `(channels, length)` of unit level."""
    samples = recording.samples / recording.rms
    samples = (
        samples
        if recording.channels == channels
        else np.broadcast_to(samples.mean(axis=0), (channels, samples.shape[1]))
    )
    return jnp.asarray(np.tile(samples, -(-length // samples.shape[1]))[:, :length])


def _balanced(recording: Recording) -> Array:
    """Every channel at unit level; one that is silent stays so."""
    rms = _channel_rms(recording)
    return jnp.asarray(recording.samples / np.where(rms > 0, rms, 1)[:, None])


def _channel_rms(recording: Recording) -> np.ndarray:
    """Level of every channel, zero for one that is silent beside the other."""
    rms = np.sqrt(np.mean(np.square(recording.samples, dtype=np.float64), axis=1))
    return np.where(rms > 1e-4 * rms.max(), rms, 0).astype(np.float32)
