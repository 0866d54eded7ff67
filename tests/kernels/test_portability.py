"""Every kernel, and the loss built from them, lowers for platforms that no test machine needs to have."""

from functools import partial

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.config import Config
from jaxst.kernels.arccos import arccos_cross, arccos_diagonal, arccos_kernel, arccos_self
from jaxst.kernels.kernel_means import mean_square_kernel
from jaxst.kernels.patches import patch_dot_products, patch_inner_products, patch_sq_norms
from jaxst.kernels.stft import frame, istft, magnitude, overlap_add, stft
from jaxst.losses import loss_terms, make_target
from jaxst.representation import Resolution

K = 3
FULL_PRECISION = "precision = [HIGHEST, HIGHEST]"


def real(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def analyze_and_synthesize(x):
    spectrum = stft(x, n_fft=64, hop_length=16)
    return istft(spectrum, hop_length=16, length=x.shape[-1])


WEIGHTS = np.full(9, 1 / 9, np.float32)
KERNELS = {
    "frame": (partial(frame, frame_length=64, hop_length=24), [real(2, 300)]),
    "overlap_add": (partial(overlap_add, hop_length=24), [real(2, 9, 64)]),
    "stft and istft": (analyze_and_synthesize, [real(2, 300)]),
    "magnitude": (lambda x: magnitude(stft(x, n_fft=63, hop_length=24)), [real(2, 300)]),
    "patch_inner_products": (partial(patch_inner_products, patch_frames=K), [real(2, 9, 5), real(2, 7, 5)]),
    "patch_dot_products": (partial(patch_dot_products, patch_frames=K), [real(2, 9, 5), real(2, 9, 5)]),
    "patch_sq_norms": (partial(patch_sq_norms, patch_frames=K), [real(2, 9, 5)]),
    "arccos_kernel": (arccos_kernel, [real(4, 9), real(4, 1), real(1, 9)]),
    "arccos_cross": (partial(arccos_cross, patch_frames=K), [real(2, 9, 5), real(2, 7, 5)]),
    "arccos_self": (partial(arccos_self, patch_frames=K), [real(2, 9, 5)]),
    "arccos_diagonal": (partial(arccos_diagonal, patch_frames=K), [real(2, 9, 5), real(2, 9, 5)]),
    "mean_square_kernel": (partial(mean_square_kernel, center=0.5), [real(2, 9, 9)]),
    "weighted mean_square_kernel": (
        lambda kernel: mean_square_kernel(
            kernel, center=0.5, row_weights=jnp.asarray(WEIGHTS), column_weights=jnp.asarray(WEIGHTS)
        ),
        [real(2, 9, 9)],
    ),
}


def value_and_gradient(function):
    """Of the sum of squares, with respect to all arguments."""

    def total(*arguments):
        return jnp.sum(function(*arguments) ** 2)

    return lambda *arguments: jax.value_and_grad(total, argnums=tuple(range(len(arguments))))(*arguments)


def exported(function, arguments, platform):
    return jax.export.export(jax.jit(function), platforms=[platform])(*arguments)


def products(module):
    """The lines of an exported program that multiply matrices."""
    return [line for line in module.mlir_module().splitlines() if "stablehlo.dot_general" in line]


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("name", KERNELS)
def test_value_and_gradient_lower(name, platform):
    function, arguments = KERNELS[name]
    module = exported(value_and_gradient(function), arguments, platform)
    assert module.platforms == (platform,)
    assert [leaf.shape for leaf in module.out_avals] == [(), *(argument.shape for argument in arguments)]
    assert {leaf.dtype for leaf in module.out_avals} == {jnp.dtype(jnp.float32)}


@pytest.fixture(scope="module")
def loss():
    """Style and content of two resolutions, a function of `(channels, time)`."""
    rng = np.random.default_rng(0)
    style, content = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((2000,), (2, 1500)))
    config = Config()
    targets = jax.jit(
        lambda style, content: [
            make_target(resolution, K, [style], [1.0], content, config)
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


@pytest.mark.parametrize("name", ["patch_inner_products", "weighted mean_square_kernel"])
def test_kernels_multiply_in_full_precision(name):
    function, arguments = KERNELS[name]
    lines = products(exported(value_and_gradient(function), arguments, "cuda"))
    assert lines
    assert [line for line in lines if FULL_PRECISION not in line] == []


def test_what_only_a_cpu_has_does_not_lower():
    """The check can fail."""
    with pytest.raises(NotImplementedError, match="tpu"):
        exported(jnp.linalg.eig, [real(3, 3)], "tpu")
    assert FULL_PRECISION not in products(exported(jnp.matmul, [real(3, 3), real(3, 3)], "cuda"))[0]
