"""The job: a grid of configurations in, and for each of them a result, kept and measured as soon as it is there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from jaxst import audio
from jaxst.audio import Recording, Source
from jaxst.chunks import cut_up
from jaxst.config import Config
from jaxst.errors import AudioError, ConfigError, InterruptionError
from jaxst.evaluation import MEASURES, Comparison, compare_with
from jaxst.excerpts import excerpted
from jaxst.lanes import batches
from jaxst.solver import OnProgress, Progress
from jaxst.style import Style
from jaxst.sweep import hosts, tables
from jaxst.sweep.grid import as_spaces
from jaxst.sweep.plan import Lane, Pair, Plan, make_plan
from jaxst.sweep.store import Outcome, Store, open_store, unevaluated
from jaxst.task import Task, analysis_key, texture_task, transfer_task
from jaxst.transfer import run_task


@dataclass(frozen=True)
class Sweep:
    """What a sweep found.

    Attributes:
        plan: what it was to do.
        outcomes: of the lanes that are done, in the plan's order.
        references: measures of what results are compared with, by place of the pair, row and key.
        rank_by: key of the measure that orders lanes, or `loss`.
        complete: whether every lane is done and, if wanted, measured.
        stopped: whether the sweep was ended before.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...]
    references: Mapping[int, tables.References]
    rank_by: str
    complete: bool
    stopped: bool

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """A flat dictionary for each lane, the best first, such as data frames are made of."""
        return [tables.row(self.plan, done) for done in self.ranked]

    @cached_property
    def ranked(self) -> list[Outcome]:
        """The best first; those without the number last."""
        return tables.ranked(self.outcomes, self.rank_by)

    def __str__(self) -> str:
        return tables.text(self.plan, self.ranked, self.rank_by)


def sweep(
    content: Source | None,
    style: Source | Sequence[Source] | Style,
    grid: Mapping[str, Any],
    *,
    output_dir: str | Path | None = None,
    random: int | None = None,
    sample_seed: int = 0,
    method: str | None = None,
    style_mix: Sequence[float] | None = None,
    sample_rate: int | None = None,
    duration: float | None = None,
    rank_by: str | None = None,
    evaluate: bool = True,
    max_batch: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Sweep:
    """Run a transfer, or a texture synthesis, with every combination of some options: many runs as one program.

    Args:
        content: as for `jaxst.transfer`; `None` for texture synthesis.
        style: as for `jaxst.transfer`.
        grid: values of each option to vary, as lists or as text: `{"style_weight": [0.1, 1, 10], "seed": range(4),
            "learning_rate": "log:1e-4:1e-1:7", "method": ["arccos", "ulyanov"]}`.
        output_dir: folder for results, tables and a page to listen; what it holds of the same sweep is not done again.
            Default none: results stay in memory.
        random: number of combinations to draw from the space that the grid spans; default the whole grid.
        sample_seed: of the drawing.
        method, style_mix, sample_rate, options: for all runs, as for `jaxst.transfer`.
        duration: of textures, as for `jaxst.texture`.
        rank_by: key of a measure (see `jaxst.evaluate`), or `loss`; default `texture`, or `loss` without evaluation.
        evaluate: whether results are measured.
        max_batch: the most runs at once; default what fits in memory, on CPUs at most 8 for each device.
        overwrite: whether another sweep in the folder is replaced.
        on_progress: called about twice a second; returning true ends the sweep with the batches that are done.

    Raises:
        AudioError: for a recording that cannot be used.
        ConfigError: for an option with a value that it cannot have.
        OutputError: for a folder that holds something else or cannot be written to.
        ResourceError: if not even one run fits in memory.
    """
    plan = make_plan(
        [(content, style)],
        as_spaces(grid),
        random=random,
        sample_seed=sample_seed,
        method=method,
        style_mix=style_mix,
        sample_rate=sample_rate,
        duration=duration,
        options=options,
    )
    return run(
        plan,
        folder=None if output_dir is None else Path(output_dir),
        rank_by=rank_by,
        evaluate=evaluate,
        max_batch=max_batch,
        overwrite=overwrite,
        on_progress=on_progress,
    )


def run(
    plan: Plan,
    *,
    folder: Path | None,
    rank_by: str | None = None,
    evaluate: bool = True,
    max_batch: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
    command: str = "",
) -> Sweep:
    """Do what is missing of a sweep.

    Args:
        plan: the sweep.
        folder: for results; default none.
        command: that runs it, for the page.
        rank_by, evaluate, max_batch, overwrite, on_progress, Raises: as for `sweep`.
    """
    rank_by = tables.checked_ranking(rank_by, plan, evaluate=evaluate)
    if max_batch is not None and max_batch < 1:
        raise ConfigError(f"max_batch={max_batch} must be a positive whole number")
    for source in chain(plan.contents, map(excerpted, plan.styles)):
        audio.load(source, plan.sample_rate)  # what cannot be used is refused before anything is written
    open_folder = partial(open_store, folder, plan.manifest) if folder is not None else lambda **_: None
    is_missing = partial(_is_missing, evaluate=evaluate)
    load = lru_cache(maxsize=1)(lambda place: _load(plan, plan.pairs[place]))
    compare = lru_cache(maxsize=1)(lambda place: _comparison(load(place)))
    done: dict[str, Outcome] = {}

    def choose() -> list[bool]:
        done.update(_kept(plan, open_folder(overwrite=overwrite)))
        return [is_missing(done.get(lane.name)) for lane in plan.lanes]

    mine = hosts.dealt(plan.lanes, choose, plan.manifest)
    store = open_folder()
    keep = _unchanged if store is None else store.write
    if not hosts.is_first():
        done |= _kept(plan, store)
    waiting = [lane for lane in mine if lane.name not in done]
    for place in sorted({lane.pair for lane in waiting})[1:]:  # what cannot be analyzed is refused before the first run
        prepare(plan, load(place), [lane for lane in waiting if lane.pair == place])
    tracker = batches.Tracker(on_progress, sum(lane.config.steps for lane in waiting))
    for place in range(len(plan.pairs)):
        here = [lane for lane in mine if lane.pair == place]
        if not here:
            continue
        measure = _measuring(partial(compare, place)) if evaluate else _unchanged
        for lane in here:
            if lane.name in done:
                done[lane.name] = keep(measure(done[lane.name]))
        todo = [lane for lane in waiting if lane.pair == place]
        for batch in _batches(plan, load(place), todo, max_batch, tracker):
            for outcome in list(map(keep, batch)):  # all are safe before the first is measured
                done[outcome.lane.name] = keep(measure(outcome)) if evaluate else outcome
        if tracker.stopped:
            break
    done |= {} if hosts.alone() else _kept(plan, store)  # what the others did meanwhile
    outcomes = tuple(done[lane.name] for lane in plan.lanes if lane.name in done)
    complete = not any(is_missing(done.get(lane.name)) for lane in plan.lanes)
    if not complete and not hosts.alone():
        return Sweep(plan, outcomes, {}, rank_by, complete, tracker.stopped)
    references = _references(plan, outcomes, store, compare) if evaluate else {}
    if store is not None and outcomes:
        tables.write(store, plan, tables.ranked(outcomes, rank_by), references, rank_by=rank_by, command=command)
    return Sweep(plan, outcomes, references, rank_by, complete, tracker.stopped)


def _kept(plan: Plan, store: Store | None) -> dict[str, Outcome]:
    """What the folder holds of each lane, by name."""
    found = [] if store is None else [outcome for lane in plan.lanes if (outcome := store.read(lane)) is not None]
    return {outcome.lane.name: outcome for outcome in found}


def _is_missing(done: Outcome | None, *, evaluate: bool) -> bool:
    """Whether a lane, or what is measured of it, is to be done."""
    return done is None or (evaluate and not done.values)


def _references(
    plan: Plan, outcomes: Sequence[Outcome], store: Store | None, compare: Callable[[int], Comparison]
) -> dict[int, tables.References]:
    """Of each pair whose first lane is done: references are as long and as loud as its result."""
    known = {} if store is None else store.read_references()
    found: dict[int, tables.References] = {}
    for place in range(len(plan.pairs)):
        first = next(lane for lane in plan.lanes if lane.pair == place)
        done = next((outcome for outcome in outcomes if outcome.lane is first), None)
        if done is None:
            continue
        if str(place) not in known:
            try:
                rows = compare(place).references(done.load(), seed=0).rows
            except AudioError:  # lanes say why
                continue
            known[str(place)] = {
                name: {key: value.value for key, value in values.items()} for name, values in rows.items()
            }
            if store is not None:
                store.write_references(known)
        found[place] = known[str(place)]
    return found


class _Loaded(NamedTuple):
    """A pair's recordings, at one rate; long styles in excerpts."""

    content: Recording | None
    style: list[Recording] | Style

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        if self.content is not None:
            return self.content.sample_rate
        return self.style.sample_rate if isinstance(self.style, Style) else self.style[0].sample_rate


def _load(plan: Plan, pair: Pair) -> _Loaded:
    content = None if pair.content is None else audio.load(pair.content, plan.sample_rate)
    if isinstance(pair.style, Style):
        return _Loaded(content, pair.style)
    styles = map(excerpted, pair.style)
    first = audio.load(next(styles), plan.sample_rate if content is None else content.sample_rate)
    return _Loaded(content, [first, *(audio.load(style, first.sample_rate) for style in styles)])


def prepare(plan: Plan, loaded: _Loaded, here: Sequence[Lane]) -> list[Task]:
    """A task for each lane of a pair; what does not depend on what is varied is the same one."""
    content, style = loaded
    shared: dict[Config, Task] = {}
    for lane in here:
        if (key := analysis_key(lane.config)) in shared:
            continue
        if content is None:
            made = texture_task(
                lane.config, style, duration=plan.duration, style_mix=plan.style_mix, sample_rate=plan.sample_rate
            )
        else:
            made = transfer_task(lane.config, content, style, style_mix=plan.style_mix, sample_rate=plan.sample_rate)
        shared[key] = made
    return [replace(shared[analysis_key(lane.config)], config=lane.config) for lane in here]


def _batches(
    plan: Plan, loaded: _Loaded, here: Sequence[Lane], max_batch: int | None, tracker: batches.Tracker
) -> Iterator[list[Outcome]]:
    """Run lanes of a pair, group by group."""
    for members, group in _groups(plan, loaded, here):
        if cut_up(group[0]) is not None:
            yield from _long(members, group, tracker)
            continue
        for batch in batches.solve_group(group, batches.device_mesh(), limit=max_batch, on_progress=tracker):
            yield [unevaluated(members[place], result) for place, result in batch]
        tracker.done += sum(task.config.steps for task in group)
        if tracker.stopped:
            return


def _long(members: Sequence[Lane], group: Sequence[Task], tracker: batches.Tracker) -> Iterator[list[Outcome]]:
    """Run lanes one after another, each in chunks."""
    for lane, task in zip(members, group, strict=True):

        def announce(progress: Progress, steps: int = task.config.steps) -> bool:
            return tracker(replace(progress, step=progress.step * steps // max(progress.steps, 1)))

        try:
            result = run_task(task, announce)
        except InterruptionError:
            return
        if tracker.stopped:
            return
        yield [unevaluated(lane, result)]
        tracker.done += task.config.steps


def _groups(plan: Plan, loaded: _Loaded, here: Sequence[Lane]) -> list[tuple[list[Lane], list[Task]]]:
    """Lanes of a pair that share a program, with their tasks."""
    tasks = prepare(plan, loaded, here)
    return [([here[i] for i in places], [tasks[i] for i in places]) for places in batches.group(tasks)]


def describe(plan: Plan, *, max_batch: int | None = None) -> str:
    """What a sweep would do, in lines: its lanes, the groups that share a program, batches, and the memory that a
    batch needs, for which programs are compiled."""
    lines = [f"{lane.name}  {' '.join(tables.pair_text(plan, lane.pair))} {lane.text}".rstrip() for lane in plan.lanes]
    mesh = batches.device_mesh()
    for place, pair in enumerate(plan.pairs):
        here = [lane for lane in plan.lanes if lane.pair == place]
        for members, group in _groups(plan, _load(plan, pair), here):
            if (how := cut_up(group[0])) is not None:
                lines.append(f"{len(group)} lanes of {len(how.starts)} chunks each, one lane after another")
                continue
            program = batches.fitting_program(group, batches.batch_size(len(group), mesh, max_batch), mesh)
            names = ", ".join([*(lane.name for lane in members[:3]), *(["..."] if len(members) > 3 else [])])
            lines.append(
                f"group of {len(group)} lanes ({names}): {-(-len(group) // program.size)} batches of {program.size} "
                f"on {mesh.size} {mesh.devices.flat[0].device_kind}, {program.bytes / 2**20:.0f} MiB on each"
            )
    return "\n".join(lines)


def _measuring(compare: Callable[[], Comparison]) -> Callable[[Outcome], Outcome]:
    """What adds measures to an outcome, or the reason why there are none."""

    def unmeasured(done: Outcome, error: AudioError) -> Outcome:
        return replace(done, values=dict.fromkeys(m.key for m in MEASURES), reasons={"all": str(error)})

    try:
        comparison = compare()
    except AudioError as error:  # such as a style that is too short to be measured
        return partial(unmeasured, error=error)

    def measured(done: Outcome) -> Outcome:
        try:
            found = comparison.measure(done.load())
        except AudioError as error:
            return unmeasured(done, error)
        values = {key: value.value for key, value in found.items()}
        return replace(done, values=values, reasons={key: v.reason for key, v in found.items() if v.reason})

    return measured


def _comparison(loaded: _Loaded) -> Comparison:
    style = None if isinstance(loaded.style, Style) else loaded.style
    return compare_with(style=style, content=loaded.content, sample_rate=loaded.sample_rate)


def _unchanged(done: Outcome) -> Outcome:
    return done
