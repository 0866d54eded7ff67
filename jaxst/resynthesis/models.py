"""The models that a recording can be resynthesized with: what each keeps, and its options with their bounds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxst.errors import ConfigError
from jaxst.options import checked, choice, number, whole
from jaxst.representation import Resolution, fast_length
from jaxst.solver import OnProgress, Progress, Status


@dataclass(frozen=True)
class Synthesis:
    """What a model makes of a recording.

    Attributes:
        samples: `(channels, time)`.
        parts: what the model takes the recording apart into, by name, `(channels, time)` each.
        partials: `(channels, partials, frames, 3)`: frequency in Hz, amplitude, phase; `None` without partials.
        frame_rate: of the partials' frames, in Hz.
        history: spectral convergence before the first round and after each; empty for models without rounds.
        status: why it ended.
    """

    samples: np.ndarray
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    partials: np.ndarray | None = None
    frame_rate: float = 0.0
    history: np.ndarray = field(default_factory=lambda: np.zeros(0))
    status: Status = Status.FINISHED


OPTIONS = {
    "window": number("Analysis window in milliseconds.", 1, 1000),
    "hop": number("Milliseconds from one window to the next; changes with the window unless given.", 0.1, 500),
    "window_shape": choice("Shape of the window.", "hann", "hamming", "blackman", "blackmanharris"),
    "n_mels": whole("Mel bands.", 1, 1024),
    "iterations": whole("Rounds of the search for phases.", 1, 100_000),
    "momentum": number("How far each round goes on in the direction of the one before.", 0, 1),
    "start": choice("Phases to begin with.", "random", "zero", "single_pass"),
    "f_min": number("Lowest pitch in Hz.", 10, 10_000),
    "f_max": number("Highest pitch in Hz.", 10, 20_000),
    "max_aperiodicity": number("Where a pitch is still believed in: 0 is periodic, 1 is noise.", 0, 1),
    "max_partials": whole("Partials that sound at once.", 1, 1000),
    "threshold": number("Level of the quietest partial in dB of full scale.", -200, 0),
    "deviation": number("How far a partial may move from one window to the next, in Hz.", 0, 10_000),
    "deviation_slope": number("What each Hz of its frequency adds to that.", 0, 1),
    "min_duration": number("Duration of the shortest partial in milliseconds.", 0, 10_000),
    "synthesis": choice("How partials are turned into sound.", "lobes", "oscillators"),
    "n_bands": whole("Bands of the noise.", 1, 256),
    "seed": whole("Seed of the random numbers.", 0, 2**31 - 1),
}


@dataclass(frozen=True)
class Model:
    """A way to describe sound.

    Attributes:
        summary: what it keeps, in one line.
        source: where it was published.
        options: names and defaults of its options.
        parts: names of what it takes a sound apart into.
    """

    summary: str
    source: str
    options: Mapping[str, Any]
    parts: tuple[str, ...] = ()


_TRANSFORM = {"window": 46.0, "hop": 11.5, "window_shape": "hann"}
_SEARCH = {"iterations": 100, "start": "random", "seed": 0}
# The window with the lowest side lobes: what is a peak beside a loud partial is none of its lobes.
_PARTIALS = {
    "window": 46.0,
    "hop": 5.75,
    "window_shape": "blackmanharris",
    "max_partials": 100,
    "threshold": -80.0,
    "synthesis": "lobes",
}
_TRACKS = {"deviation": 20.0, "deviation_slope": 0.01, "min_duration": 20.0}

MODELS = {
    "stft": Model(
        "short-time Fourier transform and its inverse: keeps everything",
        "Allen & Rabiner 1977",
        _TRANSFORM,
    ),
    "griffin_lim": Model(
        "its magnitudes; phases are found anew by alternating projections",
        "Griffin & Lim 1984",
        _TRANSFORM | _SEARCH,
    ),
    "fast_griffin_lim": Model(
        "the same, faster with momentum",
        "Perraudin, Balazs & Søndergaard 2013",
        _TRANSFORM | _SEARCH | {"momentum": 0.99},
    ),
    "lbfgs": Model(
        "the same by L-BFGS on the waveform",
        "Decorsière, Søndergaard, MacDonald & Dau 2015",
        _TRANSFORM | _SEARCH,
    ),
    "mel": Model(
        "power in mel bands; magnitudes are spread over their frequencies, phases found as in fast_griffin_lim",
        "Davis & Mermelstein 1980",
        _TRANSFORM | {"n_mels": 128} | _SEARCH | {"momentum": 0.99},
    ),
    "sines": Model(
        "partials: sinusoids that last",
        "McAulay & Quatieri 1986",
        _PARTIALS | _TRACKS,
        ("sines", "residual"),
    ),
    "harmonic": Model(
        "partials at multiples of one pitch for each moment",
        "Serra & Smith 1990; pitch by YIN, de Cheveigné & Kawahara 2002",
        _PARTIALS | {"f_min": 60.0, "f_max": 800.0, "max_aperiodicity": 0.5},
        ("sines", "residual"),
    ),
    "sms": Model(
        "partials, and noise in place of what they leave, with its levels in bands",
        "Serra & Smith 1990",
        _PARTIALS | _TRACKS | {"n_bands": 32, "seed": 0},
        ("sines", "residual", "stochastic"),
    ),
}


def transform_at(options: Mapping[str, Any], sample_rate: int) -> Resolution:
    """Window and hop in samples: the window at the next length that is quickly transformed, the hop its share of it."""
    n_fft = fast_length(round(options["window"] * sample_rate / 1000))
    return Resolution(n_fft, max(1, round(n_fft * options["hop"] / options["window"])))


def announce(on_progress: OnProgress, progress: Progress) -> None:
    """Tell of a step before it is done.

    Raises:
        KeyboardInterrupt: when told to stop: there is nothing to keep yet.
    """
    if on_progress(progress):
        raise KeyboardInterrupt


def model_named(name: str) -> Model:
    """Look a model up.

    Raises:
        ConfigError: if there is none of that name.
    """
    if name not in MODELS:
        raise ConfigError(f"model={name!r} is unknown; choose one of {', '.join(MODELS)}")
    return MODELS[name]


def choose(name: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a model: its defaults with some replaced, `None` meaning unchanged, and checked. The hop is the
    same share of another window unless it is given, too.

    Raises:
        ConfigError: for an unknown model, an option that it does not have, or a value that an option cannot have.
    """
    options = dict(model_named(name).options)
    for option, value in overrides.items():
        if value is None:
            continue
        if option not in options:
            raise ConfigError(f"{option}: model={name} has no such option; it has {', '.join(options)}")
        options[option] = checked(OPTIONS, option, value)
    if overrides.get("hop") is None:
        options["hop"] *= options["window"] / model_named(name).options["window"]
    if options["hop"] > options["window"] / 2:
        raise ConfigError(f"hop={options['hop']:g} must be at most half of window={options['window']:g}")
    if options["window"] > 64 * options["hop"]:
        raise ConfigError(f"hop={options['hop']:g} must be at least a 64th of window={options['window']:g}")
    if "f_min" in options and options["f_min"] >= options["f_max"]:
        raise ConfigError(f"f_min={options['f_min']:g} must be less than f_max={options['f_max']:g}")
    return options
