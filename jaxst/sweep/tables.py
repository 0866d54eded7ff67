"""What a sweep found, as text, CSV, JSON and a page. The report's modules are imported where they are needed: figures
take their time to load, which `import jaxst` need not wait for."""

import csv
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxst import audio, environment
from jaxst.config import options
from jaxst.errors import AudioError, ConfigError
from jaxst.evaluation import optimized_measures
from jaxst.evaluation.measures import BY_KEY, GROUPS, MEASURES, OVERVIEW
from jaxst.evaluation.run import ROWS
from jaxst.excerpts import excerpted
from jaxst.solver import Status
from jaxst.sweep.grid import as_text as option_text
from jaxst.sweep.plan import Lane, Pair, Plan
from jaxst.sweep.store import Outcome, Store

LOSS = "loss"
SHOWN = 20  # lanes on a terminal
# Nothing in a texture depends on them, and its binary has no such flags.
_ABOUT_CONTENT = ("content_weight", "equalization", "start_mix", "residual_gain")
_STATUS = {Status.FINISHED: "complete", Status.STALLED: "converged", Status.DIVERGED: "diverged"}

References = Mapping[str, Mapping[str, float | None]]
"""Measures of what the results of a pair are compared with, by row and key."""


def checked_ranking(rank_by: str | None, plan: Plan, *, evaluate: bool) -> str:
    """The key that lanes are ranked by: default `texture`, or `loss` where that is not measured.

    Raises:
        ConfigError: for a key that there is not, or that has no better side.
    """
    against = {role for pair in plan.pairs for role in _recorded(pair)} if evaluate else set()
    known = [LOSS, *(m.key for m in MEASURES if m.better and GROUPS[m.group].against in against)]
    if rank_by is None:
        return "texture" if "texture" in known else LOSS
    if rank_by not in known:
        raise ConfigError(f"rank_by={rank_by} must be one of {', '.join(known)}")
    return rank_by


def ranked(outcomes: Sequence[Outcome], rank_by: str) -> list[Outcome]:
    """The best first; those without the number last."""
    sign = -1 if rank_by != LOSS and BY_KEY[rank_by].better == "high" else 1

    def place(done: Outcome) -> tuple[bool, float]:
        value = numbers(done).get(rank_by)
        return value is None, 0.0 if value is None else sign * value

    return sorted(outcomes, key=place)


def numbers(done: Outcome) -> dict[str, float | None]:
    """Losses after the last step, `loss` for the total and `style_loss` and so on for the terms, and all measures."""
    losses = {LOSS if name == "total" else f"{name}_{LOSS}": value for name, value in done.losses.items()}
    return losses | dict(done.values)


def row(plan: Plan, done: Outcome) -> dict[str, Any]:
    """All of one lane in one dictionary. What is varied has the option's name; `windows`, which a measure is called,
    too, is `windows_option`."""
    lane = done.lane
    return {
        "lane": lane.name,
        **plan.pairs[lane.pair].texts,
        **{f"{name}_option" if name in BY_KEY else name: value for name, value in _varied(lane).items()},
        "status": _STATUS[done.status],
        "steps_taken": len(done.history["total"]) - 1,
        "seconds": sum(done.timings.values()),
        **numbers(done),
    }


def text(plan: Plan, outcomes: Sequence[Outcome], rank_by: str) -> str:
    """The best lanes for a terminal, given all in their order."""
    from jaxst.report.table import Table, TableGroup, TableRow, as_text, number_text

    keys = [rank_by, *(key for key in (*OVERVIEW, LOSS) if key != rank_by and any(key in numbers(o) for o in outcomes))]
    better = TableRow("better", "", "", [BY_KEY[key].better if key in BY_KEY else "low" for key in keys])

    def line(done: Outcome) -> TableRow:
        name = " ".join([done.lane.name, *pair_text(plan, done.lane.pair), done.lane.text]).rstrip()
        status = "" if done.status.complete else f" ({_STATUS[done.status]})"
        return TableRow(name + status, "", "", [number_text(numbers(done).get(key)) for key in keys])

    rest = len(outcomes) - SHOWN
    return as_text(
        Table(
            f"{len(outcomes)} of {len(plan.lanes)} lanes, the best by {rank_by} first",
            keys,
            [TableGroup("", [better, *map(line, outcomes[:SHOWN])])],
            notes=[f"and {rest} more"] if rest > 0 else [],
        )
    )


def write(
    store: Store,
    plan: Plan,
    outcomes: Sequence[Outcome],
    references: Mapping[int, References],
    *,
    rank_by: str,
    command: str,
) -> None:
    """Write sweep.csv, sweep.json and index.html, given all outcomes in their order.

    Raises:
        OutputError: when the disk refuses.
    """
    rows = [row(plan, done) for done in outcomes]
    columns = list(dict.fromkeys(name for each in rows for name in each))
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    facts = {
        "complete": len(outcomes) == len(plan.lanes),
        "command": command,
        "rank_by": rank_by,
        "plan": store.manifest,
        "measures": {m.key: {"name": m.name, "better": m.better or None, "meaning": m.meaning} for m in MEASURES},
        "lanes": [each | {"command": lane_command(plan, done.lane)} for each, done in zip(rows, outcomes, strict=True)],
        "references": {str(pair): found for pair, found in references.items()},
        "environment": environment.describe(),
    }
    page = _page(store.folder, plan, outcomes, references, rank_by, command)
    contents = {
        "sweep.csv": table.getvalue(),
        "sweep.json": json.dumps(facts, indent=1, allow_nan=False) + "\n",
        "index.html": page,
    }
    for name, content in contents.items():
        audio.write_text(store.folder / name, content)


def lane_command(plan: Plan, lane: Lane) -> str:
    """The command line that runs one lane alone."""
    pair = plan.pairs[lane.pair]
    given = {"method": plan.method, **plan.options, **lane.settings}
    if pair.content is None:
        given = {name: value for name, value in given.items() if name not in _ABOUT_CONTENT}
    flags = {
        "content": pair.texts.get("content"),
        "style": ",".join(f'"{name}"' if "," in name else name for name in pair.names["style"]),  # as lists are parsed
        **{name: option_text(name, value) for name, value in given.items() if value is not None},
        "style_mix": plan.style_mix and ",".join(map(str, plan.style_mix)),
        "sample_rate": plan.sample_rate,
        "duration": plan.duration,
        "output": f"{lane.name}.wav",
    }
    program = "jaxst-texture" if pair.content is None else "jaxst-transfer"
    return shlex.join([program, *(f"--{name}={value}" for name, value in flags.items() if value is not None)])


def _varied(lane: Lane) -> dict[str, int | float | str]:
    return {
        name: value if isinstance(value, int | float) else option_text(name, value)
        for name, value in lane.settings.items()
    }


def _recorded(pair: Pair) -> list[str]:
    """Of what there are recordings to compare results with."""
    content = [] if pair.content is None else ["content"]
    return [*content, "style"] if pair.style_recordings else content


def _page(folder, plan, outcomes, references, rank_by, command):
    from jaxst.report.gallery import Column, Entry, Reference, render_gallery

    roles = list(dict.fromkeys(role for pair in plan.pairs for role in pair.names)) if len(plan.pairs) > 1 else []
    marked = frozenset().union(*(optimized_measures(options(done.lane.config)) for done in outcomes))
    losses = list(dict.fromkeys(key for done in outcomes for key in numbers(done) if key not in BY_KEY))
    known = [key for key in dict.fromkeys([*OVERVIEW, *losses]) if any(key in numbers(done) for done in outcomes)]
    keys = list(dict.fromkeys([rank_by, *known]))

    def column(key: str) -> Column:
        if key in BY_KEY:
            m = BY_KEY[key]
            return Column(key, m.name, m.better, m.meaning, key in marked)
        term = "the sum that was minimized" if key == LOSS else "a term, unweighted"
        return Column(key, key.replace("_", " "), "low", f"After the last step: {term}.", False)

    entries = []
    for done in outcomes:
        texts = plan.pairs[done.lane.pair].texts
        assert isinstance(done.audio, Path), "a sweep with a folder keeps results in files"
        entries.append(
            Entry(
                name=done.lane.name,
                settings={**{role: texts.get(role, "") for role in roles}, **_varied(done.lane)},
                status=_STATUS[done.status],
                values=numbers(done),
                losses=done.history["total"],
                path=done.audio,
                command=lane_command(plan, done.lane),
            )
        )
    notes = [] if len(outcomes) == len(plan.lanes) else [f"{len(outcomes)} of {len(plan.lanes)} lanes are done"]
    return render_gallery(
        title=_title(plan),
        folder=folder,
        entries=entries,
        columns=[column(key) for key in keys],
        ranked_by=rank_by,
        references=[
            Reference(" ".join([ROWS[name], *pair_text(plan, pair)]), values, _clip(plan, pair, name))
            for pair, found in references.items()
            for name, values in found.items()
        ],
        config={**({} if "method" in plan.spaces else {"method": plan.lanes[0].config.method}), **plan.options},
        facts={"lanes": len(plan.lanes), **environment.describe()},
        command=command,
        notes=notes,
    )


def _clip(plan, pair, row):
    """What the row is of, where there is one pair whose recordings a page can hold."""
    from jaxst.report import Clip

    made_of = plan.pairs[pair]
    source = {"content": made_of.content, "style": next(iter(made_of.style_recordings), None)}.get(row)
    if source is None or len(plan.pairs) > 1:
        return None
    try:
        recording = audio.load(excerpted(source) if row == "style" else source)
    except AudioError:  # gone meanwhile
        return None
    return Clip(row, Path(recording.name).name, recording.samples, recording.sample_rate)


def pair_text(plan: Plan, pair: int) -> list[str]:
    """What tells a pair from others."""
    return [" with ".join(_stems(plan.pairs[pair]).values())] if len(plan.pairs) > 1 else []


def _title(plan: Plan) -> str:
    stems = _stems(plan.pairs[0])
    if len(plan.pairs) > 1:
        return f"{len(plan.lanes)} runs with {len(plan.pairs)} pairs"
    return f"{stems.get('content', 'Texture')} in the style of {stems['style']}, {len(plan.lanes)} times"


def _stems(pair: Pair) -> dict[str, str]:
    return {role: " and ".join(Path(name).stem for name in names) for role, names in pair.names.items()}
