"""The binaries, each in one process for the whole session, and recordings that are quick to work on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import Command, serving


@pytest.fixture(scope="session")
def environment(tmp_path_factory) -> dict[str, str]:
    """Variables for every process: nothing is kept in the user's own cache, and what is compiled once serves all."""
    caches = tmp_path_factory.mktemp("caches")
    return {
        "JAX_COMPILATION_CACHE_DIR": str(caches / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
        "XDG_CACHE_HOME": str(caches),
        "MPLCONFIGDIR": str(caches),
    }


@pytest.fixture(scope="session")
def transfer(environment) -> Iterator[Command]:
    with serving("jaxst-transfer", environment) as command:
        yield command


@pytest.fixture(scope="session")
def texture(environment) -> Iterator[Command]:
    with serving("jaxst-texture", environment) as command:
        yield command


@pytest.fixture(scope="session")
def resynth(environment) -> Iterator[Command]:
    with serving("jaxst-resynth", environment) as command:
        yield command


@pytest.fixture(scope="session")
def evaluate(environment) -> Iterator[Command]:
    with serving("jaxst-evaluate", environment) as command:
        yield command


@pytest.fixture(scope="session")
def sweep(environment) -> Iterator[Command]:
    with serving("jaxst-sweep", environment) as command:
        yield command


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with half a second each of `tone.wav` and `noise.wav`, mono at 8 kHz."""
    folder = tmp_path / "work"
    folder.mkdir()
    noise = np.random.default_rng(0).standard_normal(4_000)
    tone = np.sin(2 * np.pi * 440 * np.arange(4_000) / 8_000) + 0.1 * noise
    soundfile.write(folder / "tone.wav", 0.2 * tone, 8_000)
    soundfile.write(folder / "noise.wav", 0.1 * noise, 8_000)
    return folder
