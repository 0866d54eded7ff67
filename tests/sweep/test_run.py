"""Sweeps from a grid to a folder: a lane is the single run, and whatever ends a sweep, the same call does the rest."""

import csv
import errno
import json
import os
import resource
import shlex
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile
from commands import contents
from jax.sharding import Mesh

import jaxst
from jaxst import audio
from jaxst.config import HEARING, OPTIONS
from jaxst.errors import AudioError, ConfigError, OutputError
from jaxst.evaluation import MEASURES, Comparison
from jaxst.lanes import batches
from jaxst.lanes.program import LANES
from jaxst.options import parsed
from jaxst.solver import Status
from jaxst.sweep import tables
from jaxst.sweep.grid import as_spaces
from jaxst.sweep.plan import make_plan, read_pairs
from jaxst.sweep.run import describe, run, sweep

# Compiles quickly. Six lanes in two batches of three, which all sweeps here have: one program serves most of them.
SMALL = {"windows": (32.0,), "hops": (8.0,), "patch_frames": (3,), **dict.fromkeys(HEARING, 0.0)}
STEPS = 6
GIVEN = {**SMALL, "optimizer": "adam", "learning_rate": 0.02, "steps": STEPS}
GRID = {"style_weight": [0.3, 3.0], "seed": range(3)}
LIMIT = {"max_batch": 3, "rank_by": "timbre"}
ALL = ["0", "1", "2", "3", "4", "5"]


@pytest.fixture(scope="module", autouse=True)
def quick():
    """One device, measures that are quick, and every program compiled once."""
    programs, compile_program = {}, batches.compile_program

    def compiled(task, inputs, like, mesh, **how):
        shapes = tuple(jax.typeof(leaf) for leaf in jax.tree.leaves(inputs))
        key = (jax.tree.structure((task.program, like)), task.tapered, shapes, mesh, *how.items())
        if key not in programs:
            programs[key] = compile_program(task, inputs, like, mesh, **how)
        return programs[key]

    with pytest.MonkeyPatch.context() as patch:
        measures = [m for m in MEASURES if m.key in ("timbre", "onsets", "snr", "crest")]
        patch.setattr("jaxst.evaluation.run.MEASURES", measures)
        patch.setattr(batches, "device_mesh", lambda: Mesh(np.array(jax.devices()[:1]), (LANES,)))
        patch.setattr(batches, "compile_program", compiled)
        yield


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """A folder with recordings of half a second."""
    folder = tmp_path_factory.mktemp("clips")
    for name in ("guitar", "water", "tabla"):
        recording = audio.resample(jaxst.read(jaxst.example(name)), 8_000)
        audio.write(folder / f"{name}.wav", jaxst.Recording(recording.samples[:1, :4_000], 8_000))
    return folder


@pytest.fixture
def go(clips):
    """A sweep with the guitar and the water, but for what is given."""

    def go(output_dir=None, *, content="guitar.wav", style="water.wav", grid=None, **options):
        content = clips / content if isinstance(content, str) else content
        style = clips / style if isinstance(style, str) else style
        return sweep(content, style, grid or GRID, output_dir=output_dir, **{**GIVEN, **LIMIT, **options})

    return go


@pytest.fixture(scope="module")
def whole(clips, tmp_path_factory):
    """A sweep that is done: what it found, its folder, and what was there as it went on."""
    folder, seen = tmp_path_factory.mktemp("whole") / "sweep", []
    found = sweep(
        *(clips / "guitar.wav", clips / "water.wav", GRID),
        output_dir=folder,
        on_progress=lambda progress: seen.append((progress, contents(folder).keys())),
        **GIVEN,
        **LIMIT,
    )
    return found, folder, seen


@pytest.fixture
def done(whole, tmp_path) -> Path:
    """A folder with that sweep, to do harm to."""
    return shutil.copytree(whole[1], tmp_path / "sweep")


@pytest.fixture
def solved(monkeypatch) -> list[tuple]:
    """Style weight and seed of all that is solved."""
    runs, solve_batch = [], batches.solve_batch

    def record(program, batch, *rest):
        runs.extend((task.config.style_weight, task.config.seed) for task in batch)
        return solve_batch(program, batch, *rest)

    monkeypatch.setattr(batches, "solve_batch", record)
    return runs


SETTINGS = [(weight, seed) for weight in GRID["style_weight"] for seed in GRID["seed"]]


def losses(found):
    return [[done.losses[name] for name in ("total", "style", "content")] for done in found.outcomes]


def assert_whole(found, whole, folder):
    """All lanes, with the results of the sweep that nothing ended."""
    assert found.complete
    assert not found.stopped
    assert [done.lane.name for done in found.outcomes] == ALL
    np.testing.assert_allclose(losses(found), losses(whole[0]), rtol=1e-5)
    for one, other in zip(found.outcomes, whole[0].outcomes, strict=True):
        np.testing.assert_allclose(one.load().samples, other.load().samples, atol=1e-5)
        assert one.values == pytest.approx(other.values, rel=1e-3)
    assert contents(folder).keys() == contents(whole[1]).keys()


def test_a_sweep_leaves_a_folder(whole):
    found, folder, _ = whole
    files = [f"lanes/{name}.{suffix}" for name in ALL for suffix in ("flac", "json")]
    tables = ["index.html", "manifest.json", "references.json", "sweep.csv", "sweep.json"]
    assert sorted(contents(folder)) == sorted([*files, "lanes", *tables])
    assert found.complete
    assert not found.stopped
    assert [(done.lane.settings["style_weight"], done.lane.settings["seed"]) for done in found.outcomes] == SETTINGS
    for done in found.outcomes:
        assert done.status == Status.FINISHED
        assert done.audio == folder / "lanes" / f"{done.lane.name}.flac"
        assert (done.load().sample_rate, done.load().samples.shape) == (8_000, (1, 4_000))
        assert {name: len(values) for name, values in done.history.items()} == dict.fromkeys(done.history, STEPS + 1)
    assert len({done.audio.read_bytes() for done in found.outcomes}) == 6
    assert [len(set(column)) for column in zip(*losses(found), strict=True)] == [6, 6, 6]


def test_progress_is_that_of_all_lanes_together(whole):
    steps = [progress.step for progress, _ in whole[2]]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0, 6 * STEPS)
    assert {progress.steps for progress, _ in whole[2]} == {6 * STEPS}


def test_results_are_on_disk_as_soon_as_their_batch_ends(whole):
    first = {f"lanes/{name}.{suffix}" for name in "012" for suffix in ("flac", "json")}
    during, after = ([names for p, names in whole[2] if sign * (p.step - 3 * STEPS) > 0] for sign in (-1, 1))
    assert during
    assert after
    for names in during:
        assert set(names) == {"manifest.json", "lanes"}
    for names in after:
        assert set(names) == {"manifest.json", "lanes"} | first


def test_tables_are_of_the_lanes_best_first(whole):
    found, folder, _ = whole
    lanes = {path.stem: json.loads(path.read_text()) for path in (folder / "lanes").glob("*.json")}
    facts = json.loads((folder / "sweep.json").read_text())
    with open(folder / "sweep.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["lane"] for row in rows]
    timbres = [lanes[name]["values"]["timbre"] for name in names]
    assert timbres == sorted(timbres)
    assert sorted(names) == ALL
    commands = [tables.lane_command(found.plan, done.lane) for done in found.ranked]
    assert facts["lanes"] == [row | {"command": text} for row, text in zip(found.rows, commands, strict=True)]
    for row, line in zip(found.rows, rows, strict=True):
        lane = lanes[row["lane"]]
        assert {key: row[key] for key in ("style_weight", "seed")} == lane["settings"]
        assert {key: row[key] for key in lane["values"]} == lane["values"]
        assert row["loss"] == lane["history"]["total"][-1]
        assert {key: "" if value is None else str(value) for key, value in row.items()} == line
    assert [line.split()[0] for line in str(found).splitlines()[3:]] == names
    assert [done.lane.name for done in found.ranked] == names


def test_measures_are_those_of_an_evaluation(whole, clips):
    found, folder, _ = whole
    for place in (0, 4):
        path = folder / "lanes" / f"{place}.flac"
        alone = jaxst.evaluate(path, style=clips / "water.wav", content=clips / "guitar.wav")
        rows = {name: {key: v.value for key, v in row.items()} for name, row in alone.rows.items()}
        assert found.outcomes[place].values == pytest.approx(rows.pop("output"), rel=1e-6)
        assert found.outcomes[place].reasons == {k: v.reason for k, v in alone.rows["output"].items() if v.reason}
        if place == 0:
            assert found.references == {0: {name: pytest.approx(row, rel=1e-6) for name, row in rows.items()}}


def alone(command):
    """What a lane's command does, as its binary does it; and what it names as output."""
    program, *flags = shlex.split(command)
    given = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    assert given.pop("output").endswith(".wav")
    style, content = given.pop("style").split(","), given.pop("content", None)
    own = {"method": str, "duration": float, "sample_rate": int}
    options = {name: own[name](text) if name in own else parsed(OPTIONS, name, text) for name, text in given.items()}
    if program == "jaxst-texture":
        assert content is None
        return jaxst.texture(style, **options)
    assert program == "jaxst-transfer"
    return jaxst.transfer(content, style, **options)


def assert_alone(found, place):
    """A lane is what its command makes."""
    done = found.outcomes[place]
    single = alone(tables.lane_command(found.plan, done.lane))
    assert single.config == done.lane.config
    for name, values in single.history.items():
        assert done.losses[name] == pytest.approx(values[-1], rel=1e-3, abs=1e-3 * float(values[0]))
    assert done.losses["total"] == pytest.approx(single.history["total"][-1], rel=1e-3)
    assert done.losses["total"] < 0.98 * single.history["total"][0]
    assert done.status == single.status
    np.testing.assert_allclose(done.load().samples, single.audio.samples, atol=1e-3)


@pytest.mark.parametrize("place", [1, 5])
def test_a_lane_is_what_its_command_makes(whole, place):
    assert_alone(whole[0], place)


def test_the_same_call_again_does_nothing_again(done, whole, go, solved, monkeypatch):
    monkeypatch.setattr(Comparison, "measure", pytest.fail)
    monkeypatch.setattr(Comparison, "references", pytest.fail)
    before = contents(done)
    found = go(done)
    assert_whole(found, whole, done)
    assert solved == []
    after = contents(done)
    assert {name for name in after if after[name] != before[name]} <= {"index.html"}  # tells its folder's paths
    assert found.rows == whole[0].rows
    assert found.references == whole[0].references


def test_what_is_damaged_is_done_again_and_nothing_else(done, whole, go, solved):
    folder = done / "lanes"
    (folder / "0.json").unlink()
    (folder / "1.flac").write_bytes((folder / "1.flac").read_bytes()[:-9])
    shutil.copy(folder / "3.flac", folder / "2.flac")
    shutil.copy(folder / "3.json", folder / "2.json")
    (folder / "4.json").write_bytes(b"")
    flipped = bytearray((folder / "5.json").read_bytes())
    flipped[flipped.index(b'"timbre": ') + 11] ^= 1
    (folder / "5.json").write_bytes(flipped)
    for name in (".0123456789abcdef.part", "lanes/.0123456789abcdef.part"):
        (done / name).write_bytes(b"half of somethi")
    for name in ("manifest.json", "references.json", "sweep.csv", "index.html"):
        (done / name).write_bytes(b"\xff")
    kept = {name: content for name, content in contents(done).items() if name.startswith("lanes/3")}
    assert len(kept) == 2
    found = go(done)
    assert solved == [SETTINGS[place] for place in (0, 1, 2, 4, 5)]
    for path in done.rglob("*.part"):
        path.unlink()
    assert_whole(found, whole, done)
    assert {name: contents(done)[name] for name in kept} == kept
    assert found.references == whole[0].references


def test_after_a_crash_the_rest_is_done(tmp_path, whole, go, solved):
    """In the second batch."""

    def crash(progress):
        if progress.step > 3 * STEPS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "sweep", on_progress=crash)
    kept = contents(tmp_path / "sweep")
    assert sorted(kept) == ["lanes", *(f"lanes/{n}.{s}" for n in "012" for s in ("flac", "json")), "manifest.json"]
    solved.clear()
    found = go(tmp_path / "sweep")
    assert solved == SETTINGS[3:]
    assert_whole(found, whole, tmp_path / "sweep")
    after = contents(tmp_path / "sweep")
    assert {name: after[name] for name in kept} == kept


def test_after_a_crash_between_solving_and_measuring_nothing_is_solved_again(tmp_path, whole, go, solved, monkeypatch):
    measure, left = Comparison.measure, [1]

    def fail(self, output):
        if not left[0]:
            raise MemoryError
        left[0] -= 1
        return measure(self, output)

    monkeypatch.setattr(Comparison, "measure", fail)
    with pytest.raises(MemoryError):
        go(tmp_path / "sweep")
    monkeypatch.setattr(Comparison, "measure", measure)
    assert solved == SETTINGS[:3]
    solved.clear()
    assert_whole(go(tmp_path / "sweep"), whole, tmp_path / "sweep")
    assert solved == SETTINGS[3:]


def test_a_full_disk_costs_only_what_was_not_written(tmp_path, whole, go, solved, monkeypatch):
    replace = os.replace

    def fail(source, target):
        if str(target).endswith("lanes/1.flac"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match=r"lanes/1\.flac: cannot be written \(No space left on device\)"):
        go(tmp_path / "sweep")
    assert sorted(contents(tmp_path / "sweep")) == ["lanes", "lanes/0.flac", "lanes/0.json", "manifest.json"]
    monkeypatch.setattr(os, "replace", replace)
    solved.clear()
    assert_whole(go(tmp_path / "sweep"), whole, tmp_path / "sweep")
    assert solved == SETTINGS[1:]


def test_a_disk_that_takes_no_more_is_told_in_one_line(tmp_path, go):
    """No file may be larger than the manifest, which is smaller than any result."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"^[^\n]*lanes/0\.flac: cannot be written \(File too large\)$"):
            go(tmp_path / "sweep", grid={"seed": range(3)}, style_weight=0.3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(contents(tmp_path / "sweep")) == ["lanes", "manifest.json"]


@pytest.mark.parametrize("step", [3 * STEPS, 3 * STEPS + 1])
def test_a_sweep_can_be_ended_with_the_batches_that_are_done(tmp_path, whole, go, solved, step):
    """At the end of the first batch, or during the second one."""
    told = []

    def stop_once(progress):
        told.append(progress.step)
        return progress.step >= step > told[-2:][0]

    found = go(tmp_path / "sweep", on_progress=stop_once)
    assert (found.complete, found.stopped) == (False, True)
    assert [done.lane.name for done in found.outcomes] == ["0", "1", "2"]
    assert str(found).startswith("3 of 6 lanes, the best by timbre first\n")
    assert sorted(row["lane"] for row in found.rows) == ["0", "1", "2"]
    facts = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert facts["complete"] is False
    assert [lane["lane"] for lane in facts["lanes"]] == [row["lane"] for row in found.rows]
    assert "3 of 6 lanes are done" in (tmp_path / "sweep" / "index.html").read_text()
    solved.clear()
    assert_whole(go(tmp_path / "sweep"), whole, tmp_path / "sweep")
    assert solved == SETTINGS[3:]


def test_a_sweep_can_be_ended_before_anything_is_done(tmp_path, go):
    found = go(tmp_path / "sweep", on_progress=lambda progress: True)
    assert (found.complete, found.stopped, found.outcomes, found.rows) == (False, True, (), [])
    assert str(found).startswith("0 of 6 lanes")
    assert sorted(contents(tmp_path / "sweep")) == ["lanes", "manifest.json"]


def test_evaluation_is_added_later(tmp_path, whole, go, solved, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Comparison, "measure", pytest.fail)
        bare = go(tmp_path / "sweep", evaluate=False, rank_by=None)
    assert bare.complete
    assert bare.rank_by == "loss"
    assert [row["loss"] for row in bare.rows] == sorted(row["loss"] for row in bare.rows)
    assert all("timbre" not in row for row in bare.rows)
    assert bare.references == {}
    before, _ = contents(tmp_path / "sweep"), solved.clear()
    assert_whole(go(tmp_path / "sweep"), whole, tmp_path / "sweep")
    assert solved == []
    after = contents(tmp_path / "sweep")
    assert all(after[name] == before[name] for name in before if name.endswith(".flac"))
    again = go(tmp_path / "sweep", evaluate=False, rank_by="loss")
    assert all(row["timbre"] is not None for row in again.rows)  # what is there stays


def test_another_sweep_is_refused_or_replaces_all(done, go, solved, clips):
    before = contents(done)
    with pytest.raises(OutputError) as error:
        go(done, steps=STEPS + 1)
    assert "holds another sweep (options: " in str(error.value)
    assert f"steps={STEPS} " in str(error.value).partition(" before, ")[0]
    assert f"steps={STEPS + 1} " in str(error.value).partition(" before, ")[2]
    with pytest.raises(OutputError, match=r"style_weight=0\.3,3 seed=0,1,2 before, seed=0,1,2 style_weight=0\.3,3 now"):
        go(done, grid=dict(reversed(GRID.items())))
    with pytest.raises(OutputError, match=r"pairs: guitar\.wav with water\.wav .* now"):
        go(done, style="tabla.wav")
    assert contents(done) == before
    assert solved == []
    go(done, style="tabla.wav", overwrite=True, on_progress=lambda progress: True)
    assert sorted(contents(done)) == ["lanes", "manifest.json"]


def test_another_file_of_the_same_name_is_another_sweep(done, go, clips, tmp_path):
    other = tmp_path / "other" / "water.wav"
    other.parent.mkdir()
    shutil.copy(clips / "water.wav", other)
    assert go(done, style=other).complete  # a copy is as good
    samples, rate = soundfile.read(other)
    soundfile.write(other, 0.5 * samples, rate, "PCM_24")
    with pytest.raises(OutputError, match=r"guitar\.wav with water\.wav .* before, guitar\.wav with water\.wav .* now"):
        go(done, style=other)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"rank_by": "nope"}, ConfigError, "rank_by=nope"),
        ({"rank_by": "timbre", "evaluate": False}, ConfigError, "rank_by=timbre must be one of loss"),
        ({"max_batch": 0}, ConfigError, "max_batch=0"),
        ({"content": "missing.wav"}, AudioError, "missing.wav: no such file"),
        ({"style": jaxst.Recording(np.zeros(4_000), 8_000, "quiet")}, AudioError, "quiet: is silent"),
        ({"style": []}, ConfigError, "style: give at least one"),
        ({"sample_rate": 100}, ConfigError, "sample_rate=100"),
        ({"grid": {"seed": "log:1:9"}}, ConfigError, "no count"),
        ({"grid": {"nope": [1]}}, ConfigError, "nope: no such option"),
    ],
)
def test_a_mistake_leaves_no_folder(tmp_path, go, change, error, words):
    with pytest.raises(error, match=words) as caught:
        go(tmp_path / "sweep", **change)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_folder_of_a_mistake_that_is_noticed_late_can_be_used(tmp_path, go):
    with pytest.raises(ConfigError, match=r"duration=2000\.0 must be from"):
        go(tmp_path / "sweep", content=None, duration=2000)
    assert go(tmp_path / "sweep", content=None, duration=0.4, on_progress=lambda progress: True).stopped


def test_a_pair_that_cannot_be_used_is_refused_before_the_first_run(tmp_path, clips, solved):
    short = jaxst.Recording(0.1 * np.ones(200), 8_000, "short")
    pairs = [(clips / "guitar.wav", clips / "water.wav"), (clips / "guitar.wav", short)]
    plan = make_plan(pairs, as_spaces({"seed": range(3)}), options=GIVEN)
    with pytest.raises(AudioError, match=r"short: lasts 0\.025 s"):
        run(plan, folder=tmp_path / "sweep", **LIMIT)
    assert solved == []


def test_a_lane_that_diverges_is_marked_kept_and_ranked(tmp_path, go, solved):
    grid = {"learning_rate": [1e30, 0.02, 0.01]}
    options = {"style_weight": 3.0, "seed": 2, "learning_rate": None}
    found = go(tmp_path / "sweep", grid=grid, **{**options, "rank_by": "loss"})
    assert found.complete
    assert [done.status for done in found.outcomes] == [Status.DIVERGED, Status.FINISHED, Status.FINISHED]
    assert [row["lane"] for row in found.rows] == ["1", "2", "0"]
    assert found.rows[2]["status"] == "diverged"
    assert found.rows[2]["loss"] > 1e3 * found.rows[1]["loss"]
    assert found.rows[2]["timbre"] is not None
    assert np.isfinite(found.outcomes[0].load().samples).all()
    assert "0 learning_rate=1e+30 (diverged)" in str(found)
    assert json.loads((tmp_path / "sweep" / "lanes" / "0.json").read_text())["status"] == "diverged"
    assert "diverged" in (tmp_path / "sweep" / "index.html").read_text()
    assert_alone(found, 1)
    solved.clear()
    again = go(tmp_path / "sweep", grid=grid, **{**options, "rank_by": "timbre"})
    assert solved == []
    assert again.outcomes[0].status == Status.DIVERGED
    assert again.outcomes[0].message == found.outcomes[0].message
    assert [row["timbre"] for row in again.rows] == sorted(row["timbre"] for row in again.rows)


def test_results_can_stay_in_memory(clips, whole, go, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, style = (jaxst.read(clips / f"{name}.wav") for name in ("guitar", "water"))
    found = go(content=content, style=[style])
    assert os.listdir(tmp_path) == []
    assert found.complete
    np.testing.assert_allclose(losses(found), losses(whole[0]), rtol=1e-5)
    for one, other in zip(found.outcomes, whole[0].outcomes, strict=True):
        assert isinstance(one.audio, jaxst.Recording)
        np.testing.assert_allclose(one.audio.samples, other.load().samples, atol=1e-5)
        assert one.values == pytest.approx(other.values, rel=1e-2)
    assert [row["lane"] for row in found.rows] == [row["lane"] for row in whole[0].rows]
    assert found.references[0].keys() == whole[0].references[0].keys()
    assert str(found).splitlines()[0] == "6 of 6 lanes, the best by timbre first"


def test_groups_that_are_mixed_in_the_grid_keep_their_names(tmp_path, whole, go):
    """A start from tapered noise is another program."""
    steps, grid = [], {"seed": range(3), "init": ["content", "tapered-noise"]}
    found = go(tmp_path / "sweep", grid=grid, style_weight=0.3, on_progress=lambda p: steps.append((p.step, p.steps)))
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == ((0, 6 * STEPS), (6 * STEPS, 6 * STEPS))
    assert [done.lane.config.init for done in found.outcomes] == ["content", "tapered-noise"] * 3
    np.testing.assert_allclose(losses(found)[::2], losses(whole[0])[:3], rtol=1e-5)
    assert_alone(found, 3)
    assert [len(set(column)) for column in zip(*losses(found), strict=True)] == [6, 6, 6]


def test_textures_have_a_duration(tmp_path, go):
    found = go(tmp_path / "sweep", content=None, duration=0.4, grid={"seed": range(3)}, rank_by="timbre")
    assert found.complete
    assert [done.load().samples.shape for done in found.outcomes] == [(1, 3_200)] * 3
    assert "snr" not in found.rows[0]
    assert found.references[0].keys() == {"style", "noise"}
    assert "content" not in found.rows[0]
    assert_alone(found, 2)


def test_a_saved_style_is_swept_and_ranked_by_loss(tmp_path, clips, go):
    path = tmp_path / "water.npz"
    jaxst.save_style(path, jaxst.analyze_style(clips / "water.wav", **SMALL))
    learned = dict.fromkeys(SMALL)  # decides these
    found = go(tmp_path / "sweep", style=path, grid={"style_weight": [0.3, 1.0, 3.0]}, **learned, rank_by=None)
    assert found.complete
    assert found.rank_by == "loss"
    assert found.rows[0]["style"] == str(path)
    assert found.rows[0]["snr"] is not None
    assert "timbre" not in found.rows[0]
    assert found.references[0].keys() == {"content"}
    assert "guitar in the style of water, 3 times" in (tmp_path / "sweep" / "index.html").read_text()
    assert_alone(found, 2)


def test_several_pairs_share_a_grid(tmp_path, clips, solved):
    (tmp_path / "pairs.csv").write_text(
        f"content,style\n{clips}/guitar.wav,{clips}/water.wav\n,{clips}/water.wav\n{clips}/tabla.wav,{clips}/water.wav\n"
    )
    pairs = read_pairs(tmp_path / "pairs.csv")
    plan = make_plan(pairs, as_spaces({"seed": range(3)}), options=GIVEN)
    found = run(plan, folder=tmp_path / "sweep", command="jaxst-sweep", **LIMIT)
    assert found.complete
    assert [(done.lane.name, done.lane.pair) for done in found.outcomes] == [(str(n), n // 3) for n in range(9)]
    assert {place: set(rows) for place, rows in found.references.items()} == {
        0: {"content", "style", "noise"},
        1: {"style", "noise"},
        2: {"content", "style", "noise"},
    }
    names = [{r.get("content") for r in found.rows if int(r["lane"]) // 3 == pair} for pair in range(3)]
    assert names == [{str(clips / "guitar.wav")}, {None}, {str(clips / "tabla.wav")}]
    assert "9 runs with 3 pairs" in (tmp_path / "sweep" / "index.html").read_text()
    assert_alone(found, 8)
    solved.clear()
    (tmp_path / "sweep" / "lanes" / "3.flac").unlink()
    (tmp_path / "sweep" / "lanes" / "4.flac").unlink()
    (tmp_path / "sweep" / "lanes" / "5.json").unlink()
    again = run(plan, folder=tmp_path / "sweep", command="jaxst-sweep", **LIMIT)
    assert [seed for _, seed in solved] == [0, 1, 2]
    for one, other in zip(again.outcomes, found.outcomes, strict=True):
        assert one.losses == pytest.approx(other.losses, rel=1e-5)


def test_what_would_be_done_is_described(clips):
    plan = make_plan([(clips / "guitar.wav", clips / "water.wav")], as_spaces(GRID), options=GIVEN)
    lines = describe(plan, max_batch=3).splitlines()
    assert [line.split() for line in lines[:6]] == [
        [name, f"style_weight={weight:g}", f"seed={seed}"] for name, (weight, seed) in zip(ALL, SETTINGS, strict=True)
    ]
    assert lines[6].startswith("group of 6 lanes (0, 1, 2, ...): 2 batches of 3 on 1 cpu, ")
    assert len(lines) == 7
