"""How close one signal is to another, sample by sample and magnitude by magnitude."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxst.kernels.stft import stft
from jaxst.representation import Resolution, resolution_at

WINDOW, HOP = 46.0, 11.5  # in ms, of the transform whose magnitudes are compared
_FINEST = 2.0**-48  # power of float32's rounding error relative to the signal's: 144 dB below it


def signal_to_noise(
    reference: Float[np.ndarray, "channels time"], estimate: Float[np.ndarray, "channels time"]
) -> float:
    """Power of a signal over that of an estimate's difference to it, in dB: at most 144, what float32 resolves."""
    reference = reference.astype(np.float64)
    power, error = np.sum(reference**2), np.sum((estimate - reference) ** 2)
    return 10 * math.log10(power / max(error, _FINEST * power))


def spectral_convergence(
    reference: Float[np.ndarray, "channels time"], estimate: Float[np.ndarray, "channels time"], sample_rate: int
) -> float:
    """|| |X| - |Y| || / || |X| || over all STFT bins of all channels (Sturmel & Daudet 2011): 0 where all magnitudes
    agree, 1 for silence."""
    resolution = resolution_at(WINDOW, HOP, sample_rate)
    difference, total = _sums(jnp.asarray(reference), jnp.asarray(estimate), resolution=resolution)
    return math.sqrt(np.sum(np.asarray(difference, np.float64)) / np.sum(np.asarray(total, np.float64)))


@partial(jax.jit, static_argnames="resolution")
def _sums(
    reference: Float[Array, "channels time"], estimate: Float[Array, "channels time"], *, resolution: Resolution
) -> tuple[Float[Array, " channels"], Float[Array, " channels"]]:
    """For each channel the sum of squared differences of magnitudes, and of squared magnitudes of the reference."""

    def magnitudes(x):
        return jnp.abs(stft(x, **resolution._asdict(), pad_mode="constant"))

    def compare(pair):
        first, second = map(magnitudes, pair)
        return jnp.sum((first - second) ** 2), jnp.sum(first**2)

    return jax.lax.map(compare, (reference, estimate))  # one channel at a time, for memory's sake
