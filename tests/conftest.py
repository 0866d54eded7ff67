"""Strict settings for every test: four CPU devices, no implicit broadcasting, shapes and types checked at run time."""

import gc
import os
from pathlib import Path

from jaxlib.version import __version_info__ as jaxlib_version

# Programs here are compiled more often than run: without LLVM's optimizations, in one piece and by the older emitters,
# which jaxlib 0.11.1 drops, they compile in a third of the time.
FLAGS = [
    "--xla_force_host_platform_device_count=4",
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
]
if jaxlib_version < (0, 11, 1):
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
# Each worker has a cache of its own of what librosa compiles: filled by two at once, it crashes (numba/numba#10128).
worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
os.environ["NUMBA_CACHE_DIR"] = str(Path(__file__).parents[1] / ".pytest_cache" / "numba" / worker)
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # more than one wait for each other, spinning, where workers share the cores
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *FLAGS]).strip()

from jaxtyping import install_import_hook

install_import_hook("jaxst", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
# Programs take a tenth less to compile without a note at each operation of where it comes from.
jax.config.update("jax_traceback_in_locations_limit", 0)

# The workers take whole files: these first, so that they end together.
LONGEST = ("test_transfer", "test_binaries", "test_methods", "test_sweep", "test_contract", "test_methods_end_to_end")
LONGEST += ("test_batches", "test_style_file", "test_long", "test_evaluate", "test_suites", "test_torch_baseline")


def pytest_collection_finish():
    """Look for garbage rarely, and not among what was imported: it takes a tenth of the time that tracing takes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def pytest_collection_modifyitems(items):
    """The longest files first."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))
