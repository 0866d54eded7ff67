"""The machine that a run happens on: what to record of it, and where compiled programs are kept."""

import importlib.metadata
import os
import platform
from pathlib import Path

import jax
import platformdirs

from jaxst.version import __version__


def describe() -> dict[str, str]:
    """Versions and device, for reports and result files."""
    device = jax.devices()[0]
    versions = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "optax", "numpy")}
    return {
        "jaxst": __version__,
        **versions,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": f"{device.device_kind} ({device.platform}), {os.cpu_count()} CPU cores",
    }


def enable_compilation_cache() -> None:
    """Keep compiled programs in the user's cache folder, so that a second run starts at once.

    An explicit setting (`JAX_COMPILATION_CACHE_DIR` or `jax_compilation_cache_dir`) is left as it is, and a folder that
    cannot be written to means no cache, not an error.
    """
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        folder = Path(platformdirs.user_cache_dir("jaxst")) / "xla"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return
        if not os.access(folder, os.W_OK):
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
