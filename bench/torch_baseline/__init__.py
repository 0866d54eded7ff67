"""PyTorch programs that the engine is measured against; nothing else imports PyTorch."""

import importlib.metadata
import os

# Read where PyTorch is first imported. Threads that spin while they wait for one whose core is taken made losses 3 to 7
# times slower on two shared cores; on idle ones it makes no difference.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def describe(threads: int, device: str) -> str:
    """Version and settings, for results."""
    return f"{importlib.metadata.version('torch')}, on {device}, {threads} threads, no TF32"
