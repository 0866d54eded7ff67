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


def assert_trees_close(actual, expected, *, relative=1e-8):
    """Up to a share of each array's largest value; in double precision, where rounding cannot be what differs."""
    actual, expected = jax.tree.leaves(actual), jax.tree.leaves(expected)
    assert len(actual) == len(expected) > 0
    for one, other in zip(actual, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=0, atol=relative * max(np.abs(other).max(), 1e-30))


def random_like(arrays, seed):
    """Constants of standard normal values, in the arrays' shapes and precision."""
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.standard_normal(array.shape), array.dtype) for array in arrays]


@cache
def value_and_derivative(function, modes):
    """Of a randomly weighted sum of all outputs, compiled: that sum and the outputs; and the gradient with respect to
    all arguments or, of what has only forward mode, the derivative along `random_like(arguments, 1)`."""

    def total(arguments):
        leaves = jax.tree.leaves(function(*arguments))
        return sum(jnp.sum(a * b) for a, b in zip(leaves, random_like(leaves, 0), strict=True)), leaves

    if "rev" in modes:
        return jax.jit(jax.value_and_grad(total, has_aux=True))

    @jax.jit
    def forward(arguments):
        value, derivative, leaves = jax.jvp(total, (arguments,), (random_like(arguments, 1),), has_aux=True)
        return (value, leaves), derivative

    return forward


def test_every_kernel_has_a_case():
    """Each public function of arrays is used by one; those left out make constants, choose, check,
    minimize, or are the inside of one."""
    left_out = {"check_bins", "check_hop", "choose_method", "hz_to_mel", "mel_filters", "mel_to_hz", "random_phase"}
    left_out |= {"stft_window", "project", "polar_factor", "adam", "evaluator", "unevaluated", "lbfgs", "line_search"}
    left_out |= {"cosine_filters", "decimation", "erb_number", "count_patches", "mean_and_gradients"}
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
    """By `vmap`, and under it by two dimensions in front: one program for both."""
    rng, function = np.random.default_rng(1), compiled(case.function)
    shape = (2, 2, 1) if case.batch_is_loop else (4,)

    def batch(*entries):
        return np.stack(entries).reshape(*shape, *entries[0].shape)

    entries = [[argument * rng.uniform(0.5, 1, argument.shape) for argument in case.arguments] for _ in range(4)]
    with jax.enable_x64(True):
        looped = jax.tree.map(batch, *(function(*map(jnp.asarray, entry)) for entry in entries))
        batched = jax.jit(jax.vmap(case.function))(
            *(jnp.asarray(batch(*arguments)) for arguments in zip(*entries, strict=True))
        )
        assert_trees_close(batched, looped)


@every_kernel
def test_gradients_are_derivatives(case):
    """Against central differences along a random direction, in double precision."""
    evaluate, step = value_and_derivative(case.function, case.modes), 1e-7
    with jax.enable_x64(True):
        arguments = [jnp.asarray(argument) for argument in case.arguments]
        direction = random_like(arguments, 1)
        _, derivative = evaluate(arguments)
        slope = sum(map(np.vdot, derivative, direction)) if "rev" in case.modes else derivative
        ahead, behind = (
            evaluate([a + sign * step * d for a, d in zip(arguments, direction, strict=True)])[0][0] for sign in (1, -1)
        )
        np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.of_signal])
def test_no_signal_breaks_it(name):
    """Values are finite, and so are derivatives, whatever is computed of the outputs."""
    evaluate = value_and_derivative(CASES[name].function, CASES[name].modes)
    for label, signal in SIGNALS.items():
        for leaf in jax.tree.leaves(evaluate([jnp.asarray(signal, jnp.float32)])):
            assert np.isfinite(leaf).all(), label


@every_kernel
def test_value_and_derivative_lower_for_cuda_and_tpu(case):
    """With all matrix products in full precision: what is subtracted later cannot do with TF32 or bfloat16."""
    arguments = [jnp.asarray(argument, jnp.float32) for argument in case.arguments]
    module = jax.export.export(value_and_derivative(case.function, case.modes), platforms=["cuda", "tpu"])(arguments)
    assert module.platforms == ("cuda", "tpu")
    assert {leaf.dtype for leaf in module.out_avals} == {jnp.dtype(jnp.float32)}
    if "rev" in case.modes:
        gradient = module.out_avals[-len(case.arguments) :]
        assert [leaf.shape for leaf in gradient] == [argument.shape for argument in case.arguments]
    products = [line for line in module.mlir_module().splitlines() if "stablehlo.dot_general" in line]
    assert [line for line in products if FULL_PRECISION not in line] == []
