"""What a single run calls, vmapped and compiled for so many lanes on a mesh of devices.

What lanes have in common, such as the statistics of a style, is in memory once; what differs is stacked. Each device
works on lanes of its own and waits for no other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Spec

from jaxst import problem
from jaxst.network import FilterLayer
from jaxst.problem import Problem
from jaxst.task import Run

LANES = "lanes"  # the mesh's axis
_SHARED, _OWN = Spec(), Spec(LANES)


class Layout(NamedTuple):
    """How the inputs of a group's lanes are made up.

    Attributes:
        config: structure of a lane's configuration.
        problem: structure of its problem.
        axes: of the lanes, for each leaf of a problem; `None` where all lanes have the same.
    """

    config: Any
    problem: Any
    axes: tuple[int | None, ...]


class Inputs(NamedTuple):
    """What lanes begin with, on the devices.

    Attributes:
        configs: leaves of all lanes' configurations, stacked.
        problem: leaves of a problem: what all lanes share, and the rest of each, stacked.
        waveforms: `(lanes, channels, time)`.
        noises: `(lanes,)`, level of the noise that is added to them.
    """

    configs: list[jax.Array]
    problem: list[jax.Array]
    waveforms: jax.Array
    noises: jax.Array


@dataclass(frozen=True)
class Program:
    """Compiled functions.

    Attributes:
        size: lanes.
        layout: of the inputs.
        start: configurations, problem, waveforms and levels of noise to states.
        advance: configurations, problem, states and steps to states, steps taken and history.
        finish: configurations, problem and parameters to waveforms.
    """

    size: int
    layout: Layout
    start: jax.stages.Compiled
    advance: jax.stages.Compiled
    finish: jax.stages.Compiled

    @property
    def bytes(self) -> int:
        """That each device needs beside the compiled code, by the compiler's own account; 0 where it gives none."""
        found = self.advance.memory_analysis()
        if found is None:
            return 0
        return (
            found.temp_size_in_bytes
            + found.argument_size_in_bytes
            + found.output_size_in_bytes
            - found.alias_size_in_bytes
        )


def make_layout(tasks: Sequence[Run]) -> Layout:
    """For tasks of one group: what is learned of a style that all have is in memory once, as are filters, and the whole
    problem if several have the same. One alone is laid out as if others had other problems: chunks come alone and in
    pairs, and are to share a program."""
    like, _ = tasks[0].pose()
    leaves, tree = jax.tree.flatten(like)
    same = leaves if len(tasks) > 1 and len({task.problem_key for task in tasks}) == 1 else []
    if all(task.style is tasks[0].style for task in tasks):
        same = [*same, *jax.tree.leaves(tasks[0].style)]
    layers = [style.layer for target in like.targets for style in target.layers]
    same = [*same, *(layer.filters for layer in layers if isinstance(layer, FilterLayer))]
    known = {id(leaf) for leaf in same}
    axes = tuple(None if id(leaf) in known else 0 for leaf in leaves)
    return Layout(jax.tree.structure(tasks[0].program), tree, axes)


def make_inputs(tasks: Sequence[Run], size: int, mesh: Mesh, layout: Layout) -> Inputs:
    """Pose problems and stack what lanes begin with.

    Args:
        tasks: at most `size`; the last one again in lanes that are left over.
        size: lanes, a multiple of the devices.
        mesh: the devices.
        layout: of their group.
    """
    posed: dict[Any, tuple[Problem, jax.Array]] = {}
    for task in tasks:
        if task.problem_key not in posed:
            posed[task.problem_key] = task.pose()
    own = [posed[task.problem_key] for task in tasks]
    begun = [task.beginning(content) for task, (_, content) in zip(tasks, own, strict=True)]
    stack = partial(_stacked, size=size)
    columns = zip(*(jax.tree.leaves(found) for found, _ in own), strict=True)
    place = partial(jax.device_put, device=NamedSharding(mesh, _OWN))
    leaves = [column[0] if axis is None else stack(column) for axis, column in zip(layout.axes, columns, strict=True)]
    return Inputs(
        place([stack(values) for values in zip(*(jax.tree.leaves(task.program) for task in tasks), strict=True)]),
        jax.device_put(leaves, [NamedSharding(mesh, spec) for spec in _specs(layout.axes)]),
        place(stack([waveform for waveform, _ in begun])),
        place(stack([noise for _, noise in begun])),
    )


def compile_program(task: Run, inputs: Inputs, mesh: Mesh, layout: Layout, *, in_turn: bool) -> Program:
    """Compile for inputs of this size, unless that was the last thing compiled: batches come one after another.

    Args:
        task: any of those that the inputs are of.
        inputs: from `make_inputs`.
        mesh, layout: as there.
        in_turn: as for `over_lanes`.
    """
    kinds = tuple((leaf.shape, leaf.dtype, leaf.weak_type) for leaf in jax.tree.leaves(inputs))
    key = kinds, layout, mesh, in_turn, task.tapered, task.style.sample_rate
    if key not in _LAST:
        _LAST.clear()
        _LAST[key] = _compile(task, inputs, mesh, layout, in_turn)
    return _LAST[key]


_LAST: dict[Any, Program] = {}


def _compile(task: Run, inputs: Inputs, mesh: Mesh, layout: Layout, in_turn: bool) -> Program:
    given = partial(over_lanes, mesh=mesh, layout=layout, in_turn=in_turn)
    first = given(partial(problem.start, tapered=task.tapered)).lower(*inputs).compile()
    steps = jax.ShapeDtypeStruct(inputs.noises.shape, jnp.int32, sharding=inputs.noises.sharding)
    arguments = inputs.configs, inputs.problem, first.out_info, steps
    advance = given(problem.advance, donated=(2,)).lower(*arguments).compile()
    last = given(partial(problem.finish, sample_rate=task.style.sample_rate))
    finish = last.lower(inputs.configs, inputs.problem, advance.out_info[0].best).compile()
    return Program(len(inputs.noises), layout, first, advance, finish)


def over_lanes(
    function: Callable[..., Any],
    *,
    mesh: Mesh,
    layout: Layout,
    in_turn: bool,
    donated: tuple[int, ...] = (),
) -> Any:
    """A function of one lane for many, jitted: `jax.vmap` on each device, over all devices.

    Args:
        function: of a configuration, a problem and anything more. The new one takes leaves of these, as in `Inputs`.
        mesh: the devices.
        layout: of the inputs.
        in_turn: whether each device takes its lanes one after another, with the same results, instead of in step.
        donated: places of arguments that are used up.
    """
    axes = layout.axes

    def lane(config: list[jax.Array], problem: list[jax.Array], *more: Any) -> Any:
        return function(jax.tree.unflatten(layout.config, config), jax.tree.unflatten(layout.problem, problem), *more)

    def all_lanes(configs: list[jax.Array], problem: list[jax.Array], *more: Any) -> Any:
        mapped = _in_turn(lane, axes) if in_turn else jax.vmap(lane, (0, list(axes), *[0] * len(more)))
        specs = (_OWN, _specs(axes), *[_OWN] * len(more))
        sharded = jax.shard_map(mapped, mesh=mesh, in_specs=specs, out_specs=_OWN, check_vma=False)
        return sharded(configs, problem, *more)

    return jax.jit(all_lanes, donate_argnums=donated)


def _in_turn(function: Callable[..., Any], axes: Sequence[int | None]) -> Callable[..., Any]:
    """What `jax.vmap` gives, as a loop."""

    def lanes(configs: Any, leaves: list[jax.Array], *rest: Any) -> Any:
        def lane(given: Any) -> Any:
            config, own, rest = given
            values = iter(own)
            return function(config, [leaf if axis is None else next(values) for leaf, axis in each], *rest)

        each = list(zip(leaves, axes, strict=True))
        return jax.lax.map(lane, (configs, [leaf for leaf, axis in each if axis is not None], rest))

    return lanes


def _specs(axes):
    return [_SHARED if axis is None else _OWN for axis in axes]


def _stacked(values: Sequence[Any], *, size: int) -> jax.Array:
    """In front of each other, the last one again up to this size."""
    return jnp.stack([jnp.asarray(value) for value in [*values, *[values[-1]] * (size - len(values))]])
