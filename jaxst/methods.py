"""Named presets. An entry names its source, its parts and its numbers; it adds no code.

Windows and hops are the published ones at the published sample rate, in milliseconds. `docs/methods` has a page for
each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jaxst.config import Config
from jaxst.errors import ConfigError
from jaxst.network import InfiniteNetwork, RandomNetwork
from jaxst.representation import LogMagnitude, RealImaginary, Sinusoids


@dataclass(frozen=True)
class Method:
    """A preset.

    Attributes:
        summary: one line for `--method=help`.
        source: where it was published.
        transfer: its configuration with a content. Its content weight is 0 where none was published.
        texture: its configuration without one.
    """

    summary: str
    source: str
    transfer: Config
    texture: Config

    @property
    def texture_only(self) -> bool:
        """Whether it was published without a content term."""
        return bool(self.transfer.content_weight == 0)


def _preset(summary: str, source: str, config: Config, **texture_options: Any) -> Method:
    """A method whose textures differ by having no content, and by these options."""
    texture = replace(config, content_weight=0.0, **texture_options)
    if texture.init == "content" and texture.variable != "sinusoids":
        texture = replace(texture, init="noise")
    elif texture.init == "content":
        texture = replace(texture, init="style")
    return Method(summary, source, config, texture)


# Magnitudes as published codes compress them: no compensation of levels.
_PLAIN = LogMagnitude(compression=1.0, whitening=0.0, centering=0.0, reference="level", windows=(92.9,), hops=(23.2,))
_PEAK = replace(_PLAIN, compression=1000.0, reference="peak")
_HE = 2**0.5  # gain for a ReLU
_SQUARES = tuple((size, size) for size in (3, 5, 7, 11, 15, 19, 23, 27))
_RECTANGLES = ((101, 2), (53, 3), (11, 5), (3, 3), (5, 5), (11, 11), (19, 19), (27, 27))

_ULYANOV = Config(
    method="ulyanov",
    representation=_PLAIN,
    network=RandomNetwork(shapes=((0, 11),), n_filters=4096, filter_scale="glorot", filter_gain=_HE),
    normalization="sum",
    content_weight=1e-2,
    equalization=0.0,
    variable="spectrogram",
    init="noise",
    steps=300,
)
_CARACALLA_ROEBEL = Config(
    method="caracalla-roebel",
    representation=replace(_PEAK, windows=(32.0,), hops=(16.0,)),
    network=RandomNetwork(shapes=_SQUARES, n_filters=128, filter_scale="fan_in", bank_weights=(1.0,)),
    statistic="per-frequency",
    content_weight=0.0,
    equalization=0.0,
    variable="waveform",
    init="noise",
    steps=200,
)
_RI_SPECTROGRAM = replace(
    _CARACALLA_ROEBEL,
    method="ri-spectrogram",
    representation=RealImaginary(steepness=10.0),
    network=RandomNetwork(
        shapes=_RECTANGLES, n_filters=128, distribution="uniform", filter_scale="one", filter_gain=0.05
    ),
    init="tapered-noise",
)

METHODS: Mapping[str, Method] = {
    "arccos": _preset(
        "random network of infinite width in closed form, with texture statistics, onsets and harmony; waveform",
        "jaxst; kernel of Cho & Saul 2009, statistics after Ulyanov & Lebedev 2016 and McDermott & Simoncelli 2011",
        Config(
            method="arccos",
            texture_weight=0.1,
            onset_weight=1.5,
            harmony_weight=3.0,
            content_spectrum=0.15,
        ),
        texture_weight=0.02,
        copying_weight=0.01,
        steps=150,
    ),
    "ulyanov": _preset(
        "Gram matrix of 4,096 random filters over 11 frames; spectrogram, then Griffin-Lim",
        "Ulyanov & Lebedev 2016; Ordiales & Barrera 2019",
        _ULYANOV,
    ),
    "ulyanov-limit": _preset(
        "the same with infinitely many filters, in closed form",
        "Ulyanov & Lebedev 2016; Cho & Saul 2009",
        replace(
            _ULYANOV,
            method="ulyanov-limit",
            network=InfiniteNetwork(bias=0.0, patch_frames=(11,), like=4096, filter_gain=_HE),
        ),
    ),
    "single-layer": _preset(
        "Gram matrix of 32 random filters over 3 frequencies, at every frequency; spectrogram, 20,000 steps of Adam",
        "Mahoney et al., Boston University",
        Config(
            method="single-layer",
            representation=replace(_PLAIN, windows=(23.2,), hops=(5.8,)),
            network=RandomNetwork(shapes=((3, 1),), n_filters=32, filter_scale="one", slope=0.2),
            normalization="gatys",
            content_weight=1e2,
            equalization=0.0,
            variable="spectrogram",
            init="noise",
            optimizer="adam",
            learning_rate=2e-3,
            steps=20_000,
        ),
    ),
    "kanak": _preset(
        "correlations of random filters at each frequency, 8 sizes; spectrogram, then Griffin-Lim",
        "Kanak 2025, after Caracalla & Roebel 2019",
        Config(
            method="kanak",
            representation=replace(_PEAK, windows=(11.61,), hops=(5.805,)),
            network=RandomNetwork(shapes=_SQUARES, n_filters=32, distribution="uniform", filter_scale="fan_in"),
            statistic="per-frequency",
            normalization="mean",
            style_weight=0.01,
            content_weight=1.0,
            equalization=0.0,
            start_noise=0.0,
            variable="spectrogram",
            init="content",
            optimizer="adam",
            learning_rate=0.1,
            steps=1000,
        ),
    ),
    "caracalla-roebel": _preset(
        "correlations of 128 random filters at each frequency, 8 sizes; waveform; texture only",
        "Caracalla & Roebel 2019, arXiv 1905.03637",
        _CARACALLA_ROEBEL,
    ),
    "ri-spectrogram": _preset(
        "the same of real and imaginary parts, with oblong filters, too; texture only",
        "Caracalla & Roebel 2020, arXiv 1910.09497",
        _RI_SPECTROGRAM,
    ),
    "gaussian-ot": _preset(
        "mean and covariance of each filter, by optimal transport; texture only, slow",
        "DAFx 2026, after Caracalla & Roebel 2020",
        replace(
            _RI_SPECTROGRAM,
            method="gaussian-ot",
            representation=RealImaginary(steepness=30.0),
            network=replace(_RI_SPECTROGRAM.network, shapes=(*_RECTANGLES[:4], (7, 7), *_RECTANGLES[5:])),
            statistic="gaussian",
            memory=25,
            steps=400,
        ),
    ),
    "autocorrelation": _preset(
        "Gram matrices of six networks over 2 to 128 frames, repetitions kept, copies avoided; texture only",
        "Antognini, Hoffman & Weiss 2019",
        Config(
            method="autocorrelation",
            representation=replace(_PLAIN, windows=(32.0,), hops=(8.0,)),
            network=RandomNetwork(
                shapes=tuple((0, frames) for frames in (2, 4, 8, 16, 64, 128)), n_filters=512, filter_scale="glorot"
            ),
            content_weight=0.0,
            autocorrelation_weight=1.0,
            diversity_weight=1e-3,
            equalization=0.0,
            variable="waveform",
            init="noise",
            steps=300,
        ),
    ),
    "sines": _preset(
        "ulyanov on the sound of the partials alone; what they leave of the content is put back",
        "Ordiales & Barrera 2019",
        replace(_ULYANOV, method="sines", separation="sines"),
    ),
    "sines-tensor": _preset(
        "ulyanov on frequency, magnitude and phase of the partials themselves",
        "Ordiales & Barrera 2019",
        replace(
            _ULYANOV,
            method="sines-tensor",
            separation="sines",
            representation=Sinusoids(n_partials=32),
            variable="sinusoids",
            init="content",
            start_noise=0.0,
        ),
    ),
    "mel": _preset(
        "ulyanov on 128 mel bands; mel inversion, then Griffin-Lim",
        "several",
        replace(_ULYANOV, method="mel", representation=replace(_PLAIN, n_mels=128, reference="mean", compression=3.0)),
    ),
}


def method_named(name: str) -> Method:
    """Look a preset up.

    Raises:
        ConfigError: if there is none of that name.
    """
    if name not in METHODS:
        raise ConfigError(f"method={name!r} is unknown; choose one of {', '.join(METHODS)}")
    return METHODS[name]
