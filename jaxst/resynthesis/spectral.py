"""The models that keep what a transform shows of a sound: all of it, its magnitudes, or those in mel bands."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from jaxst import solver
from jaxst.errors import ConfigError
from jaxst.kernels.griffin_lim import project, random_phase, single_pass_phase
from jaxst.kernels.mel import invert_mel, mel_filters, mel_spectrogram
from jaxst.kernels.optimizers import Optimizer, Point, evaluator, lbfgs
from jaxst.kernels.spectrogram import magnitude as magnitude_of
from jaxst.kernels.stft import istft, stft
from jaxst.resynthesis.models import Synthesis, announce, transform_at
from jaxst.solver import OnProgress, Progress


def everything(
    samples: Float[np.ndarray, "channels time"],
    sample_rate: int,
    options: Mapping[str, Any],
    on_progress: OnProgress,
) -> Synthesis:
    """The transform and its inverse."""
    announce(on_progress, Progress(0, 1, {}, "transforming"))
    grid = _grid(samples, sample_rate, options)
    kept = _there_and_back(jnp.asarray(_padded(samples, grid)), grid=grid)
    return Synthesis(_cut(kept, samples, grid))


def phases_by_projections(
    samples: Float[np.ndarray, "channels time"],
    sample_rate: int,
    options: Mapping[str, Any],
    on_progress: OnProgress,
) -> Synthesis:
    """Magnitudes, with `n_mels` those of mel bands; phases by Griffin & Lim's algorithm, faster with `momentum`."""
    return _with_phases_found(samples, sample_rate, options, on_progress, options.get("momentum", 0.0))


def phases_by_lbfgs(
    samples: Float[np.ndarray, "channels time"],
    sample_rate: int,
    options: Mapping[str, Any],
    on_progress: OnProgress,
) -> Synthesis:
    """Magnitudes; phases by L-BFGS on the waveform."""
    return _with_phases_found(samples, sample_rate, options, on_progress, None)


def _with_phases_found(
    samples: np.ndarray,
    sample_rate: int,
    options: Mapping[str, Any],
    on_progress: OnProgress,
    momentum: float | None,
) -> Synthesis:
    """Magnitudes with the phases that a search finds: by projections, or with `momentum=None` by L-BFGS."""
    grid = _grid(samples, sample_rate, options)
    announce(on_progress, Progress(0, options["iterations"], {}, "analyzing"))
    level = np.abs(samples).max()  # the search is the same for loud and quiet recordings
    magnitude = _magnitude(jnp.asarray(_padded(samples / level, grid)), grid=grid)
    if "n_mels" in options:
        announce(on_progress, Progress(0, options["iterations"], {}, "inverting mel bands"))
        magnitude = _through_mel_bands(magnitude, sample_rate, grid.n_fft, options["n_mels"])
    state = _begin(magnitude, momentum, options["seed"], start=options["start"], grid=grid)
    solution = solver.solve(
        partial(_advance, magnitude, momentum, grid=grid),
        state,
        options["iterations"],
        lambda progress: on_progress(_renamed(progress)),
    )
    return Synthesis(
        level * _cut(solution.parameters, samples, grid),
        history=solution.history["spectral_convergence"],
        status=solution.status,
    )


def _renamed(progress: Progress) -> Progress:
    shown = {"spectral convergence": progress.losses["spectral_convergence"]}
    return Progress(progress.step, progress.steps, shown, "finding phases")


class _Grid(NamedTuple):
    """A transform of a recording with silence around it: every sample lies between the centers of two windows, and
    whatever the edges are padded with is silence, too.

    Attributes:
        n_fft, hop_length, window: of the transform.
        margin: samples of silence before the recording.
        length: samples with all silence, a multiple of the hop.
    """

    n_fft: int
    hop_length: int
    window: str
    margin: int
    length: int


def _grid(samples: np.ndarray, sample_rate: int, options: Mapping[str, Any]) -> _Grid:
    n_fft, hop_length = transform_at(options, sample_rate)
    margin = -(-n_fft // hop_length) * hop_length
    length = 2 * margin + -(-samples.shape[1] // hop_length) * hop_length
    return _Grid(n_fft, hop_length, options["window_shape"], margin, length)


def _padded(samples: np.ndarray, grid: _Grid) -> np.ndarray:
    return np.pad(samples, [(0, 0), (grid.margin, grid.length - grid.margin - samples.shape[1])])


def _cut(padded: Array, samples: np.ndarray, grid: _Grid) -> np.ndarray:
    return np.asarray(padded)[:, grid.margin : grid.margin + samples.shape[1]]


def _analyze(x: Float[Array, "*batch time"], grid: _Grid) -> Complex[Array, "*batch frames frequency"]:
    return stft(x, n_fft=grid.n_fft, hop_length=grid.hop_length, window=grid.window)


def _synthesize(spectrum: Complex[Array, "*batch frames frequency"], grid: _Grid) -> Float[Array, "*batch time"]:
    return istft(spectrum, n_fft=grid.n_fft, hop_length=grid.hop_length, window=grid.window, length=grid.length)


@partial(jax.jit, static_argnames="grid")
def _there_and_back(x: Float[Array, "channels time"], *, grid: _Grid) -> Float[Array, "channels time"]:
    return jax.lax.map(lambda channel: _synthesize(_analyze(channel, grid), grid), x)


@partial(jax.jit, static_argnames="grid")
def _magnitude(x: Float[Array, "channels time"], *, grid: _Grid) -> Float[Array, "channels frames frequency"]:
    return magnitude_of(_analyze(x, grid))


def _through_mel_bands(
    magnitude: Float[Array, "channels frames frequency"], sample_rate: int, n_fft: int, n_mels: int
) -> Float[Array, "channels frames frequency"]:
    try:
        filters = mel_filters(sample_rate=sample_rate, n_fft=n_fft, n_mels=n_mels)
    except ValueError as error:
        raise ConfigError(f"n_mels={n_mels} are too many for this window; use fewer, or a longer window") from error
    # Powers, not magnitudes: what is spread over a band's frequencies then keeps its level.
    through = jax.jit(lambda s: jnp.sqrt(invert_mel(mel_spectrogram(s**2, filters=filters), filters=filters)))
    return through(magnitude)


@partial(jax.jit, static_argnames=("start", "grid"))
def _begin(
    magnitude: Float[Array, "channels frames frequency"],
    momentum: float | Array | None,
    seed: int | Array,
    *,
    start: str,
    grid: _Grid,
) -> solver.State:
    match start:
        case "random":
            phase = random_phase(jax.random.key(seed), magnitude)
        case "single_pass":
            phase = single_pass_phase(magnitude, n_fft=grid.n_fft, hop_length=grid.hop_length)
        case _:
            phase = jnp.zeros_like(magnitude)
    waveform = _synthesize(jax.lax.complex(magnitude * jnp.cos(phase), magnitude * jnp.sin(phase)), grid)
    return solver.start(*_method(magnitude, momentum, grid), waveform)


@partial(jax.jit, static_argnames="grid", donate_argnames="state")
def _advance(
    magnitude: Float[Array, "channels frames frequency"],
    momentum: float | Array | None,
    state: solver.State,
    steps: int | Int[Array, ""],
    *,
    grid: _Grid,
):
    return solver.advance(*_method(magnitude, momentum, grid), state, steps)


def _method(
    magnitude: Float[Array, "channels frames frequency"], momentum: float | Array | None, grid: _Grid
) -> tuple[Callable[[Array], Point], Optimizer]:
    """The search as the solver knows it. Its loss is the squared spectral convergence over all channels."""
    total = jnp.sum(magnitude**2)

    def loss(spectrum):
        value = jnp.sum((magnitude_of(spectrum) - magnitude) ** 2) / total
        return value, {"spectral_convergence": jnp.sqrt(value)}

    if momentum is None:
        return evaluator(lambda waveform: loss(_analyze(waveform, grid))), lbfgs()

    def point(waveform, spectrum):
        return Point(waveform, *loss(spectrum), gradient=jnp.zeros(()))

    def init(waveform):
        spectrum = _analyze(waveform, grid)
        return spectrum, jnp.zeros_like(spectrum)

    def step(_, now, spectra):
        last, before = spectra
        projected = _synthesize(project(magnitude, last, before, momentum=momentum), grid)
        waveform = jnp.where(now.evaluated, projected, now.parameters)
        spectrum = _analyze(waveform, grid)
        return point(waveform, spectrum), (spectrum, jnp.where(now.evaluated, last, before)), jnp.asarray(True)

    return lambda waveform: point(waveform, _analyze(waveform, grid)), Optimizer(init, step)
