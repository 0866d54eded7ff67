"""What metrics do with samples before they measure: refuse what cannot be measured, mix to mono, change the rate."""

import numpy as np
import soxr
from jaxtyping import Float

from jaxst.audio import SILENCE
from jaxst.errors import AudioError

Samples = Float[np.ndarray, "..."]
"""`(time,)` or `(channels, time)`, full scale is [-1, 1]; metrics take channels' mean unless they say otherwise."""


def checked(samples: Samples, *, name: str = "recording", sounding: bool = True) -> Float[np.ndarray, "channels time"]:
    """Samples as `(channels, time)` in double precision.

    Args:
        samples: one signal.
        name: what messages call it.
        sounding: whether silence is refused, as by measures that are undefined for it.

    Raises:
        AudioError: for another shape, no samples, NaN or infinite ones, or, where `sounding`, none above -100 dB.
    """
    if samples.ndim not in (1, 2):
        raise AudioError(f"{name}: has shape {samples.shape}; give (time,) or (channels, time)")
    samples = np.atleast_2d(samples).astype(np.float64)
    if samples.size == 0:
        raise AudioError(f"{name}: holds no samples; give a recording that is longer than zero seconds")
    if not np.isfinite(samples).all():
        raise AudioError(f"{name}: holds NaN or infinite samples; repair the recording")
    if sounding and np.abs(samples).max() < SILENCE:
        raise AudioError(f"{name}: is silent: there is nothing to measure; choose another recording")
    return samples


def mono(
    samples: Samples,
    sample_rate: int,
    *,
    rate: int | None = None,
    shortest: float = 0.0,
    name: str = "recording",
    sounding: bool = True,
) -> Float[np.ndarray, " time"]:
    """The mean of the channels, at a rate.

    Args:
        samples: one signal.
        sample_rate: its rate in Hz.
        rate: the rate in Hz to bring it to (soxr's high quality, as `jaxst.audio.resample`); default its own.
        shortest: seconds that there must be.
        name, sounding: as for `checked`; channels that cancel each other are silent.

    Raises:
        AudioError: as `checked`, or for fewer seconds.
    """
    mixed = checked(samples, name=name, sounding=sounding).mean(axis=0)
    if len(mixed) < shortest * sample_rate:
        raise AudioError(
            f"{name}: lasts {len(mixed) / sample_rate:.3f} s, but this measure needs {shortest:g} s or more"
        )
    if rate is not None and rate != sample_rate:
        mixed = soxr.resample(mixed, sample_rate, rate, quality="HQ")
    return checked(mixed, name=name, sounding=sounding)[0]


def mono_pair(
    output: Samples, reference: Samples, sample_rate: int, *, rate: int, shortest: float = 0.0
) -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, " time"]]:
    """Both signals as by `mono`, cut to the shorter one, for measures that compare moment with moment.

    Raises:
        AudioError: as `mono`; the output may be silent, the reference may not.
    """
    pair = (
        mono(output, sample_rate, rate=rate, shortest=shortest, name="output", sounding=False),
        mono(reference, sample_rate, rate=rate, shortest=shortest, name="reference"),
    )
    length = min(map(len, pair))
    checked(pair[1][:length], name="reference")
    return pair[0][:length], pair[1][:length]


def at_level(samples: Float[np.ndarray, " time"], rms: float) -> Float[np.ndarray, " time"]:
    """Scaled to a root mean square; silence stays silent."""
    level = np.sqrt(np.mean(samples**2))
    return samples * (rms / level if level > 0 else 0.0)
