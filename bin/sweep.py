"""jaxst-sweep: many transfers or textures with different options, as one program."""

import sys
from pathlib import Path

import jax
from absl import flags

from jaxst import environment
from jaxst.bin import command, job, style_flags
from jaxst.bin import flags as shared
from jaxst.errors import ConfigError
from jaxst.methods import METHODS
from jaxst.sweep import hosts
from jaxst.sweep.grid import parse_grid
from jaxst.sweep.plan import Plan, make_plan, read_pairs
from jaxst.sweep.run import describe
from jaxst.sweep.run import run as run_plan

CONTENT = flags.DEFINE_string("content", None, "Recording to keep the content of. Default: none, texture synthesis.")
OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for results, tables and the page; what it holds of the same sweep is not done again."
)
GRID = flags.DEFINE_multi_string(
    "grid",
    [],
    "Option to vary and its values: NAME=1,2,3 or NAME=log:LOW:HIGH:COUNT, lin:LOW:HIGH:COUNT, for whole numbers "
    "FIRST:STOP; lists, such as windows, are separated by slashes. Once for each option.",
)
RANDOM = flags.DEFINE_integer("random", None, "Combinations to draw at random, instead of the whole grid.")
SAMPLE_SEED = flags.DEFINE_integer("sample_seed", 0, "Seed of the drawing.")
PAIRS = flags.DEFINE_string(
    "pairs",
    None,
    "CSV file with columns content and style, in place of --content and --style: the grid is run with each line. "
    "Several styles by semicolons; an empty content for texture synthesis.",
)
SAMPLE_RATE = flags.DEFINE_integer(
    "sample_rate", None, "Rate in Hz of processing and of the results. Default: that of the first recording."
)
DURATION = flags.DEFINE_float("duration", None, "Seconds of texture to synthesize. Default: as long as the style.")
RANK_BY = flags.DEFINE_string(
    "rank_by", None, "Measure to rank by, such as texture, gram, onsets, or loss. Default: texture."
)
EVALUATE = flags.DEFINE_bool("evaluate", True, "Measure every result as jaxst-evaluate does.")
MAX_BATCH = flags.DEFINE_integer(
    "max_batch", None, "The most runs at once. Default: what fits in memory; on CPUs at most 8 for each device."
)
DRY_RUN = flags.DEFINE_bool("dry_run", False, "Say what would be run, in which batches and with how much memory.")
COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "Address of the first of several processes, HOST:PORT. Default: what the cluster tells JAX."
)
NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many processes there are.")
PROCESS_ID = flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.")
OPTIONS = style_flags.define(METHODS["arccos"].transfer)

USAGE = """Run a grid of options, many runs as one program, and end with a page to listen and compare.

  jaxst-sweep --content=guitar.wav --style=rain.wav --output_dir=sweep --grid=style_weight=0.1,1,10 --grid=seed=0:4

The same command again does what is missing, after whatever ended it."""


def main() -> int:
    """Flags to a folder; returns the exit status."""
    if not OUTPUT_DIR.value and not DRY_RUN.value:
        raise ConfigError("--output_dir is missing; name the folder for the results")
    hosts.connect(COORDINATOR.value, NUM_PROCESSES.value, PROCESS_ID.value)
    environment.enable_compilation_cache()
    plan = _plan()
    if DRY_RUN.value:
        print(describe(plan, max_batch=MAX_BATCH.value))
        return 0
    folder = Path(OUTPUT_DIR.value or "")
    with job.progress_bar(shown=hosts.is_first()) as on_progress:
        found = run_plan(
            plan,
            folder=folder,
            rank_by=RANK_BY.value,
            evaluate=EVALUATE.value,
            max_batch=MAX_BATCH.value,
            overwrite=shared.OVERWRITE.value,
            on_progress=on_progress,
            command=job.command_line(),
        )
    count = f"{len(found.outcomes)} of {len(plan.lanes)} lanes are done"
    if found.complete:
        print(f"{found}\n{folder / 'index.html'}: open it in a browser")
        return 0
    if found.stopped:
        print(f"interrupted: {count}; the same command does the rest", file=sys.stderr)
        return command.INTERRUPTED
    print(f"process {jax.process_index()} has done its part: {count}; the last process to end writes the page")
    return 0


def _plan() -> Plan:
    if PAIRS.value:
        if CONTENT.value or style_flags.STYLE.value:
            raise ConfigError("--pairs names contents and styles; leave out --content and --style")
        pairs = read_pairs(PAIRS.value)
    else:
        pairs = [(CONTENT.value or None, style_flags.names())]
    options = style_flags.options(OPTIONS)
    return make_plan(
        pairs,
        parse_grid(GRID.value),
        random=RANDOM.value,
        sample_seed=SAMPLE_SEED.value,
        method=options.pop("method"),
        style_mix=options.pop("style_mix"),
        sample_rate=SAMPLE_RATE.value,
        duration=DURATION.value,
        options=options,
    )


def run() -> None:
    """Entry point of the console script."""
    command.run(main, USAGE, modules=(__name__, style_flags.__name__), listing=style_flags.methods)


if __name__ == "__main__":
    run()
