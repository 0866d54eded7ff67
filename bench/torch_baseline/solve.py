"""PyTorch's optimizers, and what they had reached when."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from jaxst.bench.torch_baseline.settings import tensor

MAX_TRIALS = 25  # of PyTorch's line search


class Solution(NamedTuple):
    """How a run went.

    Attributes:
        result: parameters after the last step.
        losses: `(steps + 1,)`, before the first step and after each.
        seconds: `(steps + 1,)`, from the start until each of them was known.
    """

    result: np.ndarray
    losses: np.ndarray
    seconds: np.ndarray

    def seconds_to(self, loss: float) -> float:
        """Until no more than this was reached; infinite if it never was."""
        reached = np.flatnonzero(self.losses <= loss)
        return float(self.seconds[reached[0]]) if len(reached) else np.inf


def adam(
    loss: Callable[[torch.Tensor], torch.Tensor],
    x: np.ndarray,
    *,
    steps: int,
    learning_rate: float,
    device: str = "cpu",
) -> Solution:
    """Adam (Kingma & Ba 2015), fused: half the time of PyTorch's other forms."""
    parameters = tensor(x, device, requires_grad=True)
    optimizer = torch.optim.Adam([parameters], learning_rate, fused=True)
    mark, elapsed = _clock(parameters.device)
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(parameters)
        value.backward()
        values.append(value.detach())
        mark()
        optimizer.step()
    with torch.no_grad():
        values.append(loss(parameters))
    mark()
    return Solution(_array(parameters), _array(torch.stack(values)), elapsed())


def lbfgs(
    loss: Callable[[torch.Tensor], torch.Tensor], x: np.ndarray, *, steps: int, memory: int = 20, device: str = "cpu"
) -> Solution:
    """L-BFGS with a line search by the strong Wolfe conditions, until it can go no further or the steps are taken.

    It may end earlier, and then `losses` is shorter. After each step stands the lowest loss so far, which is the one
    that its line search accepts.
    """
    parameters = tensor(x, device, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [parameters],
        max_iter=steps,
        max_eval=(MAX_TRIALS + 1) * steps + 1,  # PyTorch's own limit is 1.25 for a step
        tolerance_grad=0,
        tolerance_change=0,
        history_size=memory,
        line_search_fn="strong_wolfe",
    )
    mark, elapsed = _clock(parameters.device)
    values, during = [], []

    def closure():
        optimizer.zero_grad()
        value = loss(parameters)
        value.backward()
        values.append(value.detach())
        during.append(optimizer.state[parameters]["n_iter"])
        mark()
        return value

    optimizer.step(closure)
    last = np.flatnonzero(np.diff(during, append=steps + 1))  # evaluation of each step
    lowest = np.minimum.accumulate(_array(torch.stack(values)))
    return Solution(_array(parameters), lowest[last], elapsed()[last])


def _clock(device: torch.device) -> tuple[Callable[[], None], Callable[[], np.ndarray]]:
    """Marks moments; tells the seconds from now until each of them. A GPU is not kept waiting for it."""
    if device.type == "cuda":
        events = []

        def record() -> None:
            events.append(torch.cuda.Event(enable_timing=True))
            events[-1].record()

        def elapsed() -> np.ndarray:
            torch.cuda.synchronize(device)
            return np.array([events[0].elapsed_time(event) for event in events[1:]]) / 1000

        torch.cuda.synchronize(device)
        record()
        return record, elapsed
    moments = [time.perf_counter()]
    return lambda: moments.append(time.perf_counter()), lambda: np.subtract(moments[1:], moments[0])


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
