"""The loss lowers for platforms that no test machine needs to have, as `test_contract.py` shows of the kernels."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.config import Config
from jaxst.losses import loss_terms, make_target
from jaxst.representation import Resolution

FULL_PRECISION = "precision = [HIGHEST, HIGHEST]"


def real(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def exported(function, arguments, platform):
    return jax.export.export(jax.jit(function), platforms=[platform])(*arguments)


def products(module):
    """The lines of an exported program that multiply matrices."""
    return [line for line in module.mlir_module().splitlines() if "stablehlo.dot_general" in line]


@pytest.fixture(scope="module")
def loss():
    """Style and content of two resolutions, a function of `(channels, time)`."""
    rng = np.random.default_rng(0)
    style, content = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((2000,), (2, 1500)))
    config = Config()
    targets = jax.jit(
        lambda style, content: [
            make_target(resolution, 3, [style], [1.0], content, config)
            for resolution in (Resolution(128, 32), Resolution(64, 32))
        ]
    )(style, content)
    return lambda x: loss_terms(x, targets, config)


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
