"""What is recorded of the machine, and where compiled programs go."""

import importlib.metadata
import json
import os
import platform
import stat
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jaxst import environment

SETTINGS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@pytest.fixture
def cache_home(tmp_path, monkeypatch):
    """The user's cache folder, with JAX as unset as in a fresh process, and as it was afterwards."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    monkeypatch.setattr(environment.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    jax.config.update("jax_compilation_cache_dir", None)
    yield tmp_path / "cache"
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_description_names_versions_and_device():
    facts = environment.describe()
    assert facts["jax"] == importlib.metadata.version("jax") == jax.__version__
    assert facts["jaxst"] == importlib.metadata.version("jaxst")
    assert facts["python"] == platform.python_version()
    assert jax.default_backend() in facts["device"]
    assert f"{os.cpu_count()} CPU cores" in facts["device"]
    assert json.loads(json.dumps(facts)) == facts


def test_compiled_programs_go_to_the_users_cache(cache_home):
    environment.enable_compilation_cache()
    folder = Path(jax.config.jax_compilation_cache_dir)
    assert folder.is_dir()
    assert folder.is_relative_to(cache_home / "jaxst")


def test_a_folder_that_was_chosen_stays(cache_home, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    environment.enable_compilation_cache()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "mine")
    assert not cache_home.exists()


def test_a_cache_that_cannot_be_made_is_no_error(cache_home):
    cache_home.write_text("a file where the folder should be")
    environment.enable_compilation_cache()
    assert jax.config.jax_compilation_cache_dir is None
    assert cache_home.is_file()


def test_a_cache_that_cannot_be_written_to_is_no_error(cache_home, monkeypatch):
    folder = cache_home / "jaxst" / "xla"
    folder.mkdir(parents=True)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if os.access(folder, os.W_OK):  # root may write anywhere
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder)
    environment.enable_compilation_cache()
    assert jax.config.jax_compilation_cache_dir is None


@pytest.mark.parametrize("chosen", [False, True])
def test_a_program_is_kept_on_disk_and_the_variable_decides_where(tmp_path, chosen):
    """In a process of its own, for JAX reads the variable when it is imported and opens the cache once."""
    program = (
        "from jaxst import environment; environment.enable_compilation_cache()\n"
        "import jax; jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)\n"
        "jax.jit(lambda x: x + 1)(1.0)"
    )
    home, mine = tmp_path / "home", tmp_path / "mine"
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    variables |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    if chosen:
        variables["JAX_COMPILATION_CACHE_DIR"] = str(mine)
    subprocess.run([sys.executable, "-c", program], env=variables, check=True, timeout=120)
    folder, other = (mine, home) if chosen else (home, mine)
    assert any(path.is_file() for path in folder.rglob("*"))
    assert not other.exists()
