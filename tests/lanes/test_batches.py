"""Lanes of one program against single runs, and how many fit in one."""

from functools import cache

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

import jaxst
from jaxst import audio, problem, solver
from jaxst.config import HEARING
from jaxst.errors import ResourceError
from jaxst.lanes import batches
from jaxst.lanes.program import LANES
from jaxst.solver import Status
from jaxst.task import Task, transfer_config, transfer_task

# Compiles quickly, and has every kind of term but what is heard.
SMALL = {"windows": (32.0,), "hops": (8.0,), "patch_frames": (3,), **dict.fromkeys(HEARING, 0.0)}
ADAM = {"optimizer": "adam", "learning_rate": 0.02, "steps": 12}


@cache
def clip(name):
    recording = audio.resample(jaxst.read(jaxst.example(name)), 8_000)
    return jaxst.Recording(recording.samples[:1, :4_000], 8_000, name)


def task(method="arccos", **options) -> Task:
    given = {**ADAM, **({} if method != "arccos" else SMALL), **options}
    styles = [clip("water")]
    config = transfer_config(method, given, styles)
    return transfer_task(config, clip("guitar"), styles, style_mix=None, sample_rate=None)


def mesh(devices):
    return Mesh(np.array(jax.devices()[:devices]), (LANES,))


def solved(tasks, devices=1, **options):
    found = list(batches.solve_group(tasks, mesh(devices), **options))
    places = [place for batch in found for place, _ in batch]
    assert places == list(range(len(tasks)))
    return [result for batch in found for _, result in batch]


def single(of: Task):
    """The same by the functions that a single run calls."""
    posed, content = of.pose()
    state = problem.start(of.program, posed, *of.beginning(content), tapered=of.tapered)
    return solver.solve(lambda s, n: problem.advance(of.program, posed, s, n), state, of.config.steps)


def assert_same(result, of: Task, rtol=1e-3):
    alone = single(of)
    assert result.status == alone.status
    assert result.history.keys() == alone.history.keys()
    for name, values in alone.history.items():
        np.testing.assert_allclose(result.history[name], values, rtol=rtol, atol=rtol * values.max(), err_msg=name)


VARIED = [
    {"style_weight": 0.3, "seed": 1},
    {"style_weight": 3.0, "learning_rate": 0.01},
    {"steps": 5},
    {"init": "noise", "content_weight": 1.0},
    {"init": "mix", "start_mix": 0.3},
]


@pytest.mark.parametrize(("devices", "in_turn"), [(1, True), (4, True), (4, False)])
def test_a_lane_is_the_single_run(devices, in_turn, monkeypatch):
    monkeypatch.setattr(batches, "_is_cpu", lambda mesh: in_turn)
    tasks = [task(**options) for options in VARIED]
    assert batches.group(tasks) == [list(range(len(tasks)))]
    for result, of in zip(solved(tasks, devices), tasks, strict=True):
        assert_same(result, of)
        assert len(result.history["total"]) == of.config.steps + 1


@pytest.mark.parametrize("in_turn", [True, False])
def test_lanes_may_differ_in_what_is_learned_of_the_style(in_turn, monkeypatch):
    monkeypatch.setattr(batches, "_is_cpu", lambda mesh: in_turn)
    tasks = [task(**{name: value}) for name, value in [("compression", 1.0), ("bias", 0.1), ("equalization", 0.0)]]
    assert batches.group(tasks) == [[0, 1, 2]]
    for result, of in zip(solved(tasks, 2), tasks, strict=True):
        assert_same(result, of)


def test_lanes_share_their_filters():
    options = {"n_filters": 8, "shapes": ((0, 3),), "windows": (32.0,), "hops": (8.0,)}
    tasks = [task("ulyanov", **options, compression=value) for value in (0.5, 2.0)]
    other = task("ulyanov", **options, filter_seed=1)
    assert batches.group([*tasks, other]) == [[0, 1], [2]]
    for result, of in zip(solved(tasks), tasks, strict=True):
        assert_same(result, of)


def test_what_shapes_the_program_makes_groups():
    tasks = [task(), task(optimizer="lbfgs", learning_rate=None), task(seed=1), task(patch_frames=(5,))]
    tasks += [task(init="tapered-noise"), task(variation_weight=0.1)]
    assert batches.group(tasks) == [[0, 2], [1], [3], [4], [5]]


def test_audio_is_that_of_the_single_run():
    of = task(seed=3)
    result = solved([task(), of])[1]
    alone = jaxst.transfer(clip("guitar"), clip("water"), **SMALL, **ADAM, seed=3)
    np.testing.assert_allclose(result.audio.samples, alone.audio.samples, atol=1e-4)
    assert result.audio.sample_rate == 8_000
    assert result.config == alone.config


def test_batches_of_a_group_use_one_program(monkeypatch):
    compiled = []
    compile_program = batches.compile_program
    monkeypatch.setattr(batches, "compile_program", lambda *a, **k: compiled.append(1) or compile_program(*a, **k))
    tasks = [task(seed=seed) for seed in range(5)]
    results = solved(tasks, limit=2)
    assert len(compiled) == 1
    for result, of in zip(results, tasks, strict=True):
        assert_same(result, of)


def test_a_run_can_be_ended_between_batches():
    tasks, seen = [task(seed=seed) for seed in range(4)], []

    def on_progress(progress):
        seen.append(progress)
        return progress.step > 2 * ADAM["steps"]

    found = list(batches.solve_group(tasks, mesh(1), limit=2, on_progress=on_progress))
    assert [[place for place, _ in batch] for batch in found] == [[0, 1]]
    steps = [progress.step for progress in seen]
    assert steps == sorted(steps)
    assert {progress.steps for progress in seen} == {4 * ADAM["steps"]}


def test_not_even_one_lane_fits(monkeypatch):
    def fail(*arguments):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.")

    monkeypatch.setattr(batches, "solve_batch", fail)
    with pytest.raises(ResourceError, match="not even one lane"):
        solved([task(), task(seed=1)])


def test_out_of_memory_halves_the_batch(monkeypatch):
    sizes = []
    solve = batches.solve_batch

    def solve_or_fail(program, *rest):
        sizes.append(program.size)
        if program.size > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.")
        return solve(program, *rest)

    monkeypatch.setattr(batches, "solve_batch", solve_or_fail)
    tasks = [task(seed=seed) for seed in range(6)]
    for result, of in zip(solved(tasks), tasks, strict=True):
        assert_same(result, of)
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]


def test_a_lane_that_diverges_disturbs_no_other(monkeypatch):
    monkeypatch.setattr(batches, "_is_cpu", lambda mesh: False)  # in step, where they are computed together
    tasks = [task(), task(learning_rate=1e30), task(seed=1)]
    results = solved(tasks)
    assert results[1].status == Status.DIVERGED
    assert np.isfinite(results[1].audio.samples).all()
    for place in (0, 2):
        assert_same(results[place], tasks[place])


def test_as_many_lanes_as_fit_in_memory(monkeypatch):
    """In step, where memory grows with the lanes."""
    monkeypatch.setattr(batches, "_is_cpu", lambda mesh: False)
    sizes = []
    solve = batches.solve_batch
    monkeypatch.setattr(
        batches, "solve_batch", lambda program, *rest: sizes.append(program.size) or solve(program, *rest)
    )
    tasks = [task(seed=seed) for seed in range(6)]
    program = batches.fitting_program(tasks, 6, mesh(1))
    assert program.size == 6
    monkeypatch.setattr(batches, "free_bytes", lambda mesh: program.bytes // 2)
    solved(tasks)
    assert set(sizes) == {2}


@pytest.mark.parametrize(
    ("count", "devices", "limit", "size"),
    [
        *((1, 1, None, 1), (1, 4, None, 4), (9, 1, None, 5), (8, 1, None, 8), (200, 1, None, 8), (200, 4, None, 32)),
        *((17, 1, 16, 9), (5, 4, None, 8), (10, 4, 1, 4), (7, 2, 3, 2)),
    ],
)
def test_batches_are_of_equal_size(count, devices, limit, size):
    assert batches.batch_size(count, mesh(devices), limit) == size


def test_sixteen_lanes_are_traced_as_often_as_one(monkeypatch):
    traced, loss_terms = [], problem.loss_terms
    monkeypatch.setattr(problem, "loss_terms", lambda *arguments: traced.append(1) or loss_terms(*arguments))

    def times(tasks):
        before = len(traced)
        for function in (problem.start, problem.advance, problem.evaluate):
            function.clear_cache()
        solved(tasks)
        return len(traced) - before

    assert 0 < times([task()]) == times([task(seed=seed) for seed in range(16)])
