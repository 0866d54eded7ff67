"""Speed of convolutions with frozen filters on this machine: `python -m jaxst.bench.conv`.

Prints milliseconds of value and gradient, alone and per step of a `lax.scan`, for every method. Exits with status 1 if
a gradient takes more than 1.5 times as long in the loop as alone, or what `choose_method` picks more than twice as long
as the fastest. JAX's own gradient of a convolution stands beside them, unjudged.
"""

import math
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxst import environment
from jaxst.bench.timing import interleaved
from jaxst.kernels.conv import choose_method, convolve

STEPS, ROUNDS = 3, 3
LOOP_TARGET, CHOICE_TARGET = 1.5, 2.0
METHODS = ("direct", "product", "fft", "overlap_save", "lax")
# Features and filters. 126 frames are two seconds at 16 kHz with hops of 256.
CASES = [
    ((126, 1025), (11, 1025, 4096)),
    ((126, 257), (11, 257, 512)),
    ((16_000, 1), (256, 1, 32)),
    *(((126, 257, 1), (width, width, 1, 32)) for width in (3, 7, 9, 11, 15, 27)),
    *(((126, 257, 1), (width, width, 1, 128)) for width in (7, 9, 15, 27)),
    *(((126, 257, 16), (width, width, 16, 32)) for width in (3, 9)),
]


def by_lax(x: jax.Array, filters: jax.Array) -> jax.Array:
    """The convolution with JAX's own gradient."""
    axes = "HW"[: x.ndim - 1]
    numbers = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    strides = (1,) * len(axes)
    precision = jax.lax.Precision.HIGHEST
    return jax.lax.conv_general_dilated(
        x[None], filters, strides, "VALID", dimension_numbers=numbers, precision=precision
    )[0]


def fits(method: str, shape: tuple[int, ...]) -> bool:
    """Whether a method needs no gigabytes for filters of this shape."""
    *widths, channels, _ = shape
    if method == "product":
        return len(widths) == 1 or math.prod(widths) * channels <= 1024
    return method not in ("fft", "overlap_save") or channels <= 16


def alone(method: str) -> Callable:
    """Value and gradient of a loss on rectified features."""

    def loss(x, filters):
        y = by_lax(x, filters) if method == "lax" else convolve(x, filters, method=method)
        return jnp.mean(jax.nn.relu(y) ** 2)

    return jax.jit(jax.value_and_grad(loss))


def looped(method: str) -> Callable:
    """`STEPS` steps down that gradient."""
    value_and_gradient = alone(method)

    def descend(x, filters):
        def step(x, _):
            value, gradient = value_and_gradient(x, filters)
            return x - gradient, value

        return jax.lax.scan(step, x, length=STEPS)

    return jax.jit(descend)


def milliseconds(x_shape: tuple[int, ...], shape: tuple[int, ...]) -> dict[str, tuple[float, float]]:
    """Alone and per step of the loop, for every method that fits."""
    x, filters = (jax.random.normal(jax.random.key(seed), size) for seed, size in enumerate((x_shape, shape)))
    methods = [method for method in METHODS if fits(method, shape)]
    compiled = {(method, make): make(method) for method in methods for make in (alone, looped)}
    calls = {f"{method} {make.__name__}": lambda f=f: f(x, filters) for (method, make), f in compiled.items()}
    seconds = interleaved(calls, rounds=ROUNDS)
    return {
        method: (1e3 * seconds[f"{method} alone"].median, 1e3 * seconds[f"{method} looped"].median / STEPS)
        for method in methods
    }


def main() -> int:
    """Print the table; 1 if a target is missed."""
    print(", ".join(f"{name} {value}" for name, value in environment.describe().items()))
    print(f"\nms of value and gradient alone / in a loop (loop's share of alone, target {LOOP_TARGET:g})")
    print(f"{'x':16}{'filters':19}" + "".join(f"{method:24}" for method in METHODS) + "choice")
    missed = 0
    for x_shape, shape in CASES:
        times = milliseconds(x_shape, shape)
        cells = {method: f"{once:.1f} / {loop:.1f} ({loop / once:.2f})" for method, (once, loop) in times.items()}
        del times["lax"]
        slow = [method for method, (once, loop) in times.items() if loop > LOOP_TARGET * once]
        chosen = choose_method(shape)
        excess = times[chosen][1] / min(loop for _, loop in times.values())
        complaints = [f"MISSED {method} in the loop" for method in slow]
        if excess > CHOICE_TARGET:
            complaints.append("MISSED the fastest")
        row = "".join(f"{cells.get(method, '-'):24}" for method in METHODS)
        verdict = ", ".join([f"{chosen}, {excess:.2f} of the fastest", *complaints])
        print(f"{'x'.join(map(str, x_shape)):16}{'x'.join(map(str, shape)):19}{row}{verdict}", flush=True)
        missed += len(complaints)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
