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
from jaxst.config import Config
from jaxst.network import FilterLayer
from jaxst.problem import Problem
from jaxst.task import Task, analysis_key

LANES = "lanes"  # the mesh's axis
Like = tuple[Config, Problem]
_SHARED, _OWN = Spec(), Spec(LANES)


class Inputs(NamedTuple):
    """What lanes begin with, on the devices.

    Attributes:
        configs: leaves of all lanes' configurations, stacked.
        problem: leaves of the one problem, or of the lanes' problems, stacked but for their filters.
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
        start: configurations, problem, waveforms and levels of noise to states.
        advance: configurations, problem, states and steps to states, steps taken and history.
        finish: configurations, problem and parameters to waveforms.
    """

    size: int
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


def problem_key(task: Task) -> Any:
    """Equal for tasks, of one content and style, that have the same problem."""
    return analysis_key(task.config), task.config.equalization


def make_inputs(tasks: Sequence[Task], size: int, mesh: Mesh, *, shared: bool) -> tuple[Inputs, Like]:
    """Pose problems and stack what lanes begin with.

    Args:
        tasks: at most `size`; the last one again in lanes that are left over.
        size: lanes, a multiple of the devices.
        mesh: the devices.
        shared: whether the problem is the same for all lanes, of these and of other inputs of the same program.

    Returns:
        The inputs, and one lane's configuration and problem, for their structure.
    """
    posed: dict[Any, tuple[Problem, jax.Array]] = {}
    for task in tasks:
        if (key := problem_key(task)) not in posed:
            posed[key] = task.pose()
    own = [posed[problem_key(task)] for task in tasks]
    begun = [task.beginning(content) for task, (_, content) in zip(tasks, own, strict=True)]
    stack = partial(_stacked, size=size)
    axes = problem_axes(own[0][0], shared=shared)
    columns = zip(*(jax.tree.leaves(found) for found, _ in own), strict=True)
    place = partial(jax.device_put, device=NamedSharding(mesh, _OWN))
    leaves = [column[0] if axis is None else stack(column) for axis, column in zip(axes, columns, strict=True)]
    inputs = Inputs(
        place([stack(values) for values in zip(*(jax.tree.leaves(task.program) for task in tasks), strict=True)]),
        jax.device_put(leaves, [NamedSharding(mesh, spec) for spec in _specs(axes)]),
        place(stack([waveform for waveform, _ in begun])),
        place(stack([noise for _, noise in begun])),
    )
    return inputs, (tasks[0].program, own[0][0])


def problem_axes(like: Problem, *, shared: bool) -> list[int | None]:
    """Axis of the lanes for each leaf of a problem: none where all have the same, and for filters."""
    layers = [style.layer for target in like.targets for style in target.layers]
    filters = [layer.filters for layer in layers if isinstance(layer, FilterLayer)]
    leaves = jax.tree.leaves(like)
    return [None if shared or any(leaf is filter for filter in filters) else 0 for leaf in leaves]


def compile_program(task: Task, inputs: Inputs, like: Like, mesh: Mesh, *, shared: bool, in_turn: bool) -> Program:
    """Compile for inputs of this size.

    Args:
        task: any of those that the inputs are of.
        inputs: from `make_inputs`.
        like: from there, too.
        mesh, shared: as there.
        in_turn: as for `over_lanes`.
    """
    given = partial(over_lanes, like=like, mesh=mesh, shared=shared, in_turn=in_turn)
    first = given(partial(problem.start, tapered=task.tapered)).lower(*inputs).compile()
    steps = jax.ShapeDtypeStruct(inputs.noises.shape, jnp.int32, sharding=inputs.noises.sharding)
    arguments = inputs.configs, inputs.problem, first.out_info, steps
    advance = given(problem.advance, donated=(2,)).lower(*arguments).compile()
    last = given(partial(problem.finish, sample_rate=task.style.sample_rate))
    finish = last.lower(inputs.configs, inputs.problem, advance.out_info[0].best).compile()
    return Program(len(inputs.noises), first, advance, finish)


def over_lanes(
    function: Callable[..., Any],
    *,
    like: Like,
    mesh: Mesh,
    shared: bool,
    in_turn: bool,
    donated: tuple[int, ...] = (),
) -> Any:
    """A function of one lane for many, jitted: `jax.vmap` on each device, over all devices.

    Args:
        function: of a configuration, a problem and anything more.
        like: configuration and problem of a lane. The new function takes leaves of such, as in `Inputs`.
        mesh: the devices.
        shared: whether the problem is the same for all lanes.
        in_turn: whether each device takes its lanes one after another, with the same results, instead of in step.
        donated: places of arguments that are used up.
    """
    config_tree, problem_tree = map(jax.tree.structure, like)
    axes = problem_axes(like[1], shared=shared)

    def lane(config: list[jax.Array], problem: list[jax.Array], *more: Any) -> Any:
        return function(jax.tree.unflatten(config_tree, config), jax.tree.unflatten(problem_tree, problem), *more)

    def all_lanes(configs: list[jax.Array], problem: list[jax.Array], *more: Any) -> Any:
        mapped = _in_turn(lane, axes) if in_turn else jax.vmap(lane, (0, axes, *[0] * len(more)))
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
