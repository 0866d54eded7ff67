"""Random convolutional networks of one layer: features to the responses whose statistics are compared.

A network is a dataclass of settings. `fit` makes its layers for one resolution, and each layer's `respond` turns
features `(channels, frames, frequency, planes)` into responses `(channels, groups, frames, values)`. Statistics are
taken over the frames and relate the values of one group to each other.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxst.kernels.conv import convolve

DISTRIBUTIONS = ("normal", "uniform")
SCALES = ("glorot", "fan_in", "one")
PADDINGS = ("valid", "same")

Number = float | Float[Array, "..."]
FeatureArray = Float[Array, "channels frames frequency planes"]
StyleFeatures = Float[Array, "_ frequency planes"]
Responses = Float[Array, "channels groups steps values"]


def _static(default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"static": True})


class Product(NamedTuple):
    """How two responses are multiplied.

    Attributes:
        rectified: whether by the arc-cosine kernel of patches of so many frames, else value by value.
        patch_frames: K.
    """

    rectified: bool = False
    patch_frames: int = 1


PLAIN = Product()


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class InfiniteNetwork:
    """Infinitely many Gaussian filters and a ReLU, in closed form (`jaxst.kernels.arccos`).

    Attributes:
        bias: of the filters, relative to the size of what they see; 0 none.
        patch_frames: frames that filters span, for each resolution.
        patch_bins: frequencies that filters span where they are compared at each frequency.
        like: number of filters that the losses are summed over, in expectation, where they are sums.
        filter_gain: of those filters, which have the scale of Glorot & Bengio (2010).
    """

    bias: Number = 0.5
    patch_frames: tuple[int, ...] = _static((15, 9, 7))
    patch_bins: int = _static(11)
    like: int = _static(4096)
    filter_gain: float = _static(1.0)

    def span(self, index: int, grouping: str) -> tuple[int, int]:
        """Frequencies and frames that a filter needs at the resolution of this index."""
        return self.patch_bins if grouping == "frequency" else 1, self.patch_frames[index]

    def fit(self, styles: Sequence[StyleFeatures], index: int, grouping: str) -> "list[PatchLayer]":
        """The one layer of the resolution of this index. What the bias is relative to is learned from the style."""
        bins = self.patch_bins if grouping == "frequency" else 0
        _, n_frequencies, n_planes = styles[0].shape
        patch_frames = self.patch_frames[index]
        inputs, taps = (n_planes, bins * patch_frames) if bins else (n_frequencies * n_planes, patch_frames)
        power = self.like * (self.filter_gain * _glorot(inputs, self.like, taps)) ** 2
        layer = PatchLayer(jnp.zeros(()), power, patch_frames, bins, self.like)
        norms = [jnp.sum(layer.respond(style[None]) ** 2, axis=-1).reshape(-1) for style in styles]
        return [dataclasses.replace(layer, constant=self.bias * jnp.sqrt(jnp.mean(jnp.concatenate(norms))))]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class RandomNetwork:
    """Banks of random filters, without bias, and a ReLU.

    Attributes:
        filter_seed: of the filters.
        bank_weights: weight of each bank's terms, or one for all; default equal ones that add up to 1.
        shapes: `(frequencies, frames)` of each bank's filters; 0 frequencies for all of them, a convolution over time.
        n_filters: in each bank.
        distribution: `normal` or `uniform`.
        filter_scale: standard deviation of the one, bound of the other: `glorot`, sqrt(2 / ((inputs + n_filters) taps))
            (Glorot & Bengio 2010); `fan_in`, 1 / sqrt(inputs taps); `one`.
        filter_gain: what that is multiplied by.
        slope: of the ReLU below zero.
        padding: `valid` or `same`.
    """

    filter_seed: int | Int[Array, "..."] = 0
    bank_weights: tuple[Number, ...] = ()
    shapes: tuple[tuple[int, int], ...] = _static(((0, 11),))
    n_filters: int = _static(4096)
    distribution: str = _static("normal")
    filter_scale: str = _static("glorot")
    filter_gain: float = _static(1.0)
    slope: float = _static(0.0)
    padding: str = _static("valid")

    def span(self, index: int, grouping: str) -> tuple[int, int]:
        """Frequencies and frames that the largest filters need, at any resolution."""
        bins, frames = zip(*self.shapes, strict=True)
        return max(bins), max(frames)

    def fit(self, styles: Sequence[StyleFeatures], index: int, grouping: str) -> "list[FilterLayer]":
        """A layer for each bank, its filters drawn; the same for every resolution and style."""
        _, n_frequencies, n_planes = styles[0].shape
        keys = jax.random.split(jax.random.key(self.filter_seed), len(self.shapes))
        return [
            FilterLayer(self._draw(key, shape, n_frequencies, n_planes), self.slope, self.padding, grouping)
            for key, shape in zip(keys, self.shapes, strict=True)
        ]

    def _draw(self, key: Key[Array, ""], shape: tuple[int, int], n_frequencies: int, n_planes: int) -> Array:
        """`(frames, inputs, filters)`, or `(frames, frequencies, planes, filters)`."""
        n_bins, n_frames = shape
        inputs, widths = (n_planes, (n_frames, n_bins)) if n_bins else (n_frequencies * n_planes, (n_frames,))
        scale = {
            "glorot": _glorot(inputs, self.n_filters, math.prod(widths)),
            "fan_in": 1 / math.sqrt(inputs * math.prod(widths)),
            "one": 1.0,
        }[self.filter_scale]
        draw = jax.random.normal if self.distribution == "normal" else _symmetric
        return scale * self.filter_gain * draw(key, (*widths, inputs, self.n_filters))


Network = InfiniteNetwork | RandomNetwork
NETWORKS = {"infinite": InfiniteNetwork(), "random": RandomNetwork()}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PatchLayer:
    """Infinitely many filters at one resolution: what responds are the patches themselves, whose frames are given.

    Attributes:
        constant: one more value in each frame, which gives the filters a bias. Without it the kernel is homogeneous,
            and Gram matrices do not tell a steady texture from one that deviates with twice the power half of the time
            and is frozen else.
        power: what kernels of unit variance are multiplied by to be sums over the filters.
        patch_frames: K.
        patch_bins: frequencies of a patch; 0 for all.
        n_filters: that sums are over.
    """

    constant: Float[Array, ""]
    power: float = _static(1.0)
    patch_frames: int = _static(1)
    patch_bins: int = _static(0)
    n_filters: int = _static(1)

    @property
    def product(self) -> Product:
        """How responses are multiplied."""
        return Product(rectified=True, patch_frames=self.patch_frames)

    def respond(self, features: FeatureArray) -> Responses:
        """All features of a frame, or windows of `patch_bins` frequencies at each frequency; and the constant."""
        n_channels, n_frames, n_frequencies, _ = features.shape
        bins = self.patch_bins or n_frequencies
        windows = [features[:, :, low : low + bins] for low in range(n_frequencies - bins + 1)]
        values = jnp.stack(windows, axis=1).reshape(n_channels, len(windows), n_frames, -1)
        constants = jnp.broadcast_to(self.constant, (*values.shape[:-1], 1))
        return jnp.concatenate([values, constants.astype(values.dtype)], axis=-1)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FilterLayer:
    """One bank of filters.

    Attributes:
        filters: `(frames, inputs, filters)`, or `(frames, frequencies, planes, filters)`.
        slope: of the ReLU below zero.
        padding: `valid` or `same`.
        grouping: what makes a group: `all` filters and frequencies, the filters at one `frequency`, or one `filter` at
            all frequencies.
    """

    filters: Float[Array, "*widths inputs n_filters"]
    slope: float = _static(0.0)
    padding: str = _static("valid")
    grouping: str = _static("all")

    @property
    def product(self) -> Product:
        """How responses are multiplied."""
        return PLAIN

    @property
    def power(self) -> float:
        """Sums are over the filters as they are."""
        return 1.0

    @property
    def n_filters(self) -> int:
        """Filters in the bank."""
        return self.filters.shape[-1]

    def respond(self, features: FeatureArray) -> Responses:
        """Convolved, rectified and grouped."""
        over_time = self.filters.ndim == 3
        x = features.reshape(*features.shape[:2], -1) if over_time else features
        y = convolve(x, self.filters, padding=self.padding)
        y = jnp.where(y > 0, y, self.slope * y)
        y = y[:, :, None] if over_time else y
        n_channels, n_frames, _, _ = y.shape
        if self.grouping == "all":
            return y.reshape(n_channels, 1, n_frames, -1)
        return jnp.moveaxis(y, 2 if self.grouping == "frequency" else 3, 1)


Layer = PatchLayer | FilterLayer


def _glorot(inputs: int, outputs: int, taps: int) -> float:
    return math.sqrt(2 / ((inputs + outputs) * taps))


def _symmetric(key: Key[Array, ""], shape: tuple[int, ...]) -> Array:
    return jax.random.uniform(key, shape, minval=-1, maxval=1)
