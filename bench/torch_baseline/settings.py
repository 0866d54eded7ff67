"""What PyTorch is set to, and how arrays get into it."""

from collections.abc import Callable

import numpy as np
import torch


def prepare(threads: int, device: str = "cpu") -> None:
    """Settings under which float32 means what it means in jaxst, and nothing is held back.

    What they cannot set: glibc hands large arrays back to the system. With MALLOC_MMAP_THRESHOLD_ and
    MALLOC_TRIM_THRESHOLD_ beyond the largest, in the environment, losses take 0.8 to 0.9 of the time.

    Args:
        threads: of the CPU.
        device: `cpu`, `cuda` or `cuda:0`; there the fastest convolutions are looked for when they are first met.
    """
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = torch.device(device).type == "cuda"


def tensor(array: np.ndarray, device: str | torch.device = "cpu", *, requires_grad: bool = False) -> torch.Tensor:
    """A contiguous copy in float32, or complex64, on the device."""
    kind = torch.complex64 if np.iscomplexobj(array) else torch.float32
    return torch.tensor(np.ascontiguousarray(array), dtype=kind, device=device, requires_grad=requires_grad)


def finished(call: Callable[[], object], device: str = "cpu") -> object:
    """What a call returns, once the device is done with it."""
    result = call()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return result
