"""Compressed log magnitudes of the STFT, linear in frequency or in mel bands."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxst.kernels.griffin_lim import griffin_lim, random_phase
from jaxst.kernels.mel import invert_mel, mel_filters, mel_spectrogram
from jaxst.representation.resolution import Resolution, magnitudes, resolution_at

LEVEL = 0.1  # -20 dB of full scale: the RMS that published codes are taken to see, whatever that of the recordings is
REFERENCES = ("mean", "peak", "level")
_QUIETEST = 1e-3  # of the loudest frequency's mean: below, the style is taken as having no level of its own

Number = float | Float[Array, "..."]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class LogMagnitude:
    """log(1 + gain |STFT|), less its mean over the style.

    Attributes:
        compression: C in log1p(C x), x being magnitudes relative to `reference`.
        whitening: power of the style's mean magnitude that each frequency is divided by before the compression; 0 none,
            1 all.
        centering: share of the style's mean log magnitude that is subtracted from each frequency; 0 none, 1 all.
        reference: what a magnitude of 1 is: `mean`, the style's mean magnitude; `peak`, its largest one, and
            features are divided by log(1 + C), so that this one is 1; `level`, the one that has it in samples of -20 dB
            RMS, as codes that compress magnitudes as they come see them.
        n_mels: mel bands that magnitudes are summed into; 0 for none.
        windows: STFT windows in milliseconds, one for each resolution; a window holds three hops, the last one two.
        hops: STFT hops in milliseconds.
    """

    compression: Number = 0.3
    whitening: Number = 0.85
    centering: Number = 0.95
    reference: str = dataclasses.field(default="mean", metadata={"static": True})
    n_mels: int = dataclasses.field(default=0, metadata={"static": True})
    windows: tuple[float, ...] = dataclasses.field(default=(66.0, 33.0, 12.0), metadata={"static": True})
    hops: tuple[float, ...] = dataclasses.field(default=(22.0, 11.0, 6.0), metadata={"static": True})

    def fit(self, styles: Sequence[Float[Array, " _"]], sample_rate: int) -> tuple["LogMagnitudes", ...]:
        """An analysis for each resolution, its levels learned from style waveforms of unit RMS."""
        return tuple(
            self._fit(styles, resolution_at(window, hop, sample_rate), sample_rate)
            for window, hop in zip(self.windows, self.hops, strict=True)
        )

    def _fit(self, styles: Sequence[Array], resolution: Resolution, sample_rate: int) -> "LogMagnitudes":
        spectra = [_linear(style, resolution, sample_rate, self.n_mels) for style in styles]
        scale = fit_scale(
            jnp.concatenate(spectra),
            whitening=self.whitening,
            compression=self.compression,
            centering=self.centering,
            reference=self.reference,
        )
        return LogMagnitudes(scale, resolution, sample_rate, self.n_mels)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scale:
    """How the magnitudes of one resolution become features, learned from the style.

    Attributes:
        gain: `(frequency,)`, what magnitudes are multiplied by before the logarithm.
        offset: `(frequency,)`, what is subtracted after it.
        unit: scalar, the difference of logarithms that features of 1 stand for.
    """

    gain: Float[Array, " frequency"]
    offset: Float[Array, " frequency"]
    unit: Float[Array, ""]


def fit_scale(
    style_magnitudes: Float[Array, "frames frequency"],
    *,
    whitening: Number,
    compression: Number,
    centering: Number,
    reference: str = "mean",
) -> Scale:
    """Compensate levels, so that quiet bands show beside loud ones, and center.

    The gain is C / mu^whitening, mu the style's mean magnitude at a frequency, at least -60 dB of the loudest, so
    scaled that the mean of gain * |X| over the style is C times the mean of |X| over the reference. The offset is
    `centering` times the style's mean log magnitude: what is left are deviations from the mean spectrum, which would
    else be nearly all that a network sees.
    """
    mean = jnp.mean(style_magnitudes, axis=0)
    level = jnp.mean(mean)
    gain = jnp.maximum(mean, _QUIETEST * jnp.max(mean)) ** -whitening
    gain = gain * (level / jnp.mean(mean * gain))
    per_unit = {"mean": 1 / level, "peak": 1 / jnp.max(style_magnitudes), "level": LEVEL}[reference]
    gain = compression * per_unit * gain
    unit = jnp.log1p(jnp.asarray(compression, gain.dtype)) if reference == "peak" else jnp.ones((), gain.dtype)
    offset = centering * jnp.mean(jnp.log1p(style_magnitudes * gain[None]), axis=0)
    return Scale(gain, offset, unit)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LogMagnitudes:
    """The analysis at one resolution.

    Attributes:
        scale: learned from the style.
        resolution: the STFT.
        sample_rate: in Hz.
        n_mels: mel bands; 0 for none.
    """

    scale: Scale
    resolution: Resolution = dataclasses.field(metadata={"static": True})
    sample_rate: int = dataclasses.field(metadata={"static": True})
    n_mels: int = dataclasses.field(default=0, metadata={"static": True})

    def features(self, x: Float[Array, "*channels time"]) -> Float[Array, "*channels frames frequency 1"]:
        """(log1p(gain * |STFT|) - offset) / unit."""
        return log_magnitudes(_linear(x, self.resolution, self.sample_rate, self.n_mels), self.scale)[..., None]

    def waveform(
        self, features: Float[Array, "*channels frames frequency 1"], length: int, key: Key[Array, ""], iterations: int
    ) -> Float[Array, "*channels time"]:
        """A waveform of about these features: the logarithm undone, below silence cut off; mel bands spread over their
        frequencies; phases from random ones by fast Griffin-Lim."""
        linear = linear_magnitudes(features[..., 0], self.scale)
        if self.n_mels:
            filters = mel_filters(sample_rate=self.sample_rate, n_fft=self.resolution.n_fft, n_mels=self.n_mels)
            linear = invert_mel(linear, filters=filters)
        return griffin_lim(
            linear,
            n_fft=self.resolution.n_fft,
            hop_length=self.resolution.hop_length,
            length=length,
            iterations=iterations,
            phase=random_phase(key, linear),
        ).waveform


def _linear(
    x: Float[Array, "*channels time"], resolution: Resolution, sample_rate: int, n_mels: int
) -> Float[Array, "*channels frames frequency"]:
    """Magnitudes, in mel bands if there are any."""
    spectrum = magnitudes(x, resolution)
    if not n_mels:
        return spectrum
    return mel_spectrogram(
        spectrum, filters=mel_filters(sample_rate=sample_rate, n_fft=resolution.n_fft, n_mels=n_mels)
    )


def log_magnitudes(
    linear: Float[Array, "*channels frames frequency"], scale: Scale
) -> Float[Array, "*channels frames frequency"]:
    """Features (log1p(gain * |STFT|) - offset) / unit."""
    gain, offset = (jnp.expand_dims(row, range(linear.ndim - 1)) for row in (scale.gain, scale.offset))
    return (jnp.log1p(linear * gain) - offset) / scale.unit


def linear_magnitudes(
    features: Float[Array, "*channels frames frequency"], scale: Scale
) -> Float[Array, "*channels frames frequency"]:
    """The inverse of `log_magnitudes`; features below those of silence give silence."""
    gain, offset = (jnp.expand_dims(row, range(features.ndim - 1)) for row in (scale.gain, scale.offset))
    return jnp.expm1(jnp.maximum(features * scale.unit + offset, 0)) / gain
