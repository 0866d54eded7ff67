"""What is measured: each suite is a function from the baseline's threads and device to findings."""

from collections.abc import Callable, Iterator, Mapping

from jaxst.bench.findings import Finding
from jaxst.bench.suites import kernels, losses, scaling, sweeps, transfers

SUITES: Mapping[str, Callable[[int, str | None], Iterator[Finding]]] = {
    "kernels": kernels.run,
    "losses": losses.run,
    "transfer": transfers.run,
    "sweep": sweeps.run,
    "scaling": scaling.run,
}
