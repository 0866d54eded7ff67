"""What benchmarks find, beside what was hoped for: as Markdown, JSON and charts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Chart

from jaxst.bench.tables import markdown
from jaxst.bench.timing import Timing

OURS = "jaxst"
_MET = {True: "met", False: "MISSED"}


@dataclass(frozen=True)
class Comparison:
    """One computation, here and elsewhere.

    Attributes:
        name: what is computed.
        setting: of what.
        timings: by side, `jaxst` among them.
        compilation: seconds that it took, apart.
        memory: MiB at most, by side, where it was measured.
        targets: how many times the time of `jaxst` a side should take at least.
    """

    name: str
    setting: str
    timings: Mapping[str, Timing]
    compilation: float | None = None
    memory: Mapping[str, float] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratios(self) -> dict[str, float]:
        """Times as fast as each other side."""
        ours = self.timings[OURS].median
        return {side: timing.median / ours for side, timing in self.timings.items() if side != OURS}

    @property
    def missed(self) -> list[str]:
        """Targets that were not reached."""
        ratios = self.ratios
        return [
            f"{self.name}: {ratios[side]:.2f} times as fast as {side}, not {target:g}"
            for side, target in self.targets.items()
            if side in ratios and ratios[side] < target
        ]

    def rows(self) -> list[list[str]]:
        """A line for each side."""
        lines = []
        for side, timing in self.timings.items():
            ours = side == OURS
            ratio = "" if ours else f"{self.ratios[side]:.2f}"
            target = "" if ours or side not in self.targets else f"{self.targets[side]:.3g}"
            verdict = _MET[self.ratios[side] >= self.targets[side]] if target else ""
            compilation = f"{self.compilation:.1f}" if ours and self.compilation is not None else ""
            memory = f"{self.memory[side]:.0f}" if side in self.memory else ""
            name = [self.name, self.setting] if ours else ["", ""]
            spread = f"{_milliseconds(timing.low)} to {_milliseconds(timing.high)}"
            lines.append(
                [*name, side, _milliseconds(timing.median), spread, ratio, target, verdict, compilation, memory]
            )
        return lines


@dataclass(frozen=True)
class Figure:
    """One number.

    Attributes:
        name: what it is.
        value: itself.
        unit: of it.
        most: what it should be at most.
        least: what it should be at least.
    """

    name: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def missed(self) -> list[str]:
        """Its target, if that was not reached."""
        amount = " ".join(filter(None, [f"{self.value:.3g}", self.unit]))
        return [] if self._met is not False else [f"{self.name}: {amount}, not {self._target}"]

    @property
    def _met(self) -> bool | None:
        if self.most is None and self.least is None:
            return None
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    @property
    def _target(self) -> str:
        bounds = (("at most", self.most), ("at least", self.least))
        return ", ".join(f"{kind} {bound:g}" for kind, bound in bounds if bound is not None)

    def row(self) -> list[str]:
        """Its line."""
        return [self.name, f"{self.value:.3g}", self.unit, self._target, "" if self._met is None else _MET[self._met]]


@dataclass(frozen=True)
class Curve:
    """How time grows.

    Attributes:
        name: of what.
        axis: with what.
        places: along it.
        seconds: at each of them, by side.
        fitted_from: the first place that the exponent of growth is fitted to.
        most: what the exponent of `jaxst` should be at most.
    """

    name: str
    axis: str
    places: Sequence[float]
    seconds: Mapping[str, Sequence[float]]
    fitted_from: float = 0.0
    most: float | None = None

    def exponent(self, side: str) -> float:
        """Slope of a line through the logarithms."""
        places, seconds = np.array(self.places), np.array(self.seconds[side])
        used = places >= self.fitted_from
        return float(np.polyfit(np.log(places[used]), np.log(seconds[used]), 1)[0])

    @property
    def missed(self) -> list[str]:
        """The exponent, if it is too large."""
        exponent = self.exponent(OURS)
        far = self.most is not None and exponent > self.most
        return [f"{self.name}: exponent {exponent:.2f}, not at most {self.most:g}"] if far else []

    def markdown(self) -> str:
        """A table with a line for each place, and the exponents."""
        headings = [self.axis, *(f"{side} [s]" for side in self.seconds)]
        lines = [
            [f"{place:g}", *(f"{values[index]:.3g}" for values in self.seconds.values())]
            for index, place in enumerate(self.places)
        ]
        exponents = [f"{side} {self.exponent(side):.2f}" for side in self.seconds]
        target = "" if self.most is None else f" (asked at most {self.most:g}: {_MET[not self.missed]})"
        start = f" from {self.fitted_from:g} on" if self.fitted_from else ""
        return f"### {self.name}\n\n{markdown(headings, lines)}\n\nExponents{start}: {', '.join(exponents)}{target}"


Finding = Comparison | Figure | Curve


def as_markdown(findings: Sequence[Finding]) -> str:
    """All findings of one suite."""
    parts = []
    if rows := [row for finding in findings if isinstance(finding, Comparison) for row in finding.rows()]:
        headings = ["", "of", "side", "median [ms]", "quartiles", "jaxst is faster by", "asked", "", "compiled in [s]"]
        parts.append(markdown([*headings, "peak [MiB]"], rows))
    if rows := [finding.row() for finding in findings if isinstance(finding, Figure)]:
        parts.append(markdown(["", "value", "unit", "asked", ""], rows))
    parts += [finding.markdown() for finding in findings if isinstance(finding, Curve)]
    return "\n\n".join(parts)


def as_json(environment: Mapping[str, str], found: Mapping[str, Sequence[Finding]]) -> str:
    """Environment, and the findings of each suite."""

    def plain(finding: Finding) -> dict[str, Any]:
        extra: dict[str, Any] = {"kind": type(finding).__name__.lower(), "missed": finding.missed}
        if isinstance(finding, Comparison):
            extra["ratios"] = finding.ratios
            extra["timings"] = {side: timing._asdict() for side, timing in finding.timings.items()}
        if isinstance(finding, Curve):
            extra["exponents"] = {side: finding.exponent(side) for side in finding.seconds}
        return asdict(finding) | extra

    suites = {name: [plain(finding) for finding in findings] for name, findings in found.items()}
    return json.dumps({"environment": dict(environment), "suites": suites}, indent=2) + "\n"


def charts(findings: Sequence[Finding], path: Path) -> bool:
    """Draw ratios as bars and growth as lines into one PNG file; false if there is nothing to draw."""
    compared = [finding for finding in findings if isinstance(finding, Comparison) and finding.ratios]
    curves = [finding for finding in findings if isinstance(finding, Curve)]
    if not compared and not curves:
        return False
    bars = [(f"{case.name}: {side}", ratio) for case in compared for side, ratio in case.ratios.items()]
    heights = ([0.3 * len(bars) + 1] if bars else []) + [3.2] * len(curves)
    chart = Chart(figsize=(8, sum(heights)), layout="constrained")
    axes = list(chart.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0])
    if bars:
        plot = axes.pop(0)
        names, ratios = zip(*reversed(bars), strict=True)
        colors = ["#2a6f97" if ratio >= 1 else "#c1121f" for ratio in ratios]
        plot.barh(range(len(ratios)), ratios, log=True, color=colors, tick_label=names)
        plot.bar_label(plot.containers[0], fmt=" %.2g")
        plot.axvline(1, color="black", linewidth=0.8)
        plot.margins(x=0.15)
        plot.set_xlabel("times the time of jaxst")
    for plot, curve in zip(axes, curves, strict=True):
        for side, seconds in curve.seconds.items():
            plot.loglog(curve.places, seconds, "o-", label=f"{side}, exponent {curve.exponent(side):.2f}")
        plot.set(title=curve.name, xlabel=curve.axis, ylabel="seconds")
        plot.legend()
    chart.savefig(path, dpi=110)
    return True


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if seconds < 1 else f"{1e3 * seconds:.0f}"
