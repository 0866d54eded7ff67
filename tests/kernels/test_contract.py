"""What every kernel promises: compiled it does what it does uncompiled, a batch is a loop, gradients are derivatives,
nothing a user can record makes it fail, and it lowers for platforms that no test machine needs to have."""

import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path

import cases
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, RATE, TIME
from jax.test_util import check_grads

import jaxst.kernels

every_kernel = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
FULL_PRECISION = "precision = [HIGHEST, HIGHEST]"
SIGNALS = {
    "silence": np.zeros(TIME),
    "click": np.eye(1, TIME, TIME // 3)[0],
    "constant": np.ones(TIME),
    "full-scale tone": np.cos(2 * np.pi * 1000 / RATE * np.arange(TIME)),
    "full-scale square": np.sign(np.sin(2 * np.pi * 440 / RATE * np.arange(TIME) + 0.1)),
    "inaudible": 1e-12 * np.random.default_rng(0).standard_normal(TIME),
}


def single(case):
    return [jnp.asarray(argument, jnp.float32) for argument in case.arguments]


def assert_trees_close(actual, expected, *, relative=1e-8):
    """Up to a share of each array's largest value; in double precision, where rounding cannot be what differs."""
    actual, expected = jax.tree.leaves(actual), jax.tree.leaves(expected)
    assert len(actual) == len(expected) > 0
    for one, other in zip(actual, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=0, atol=relative * max(np.abs(other).max(), 1e-30))


def value_and_derivative(case, weights=None):
    """Of the sum of squares of all outputs, or their weighted sum: the gradient with respect to all arguments or, of
    what has only forward mode, the derivative along themselves; and the outputs."""

    def total(arguments):
        leaves = jax.tree.leaves(case.function(*arguments))
        return sum(jnp.sum(a * b) for a, b in zip(leaves, weights or leaves, strict=True)), leaves

    if "rev" in case.modes:
        return jax.value_and_grad(total, has_aux=True)

    def forward(arguments):
        value, derivative, leaves = jax.jvp(total, (arguments,), (arguments,), has_aux=True)
        return (value, leaves), derivative

    return forward


def test_every_kernel_has_a_case():
    """Each public function of arrays is used by one; those left out make constants, choose, check or minimize."""
    left_out = {"check_bins", "check_hop", "choose_method", "hz_to_mel", "mel_filters", "mel_to_hz", "random_phase"}
    left_out |= {"stft_window", "project", "adam", "evaluator", "lbfgs", "line_search"}
    source, missing = Path(cases.__file__).read_text(), set()
    for module in pkgutil.walk_packages(jaxst.kernels.__path__, "jaxst.kernels."):
        functions = vars(importlib.import_module(module.name)).items()
        own = {name for name, value in functions if getattr(value, "__module__", "") == module.name and callable(value)}
        public = {name for name in own if name[0].islower()}
        missing |= {name for name in public - left_out if not re.search(rf"\b{name}\b", source)}
    assert missing == set()


@cache
def compiled(function):
    return jax.jit(function)


@every_kernel
def test_jit_is_eager(case):
    with jax.enable_x64(True):
        arguments = [jnp.asarray(argument) for argument in case.arguments]
        assert_trees_close(compiled(case.function)(*arguments), case.function(*arguments))


@every_kernel
def test_a_batch_is_a_loop(case):
    """By `vmap`, and by two dimensions in front."""
    rng, function = np.random.default_rng(1), compiled(case.function)
    entries = [[argument * rng.uniform(0.5, 1, argument.shape) for argument in case.arguments] for _ in range(2)]
    batch = [np.stack(arguments) for arguments in zip(*entries, strict=True)]
    with jax.enable_x64(True):
        looped = [function(*map(jnp.asarray, entry)) for entry in entries]
        looped = jax.tree.map(lambda *leaves: np.stack(leaves), *looped)
        assert_trees_close(jax.jit(jax.vmap(case.function))(*map(jnp.asarray, batch)), looped)
        if case.batch_is_loop:
            in_front = function(*(jnp.asarray(argument[None]) for argument in batch))
            assert_trees_close(in_front, jax.tree.map(lambda leaf: leaf[None], looped))


@every_kernel
def test_gradients_are_derivatives(case):
    """Against central differences along random directions, in double precision."""
    with jax.enable_x64(True):
        arguments = [jnp.asarray(argument) for argument in case.arguments]
        check_grads(compiled(case.function), arguments, order=1, modes=case.modes[-1:], eps=1e-7, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.of_signal])
def test_no_signal_breaks_it(name):
    """Values are finite, and so are derivatives, whatever is computed of the outputs."""
    case = CASES[name]
    shapes = jax.eval_shape(case.function, jax.ShapeDtypeStruct((TIME,), jnp.float32))
    rng = np.random.default_rng(2)
    weights = [jnp.asarray(rng.standard_normal(leaf.shape), jnp.float32) for leaf in jax.tree.leaves(shapes)]
    evaluate = jax.jit(value_and_derivative(case, weights))
    for label, signal in SIGNALS.items():
        for leaf in jax.tree.leaves(evaluate([jnp.asarray(signal, jnp.float32)])):
            assert np.isfinite(leaf).all(), label


@every_kernel
def test_value_and_derivative_lower_for_cuda_and_tpu(case):
    """With all matrix products in full precision: what is subtracted later cannot do with TF32 or bfloat16."""
    module = jax.export.export(jax.jit(value_and_derivative(case)), platforms=["cuda", "tpu"])(single(case))
    assert module.platforms == ("cuda", "tpu")
    assert {leaf.dtype for leaf in module.out_avals} == {jnp.dtype(jnp.float32)}
    if "rev" in case.modes:
        gradient = module.out_avals[-len(case.arguments) :]
        assert [leaf.shape for leaf in gradient] == [argument.shape for argument in case.arguments]
    products = [line for line in module.mlir_module().splitlines() if "stablehlo.dot_general" in line]
    assert [line for line in products if FULL_PRECISION not in line] == []
