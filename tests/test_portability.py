"""The loss lowers for platforms that no test machine needs to have, as `test_contract.py` shows of the kernels."""

from dataclasses import replace
from functools import partial

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from jaxst.audio import Recording
from jaxst.config import configure
from jaxst.lanes.program import LANES, make_inputs, make_layout, over_lanes
from jaxst.losses import loss_terms, make_targets, with_content
from jaxst.methods import METHODS
from jaxst.problem import advance, start
from jaxst.task import transfer_task

PLATFORMS = ("cuda", "tpu")
FULL_PRECISION = "precision = [HIGHEST, HIGHEST]"


def real(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def exported(function, arguments, *platforms):
    return jax.export.export(jax.jit(function), platforms=platforms)(*arguments)


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


def test_the_loss_lowers_with_its_products_in_full_precision(loss):
    """The default is TF32 or bfloat16 there, and the loss a small difference of large products."""
    module = exported(jax.value_and_grad(loss, has_aux=True), [real(2, 1500)], *PLATFORMS)
    assert module.platforms == PLATFORMS
    lines = products(module)
    assert lines
    assert [line for line in lines if FULL_PRECISION not in line] == []


def test_what_only_a_cpu_has_does_not_lower():
    """The check can fail."""
    with pytest.raises(NotImplementedError, match="tpu"):
        exported(jnp.linalg.eig, [real(3, 3)], "tpu")
    assert FULL_PRECISION not in products(exported(jnp.matmul, [real(3, 3), real(3, 3)], "cuda"))[0]


@pytest.fixture(scope="module")
def lanes():
    """Four lanes of the default on two devices: inputs, and a state for the first step."""
    rng = np.random.default_rng(0)
    content, style = (Recording(0.1 * rng.standard_normal((1, 3_000)).astype(np.float32), 16_000, "x") for _ in "ab")
    config = configure(METHODS["arccos"].transfer, optimizer="adam", **SMALL["arccos"])
    task = transfer_task(config, content, [style], style_mix=None, sample_rate=None)
    tasks = [replace(task, config=replace(config, style_weight=weight)) for weight in (0.1, 1.0, 3.0, 10.0)]
    mesh = Mesh(np.array(jax.devices()[:2]), (LANES,))
    layout = make_layout(tasks)
    inputs = make_inputs(tasks, len(tasks), mesh, layout)
    settings = {"layout": layout, "mesh": mesh, "in_turn": False}
    return inputs, jax.eval_shape(over_lanes(partial(start, tapered=False), **settings), *inputs), settings


def test_a_step_of_a_sweep_lowers_over_several_devices(lanes):
    inputs, state, settings = lanes
    step = over_lanes(advance, **settings)
    steps = jax.ShapeDtypeStruct((4,), jnp.int32)
    module = jax.export.export(step, platforms=PLATFORMS)(inputs.configs, inputs.problem, state, steps)
    assert (module.platforms, module.nr_devices) == (PLATFORMS, 2)
    assert [line for line in products(module) if FULL_PRECISION not in line] == []
    assert products(module)
