"""One run as a problem for the solver: what is moved, what it is compared with, and compiled functions of both."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from jaxst import auditory, solver
from jaxst.compiling import jit_quickly
from jaxst.config import Config
from jaxst.kernels.optimizers import Optimizer, Point, adam, evaluator, lbfgs
from jaxst.losses import Target, loss_terms, with_content
from jaxst.parametrization import Features, Samples, Variable, precondition
from jaxst.representation import REPRESENTATIONS, Sinusoids, long_term_resolution
from jaxst.spectrum import cross_spectrum, equalize, mean_power, place, power_spectrum


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Problem:
    """What the loss of a run needs beside its parameters.

    Attributes:
        targets: what features are compared with.
        variable: what parameters are.
        hearing: what is heard of style and content, if that is compared.
        image: cross-spectra, if the result has two channels, of those whose stereo image it is to have.
        spectrum: `(frequency,)`, the content's long-term power spectrum, if the result is brought nearer to it.
    """

    targets: tuple[Target, ...]
    variable: Variable
    hearing: auditory.Hearing | None
    image: Complex[Array, "frequency 2 2"] | None
    spectrum: Float[Array, " frequency"] | None


@partial(jax.jit, static_argnames="sample_rate")
def long_term(
    config: Config, samples: Float[Array, "channels time"], *, sample_rate: int
) -> Complex[Array, "frequency channels channels"]:
    """Cross-spectra, averaged over time."""
    return cross_spectrum(samples, long_term_resolution(config.representation, sample_rate))


filtered = jax.jit(equalize, static_argnames="sample_rate")
placed = jax.jit(place, static_argnames="sample_rate")


def pose(
    config: Config,
    targets: tuple[Target, ...],
    hearing: auditory.Hearing | None,
    spectrum: Float[Array, " frequency"],
    image: Complex[Array, "frequency style_channels style_channels"],
    samples: Float[Array, "channels time"],
    *,
    sample_rate: int,
    has_content: bool,
) -> Problem:
    """Pose the problem. What was learned of the style is in it as it is given, not as a copy.

    Args:
        config: of the run.
        targets: what was learned of the style, without content.
        hearing: what is heard of it.
        spectrum: the style's long-term power spectrum.
        image: cross-spectra of the style's channels: the stereo image where there is no content.
        samples: the content as it is to be kept, at about unit level; or silence of the length wanted.
        sample_rate: in Hz.
        has_content: which of them.
    """
    variable, content, kept, image = _content_parts(
        config, targets, hearing, spectrum, image, samples, sample_rate=sample_rate, has_content=has_content
    )
    if has_content:
        targets = tuple(replace(target, content=own) for target, own in zip(targets, content, strict=True))
        hearing = None if hearing is None else replace(hearing, content=kept)
    return Problem(targets, variable, hearing, image if samples.shape[0] == 2 else None, None)


@jit_quickly(static_argnames=("sample_rate", "has_content"))
def _content_parts(config, targets, hearing, spectrum, image, samples, *, sample_rate, has_content):
    """What of a problem depends on the content: the variable, its responses, what is heard of it, and the image."""
    representation, power, content, kept = config.representation, spectrum[None], (), None
    if has_content:
        resolution = long_term_resolution(representation, sample_rate)
        content = tuple(target.content for target in with_content(targets, samples))
        power = power + power_spectrum(samples, resolution)
        kept = None if hearing is None else auditory.with_content(hearing, samples).content
        image = cross_spectrum(samples, resolution)
    length, analysis = samples.shape[1], targets[0].analysis
    match config.variable:
        case "preconditioned":
            variable = precondition(power, image, length)
        case "waveform":
            variable = Samples()
        case "sinusoids" if not isinstance(representation, Sinusoids):
            (analysis,) = REPRESENTATIONS["sinusoids"].fit(list(samples), sample_rate)
            if not has_content:  # silence has no scale
                analysis = replace(analysis, scale=jnp.ones(3))
            variable = Features(analysis, length, config.phase_iterations, direct=False)
        case _:
            variable = Features(analysis, length, config.phase_iterations)
    return variable, content, kept, image


@jax.jit
def at_unit_level(samples: Float[Array, "channels time"]) -> Float[Array, "channels time"]:
    """Every channel; one that is silent stays so."""
    level = jnp.sqrt(jnp.mean(samples**2, axis=1, keepdims=True))
    return samples / jnp.where(level > 0, level, 1)


@partial(jax.jit, static_argnames="tapered")
def start(
    config: Config, problem: Problem, waveform: Array, noise: float | Float[Array, ""], *, tapered: bool
) -> solver.State:
    """The state at a waveform, with so much noise added, `tapered` under a Hann window."""
    parameters = problem.variable.parameters(waveform)
    added = problem.variable.noise(jax.random.key(config.seed), parameters)
    if tapered:
        taper = jnp.asarray(
            np.hanning(parameters.shape[1]), added.dtype
        )  # (channels, time), or (channels, frames, ...)
        added *= jnp.expand_dims(taper, [axis for axis in range(added.ndim) if axis != 1])
    return solver.start(_evaluator(config, problem), _optimizer(config), parameters + noise * added)


@partial(jax.jit, donate_argnames="state")
def advance(config: Config, problem: Problem, state: solver.State, steps: int | Int[Array, ""]):
    """Take steps from a state, which is used up; see `solver.advance`."""
    return solver.advance(_evaluator(config, problem), _optimizer(config), state, steps)


@partial(jax.jit, static_argnames="sample_rate")
def finish(config: Config, problem: Problem, parameters: Array, *, sample_rate: int) -> Float[Array, "channels time"]:
    """The waveform of parameters, in its stereo image, and nearer to the content's spectrum if that is wanted."""
    samples, rate = problem.variable.waveform(parameters), sample_rate
    if problem.image is not None:
        samples = placed(samples, long_term(config, samples, sample_rate=rate), problem.image, sample_rate=rate)
    if problem.spectrum is None or config.content_spectrum is None:
        return samples
    own = mean_power(long_term(config, at_unit_level(samples), sample_rate=rate))
    return filtered(samples, own, problem.spectrum, sample_rate=rate, strength=config.content_spectrum)


def _evaluator(config: Config, problem: Problem) -> Callable[[Array], Point]:
    return partial(evaluate, config, problem)


@jax.jit  # traced once, for `start`, which only asks what it returns, and `advance`
def evaluate(config: Config, problem: Problem, parameters: Array) -> Point:
    """Loss, terms and gradient."""
    hearing = problem.hearing
    analyses = [*(target.analysis for target in problem.targets), *([] if hearing is None else [hearing])]
    return evaluator(
        lambda parameters: loss_terms(problem.variable.features(parameters, analyses), problem.targets, config, hearing)
    )(parameters)


def _optimizer(config: Config) -> Optimizer:
    return lbfgs(memory=config.memory) if config.optimizer == "lbfgs" else adam(config.learning_rate)
