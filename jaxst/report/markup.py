"""What the pages share: their templates, files as data URIs, values as text."""

import base64
import io
from collections.abc import Iterator, Mapping

import numpy as np
import soundfile
from jaxtyping import Float
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.colors import Colormap, to_hex

from jaxst.report.table import MISSING

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EM DASH}"


def render(template: str, **values: object) -> str:
    """Fill a template of this package. Strings are text, never markup."""
    # Strict: a name that the template misspells is an error, not an empty space.
    environment = Environment(
        loader=PackageLoader("jaxst.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = cell
    # For scripts: JSON has no NaN, and what stands in an element of script must not end it, which `tojson` sees to.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment.get_template(template).render(values)


def cell(text: str) -> str:
    """A table's number in the page's typography."""
    return NOTHING if text == MISSING else text.replace("-", MINUS)


def gradient(color_map: Colormap) -> str:
    """The colors of a map for CSS, from the lowest to the highest."""
    return ", ".join(map(to_hex, color_map(np.linspace(0, 1, 9))))


def flac(samples: Float[np.ndarray, "channels time"], sample_rate: int) -> bytes:
    """A file of 16 bits, in which what exceeds [-1, 1] is clipped."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples.T, sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def data_uri(media_type: str, content: bytes) -> str:
    """A file as an address that holds it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def pairs(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and values as text; mappings inside as "outer.inner"."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from pairs(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", text(value)


def text(value: object) -> str:
    """A value of the configuration as one would type it; single-valued arrays as the number they hold."""
    if value is None:
        return NOTHING
    if isinstance(value, str | bool):
        return str(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value))
    value = scalar(value)
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def scalar(value: object) -> object:
    """The number that a single-valued array holds; anything else as it is."""
    return np.asarray(value).item() if getattr(value, "shape", None) == () else value
