"""How much each recording of a mix counts."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def shares(mix: Sequence[float]) -> Float[np.ndarray, " recordings"]:
    """Weights of recordings, of which only the ratios count, as parts of 1."""
    return np.asarray(mix, np.float64) / np.sum(mix)
