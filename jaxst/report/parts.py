"""What pages are made of. Nothing here draws: matplotlib, which takes a second to load, is for those who do."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tracks:
    """Sinusoids over time, to be drawn as lines; zeros where one rests.

    Attributes:
        frequency: in Hz, shape `(channels, partials, frames)`.
        magnitude: amplitude, 1 being full scale, of the same shape.
        frame_rate: frames in a second; the first is at 0 s.
    """

    frequency: np.ndarray
    magnitude: np.ndarray
    frame_rate: float


@dataclass(frozen=True)
class Clip:
    """A recording to play and show.

    Attributes:
        role: what it was in the run: "content", "style 1 of 2", "output". Outputs stand out on the page.
        name: the file's name, shown as it is.
        samples: audio, shape `(channels, time)`, in [-1, 1]; what exceeds it is clipped in playback.
        sample_rate: in Hz.
        tracks: lines to draw over the spectrogram, for the reader to show or hide.

    Raises:
        ValueError: if there are no samples, or not finite ones.
    """

    role: str
    name: str
    samples: np.ndarray
    sample_rate: int
    tracks: Tracks | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be played."""
        if self.samples.ndim != 2 or not self.samples.size:
            raise ValueError(f"{self.name}: samples.shape={self.samples.shape} must be (channels, time), not empty")
        if not np.isfinite(self.samples).all():
            raise ValueError(f"{self.name}: samples must be finite")

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.samples.shape[1] / self.sample_rate


@dataclass(frozen=True)
class Measure:
    """A number that says how good the result is.

    Attributes:
        key: short name, for programs.
        value: may be of any size and sign.
        name: what the page calls it.
        unit: such as "dB"; may be empty.
        meaning: how to read it, in one line.
    """

    key: str
    value: float
    name: str
    unit: str
    meaning: str
