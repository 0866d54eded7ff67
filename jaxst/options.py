"""Options by name: their type, meaning and bounds, for checks, messages and flags."""

import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxst.errors import ConfigError


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        kind: type of its value: `float`, `int`, `str` or `tuple`.
        meaning: one line, for help.
        need: what its value must be, for messages.
        valid: whether a value of that type is that.
        parse: from text to a value, where that is not what the type does. It may raise ValueError.
    """

    kind: type
    meaning: str
    need: str
    valid: Callable[[Any], bool]
    parse: Callable[[str], Any] | None = None


def number(meaning: str, least: float, most: float) -> Option:
    """A number between two others."""
    return Option(float, meaning, f"a number from {least:g} to {most:g}", lambda value: least <= value <= most)


def positive(meaning: str) -> Option:
    """A number above zero."""
    return Option(float, meaning, "a positive number", lambda value: 0 < value < float("inf"))


def not_negative(meaning: str) -> Option:
    """A number of at least zero."""
    return Option(float, meaning, "zero or a positive number", lambda value: 0 <= value < float("inf"))


def share(meaning: str) -> Option:
    """Nothing, all, or in between."""
    return Option(float, meaning, "between 0 and 1", lambda value: 0 <= value <= 1)


def whole(meaning: str, least: int, most: int = 2**31 - 1) -> Option:
    """A whole number between two others."""
    return Option(int, meaning, f"a whole number from {least} to {most}", lambda value: least <= value <= most)


def count(meaning: str) -> Option:
    """A whole number above zero."""
    return Option(int, meaning, "a positive whole number", lambda value: 0 < value < 2**31)


def choice(meaning: str, *names: str) -> Option:
    """One of some names."""
    return Option(str, meaning, f"one of {', '.join(names)}", names.__contains__)


def several(meaning: str, need: str, valid: Callable[[Any], bool], parse: Callable[[str], Any]) -> Option:
    """At least one value, separated by commas; `valid` and `parse` are those of each."""

    def parse_all(text: str) -> tuple[Any, ...]:
        return tuple(parse(item) for item in text.split(","))

    return Option(
        tuple, meaning, f"{need}, separated by commas", lambda v: len(v) > 0 and all(map(valid, v)), parse_all
    )


def checked(options: Mapping[str, Option], name: str, value: Any) -> Any:
    """A value of the option's type.

    Raises:
        ConfigError: if it cannot have this value.
    """
    option = options[name]
    wrong = ConfigError(f"{name}={value!r} must be {option.need}")
    if not isinstance(value, bool):  # NumPy's numbers, too, and whole numbers for any
        if option.kind is float and isinstance(value, numbers.Real):
            value = float(value)
        elif option.kind is int and isinstance(value, numbers.Integral):
            value = int(value)
    if option.kind is tuple and isinstance(value, list):
        value = tuple(value)
    try:
        if not isinstance(value, option.kind) or isinstance(value, bool) or not option.valid(value):
            raise wrong
    except TypeError:
        raise wrong from None
    return value


def parsed(options: Mapping[str, Option], name: str, text: str) -> Any:
    """A value from text.

    Raises:
        ConfigError: if it is none.
    """
    option = options[name]
    try:
        return (option.parse or option.kind)(text)
    except ValueError:
        raise ConfigError(f"{name}={text} must be {option.need}") from None
