"""One run before it starts: its configuration, checked, and what it is given of content and style."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst import audio, problem, style_file
from jaxst.audio import Recording, Source
from jaxst.config import HEARING, Config, configure, moves_a_waveform, option_names
from jaxst.config import options as config_options
from jaxst.errors import AudioError, ConfigError
from jaxst.methods import method_named
from jaxst.network import RandomNetwork
from jaxst.spectrum import mean_power
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

MAX_SECONDS = 1800.0  # of a result
WHOLE_SECONDS = 30.0  # of one that cannot be cut up: work and memory grow with the square of its length
# What an analysis of style depends on.
_OPTIONAL = ("autocorrelation_weight", "diversity_weight", *HEARING)
_SHAPING = ("representation", "network", "statistic", "separation", *_OPTIONAL)


@runtime_checkable
class Run(Protocol):
    """What a solver needs of a run: of a whole one, or of a part of one."""

    @property
    def config(self) -> Config:
        """All options."""
        ...

    @property
    def style(self) -> Style:
        """What was learned of the style."""
        ...

    @property
    def program(self) -> Config:
        """The configuration that programs are compiled for."""
        ...

    @property
    def tapered(self) -> bool:
        """Whether the noise at the start is louder in the middle."""
        ...

    @property
    def problem_key(self) -> Any:
        """Equal for runs, of one content and style, that have the same problem."""
        ...

    def pose(self) -> tuple[problem.Problem, Array]:
        """The problem, and the content as it is to be kept."""
        ...

    def beginning(self, content: Float[Array, "channels time"]) -> tuple[Float[Array, "channels time"], float]:
        """The waveform that the search begins with, given that content, and the level of the noise to add to it."""
        ...

    def result(self, samples: np.ndarray) -> Recording:
        """What is made of the solution."""
        ...


@dataclass(frozen=True)
class Task:
    """What is to be made of a style.

    Attributes:
        config: all options.
        style: what was learned of it.
        samples: `(channels, time)`, the content with every channel at unit level; or silence of the length wanted.
        has_content: which of them; the result takes the stereo image of the content, or else of the style.
        levels: `(channels,)`, root mean square that every channel is to have.
        rms: that of all channels.
        residual: what was separated from the content.
        loop: whether the end is to lead on to the beginning.
    """

    config: Config
    style: Style
    samples: Float[np.ndarray, "channels time"]
    has_content: bool
    levels: Float[np.ndarray, " channels"]
    rms: float
    residual: Float[np.ndarray, "channels time"] | None
    loop: bool = False

    @property
    def program(self) -> Config:
        """Without the number of steps and where these begin, which shape no program, so that none is compiled twice."""
        return compiled_for(self.config)

    @property
    def tapered(self) -> bool:
        """As the configuration says."""
        return self.config.init == "tapered-noise"

    @property
    def problem_key(self) -> Any:
        """What `pose` depends on."""
        return analysis_key(self.config), self.config.equalization

    def pose(self) -> tuple[problem.Problem, Array]:
        """The problem, and the content filtered towards the style."""
        program, style, content, source = self.program, self.style, jnp.asarray(self.samples), None
        if self.has_content:
            source = mean_power(problem.long_term(program, content, sample_rate=style.sample_rate))
            strength, rate = self.config.equalization, style.sample_rate
            content = problem.filtered(content, source, style.spectrum, sample_rate=rate, strength=strength)
            content = problem.at_unit_level(content)
        posed = pose(program, style, content, has_content=self.has_content)
        return replace(posed, spectrum=None if self.config.content_spectrum is None else source), content

    def beginning(self, content: Float[Array, "channels time"]) -> tuple[Float[Array, "channels time"], float]:
        """As the configuration says."""
        return beginning(self.config, self.style, content)

    def result(self, samples: np.ndarray) -> Recording:
        """The solution with every channel and the whole at their levels, and with what had been put aside."""
        rate = self.style.sample_rate
        samples = audio.match_level(samples * self.levels[:, None], self.rms, rate)
        if self.residual is not None:
            together = samples + self.config.residual_gain * self.residual
            rms = np.sqrt(np.mean(audio.mean_squares(together)))
            samples = audio.match_level(together, float(rms), rate)
        return Recording(samples, rate, "output")


def compiled_for(config: Config) -> Config:
    """The configuration without what shapes no program: the number of steps and where these begin."""
    return replace(config, steps=1, init="noise")


def pose(
    program: Config, style: Style, content: Float[Array, "channels time"], *, has_content: bool
) -> problem.Problem:
    """The problem of a content as it is to be kept, or of silence of the length wanted."""
    return problem.pose(
        program,
        style.targets,
        style.hearing,
        style.spectrum,
        style.image,
        content,
        sample_rate=style.sample_rate,
        has_content=has_content,
    )


def beginning(
    config: Config, style: Style, content: Float[Array, "channels time"], offset: int = 0
) -> tuple[Float[Array, "channels time"], float]:
    """The waveform that the search begins with, and the level of the noise to add to it.

    Args:
        config: for the kind of start.
        style: what was learned of it.
        content: as it is to be kept.
        offset: samples before this content, by which a style is shifted that the search begins with.
    """
    if config.init in ("noise", "tapered-noise"):
        return jnp.zeros_like(content), 1.0
    if config.init == "content":
        return content, float(config.start_noise)
    assert style.samples is not None, "refused before"
    fitted = fit(jnp.roll(style.samples, -offset, axis=1), *content.shape)
    share = 1.0 if config.init == "style" else float(config.start_mix)
    return share * fitted + (1 - share) * content, float(config.start_noise)


def told_apart(style: Source | Sequence[Source] | Style) -> Style | list[Source]:
    """A style that was learned before, read if need be, or the recordings of one that was not."""
    if isinstance(style, Style):
        return style
    sources = as_sources(style)
    saved = style_file.saved_among([source for source in sources if not isinstance(source, Recording)], len(sources))
    return sources if saved is None else style_file.load_style(saved)


def transfer_config(method: str | None, options: Mapping[str, Any], style: Style | Sequence[Source]) -> Config:
    """The configuration of a transfer.

    Args:
        method: name of the preset; default that of a learned style, or `arccos`.
        options: by name.
        style: as from `told_apart`; a learned one has decided some options.

    Raises:
        ConfigError: as for `jaxst.transfer`.
    """
    learned = style if isinstance(style, Style) else None
    preset = method_named(_method(method, learned))
    config = _configured(preset.transfer, options, learned)
    if config.content_weight == 0:
        if preset.texture_only and options.get("content_weight") is None:
            raise ConfigError(
                f"method={config.method} synthesizes texture and was published without a content term; "
                "use jaxst.texture, or give a content_weight"
            )
        raise ConfigError("content_weight=0 must be a positive number; to synthesize texture use jaxst.texture")
    return config


def texture_config(method: str | None, options: Mapping[str, Any], style: Style | Sequence[Source]) -> Config:
    """The configuration of a texture synthesis; arguments and errors as for `transfer_config`."""
    learned = style if isinstance(style, Style) else None
    config = _configured(method_named(_method(method, learned)).texture, options, learned)
    if config.content_weight != 0:
        raise ConfigError(f"content_weight={config.content_weight:g} needs a content; use jaxst.transfer")
    if config.init in ("content", "mix"):
        raise ConfigError(f"init={config.init} needs a content; begin with noise, tapered-noise or style")
    return config


def transfer_task(
    config: Config,
    content: Source,
    style: Style | Sequence[Source],
    *,
    style_mix: Sequence[float] | None,
    sample_rate: int | None,
) -> Task:
    """Load and analyze what a transfer needs; arguments and errors as for `jaxst.transfer`."""
    kept = load(content, sample_rate, config)
    if kept.duration > (longest := longest_duration(config)):
        raise AudioError(
            f"{kept.name}: lasts {kept.duration:.4g} s, but results of at most {longest:g} s are made{_why(config)}; "
            "cut it up"
        )
    if isinstance(style, Style):
        _check_agreement(kept.sample_rate, style_mix, style)
        learned = style
    else:
        learned = analyze(load_all(style, kept.sample_rate, config), config, style_mix)
    sounding, left = separate(kept) if config.separation == "sines" else (kept, None)
    return Task(
        config=config,
        style=learned,
        samples=balanced(sounding),
        has_content=True,
        levels=channel_rms(sounding),
        rms=sounding.rms,
        residual=None if left is None else left.samples,
    )


def texture_task(
    config: Config,
    style: Style | Sequence[Source],
    *,
    duration: float | None,
    style_mix: Sequence[float] | None,
    sample_rate: int | None,
    loop: bool = False,
) -> Task:
    """Load and analyze what a texture synthesis needs; arguments and errors as for `jaxst.texture`."""
    recordings = [] if isinstance(style, Style) else load_all(style, sample_rate, config)
    rate = style.sample_rate if isinstance(style, Style) else recordings[0].sample_rate
    shortest, longest = shortest_duration(config, rate), longest_duration(config)
    if duration is not None and not shortest <= duration <= longest:
        raise ConfigError(f"duration={duration!r} must be from {shortest:.3g} to {longest:g} seconds{_why(config)}")
    if loop and not moves_a_waveform(config):
        raise ConfigError(f"loop: variable={config.variable} cannot be joined; choose preconditioned or waveform")
    if isinstance(style, Style):
        _check_agreement(rate if sample_rate is None else sample_rate, style_mix, style)
        learned = style
    else:
        learned = analyze(recordings, config, style_mix)
    own = learned.length / learned.sample_rate
    length = round(min(own, WHOLE_SECONDS) * rate if duration is None else duration * rate)
    levels = np.asarray(learned.levels)
    return Task(
        config=config,
        style=learned,
        samples=np.zeros((len(levels), length), np.float32),
        has_content=False,
        levels=levels,
        rms=float(np.sqrt(np.mean(levels.astype(np.float64) ** 2))),
        residual=None,
        loop=loop,
    )


def longest_duration(config: Config) -> float:
    """Seconds that a result may last."""
    return MAX_SECONDS if moves_a_waveform(config) else WHOLE_SECONDS


def _why(config: Config) -> str:
    return "" if moves_a_waveform(config) else f" with variable={config.variable}"


def analysis_key(config: Config) -> Config:
    """What a task but for its configuration depends on: equal for configurations that can share one."""
    network = config.network
    if isinstance(network, RandomNetwork):
        network = replace(network, bank_weights=())
    decided: dict[str, Any] = {name: getattr(config, name) for name in ("method", *_SHAPING)}
    decided |= {name: 1.0 for name in _OPTIONAL if decided[name] is not None}  # only whether there is one matters
    return Config(**{**decided, "network": network})


def _method(method: str | None, learned: Style | None) -> str:
    if learned is None:
        return "arccos" if method is None else method
    if method not in (None, learned.config.method):
        raise ConfigError(f"method={method}: the style {learned.name} was learned for method={learned.config.method}")
    return learned.config.method


def _configured(preset: Config, options: Mapping[str, Any], learned: Style | None) -> Config:
    """The preset with options; a learned style has decided some of them."""
    if learned is None:
        return configure(preset, **options)
    listens = any(getattr(learned.config, name) is not None for name in HEARING)
    heard = set(HEARING) if listens else set()  # all that can be is learned, whatever the weights are
    decided = {name: getattr(learned.config, name) for name in _SHAPING if name not in heard}
    for name in decided.keys() & set(_OPTIONAL):
        if None not in (decided[name], getattr(preset, name)):
            del decided[name]  # only whether there is one shapes what is learned
    base = replace(preset, **decided)
    config = configure(base, **options)
    before, after = config_options(base), config_options(config)
    shaping = {name for part in _SHAPING for name in (part, *option_names(getattr(base, part)))}
    for name in (*_OPTIONAL, "bank_weights"):
        if after.get(name) not in (None, ()) and before.get(name) not in (None, ()):
            shaping.discard(name)
    shaping -= heard | {name for name in HEARING if after[name] is None}  # what was learned may be left unheard
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
