"""jaxst-sweep from flags to a folder, whatever ends it in between, on one device and on several processes."""

import csv
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import assert_refused, contents

import jaxst
from jaxst.config import HEARING

# A program that compiles quickly.
OPTIONS = {"windows": "32", "hops": "8", "patch_frames": "3", "optimizer": "adam", "learning_rate": "0.02"}
OPTIONS |= dict.fromkeys(HEARING, "0")
FLAGS = tuple(f"--{name}={value}" for name, value in OPTIONS.items())
FILES = ("--content=tone.wav", "--style=noise.wav", "--output_dir=sweep")
SEEDS = (*FILES, *FLAGS, "--steps=4", "--grid=seed=0:6", "--max_batch=2", "--noevaluate")


def start(folder: Path, environment: dict[str, str], *arguments: str, devices: int = 1) -> subprocess.Popen:
    """The binary in a process of its own."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"  # the last one counts
    return subprocess.Popen(
        [sys.executable, "-m", "jaxst.bin.sweep", *arguments],
        cwd=folder,
        env={**os.environ, **environment, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def final_loss(folder: Path, name: str) -> float:
    """The total after the last step, as the lane's file has it; its audio is whole."""
    facts = json.loads((folder / "sweep" / "lanes" / f"{name}.json").read_text())
    samples, rate = soundfile.read(folder / "sweep" / "lanes" / facts["audio"])
    assert (len(samples), rate) == (4_000, 8_000)
    return facts["history"]["total"][-1]


def single_loss(folder: Path, seed: int, steps: int) -> float:
    """The same of a single run in this process."""
    options = {"windows": (32.0,), "hops": (8.0,), "patch_frames": (3,), "optimizer": "adam", "learning_rate": 0.02}
    deaf = dict.fromkeys(HEARING, 0.0)
    result = jaxst.transfer(folder / "tone.wav", folder / "noise.wav", **options, **deaf, seed=seed, steps=steps)
    return result.history["total"][-1]


def test_a_grid_ends_with_tables_and_a_page(sweep, transfer, folder):
    grid = ("--grid=style_weight=0.5,2", "--grid=steps=3,5", "--noevaluate")
    outcome = sweep(*FILES, *FLAGS, *grid, folder=folder)
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("4 of 4 lanes, the best by loss first")
    assert outcome.out.endswith("sweep/index.html: open it in a browser\n")
    rows = list(csv.DictReader((folder / "sweep" / "sweep.csv").read_text().splitlines()))
    assert {(row["style_weight"], row["steps"]) for row in rows} == {
        ("0.5", "3"),
        ("0.5", "5"),
        ("2.0", "3"),
        ("2.0", "5"),
    }
    ranked = [float(row["loss"]) for row in rows]
    assert ranked == sorted(ranked)
    facts = json.loads((folder / "sweep" / "sweep.json").read_text())
    assert facts["complete"] is True
    assert [row["lane"] for row in facts["lanes"]] == [row["lane"] for row in rows]
    assert "jaxst-sweep --content=tone.wav" in (folder / "sweep" / "index.html").read_text()

    found = json.loads((folder / "sweep" / "lanes" / "3.json").read_text())
    [command] = [row["command"] for row in facts["lanes"] if row["lane"] == "3"]
    program, *arguments = shlex.split(command)
    assert program == "jaxst-transfer"
    alone = transfer(*arguments, "--json=3.json", "--noevaluate", folder=folder)
    assert alone.status == 0, alone.err
    history = json.loads((folder / "3.json").read_text())["history"]
    for name, values in history.items():
        np.testing.assert_allclose(found["history"][name], values, rtol=1e-3, err_msg=name)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(sweep, folder):
    before = contents(folder)
    grid = ("--grid=seed=0:5", "--grid=optimizer=adam,lbfgs", "--max_batch=2", "--dry_run")
    options = [flag for flag in FLAGS if "optimizer" not in flag and "learning_rate" not in flag]
    outcome = sweep("--content=tone.wav", "--style=noise.wav", *options, *grid, folder=folder)
    assert outcome.status == 0, outcome.err
    lines = outcome.out.splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["0", "seed=0", "optimizer=adam"],
        ["1", "seed=0", "optimizer=lbfgs"],
    ]
    groups = [line for line in lines if line.startswith("group of 5 lanes")]
    assert len(groups) == 2
    assert all("2 batches of 4 on 4 cpu, " in line and line.endswith(" MiB on each") for line in groups)
    assert contents(folder) == before


REFUSED = [
    (["--output_dir=sweep", "--grid=seed=0:2"], ["--style"]),
    (["--content=tone.wav", "--style=noise.wav", "--grid=seed=0:2"], ["--output_dir"]),
    ([*FILES, "--grid=sed=0:2"], ["sed", "no such option"]),
    ([*FILES, "--grid=seed"], ["NAME=VALUES"]),
    ([*FILES, "--grid=learning_rate=0.1,1"], ["learning_rate=0.1", "optimizer=adam"]),
    ([*FILES, "--grid=style_weight=1,2", "--style_weight=3"], ["style_weight"]),
    ([*FILES, "--grid=seed=0:2", "--rank_by=beauty"], ["rank_by=beauty", "gram"]),
    ([*FILES, "--grid=seed=0:2", "--max_batch=0"], ["max_batch=0"]),
    ([*FILES, "--grid=seed=0:2", "--random=3"], ["random=3"]),
    ([*FILES, "--grid=content_weight=0,1"], ["content_weight=0", "positive"]),
    ([*FILES, "--grid=seed=0:2", "--process_id=1"], ["coordinator", "num_processes"]),
    (["--pairs=nothing.csv", "--output_dir=sweep"], ["nothing.csv"]),
    ([*FILES, "--pairs=nothing.csv"], ["--pairs"]),
    (["--content=nothing.wav", "--style=noise.wav", "--output_dir=sweep"], ["nothing.wav"]),
    ([*FILES[:2], "--output_dir=tone.wav", "--grid=seed=0:2"], ["tone.wav", "is a file"]),
    ([*FILES[:2], "--output_dir=.", "--grid=seed=0:2"], ["holds other files"]),
    ([*FILES, "--duration=3", "--grid=seed=0:2"], ["duration"]),
]


@pytest.mark.parametrize(("arguments", "mentions"), REFUSED)
def test_a_mistake_is_one_line_and_changes_nothing(sweep, folder, arguments, mentions):
    assert_refused(sweep, arguments, folder, *mentions)


def test_a_kill_loses_no_batch_that_was_done(sweep, folder, environment):
    process = start(folder, environment, *SEEDS)
    wait_for(folder / "sweep" / "lanes" / "1.json", process)
    process.kill()
    process.communicate()
    kept = {name: content for name, content in contents(folder / "sweep" / "lanes").items() if "part" not in name}
    names = sorted({name.split(".")[0] for name in kept if name.endswith(".json")})
    assert {"0", "1"} <= set(names) < set("012345")
    losses = {name: final_loss(folder, name) for name in names}

    outcome = sweep(*SEEDS, folder=folder)
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("6 of 6 lanes")
    assert {name: final_loss(folder, name) for name in names} == losses
    now = contents(folder / "sweep" / "lanes")
    assert {name: now[name] for name in kept} == kept
    assert {name for name in now if not name.endswith(".part")} == {
        f"{n}.{s}" for n in range(6) for s in ("json", "flac")
    }

    changed = [flag for flag in SEEDS if "steps" not in flag]
    assert_refused(sweep, [*changed, "--steps=5"], folder, "another sweep", "steps", "4", "5", "--overwrite")
    again = sweep(*SEEDS, folder=folder)
    assert (again.status, again.out) == (0, outcome.out)


def test_a_full_disk_loses_nothing_that_was_done(sweep, folder):
    with sweep.largest_file(3_000):
        outcome = sweep(*SEEDS, folder=folder)
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1].startswith("error: sweep/")
    assert "cannot be written" in outcome.err.splitlines()[-1]
    done = sweep(*SEEDS, folder=folder)
    assert done.status == 0, done.err
    for seed in range(6):
        assert np.isfinite(final_loss(folder, str(seed)))


def test_two_processes_share_the_work_and_the_death_of_one_is_no_concern_of_the_other(sweep, folder, environment):
    """Two devices each; 12 lanes are dealt in turn, and batches have two."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    many = [*SEEDS[:-3], "--grid=seed=0:12", "--max_batch=2", "--noevaluate"]
    shared = (*many, f"--coordinator={address}", "--num_processes=2")
    first, second = (start(folder, environment, *shared, f"--process_id={index}", devices=2) for index in range(2))
    lanes = folder / "sweep" / "lanes"
    wait_for(lanes / "03.json", second)
    second.kill()
    second.communicate()
    out, err = first.communicate()
    assert first.returncode == 0, err
    present = {int(path.stem) for path in lanes.glob("*.json")}
    assert present >= {0, 2, 4, 6, 8, 10, 1, 3}
    assert "process 0 has done its part: " in out or "12 of 12 lanes" in out
    for seed in sorted(present):
        assert final_loss(folder, f"{seed:02}") == pytest.approx(single_loss(folder, seed, steps=4), rel=1e-3)

    done = sweep(*many, folder=folder)
    assert done.status == 0, done.err
    assert done.out.startswith("12 of 12 lanes")
    assert {int(path.stem) for path in lanes.glob("*.json")} == set(range(12))


def test_ctrl_c_keeps_what_is_done(sweep, folder):
    many = [*SEEDS[:-3], "--grid=seed=0:40", "--max_batch=1", "--noevaluate"]
    with ThreadPoolExecutor() as pool:
        running = pool.submit(sweep, *many, folder=folder)
        wait_for(folder / "sweep" / "lanes" / "00.json", sweep.process)
        sweep.process.send_signal(signal.SIGINT)
        outcome = running.result()
    assert outcome.status == 130
    done = len(list((folder / "sweep" / "lanes").glob("*.json")))
    assert 0 < done < 40
    assert f"interrupted: {done} of 40 lanes are done; the same command does the rest" in outcome.err
    assert f"{done} of 40 lanes are done" in (folder / "sweep" / "index.html").read_text()
