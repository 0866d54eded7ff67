"""Learned styles on disk: an NPZ file of arrays, with a JSON text that says what they are. Filters are drawn again."""

import dataclasses
import json
import os
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxst import audio, network, representation
from jaxst.auditory import Hearing
from jaxst.config import Config
from jaxst.errors import AudioError, ConfigError, OutputError
from jaxst.losses import GROUPINGS, LayerStyle, Target
from jaxst.representation.log_magnitude import Scale
from jaxst.statistics import gaussian, gram, rhythm
from jaxst.statistics.texture import TextureStatistics
from jaxst.style import Style

SUFFIX = ".npz"
_VERSION = 3
_HEADER = "jaxst"
_DAMAGED = (zipfile.BadZipFile, zlib.error, tokenize.TokenError)
# What a file may hold. Nothing else is ever built from one.
_KINDS: Mapping[str, Callable[..., Any]] = {
    kind.__name__: kind
    for kind in (
        Style,
        Target,
        LayerStyle,
        Hearing,
        TextureStatistics,
        Config,
        Scale,
        network.InfiniteNetwork,
        network.RandomNetwork,
        network.PatchLayer,
        network.FilterLayer,
        network.Product,
        representation.LogMagnitude,
        representation.LogMagnitudes,
        representation.RealImaginary,
        representation.RealImaginaryParts,
        representation.Sinusoids,
        representation.SinusoidTracks,
        representation.Resolution,
        gram.GramMatrices,
        gram.StyleFrames,
        gaussian.Gaussians,
        rhythm.Rhythm,
    )
}


def save_style(path: str | os.PathLike, style: Style, *, overwrite: bool = False) -> None:
    """Write a learned style.

    Raises:
        OutputError: if the name does not end in `.npz`, or the file exists or cannot be written.
    """
    check_style_path(path, overwrite=overwrite)
    arrays: dict[str, np.ndarray] = {}
    layout = _pack(dataclasses.replace(style, samples=None), arrays)
    header = json.dumps({"version": _VERSION, "style": layout, "filters": _probe(style)})
    with audio.write_atomically(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **{_HEADER: np.array(header)}, **arrays)  # pyright: ignore[reportArgumentType]


def check_style_path(path: str | os.PathLike, *, overwrite: bool = False) -> None:
    """Refuse a path that a style could not be written to.

    Raises:
        OutputError: see `save_style`.
    """
    if not str(path).endswith(SUFFIX):
        raise OutputError(f"{path}: a style is saved as {SUFFIX}; name the file so")
    audio.check_target(path, overwrite=overwrite)


def saved_among(paths: Sequence[str | os.PathLike], n_styles: int) -> str | os.PathLike | None:
    """The one path of a learned style, if there is one.

    Raises:
        ConfigError: if it is not the only style of so many.
    """
    saved = [path for path in paths if str(path).endswith(SUFFIX)]
    if saved and n_styles > 1:
        raise ConfigError(f"style: {saved[0]} was learned before; it is given alone")
    return saved[0] if saved else None


def load_style(path: str | os.PathLike) -> Style:
    """Read a learned style.

    Raises:
        AudioError: if it cannot be read, is damaged, or was written by something else.
    """
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
        header = json.loads(str(arrays[_HEADER]))
        if header["version"] != _VERSION:
            raise AudioError(f"{path}: is a style of version {header['version']}, not {_VERSION}; learn it anew")
        style = _unpack(header["style"], arrays)
        targets = tuple(_with_filters(style, *item) for item in enumerate(style.targets))
        style = dataclasses.replace(style, targets=targets, levels=np.asarray(style.levels))
        if not np.allclose(_probe(style), header["filters"], rtol=1e-3):
            raise AudioError(f"{path}: JAX now draws other filters from its seed; learn it anew")
        return style
    except FileNotFoundError:
        raise AudioError(f"{path}: does not exist") from None
    except (OSError, EOFError, LookupError, TypeError, ValueError, AttributeError, RuntimeError, *_DAMAGED) as error:
        raise AudioError(f"{path}: is no style that jaxst wrote") from error


def _with_filters(style: Style, index: int, target: Target) -> Target:
    """The target with filters drawn."""
    if not isinstance(style.config.network, network.RandomNetwork):
        return target
    samples = jax.ShapeDtypeStruct((1, style.length), jnp.float32)
    shape = jax.eval_shape(target.analysis.features, samples).shape
    example = jnp.zeros((1, *shape[2:]))
    drawn = style.config.network.fit([example], index, GROUPINGS[style.config.statistic])
    pairs = zip(target.layers, drawn, strict=True)
    return dataclasses.replace(target, layers=tuple(dataclasses.replace(known, layer=layer) for known, layer in pairs))


def _probe(style: Style) -> list[float]:
    """A few of the filters' weights, which tell whether they were drawn alike."""
    layers = [item.layer for target in style.targets for item in target.layers]
    return [float(layer.filters.ravel()[0]) for layer in layers if isinstance(layer, network.FilterLayer)]


def _pack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """What JSON can say of a value, its arrays put aside."""
    if hasattr(value, "_asdict"):
        return {"kind": type(value).__name__, "fields": {k: _pack(v, arrays) for k, v in value._asdict().items()}}
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if field.name != "filters"]
        return {"kind": type(value).__name__, "fields": {name: _pack(getattr(value, name), arrays) for name in names}}
    if isinstance(value, (tuple, list)):
        return [_pack(item, arrays) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    name = f"array{len(arrays)}"
    arrays[name] = np.asarray(value)
    return {"array": name}


def _unpack(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return tuple(_unpack(item, arrays) for item in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        array = arrays[value["array"]]
        if array.dtype.kind not in "fc" or not np.isfinite(array).all():
            raise ValueError(f"{value['array']} holds no numbers")
        return jnp.asarray(array)
    fields = {name: _unpack(item, arrays) for name, item in value["fields"].items()}
    if value["kind"] == network.FilterLayer.__name__:
        fields["filters"] = jnp.zeros((0, 0, 0))  # until they are drawn
    return _KINDS[value["kind"]](**fields)
