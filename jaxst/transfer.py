"""The job: two recordings in, a new recording out; or one, and as much of its texture as is wanted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst import audio, problem, solver, style_file
from jaxst.audio import Recording, Source
from jaxst.config import HEARING, Config, configure, option_names
from jaxst.config import options as config_options
from jaxst.errors import AudioError, ConfigError
from jaxst.methods import method_named
from jaxst.style import (
    Style,
    analyze,
    as_sources,
    balanced,
    channel_rms,
    fit,
    load,
    load_all,
    separate,
    shortest_duration,
)

MAX_SECONDS = 30.0  # of a result: work and memory grow with the square of its length
# What an analysis of style depends on.
_OPTIONAL = ("autocorrelation_weight", "diversity_weight", *HEARING)
_SHAPING = ("representation", "network", "statistic", "separation", *_OPTIONAL)


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
    learned, sources = _told_apart(style)
    preset = method_named(_method(method, learned))
    config = _configured(preset.transfer, options, learned)
    if config.content_weight == 0:
        if preset.texture_only and options.get("content_weight") is None:
            raise ConfigError(
                f"method={config.method} synthesizes texture and was published without a content term; "
                "use jaxst.texture, or give a content_weight"
            )
        raise ConfigError("content_weight=0 must be a positive number; to synthesize texture use jaxst.texture")
    kept = load(content, sample_rate, config)
    _check_length(kept)
    if learned is not None:
        _check_agreement(kept.sample_rate, style_mix, learned)
    else:
        learned = analyze(load_all(sources, kept.sample_rate, config), config, style_mix)
    sounding, left = separate(kept) if config.separation == "sines" else (kept, None)
    job = _Job(
        samples=balanced(sounding),
        has_content=True,
        levels=channel_rms(sounding),
        rms=sounding.rms,
        residual=None if left is None else left.samples,
    )
    return _run(config, learned, job, began, on_progress)


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
    learned, sources = _told_apart(style)
    config = _configured(method_named(_method(method, learned)).texture, options, learned)
    if config.content_weight != 0:
        raise ConfigError(f"content_weight={config.content_weight:g} needs a content; use jaxst.transfer")
    if config.init in ("content", "mix"):
        raise ConfigError(f"init={config.init} needs a content; begin with noise, tapered-noise or style")
    recordings = load_all(sources, sample_rate, config) if learned is None else []
    if learned is None:
        rate = recordings[0].sample_rate
    else:
        rate = learned.sample_rate
        _check_agreement(rate if sample_rate is None else sample_rate, style_mix, learned)
    shortest = shortest_duration(config, rate)
    if duration is not None and not shortest <= duration <= MAX_SECONDS:
        raise ConfigError(f"duration={duration!r} must be from {shortest:.3g} to {MAX_SECONDS:g} seconds")
    learned = analyze(recordings, config, style_mix) if learned is None else learned
    own = learned.length / learned.sample_rate
    length = round(min(own if duration is None else duration, MAX_SECONDS) * learned.sample_rate)
    levels = np.asarray(learned.levels)
    job = _Job(
        samples=jnp.zeros((len(levels), length)),
        has_content=False,
        levels=levels,
        rms=float(np.sqrt(np.mean(levels.astype(np.float64) ** 2))),
        residual=None,
    )
    return _run(config, learned, job, began, on_progress)


def _told_apart(style: Source | Sequence[Source] | Style) -> tuple[Style | None, list[Source]]:
    """A style that was learned before, and the recordings of one that was not."""
    if isinstance(style, Style):
        return style, []
    sources = as_sources(style)
    saved = style_file.saved_among([source for source in sources if not isinstance(source, Recording)], len(sources))
    return (None, sources) if saved is None else (style_file.load_style(saved), [])


def _method(method: str | None, learned: Style | None) -> str:
    if learned is None:
        return "arccos" if method is None else method
    if method not in (None, learned.config.method):
        raise ConfigError(f"method={method}: the style {learned.name} was learned for method={learned.config.method}")
    return learned.config.method


def _configured(preset: Config, options: dict[str, Any], learned: Style | None) -> Config:
    """The preset with options; a learned style has decided some of them."""
    if learned is None:
        return configure(preset, **options)
    decided = {name: getattr(learned.config, name) for name in _SHAPING}
    for name in _OPTIONAL:
        if None not in (decided[name], getattr(preset, name)):
            del decided[name]  # only whether there is one shapes what is learned
    base = replace(preset, **decided)
    config = configure(base, **options)
    before, after = config_options(base), config_options(config)
    shaping = {name for part in _SHAPING for name in (part, *option_names(getattr(base, part)))}
    for name in (*_OPTIONAL, "bank_weights"):
        if after.get(name) not in (None, ()) and before.get(name) not in (None, ()):
            shaping.discard(name)
    shaping -= {name for name in HEARING if after[name] is None}  # what was learned may be left unheard
    changed = [name for name in after if name in shaping and after[name] != before.get(name)]
    if changed:
        given = ", ".join(f"{name}={after[name]}" for name in changed)
        raise ConfigError(f"{given}: the style {learned.name} was learned with other values; learn it anew")
    if learned.samples is None and config.init in ("style", "mix"):
        raise ConfigError(f"init={config.init} needs the style's recording; {learned.name} was read from a file")
    return config


def _check_agreement(sample_rate: int, style_mix: Sequence[float] | None, learned: Style) -> None:
    if style_mix is not None:
        raise ConfigError(f"style_mix={','.join(map(str, style_mix))}: the style {learned.name} was mixed when learned")
    if sample_rate != learned.sample_rate:
        raise ConfigError(
            f"sample_rate={sample_rate}: the style {learned.name} was learned at {learned.sample_rate} Hz; "
            "give that rate, or learn it anew"
        )


def _check_length(recording: Recording) -> None:
    if recording.duration > MAX_SECONDS:
        raise AudioError(
            f"{recording.name}: lasts {recording.duration:.3g} s, but results of at most {MAX_SECONDS:g} s are made; "
            "cut it up"
        )


@dataclass(frozen=True)
class _Job:
    """What is to be made of a style.

    Attributes:
        samples: `(channels, time)`, the content with every channel at unit level; or silence of the length wanted.
        has_content: which of them; the result takes the stereo image of the content, or else of the style.
        levels: `(channels,)`, root mean square that every channel is to have.
        rms: that of all channels.
        residual: what was separated from the content.
    """

    samples: Float[Array, "channels time"]
    has_content: bool
    levels: Float[np.ndarray, " channels"]
    rms: float
    residual: Float[np.ndarray, "channels time"] | None


def _run(config: Config, style: Style, job: _Job, began: float, on_progress: solver.OnProgress | None) -> Result:
    """Pose the problem, solve it, and give the result its levels."""
    announce = on_progress or (lambda progress: None)
    prepared = time.perf_counter()
    announce(solver.Progress(0, config.steps, {}, stage="compiling (cached for the next run)"))
    # Neither the number of steps nor where it starts shapes a program: left out, so that none is compiled twice.
    shaping = replace(config, steps=1, init="noise")
    posed, content = problem.pose(
        shaping,
        style.targets,
        style.hearing,
        style.spectrum,
        style.image,
        job.samples,
        sample_rate=style.sample_rate,
        has_content=job.has_content,
    )
    waveform, noise = _where_to_start(config, style, content)
    state = problem.start(shaping, posed, waveform, noise, tapered=config.init == "tapered-noise")
    advance = partial(problem.advance, shaping, posed)
    state, *_ = advance(state, 0)  # compiles, and takes no step
    jax.block_until_ready(state)
    compiled = time.perf_counter()
    solution = solver.solve(advance, state, config.steps, on_progress)
    solved = time.perf_counter()
    announce(solver.Progress(len(solution.history["total"]) - 1, config.steps, {}, stage="finishing"))
    samples = np.asarray(problem.finish(shaping, posed, solution.parameters, sample_rate=style.sample_rate))
    samples = _leveled(samples, job, style.sample_rate, config)
    finished = time.perf_counter()
    return Result(
        audio=Recording(samples, style.sample_rate, "output"),
        config=config,
        history=solution.history,
        status=solution.status,
        timings={
            "prepare": prepared - began,
            "compile": compiled - prepared,
            "solve": solved - compiled,
            "finish": finished - solved,
        },
        style=style,
    )


def _where_to_start(config: Config, style: Style, content: Array) -> tuple[Array, float]:
    """A waveform, and the level of the noise to add to it."""
    if config.init in ("noise", "tapered-noise"):
        return jnp.zeros_like(content), 1.0
    if config.init == "content":
        return content, float(config.start_noise)
    assert style.samples is not None, "refused before"
    fitted = fit(style.samples, *content.shape)
    share = 1.0 if config.init == "style" else float(config.start_mix)
    return share * fitted + (1 - share) * content, float(config.start_noise)


def _leveled(samples: np.ndarray, job: _Job, sample_rate: int, config: Config) -> np.ndarray:
    """Every channel and the whole at their levels, with what had been put aside."""
    samples = samples * job.levels[:, None]
    samples = audio.match_level(samples, job.rms, sample_rate)
    if job.residual is None:
        return samples
    together = samples + config.residual_gain * job.residual
    rms = np.sqrt(np.mean(together**2, dtype=np.float64))
    return audio.match_level(together, float(rms), sample_rate)
