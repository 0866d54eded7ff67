"""What a sweep varies: from `learning_rate=log:1e-4:1e-1:7` to the values of each run."""

import itertools
import math
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxst.config import OPTIONS
from jaxst.errors import ConfigError
from jaxst.methods import METHODS
from jaxst.options import Option, checked, choice, parsed

MOST = 100_000  # values of an option, and combinations: more than anyone runs, less than fills memory

_OPTIONS: Mapping[str, Option] = {"method": choice("Preset to run.", *METHODS), **OPTIONS}
_SCALES = {"lin": "linear", "log": "log"}
_FORMS = {
    float: "values separated by commas, log:LOW:HIGH[:COUNT] or lin:LOW:HIGH[:COUNT]",
    int: "values separated by commas, FIRST:STOP[:STEP], log:LOW:HIGH[:COUNT] or lin:LOW:HIGH[:COUNT]",
    str: "values separated by commas",
    tuple: "lists separated by slashes",
}


@dataclass(frozen=True)
class Choices:
    """Some values, each once."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included.

    Attributes:
        low: the least.
        high: the greatest.
        scale: on which they are spread evenly, `linear` or `log`.
        count: of them in a grid, 1 being `low` alone; `None` if they are only sampled.
        whole: whether they are rounded to whole ones; the option decides.
    """

    low: float
    high: float
    scale: str
    count: int | None = None
    whole: bool = False

    def __str__(self) -> str:
        ends = f"{self.scale[:3]}:{_text(self.low)}:{_text(self.high)}"
        return ends if self.count is None else f"{ends}:{self.count}"


Space = Choices | Range


def parse_space(name: str, text: str) -> Space:
    """The values of one option, as written on a command line.

    Args:
        name: of an option in `jaxst.config.OPTIONS`, or `method`.
        text: values separated by commas, or by slashes where each is a list itself (`64,32/128,64`); for numbers, too,
            `log:LOW:HIGH[:COUNT]` or `lin:LOW:HIGH[:COUNT]`; for whole numbers, too, `FIRST:STOP[:STEP]`, as Python's
            `range`.

    Raises:
        ConfigError: if there is no such option, it cannot have such values, or one is repeated, be it by rounding.
    """
    kind = _option(name).kind
    wrong = ConfigError(f"{name}={text} must be {_FORMS[kind]}")
    if ":" not in text or kind not in (int, float):
        items = text.split("/" if kind is tuple else ",")
        if not all(items):
            raise wrong
        return _choices(name, [parsed(_OPTIONS, name, item) for item in items])
    try:
        match text.split(":"):
            case ["lin" | "log" as scale, low, high, *count] if len(count) <= 1:
                return _range(name, text, _SCALES[scale], low, high, *map(int, count))
            case [_, _] | [_, _, _] as ends if kind is int:
                return _choices(name, range(*map(int, ends)), text)
    except ValueError:
        raise wrong from None
    raise wrong


def parse_grid(texts: Sequence[str]) -> dict[str, Space]:
    """Several options, each as `name=values`; see `parse_space`.

    Raises:
        ConfigError: if one is not of this form, or is there twice.
    """
    spaces: dict[str, Space] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals:
            raise ConfigError(f"grid={text} must be NAME=VALUES, such as style_weight=0.1,1,10")
        if name in spaces:
            raise ConfigError(f"grid={text}: {name} is there twice; give all of its values at once")
        spaces[name] = parse_space(name, values)
    return spaces


def as_spaces(grid: Mapping[str, Any]) -> dict[str, Space]:
    """The values of several options, as given in Python: for each a string (see `parse_space`), a list, tuple, `range`
    or array of values, or a `Space`.

    Raises:
        ConfigError: as `parse_space` does, and for a single value.
    """
    return {name: _as_space(name, given) for name, given in grid.items()}


def combinations(spaces: Mapping[str, Space]) -> list[dict[str, Any]]:
    """The whole grid: the last option varies fastest. Of numbers in a range, those between the ends are rounded to 12
    digits, or to whole ones.

    Raises:
        ConfigError: if a range has no count, or there are more than `MOST` combinations.
    """
    for name, space in spaces.items():
        if isinstance(space, Range) and space.count is None:
            raise ConfigError(f"{name}={space} has no count; add a count, such as {space}:5, or give --random")
    values = [space.values if isinstance(space, Choices) else _spread(space) for space in spaces.values()]
    total = math.prod(map(len, values))
    if total > MOST:
        raise ConfigError(f"grid: {total} combinations are more than {MOST}; give fewer values, or give --random")
    return [dict(zip(spaces, combination, strict=True)) for combination in itertools.product(*values)]


def sample(spaces: Mapping[str, Space], count: int, seed: int) -> list[dict[str, Any]]:
    """Distinct combinations at random: of choices, all are as likely; of a range, all numbers on its scale, whatever
    its count. With a greater `count` others follow the same ones.

    Args:
        spaces: what to combine.
        count: number of combinations, 1 to `MOST`.
        seed: of the random numbers, at least 0.

    Raises:
        ConfigError: if there are not that many combinations.
    """
    total = math.prod(map(_size, spaces.values()))
    if not 1 <= count <= MOST:
        raise ConfigError(f"random={count} must be from 1 to {MOST}")
    if count > total:
        raise ConfigError(f"random={count} must be at most {total}, the number of combinations; give more values")
    generator = np.random.default_rng(seed)
    found: dict[tuple[Any, ...], None] = {}
    while len(found) < count:
        found[tuple(_draw(space, generator) for space in spaces.values())] = None
    return [dict(zip(spaces, combination, strict=True)) for combination in found]


def as_text(name: str, value: Any) -> str:
    """A value as written on a command line: what is parsed from it is that value.

    Raises:
        ConfigError: if there is no such option, or it cannot have this value.
    """
    return _text(_value(name, value))


def _option(name: str) -> Option:
    if name not in _OPTIONS:
        raise ConfigError(f"{name}: no such option; there are {', '.join(sorted(_OPTIONS))}")
    return _OPTIONS[name]


def _as_space(name: str, given: Any) -> Space:
    if isinstance(given, str | Range):
        return parse_space(name, str(given))
    values = _plain(given.values if isinstance(given, Choices) else given)
    of_lists = _option(name).kind is tuple
    if not isinstance(values, tuple | range) or (of_lists and not all(isinstance(value, tuple) for value in values)):
        need = "a list of lists" if of_lists else "a list of values"
        raise ConfigError(f"{name}={reprlib.repr(given)} must be {need}, even if there is only one")
    return _choices(name, values, reprlib.repr(values))


def _choices(name: str, values: Sequence[Any], text: str = "") -> Choices:
    """Values that are checked; `text` stands for them in messages."""
    if not values or values[MOST:]:  # a range may be too long for len()
        raise ConfigError(f"{name}={text} must have from 1 to {MOST} values")
    times = Counter(_value(name, value) for value in values)
    [(value, most)] = times.most_common(1)
    if most > 1:
        raise ConfigError(f"{name}={_text(value)} is there twice; give each value once")
    return Choices(tuple(times))


def _range(name: str, text: str, scale: str, low: str, high: str, count: int | None = None) -> Range:
    def require(valid: bool, need: str) -> None:
        if not valid:
            raise ConfigError(f"{name}={text} must have {need}")

    least, greatest = (_value(name, parsed(_OPTIONS, name, end)) for end in (low, high))
    space = Range(least, greatest, scale, count, whole=_OPTIONS[name].kind is int)
    apart = space.low < space.high and not math.isclose(space.low, space.high)  # else no distinct samples
    require(apart, "LOW below HIGH")
    require(scale == "linear" or space.low > 0, "LOW above zero on a log scale; give lin")
    if count is not None:
        require(1 <= count <= MOST, f"from 1 to {MOST} values")
        differ = all(before < after for before, after in itertools.pairwise(_spread(space)))
        require(differ, "values that differ when they are rounded; lower the count")
    return space


def _value(name: str, value: Any) -> Any:
    """A value as it would be parsed: what is in a list has the types of that option, too."""
    _option(name)
    return parsed(_OPTIONS, name, _text(checked(_OPTIONS, name, _plain(value))))


def _plain(value: Any) -> Any:
    """Tuples for lists and arrays, and Python's numbers for NumPy's and JAX's, however deep."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def _text(value: Any, joint: str = ",") -> str:
    if isinstance(value, tuple):
        return joint.join(_text(item, "x") for item in value)
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _spread(space: Range) -> list[float]:
    """The numbers of a range in a grid; its ends are exact."""
    assert space.count is not None
    numbers = (np.geomspace if space.scale == "log" else np.linspace)(space.low, space.high, space.count)
    inner = [round(number) if space.whole else float(f"{number:.12g}") for number in numbers[1:-1].tolist()]
    return [space.low, *inner, space.high][: space.count]


def _size(space: Space) -> float:
    if isinstance(space, Choices):
        return len(space.values)
    return space.high - space.low + 1 if space.whole else math.inf


def _draw(space: Space, generator: np.random.Generator) -> Any:
    if isinstance(space, Choices):
        return space.values[generator.integers(len(space.values))]
    margin = 0.5 if space.whole else 0.0  # the ends are rounded to as often as other whole numbers
    low, high = space.low - margin, space.high + margin
    if space.scale == "log":
        number = math.exp(generator.uniform(math.log(low), math.log(high)))
    else:
        number = generator.uniform(low, high)
    return min(max(round(number) if space.whole else number, space.low), space.high)
