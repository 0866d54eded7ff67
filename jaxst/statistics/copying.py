"""Whether a signal quotes another: correlation of waveforms at every shift.

Two recordings of one texture are alike at no shift in particular, beyond chance. A quotation stands out at one shift
and its neighbors; a pitch, which nothing with that pitch can avoid, at all of them.
"""

from collections.abc import Sequence
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxst.representation import fast_length

CHANCE = 0.15  # of 4 s of most textures; fewer frequencies or less time make more
_LEAST = 1e-12


def original(recordings: Sequence[Float[Array, " _"]]) -> Float[Array, " time"]:
    """Recordings as one waveform of unit energy, for `quotation`."""
    joined = jnp.concatenate(list(recordings))
    return joined / jnp.sqrt(jnp.sum(joined**2) + _LEAST)


def quotation(x: Float[Array, "channels time"], original: Float[Array, " _"]) -> Float[Array, ""]:
    """S / (1 + S) with S the sum over shifts of max(|c| - 0.15, 0)^2, averaged over channels; from 0 to 1.

    c is the normalized cross-correlation, signals going round in as many samples as the longer one has: half the work
    of one with zeros outside. A copy of noise has S = 0.7; of a steady tone S is as large as the signal is long, so
    that a derivative hardly sees what is due to pitch.
    """
    n_fft = fast_length(max(x.shape[1], original.shape[0]))
    reference = jnp.conj(jnp.fft.rfft(original, n_fft))

    @partial(jnp.vectorize, signature="(t)->()")  # not `vmap`, whose sums are slow where there is one channel
    def quoted(x):
        correlation = jnp.fft.irfft(jnp.fft.rfft(x, n_fft) * reference, n_fft) / jnp.sqrt(jnp.sum(x**2) + _LEAST)
        excess = jnp.sum(jnp.maximum(jnp.abs(correlation) - CHANCE, 0) ** 2)
        return excess / (1 + excess)

    return jnp.mean(quoted(x))
