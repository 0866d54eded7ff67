"""How much memory there is for a batch."""

from pathlib import Path

import psutil
from jax.sharding import Mesh

_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def free_bytes(mesh: Mesh) -> int:
    """That a program may use on each device: nine tenths of an accelerator's free memory, or half of the host's, which
    its devices share."""
    device = mesh.local_devices[0]
    if device.platform == "cpu":
        return int(0.5 * _free_on_host()) // len(mesh.local_devices)
    found = [_free_on(device) for device in mesh.local_devices]
    return int(0.9 * min(found))


def _free_on(device) -> int:
    """Where a device does not tell, as much as can be: too much is noticed when it runs out."""
    stats = device.memory_stats()
    return stats["bytes_limit"] - stats["bytes_in_use"] if stats else 2**62


def _free_on_host() -> int:
    """What is free on the machine, or in the container if that is less."""
    process = psutil.Process()
    limits = [int(text) - process.memory_info().rss for path in _LIMITS if (text := _text(path)).isdigit()]
    return max(min([psutil.virtual_memory().available, *limits]), 0)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
