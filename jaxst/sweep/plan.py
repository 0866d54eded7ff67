"""What a sweep is to do: every run by name, and what of it must not change when it is gone on with."""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxst.audio import Recording, Source
from jaxst.config import Config
from jaxst.config import options as config_options
from jaxst.errors import AudioError, ConfigError
from jaxst.style import Style, as_sources
from jaxst.sweep.grid import Choices, Space, as_text, combinations, sample
from jaxst.task import texture_config, told_apart, transfer_config
from jaxst.version import __version__


@dataclass(frozen=True)
class Pair:
    """What one result is made of.

    Attributes:
        content: a recording or a path; `None` for texture synthesis.
        style: recordings or paths, which are pooled, or what was learned of them.
        saved: the file that this was read from, if it was.
    """

    content: Source | None
    style: list[Source] | Style
    saved: str | None = None

    @property
    def names(self) -> dict[str, list[str]]:
        """Of the files, by role."""
        content = {} if self.content is None else {"content": [_name(self.content)]}
        if isinstance(self.style, Style):
            return {**content, "style": [self.saved] if self.saved else list(self.style.names)}
        return {**content, "style": list(map(_name, self.style))}

    @property
    def style_recordings(self) -> list[Source]:
        """Those of the style; none of a learned one."""
        return [] if isinstance(self.style, Style) else self.style

    @property
    def texts(self) -> dict[str, str]:
        """The same, several styles joined by commas."""
        return {role: ",".join(names) for role, names in self.names.items()}


@dataclass(frozen=True)
class Lane:
    """One run.

    Attributes:
        name: its number, of as many digits as the last one's.
        pair: place of what it is made of.
        settings: values of what the sweep varies, by option.
        config: all options.
    """

    name: str
    pair: int
    settings: Mapping[str, Any]
    config: Config

    @property
    def text(self) -> str:
        """What sets it apart, in one line."""
        return " ".join(f"{name}={as_text(name, value)}" for name, value in self.settings.items())


@dataclass(frozen=True)
class Plan:
    """A sweep.

    Attributes:
        pairs: every content with its style.
        lanes: every pair with every combination, in order.
        method: for all lanes, if it is given and not varied.
        options: for all lanes.
        style_mix, sample_rate, duration: as for `jaxst.transfer` and `jaxst.texture`.
        spaces: what is varied.
        random: number of combinations that are drawn; `None` for the whole grid.
        sample_seed: of the drawing.
    """

    pairs: tuple[Pair, ...]
    lanes: tuple[Lane, ...]
    method: str | None
    options: Mapping[str, Any]
    style_mix: tuple[float, ...] | None
    sample_rate: int | None
    duration: float | None
    spaces: Mapping[str, Space]
    random: int | None
    sample_seed: int

    @property
    def contents(self) -> list[Source]:
        """All of them, each path once."""
        return _once(pair.content for pair in self.pairs if pair.content is not None)

    @property
    def styles(self) -> list[Source]:
        """All recordings of styles, each path once."""
        return _once(source for pair in self.pairs for source in pair.style_recordings)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """All that results depend on, as JSON holds it; files by name and content, wherever they are.

        Raises:
            AudioError: for a file that cannot be read.
        """
        return {
            "jaxst": __version__,
            "grid": [f"{name}={_space_text(name, space)}" for name, space in self.spaces.items()],
            "random": self.random,
            "sample_seed": self.sample_seed if self.random else None,
            "method": self.method,
            "options": {name: as_text(name, value) for name, value in sorted(self.options.items())},
            "style_mix": self.style_mix and list(self.style_mix),
            "sample_rate": self.sample_rate,
            "duration": self.duration,
            "pairs": [{**_without_folders(pair), "sha256": list(_fingerprints(pair))} for pair in self.pairs],
            "lanes": len(self.lanes),
        }


def make_plan(
    pairs: Sequence[tuple[Source | None, Source | Sequence[Source] | Style]],
    spaces: Mapping[str, Space],
    *,
    random: int | None = None,
    sample_seed: int = 0,
    method: str | None = None,
    style_mix: Sequence[float] | None = None,
    sample_rate: int | None = None,
    duration: float | None = None,
    options: Mapping[str, Any],
) -> Plan:
    """Check every configuration and give every run a name.

    Args:
        pairs: content and style of each; without content, texture is synthesized.
        spaces: what to vary, from `jaxst.sweep.grid`.
        random: combinations to draw; default the whole grid.
        sample_seed: of the drawing.
        method, style_mix, sample_rate, duration, options: for all runs, as for `jaxst.transfer` and `jaxst.texture`.

    Raises:
        ConfigError: for an option with a value that it cannot have in some run, or that is given and varied, too; and
            where there is no style.
        AudioError: for a saved style that cannot be read.
    """
    options = {name: value for name, value in options.items() if value is not None}
    for name in spaces.keys() & (options.keys() | ({"method"} if method is not None else set())):
        raise ConfigError(f"{name} is given, and varied by the grid, too; leave one of them out")
    settings = combinations(spaces) if random is None else sample(spaces, random, sample_seed)
    known = tuple(_pair(*pair) for pair in pairs)
    if duration is not None and any(pair.content is not None for pair in known):
        raise ConfigError(f"duration={duration:g}: with a content the result is as long as that")
    digits = len(str(len(known) * len(settings) - 1))
    lanes = []
    for place, pair in enumerate(known):
        configure = texture_config if pair.content is None else transfer_config
        for each in settings:
            lane = {"method": method, **options, **each}
            try:
                config = configure(lane.pop("method"), lane, pair.style)
            except ConfigError as error:
                given = ", ".join(f"{name}={as_text(name, value)}" for name, value in each.items())
                raise ConfigError(f"{error} (of the grid, in the run with {given})" if each else str(error)) from None
            lanes.append(Lane(f"{len(lanes):0{digits}}", place, each, config))
    return Plan(
        pairs=known,
        lanes=tuple(lanes),
        method=method,
        options=options,
        style_mix=None if style_mix is None else tuple(map(float, style_mix)),
        sample_rate=sample_rate,
        duration=None if duration is None else float(duration),
        spaces=spaces,
        random=random,
        sample_seed=sample_seed,
    )


def read_pairs(path: str | Path) -> list[tuple[str | None, list[str]]]:
    """Content and style of each line of a CSV file with columns `content` and `style`. Several styles are separated by
    semicolons; without a content, texture is synthesized. Paths are relative to the file's folder.

    Raises:
        AudioError: if it cannot be read, has other columns, or a line has no style.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AudioError(f"{path}: cannot be read as CSV ({getattr(error, 'strerror', None) or error})") from error
    (_, columns), *rows = lines or [(0, [])]
    if sorted(columns) not in (["content", "style"], ["style"]):
        raise AudioError(f"{path}: must have the columns content and style, not {', '.join(columns) or 'none'}")
    if not rows:
        raise AudioError(f"{path}: names no pairs")
    folder = Path(path).parent
    pairs = []
    for number, cells in rows:
        if len(cells) > len(columns):
            raise AudioError(f"{path}: line {number} has more cells than columns; separate styles by semicolons")
        row = dict(zip(columns, cells, strict=False))
        styles = [str(folder / name.strip()) for name in row.get("style", "").split(";") if name.strip()]
        if not styles:
            raise AudioError(f"{path}: line {number} names no style")
        pairs.append((str(folder / row["content"]) if row.get("content") else None, styles))
    return pairs


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two manifests, each in a few words."""
    return [
        f"{name}: {_shown(before, name)} before, {_shown(now, name)} now"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]


def _shown(manifest: Mapping[str, Any], name: str) -> str:
    value = manifest.get(name)
    if isinstance(value, dict):
        value = [f"{key}={item}" for key, item in value.items()]
    elif name == "pairs" and value:
        return "; ".join(
            f"{pair.get('content', 'no content')} with {pair['style']} ({' '.join(sha[:8] for sha in pair['sha256'])})"
            for pair in value
        )
    if isinstance(value, list):
        value = " ".join(map(str, value)) or None
    return "none" if value is None else str(value)


def _space_text(name: str, space: Space) -> str:
    if not isinstance(space, Choices):
        return str(space)
    joint = "/" if isinstance(space.values[0], tuple) else ","
    return joint.join(as_text(name, value) for value in space.values)


def _pair(content: Source | None, style: Source | Sequence[Source] | Style) -> Pair:
    learned = told_apart(style)
    if isinstance(learned, Style) and not isinstance(style, Style):
        [path] = as_sources(style)
        return Pair(content, learned, _name(path))
    if learned == []:
        raise ConfigError("style: give at least one recording")
    return Pair(content, learned)


def _without_folders(pair: Pair) -> dict[str, str]:
    return {role: ",".join(Path(name).name for name in names) for role, names in pair.names.items()}


def _once(sources: Iterable[Source]) -> list[Source]:
    each = list(sources)
    recordings = [source for source in each if isinstance(source, Recording)]
    return [*recordings, *dict.fromkeys(str(source) for source in each if not isinstance(source, Recording))]


def _name(source: Source) -> str:
    return source.name if isinstance(source, Recording) else str(source)


def _fingerprints(pair: Pair) -> Iterator[str]:
    """Of what the results are made of: of files their bytes, else samples or what was learned."""
    style = pair.saved or pair.style
    for source in [pair.content, *(style if isinstance(style, list) else [style])]:
        if source is None:
            continue
        if isinstance(source, Style):
            facts, arrays = (source.sample_rate, source.length, config_options(source.config)), jax.tree.leaves(source)
        elif isinstance(source, Recording):
            facts, arrays = source.sample_rate, [source.samples]
        else:
            try:
                with open(source, "rb") as file:
                    yield hashlib.file_digest(file, "sha256").hexdigest()
                continue
            except OSError as error:
                raise AudioError(f"{source}: cannot be read ({error.strerror}); check the path") from error
        digest = hashlib.sha256(repr((facts, [np.shape(array) for array in arrays])).encode())
        for array in arrays:
            digest.update(np.asarray(array).tobytes())
        yield digest.hexdigest()
