"""The loss lowers for platforms that no test machine needs to have, as `test_contract.py` shows of the kernels."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.config import configure
from jaxst.losses import loss_terms, make_targets, with_content
from jaxst.methods import METHODS

FULL_PRECISION = "precision = [HIGHEST, HIGHEST]"


def real(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def exported(function, arguments, platform):
    return jax.export.export(jax.jit(function), platforms=[platform])(*arguments)


def products(module):
    """The lines of an exported program that multiply matrices."""
    return [line for line in module.mlir_module().splitlines() if "stablehlo.dot_general" in line]


# What a method needs to be small.
SMALL = {
    "arccos": {"windows": (8.0, 4.0), "hops": (2.0, 2.0), "patch_frames": (3, 3)},
    "autocorrelation": {"windows": (8.0,), "hops": (2.0,), "shapes": ((0, 3),), "n_filters": 4},
    "kanak": {"windows": (8.0,), "hops": (2.0,), "shapes": ((3, 3), (15, 9)), "n_filters": 4},
    "gaussian-ot": {"windows": (8.0,), "hops": (2.0,), "shapes": ((5, 3),), "n_filters": 4},
}


@pytest.fixture(scope="module", params=SMALL)
def loss(request):
    """Style and content terms of a method, a function of `(channels, time)`."""
    rng = np.random.default_rng(0)
    style, content = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((2000,), (2, 1500)))
    config = configure(METHODS[request.param].transfer, **SMALL[request.param])
    targets = jax.jit(lambda style, content: with_content(make_targets([style], [1.0], 16_000, config), content))(
        style, content
    )
    return lambda x: loss_terms([target.analysis.features(x) for target in targets], targets, config)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_the_loss_lowers_with_its_products_in_full_precision(loss, platform):
    """The default is TF32 or bfloat16 there, and the loss a small difference of large products."""
    module = exported(jax.value_and_grad(loss, has_aux=True), [real(2, 1500)], platform)
    lines = products(module)
    assert lines
    assert [line for line in lines if FULL_PRECISION not in line] == []


def test_what_only_a_cpu_has_does_not_lower():
    """The check can fail."""
    with pytest.raises(NotImplementedError, match="tpu"):
        exported(jnp.linalg.eig, [real(3, 3)], "tpu")
    assert FULL_PRECISION not in products(exported(jnp.matmul, [real(3, 3), real(3, 3)], "cuda"))[0]
