"""Named presets. An entry names its source and its numbers; it adds no code."""

from dataclasses import dataclass

from jaxst.config import Config
from jaxst.errors import ConfigError


@dataclass(frozen=True)
class Method:
    """A preset.

    Attributes:
        summary: one line for `--method=help`.
        source: where it was published.
        transfer: its configuration with a content.
        texture: its configuration without one.
    """

    summary: str
    source: str
    transfer: Config
    texture: Config


METHODS = {
    "arccos": Method(
        summary="random network of infinite width in closed form, three resolutions, preconditioned waveform",
        source="jaxst; the kernel is Cho & Saul 2009, the statistic the limit of Ulyanov & Lebedev 2016",
        transfer=Config(method="arccos"),
        texture=Config(method="arccos", content_weight=0.0, init="noise", steps=200),
    )
}


def method_named(name: str) -> Method:
    """Look a preset up.

    Raises:
        ConfigError: if there is none of that name.
    """
    if name not in METHODS:
        raise ConfigError(f"method={name!r} is unknown; choose one of {', '.join(METHODS)}")
    return METHODS[name]
