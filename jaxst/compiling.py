"""How programs are compiled that run once for each recording: in less time, not for speed."""

from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxlib.version import __version_info__ as jaxlib_version

_Function = TypeVar("_Function", bound=Callable[..., Any])


def jit_quickly(*, static_argnames: str | Sequence[str] = (), level: int = 0) -> Callable[[_Function], _Function]:
    """`jax.jit` for what takes longer to compile than to run, on CPUs; elsewhere there is no difference.

    What is learned of a style takes a quarter of the time to compile with level 0, and one to three times as long to
    run; with level 1 half of the time, and as long to run. Part of another program it is compiled as that is.

    Args:
        static_argnames: as for `jax.jit`.
        level: of LLVM's optimizations, 0 to 3.
    """

    def decorate(function: _Function) -> _Function:
        plain = jax.jit(function, static_argnames=static_argnames)

        @cache  # at the first call: asking for the backend before would choose one
        def quick():
            return jax.jit(function, static_argnames=static_argnames, compiler_options=_options(level))

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            here = jnp.zeros(())  # traced where all is, whatever the arguments are
            traced = any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((here, args, kwargs)))
            return (plain if traced else quick())(*args, **kwargs)

        return cast(_Function, call)

    return decorate


def _options(level: int) -> dict[str, bool | int | str]:
    if jax.default_backend() != "cpu":
        return {}
    options: dict[str, bool | int | str] = {"xla_backend_optimization_level": level}
    if jaxlib_version < (0, 11, 1):  # the older emitters; 0.11.1 drops them and the option
        options["xla_cpu_use_fusion_emitters"] = False
    return options
