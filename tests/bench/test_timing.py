"""How time and memory are taken."""

import time

import jax.numpy as jnp
import numpy as np
import pytest

from jaxst.bench import timing


def hold(mebibytes):
    """A call that needs so much for a moment; for `peak_memory`."""
    return lambda: np.ones(mebibytes << 20, np.uint8).sum()


def test_functions_are_called_in_turn_and_short_ones_several_times(monkeypatch):
    """By a clock of the test's own: a call of one takes 1 ms, of the other 30 ms."""
    now, calls = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def taking(name, seconds):
        def call():
            calls.append(name)
            now[0] += seconds

        return call

    found = timing.interleaved({"short": taking("short", 0.001), "long": taking("long", 0.03)}, rounds=3)
    assert found["short"].median == pytest.approx(0.001)
    assert found["long"].median == pytest.approx(0.03)
    counted = calls[-63:]
    assert counted == (["short"] * 20 + ["long"]) * 3


def test_quartiles_are_of_all_rounds(monkeypatch):
    now, seconds = [0.0], iter([9.0, 9.0, 5.0, 1.0, 2.0, 4.0, 3.0])
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def call():
        now[0] += next(seconds)

    assert timing.interleaved({"it": call}, rounds=5)["it"] == (3.0, 2.0, 4.0)


def test_a_compiled_call_gives_what_the_function_does():
    call, seconds = timing.compiled(lambda x, y: x @ y, jnp.arange(3.0), jnp.ones(3))
    assert call() == 3
    assert seconds > 0


def test_peak_memory_is_that_of_the_calls():
    found = timing.peak_memory(__name__, "hold", 200)
    assert 190 < found < 260
