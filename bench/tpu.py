"""Compile a sweep for TPUs without a TPU: `python -m jaxst.bench.tpu`, where `jax[tpu]` is installed.

The step of 16 lanes of the default with Adam, on 2 s at 16 kHz, over the four chips of a described v5e. Prints what the
compiler says of memory and operations on each chip. It takes a quarter of an hour and more.
"""

import os

os.environ |= {"JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1"}

import argparse
import time
from functools import partial

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Spec

from jaxst import environment, problem
from jaxst.bench.suites.sweeps import RATE, SECONDS, make_tasks
from jaxst.lanes import batches
from jaxst.lanes.program import LANES, make_inputs, make_layout, over_lanes

LANE_COUNT = 16


def main() -> None:
    """Print the compiler's figures."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxst.bench.tpu", description="Compile a sweep for described TPUs."
    )
    parser.add_argument("--topology", default="v5e:2x2", help="of the TPUs (%(default)s)")
    arguments = parser.parse_args()
    topology = topologies.get_topology_desc(arguments.topology, platform="tpu")
    mesh = Mesh(np.array(topology.devices), (LANES,))
    print(", ".join(f"{name} {value}" for name, value in environment.describe().items()))
    print(f"{LANE_COUNT} lanes, {SECONDS} s at {RATE} Hz, {mesh.size} chips of {topology.devices[0].device_kind}")

    tasks = make_tasks(LANE_COUNT)
    layout = make_layout(tasks)
    inputs = make_inputs(tasks, LANE_COUNT, batches.device_mesh(), layout)
    own, everywhere = NamedSharding(mesh, Spec(LANES)), NamedSharding(mesh, Spec())

    def described(values, sharding):
        return jax.tree.map(lambda value: jax.ShapeDtypeStruct(value.shape, value.dtype, sharding=sharding), values)

    configs, waveforms, noises = (described(x, own) for x in (inputs.configs, inputs.waveforms, inputs.noises))
    places = [everywhere if axis is None else own for axis in layout.axes]
    leaves = [described(x, place) for x, place in zip(inputs.problem, places, strict=True)]
    settings = {"layout": layout, "mesh": mesh, "in_turn": False}
    state = jax.eval_shape(
        over_lanes(partial(problem.start, tapered=False), **settings), configs, leaves, waveforms, noises
    )
    steps = jax.ShapeDtypeStruct((LANE_COUNT,), np.int32, sharding=own)
    began = time.perf_counter()
    advance = over_lanes(problem.advance, **settings, donated=(2,))
    compiled = advance.lower(configs, leaves, described(state, own), steps).compile()
    print(f"compiled in {time.perf_counter() - began:.0f} s")
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    for name in ("argument", "output", "alias", "temp", "generated_code"):
        print(f"{name.replace('_', ' ')}: {getattr(memory, f'{name}_size_in_bytes') / 2**20:.1f} MiB")
    for name in ("flops", "transcendentals", "bytes accessed"):
        print(f"{name}: {cost[name]:.4g}")


if __name__ == "__main__":
    main()
