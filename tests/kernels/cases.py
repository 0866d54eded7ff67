"""The public kernels with small arguments, for the tests of what all kernels have in common."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxst.kernels.arccos import arccos_cross, arccos_diagonal, arccos_kernel, arccos_self
from jaxst.kernels.conv import convolve
from jaxst.kernels.envelopes import analytic, band_envelopes, band_powers
from jaxst.kernels.gram import gram
from jaxst.kernels.griffin_lim import griffin_lim, invert_magnitude, single_pass_phase
from jaxst.kernels.kernel_means import mean_square_kernel
from jaxst.kernels.mel import invert_mel, log_mel, mel_filters, mel_spectrogram, mel_to_audio, mfcc
from jaxst.kernels.nuclear_norm import nuclear_norm
from jaxst.kernels.patches import patch_dot_products, patch_inner_products, patch_sq_norms
from jaxst.kernels.pitch import yin
from jaxst.kernels.sinusoids.partials import Partials, from_tensor, harmonic_partials, to_tensor, track_partials
from jaxst.kernels.sinusoids.peaks import find_peaks
from jaxst.kernels.sinusoids.residual import stochastic_envelope, synthesize_noise
from jaxst.kernels.sinusoids.synthesis import accumulate_phase, synthesize_lobes, synthesize_oscillators
from jaxst.kernels.spectrogram import (
    decibels,
    from_real_imaginary,
    instantaneous_frequency,
    log_compress,
    log_expand,
    magnitude,
    phase,
    power,
    real_imaginary,
)
from jaxst.kernels.stft import frame, istft, overlap_add, stft
from jaxst.kernels.tiled_means import mean_square_arccos_cross, mean_square_arccos_self

TIME, RATE = 300, 8000
TRANSFORM = {"n_fft": 64, "hop_length": 16}
FILTERS = mel_filters(sample_rate=RATE, n_fft=64, n_mels=10)
HARMONICS = {"sample_rate": RATE, **TRANSFORM, "window": "hann", "max_peaks": 8, "threshold": -60.0}
_RNG = np.random.default_rng(0)


class Case(NamedTuple):
    """A kernel to test.

    Attributes:
        function: of float arrays with any batch dimensions in front, to a pytree of arrays.
        arguments: for one call without batch dimensions, in double precision.
        of_signal: whether the only argument is a waveform.
        modes: of differentiation.
        batch_is_loop: whether dimensions in front give what entries give one by one; not where each has noise of its
            own, or where the case has a constant without them.
    """

    function: Callable[..., Any]
    arguments: tuple[np.ndarray, ...]
    of_signal: bool = False
    modes: tuple[str, ...] = ("fwd", "rev")
    batch_is_loop: bool = True


def _values(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape)


def _positive(*shape: int) -> np.ndarray:
    return _RNG.uniform(0.1, 1, shape)


def _signal(*, tones: int = 3) -> np.ndarray:
    """Noise and a few tones."""
    times = np.arange(TIME) / RATE
    frequencies = np.array([612.3, 1518.9, 2787.1])[:tones, None]
    return np.cos(2 * np.pi * frequencies * times + frequencies).sum(axis=0) / 4 + 0.01 * _values(TIME)


def _of_signal(function: Callable[..., Any], **options: Any) -> Case:
    return Case(function, (_signal(),), of_signal=True, **options)


def _of_spectrum(function: Callable[..., Any], **options: Any) -> Case:
    return _of_signal(lambda x: function(stft(x, **TRANSFORM)), **options)


def _of_magnitude(function: Callable[..., Any], **options: Any) -> Case:
    return _of_spectrum(lambda spectrum: function(magnitude(spectrum)), **options)


def _partials(n_partials: int = 3, n_frames: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = n_partials, n_frames
    return _RNG.uniform(300, 3500, shape), _positive(*shape), _RNG.uniform(-3, 3, shape)


def _synthesis(function: Callable[..., Any]) -> Case:
    options = {"sample_rate": RATE, "hop_length": 16, "length": 90}
    return Case(lambda *arrays: function(Partials(*arrays), **options), _partials())


def _tracked(x):
    return track_partials(find_peaks(x, **HARMONICS), frame_rate=RATE / 16, max_partials=6, min_duration=0.004)


def _harmonics(x):
    pitch = yin(x, sample_rate=RATE, f_min=200, f_max=900, frame_length=128, hop_length=16)
    return harmonic_partials(find_peaks(x, **HARMONICS), pitch.f0, n_harmonics=4)


def _resynthesized(x, synthesize):
    return synthesize(_tracked(x), sample_rate=RATE, hop_length=16, length=TIME)


def _noise_of(x):
    transform = {"sample_rate": RATE, **TRANSFORM}
    envelope = stochastic_envelope(x, n_bands=6, **transform)
    return synthesize_noise(envelope, jax.random.key(0), length=TIME, **transform)


PHASE = _RNG.uniform(-3, 3, (1 + TIME // 16, 33))
NEARBY = 0.1 * _values(TIME)
WEIGHTS = np.arange(1, 10) / 45
BANK_1D, BANK_2D = _values(5, 3, 4), _values(3, 2, 1, 4)
# Patches have 3 frames.
_patches = partial(partial, patch_frames=3)
CASES = {
    "frame": Case(partial(frame, frame_length=64, hop_length=24), (_values(TIME),)),
    "overlap_add": Case(partial(overlap_add, hop_length=24), (_values(9, 64),)),
    "stft": _of_spectrum(real_imaginary),
    "stft, odd": _of_signal(lambda x: real_imaginary(stft(x, n_fft=63, hop_length=20, win_length=50, center=False))),
    "istft": _of_spectrum(lambda spectrum: istft(spectrum, hop_length=16, length=TIME)),
    "magnitude": _of_spectrum(magnitude),
    "power": _of_spectrum(power),
    "decibels": _of_magnitude(decibels),
    "log_compress": _of_magnitude(lambda values: log_compress(values, 10.0)),
    "log_expand": Case(lambda values: log_expand(values, 10.0), (_positive(4, 3),)),
    "from_real_imaginary": _of_spectrum(lambda s: real_imaginary(from_real_imaginary(real_imaginary(s)))),
    "phase": _of_signal(lambda x: phase(stft(x, center=False, **TRANSFORM))),
    "instantaneous_frequency": _of_spectrum(lambda s: instantaneous_frequency(s, sample_rate=RATE, **TRANSFORM)),
    "griffin_lim": _of_magnitude(lambda values: griffin_lim(values, iterations=3, length=TIME, **TRANSFORM)),
    "griffin_lim, phase": _of_magnitude(
        lambda values: (
            griffin_lim(
                values, iterations=2, momentum=0.0, length=TIME, phase=jnp.asarray(PHASE, values.dtype), **TRANSFORM
            ).waveform
        ),
        batch_is_loop=False,
    ),
    "single_pass_phase": _of_magnitude(partial(single_pass_phase, **TRANSFORM)),
    "invert_magnitude": _of_signal(
        lambda x: invert_magnitude(
            magnitude(stft(x, **TRANSFORM)), x + jnp.asarray(NEARBY, x.dtype), iterations=2, **TRANSFORM
        ),
        modes=("fwd",),
        batch_is_loop=False,
    ),
    "mel_spectrogram": _of_magnitude(lambda values: mel_spectrogram(values, filters=FILTERS)),
    "log_mel and mfcc": _of_spectrum(
        lambda spectrum: mfcc(log_mel(mel_spectrogram(power(spectrum), filters=FILTERS)), n_mfcc=5)
    ),
    "mel_to_audio": _of_magnitude(
        lambda values: mel_to_audio(
            mel_spectrogram(values, filters=FILTERS), filters=FILTERS, power=1.0, iterations=2, length=TIME, **TRANSFORM
        )
    ),
    "invert_mel": Case(partial(invert_mel, filters=FILTERS, iterations=5), (_positive(4, 10),)),
    "analytic": _of_signal(lambda x: analytic(jnp.fft.rfft(x)[..., :101], size=200)),
    "band_envelopes": _of_signal(partial(band_envelopes, sample_rate=RATE, n_bands=4)),
    "band_envelopes, floor": Case(
        partial(band_envelopes, sample_rate=RATE, n_bands=2), (_signal(), _positive(2)), batch_is_loop=False
    ),
    "band_powers": _of_signal(partial(band_powers, sample_rate=RATE, n_bands=4)),
    "yin": _of_signal(partial(yin, sample_rate=RATE, f_min=200, f_max=900, frame_length=128, hop_length=16)),
    "find_peaks": _of_signal(partial(find_peaks, **HARMONICS)),
    "harmonic_partials": _of_signal(_harmonics, modes=("rev",)),
    "synthesize_lobes": _synthesis(synthesize_lobes),
    "synthesize_oscillators": _synthesis(synthesize_oscillators),
    "find_peaks, track_partials, synthesize_lobes": _of_signal(
        partial(_resynthesized, synthesize=synthesize_lobes), modes=("rev",)
    ),
    "from_tensor": Case(from_tensor, (_values(3, 6, 3),)),
    "to_tensor": Case(lambda *arrays: to_tensor(Partials(*arrays)), _partials()),
    "accumulate_phase": Case(partial(accumulate_phase, sample_rate=RATE, hop_length=16), (_partials()[0],)),
    "stochastic_envelope": _of_signal(partial(stochastic_envelope, sample_rate=RATE, n_bands=6, **TRANSFORM)),
    "synthesize_noise": _of_signal(_noise_of, batch_is_loop=False),
    **{
        f"convolve, {method}": Case(partial(convolve, filters=BANK_2D, method=method), (_values(9, 8, 1),), modes=modes)
        for method, modes in (
            ("direct", ("rev",)),
            ("product", ("fwd", "rev")),
            ("fft", ("fwd", "rev")),
            ("overlap_save", ("fwd", "rev")),
        )
    },
    "convolve, 1-D": Case(partial(convolve, filters=BANK_1D, padding="same"), (_values(9, 3),)),
    "gram": Case(gram, (_values(6, 4),)),
    "nuclear_norm": Case(nuclear_norm, (_values(6, 4),)),
    "patch_inner_products": Case(_patches(patch_inner_products), (_values(9, 5), _values(7, 5)), modes=("rev",)),
    "patch_dot_products": Case(_patches(patch_dot_products), (_values(9, 5), _values(9, 5))),
    "patch_sq_norms": Case(_patches(patch_sq_norms), (_values(9, 5),)),
    "arccos_kernel": Case(arccos_kernel, (0.3 * _positive(4), 1 + _positive(4), 1 + _positive(4))),
    "arccos_cross": Case(_patches(arccos_cross), (_values(9, 5), _values(7, 5)), modes=("rev",)),
    "arccos_self": Case(_patches(arccos_self), (_values(9, 5),), modes=("rev",)),
    "arccos_diagonal": Case(_patches(arccos_diagonal), (_values(9, 5), _values(9, 5))),
    "mean_square_kernel": Case(partial(mean_square_kernel, center=0.5), (_values(9, 9),)),
    "weighted mean_square_kernel": Case(
        lambda kernel: mean_square_kernel(
            kernel,
            center=0.5,
            row_weights=jnp.asarray(WEIGHTS, kernel.dtype),
            column_weights=jnp.asarray(WEIGHTS, kernel.dtype),
        ),
        (_values(9, 9),),
    ),
    "mean_square_arccos_cross": Case(
        _patches(mean_square_arccos_cross, center=0.5, tile=4), (_values(9, 5), _values(7, 5)), modes=("rev",)
    ),
    "mean_square_arccos_self": Case(
        _patches(mean_square_arccos_self, center=0.5, tile=4), (_values(9, 5),), modes=("rev",)
    ),
}
