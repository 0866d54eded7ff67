"""Window and hop of an STFT: from milliseconds, in which they are configured, to samples."""

from typing import NamedTuple, cast

import scipy
from jaxtyping import Array, Float

from jaxst.kernels.spectrogram import magnitude
from jaxst.kernels.stft import stft


class Resolution(NamedTuple):
    """One STFT: transform length and hop, in samples."""

    n_fft: int
    hop_length: int


def resolution_at(window: float, hop: float, sample_rate: int) -> Resolution:
    """The STFT of about `window` and `hop` milliseconds whose length is an even, quickly transformed multiple of the
    hop.

    At 16 kHz, 64 and 16 ms are 1024 and 256 samples; at 44.1 kHz they become 2880 and 720.
    """
    hop_length = fast_length(round(hop * sample_rate / 1000))
    return Resolution(round(window / hop) * hop_length, hop_length)


def fast_length(length: int) -> int:
    """The next even length that is quickly transformed."""
    return 2 * cast(int, scipy.fft.next_fast_len((length + 1) // 2, real=True))


def magnitudes(x: Float[Array, "*channels time"], resolution: Resolution) -> Float[Array, "*channels frames frequency"]:
    """STFT magnitudes; frame t is centered on sample `t * hop_length`, the edges are reflected."""
    return magnitude(stft(x, n_fft=resolution.n_fft, hop_length=resolution.hop_length))
