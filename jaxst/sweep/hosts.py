"""Several processes, on one host or many, that work on one sweep in one folder.

They meet once, to agree on what is to be done, and part: from there on none needs another, and the end of one is no
concern of the others. Whoever finds all lanes done at its end writes the page.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxst.errors import ConfigError, JaxstError, ResourceError

PATIENCE = 300  # seconds to wait for the other processes
Item = TypeVar("Item")


def connect(coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None) -> None:
    """Join the other processes, if there are any. To be called before anything else is asked of JAX.

    Args:
        coordinator: address of the first process, `host:port`; default what the cluster tells JAX (Slurm, Kubernetes,
            Open MPI, Cloud TPU), and without one there is this process alone.
        num_processes: how many there are.
        process_id: which one this is.

    Raises:
        ConfigError: if only some of them are given, or they disagree.
        ResourceError: if that fails. (Where another process does not come, JAX ends this one after five minutes.)
    """
    given = (coordinator, num_processes, process_id)
    if any(value is not None for value in given) and None in given:
        raise ConfigError("coordinator, num_processes and process_id belong together; give all of them, or none")
    if coordinator is not None and not (num_processes and 0 <= (process_id or 0) < num_processes):
        raise ConfigError(
            f"process_id={process_id} must be from 0 to num_processes - 1, with num_processes={num_processes}"
        )
    jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM
    try:
        jax.distributed.initialize(coordinator, num_processes, process_id, initialization_timeout=PATIENCE)
    except ValueError as error:
        if coordinator is not None or "JAX_COORDINATOR_ADDRESS" in os.environ:
            raise ConfigError(f"the processes cannot be joined: {error}") from error
        return  # no cluster that JAX knows
    except RuntimeError as error:
        if coordinator is None and "before any JAX calls" in str(error):  # JAX is at work already, here alone
            return
        raise ResourceError(f"the processes cannot be joined: {error}") from error
    if not alone():
        # Processes compile programs of their own: what is tuned for all together would wait for ever.
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_shard_autotuning=false".strip()
        multihost_utils.sync_global_devices("start")  # opens connections while all are there: later ones may wait


def alone() -> bool:
    """Whether this is the only process."""
    return jax.process_count() == 1


def is_first() -> bool:
    """Whether this is the process that shows its progress."""
    return jax.process_index() == 0


def dealt(items: Sequence[Item], choose: Callable[[], Sequence[bool]], agreed: Mapping[str, Any]) -> list[Item]:
    """This process's share of the items to do, which are dealt one by one.

    Args:
        items: the same in all processes.
        choose: tells which are to do; called in the first process alone.
        agreed: what all processes must have been given alike, as JSON holds it.

    Raises:
        ConfigError: if they were not.
        JaxstError: what `choose` raises in the first process; another one in the others.
    """
    chosen = np.array(choose(), bool) if alone() else _shared(len(items), choose, agreed)
    todo = [item for item, is_chosen in zip(items, chosen, strict=True) if is_chosen]
    return todo[jax.process_index() :: jax.process_count()]


def _shared(count: int, choose: Callable[[], Sequence[bool]], agreed: Mapping[str, Any]) -> np.ndarray:
    """What the first process chose, in all of them, after which they are no longer connected."""
    failure, chosen = None, np.zeros(count, np.int32)
    if is_first():
        try:
            chosen = np.array(choose(), np.int32)
        except Exception as error:  # the others must hear of it, whatever it is
            failure, chosen = error, np.full(count, -1, np.int32)
    digest = hashlib.sha256(json.dumps(agreed, sort_keys=True).encode()).digest()
    digests = np.asarray(multihost_utils.process_allgather(np.frombuffer(digest, np.uint8).astype(np.int32)))
    chosen = np.asarray(multihost_utils.broadcast_one_to_all(chosen))
    jax.distributed.shutdown()
    if failure is not None:
        raise failure
    if (digests != digests[:1]).any():
        raise ConfigError("processes were given different sweeps; give all of them the same flags and files")
    if (chosen < 0).any():
        raise JaxstError("the first process could not begin; its message says why")
    return chosen.astype(bool)
