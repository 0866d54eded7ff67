"""What a sweep keeps: whole or not at all, taken up again only if it is just what was kept, and nobody else's."""

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import contents

import jaxst
from jaxst.errors import OutputError
from jaxst.solver import Status
from jaxst.sweep.grid import as_spaces
from jaxst.sweep.plan import make_plan
from jaxst.sweep.store import Outcome, open_store

DRAW = np.random.default_rng(0)
CLIPS = [jaxst.Recording(0.1 * DRAW.standard_normal((2, 800)), 8_000, name) for name in ("tone", "water")]
PLAN = make_plan([tuple(CLIPS)], as_spaces({"style_weight": [0.1, 10], "windows": [[64, 32, 16]]}), options={"seed": 3})
OTHER = make_plan([tuple(CLIPS)], as_spaces({"style_weight": [0.1, 20]}), options={"seed": 3})
FIRST, SECOND = PLAN.lanes


def outcome(lane, *, values=None, reasons=None, seed=0):
    """How a lane could have ended, with numbers that are hard to write down."""
    samples = np.random.default_rng(seed).uniform(-0.8, 0.8, (2, 300)).astype(np.float32)
    history = {"total": np.float32([3.1, 0.1, np.nan]), "style": np.float32([np.inf, 1e-42, 1 / 3])}
    timings = {"prepare": 0.1 + 0.2, "solve": 1e-9}
    recording = jaxst.Recording(samples, 8_000, "output")
    message = 'the loss is "not finite" at step 2 \N{EM DASH} kept'
    return Outcome(lane, recording, Status.DIVERGED, message, history, timings, values or {}, reasons or {})


VALUES = {"texture": 0.1 + 0.2, "gram": None, "snr": -1e300}
REASONS = {"gram": "output: lasts 0.04 s, but this measure needs 1.1 s or more"}


def assert_same(found, kept):
    """Equal, to the last bit but for the audio's."""
    assert found is not None
    assert (found.lane, found.status, found.message) == (kept.lane, kept.status, kept.message)
    assert (found.timings, found.values, found.reasons) == (kept.timings, kept.values, kept.reasons)
    assert found.losses == kept.losses
    assert found.history.keys() == kept.history.keys()
    for name, values in kept.history.items():
        np.testing.assert_array_equal(found.history[name], np.where(np.isfinite(values), values, np.nan))
    samples = [each.load().samples for each in (found, kept)]
    np.testing.assert_allclose(*samples, rtol=0, atol=2**-23)
    assert found.load().sample_rate == kept.load().sample_rate


NOBODY = 65534


@pytest.fixture
def folder(tmp_path) -> Path:
    """Where there is none yet, nor the folder around it."""
    return tmp_path / "results" / "sweep"


@pytest.fixture
def store(folder):
    return open_store(folder, PLAN.manifest)


@pytest.fixture
def filled(store):
    """A store with both lanes, and what a sweep writes beside them."""
    for lane in PLAN.lanes:
        store.write(outcome(lane, values=VALUES, reasons=REASONS, seed=int(lane.name)))
    store.write_references({"0": {"noise": {"texture": 0.5, "gram": None}}})
    for name in ("sweep.csv", "sweep.json", "index.html"):
        (store.folder / name).write_text("tables")
    return store


def test_a_folder_is_made_with_the_plan(folder):
    store = open_store(folder, PLAN.manifest)
    assert sorted(os.listdir(folder)) == ["lanes", "manifest.json"]
    assert json.loads((folder / "manifest.json").read_text()) == PLAN.manifest
    assert [store.read(lane) for lane in PLAN.lanes] == [None, None]
    assert store.read_references() == {}


@pytest.mark.parametrize("measured", [False, True])
def test_what_is_kept_is_found_again(store, measured):
    done = outcome(FIRST, **({"values": VALUES, "reasons": REASONS} if measured else {}))
    kept = store.write(done)
    assert kept.audio == store.path(FIRST) == store.folder / "lanes" / "0.flac"
    assert kept.lane is FIRST
    assert_same(open_store(store.folder, PLAN.manifest).read(FIRST), done)
    assert store.read(SECOND) is None
    assert sorted(os.listdir(store.folder / "lanes")) == ["0.flac", "0.json"]


def test_a_lanes_json_says_what_it_is_to_anyone(store):
    done = outcome(SECOND, values=VALUES, reasons=REASONS)
    store.write(done)
    text = (store.folder / "lanes" / "1.json").read_text()
    facts = json.loads(text, parse_constant=pytest.fail)  # NaN is no JSON
    assert (facts["name"], facts["pair"], facts["audio"], facts["status"]) == ("1", 0, "1.flac", "diverged")
    assert facts["settings"] == {"style_weight": 10.0, "windows": [64, 32, 16]}
    assert facts["config"]["style_weight"] == 10.0
    assert facts["config"]["seed"] == 3
    assert facts["values"] == VALUES
    assert facts["reasons"] == REASONS
    assert facts["history"] == {
        "total": [float(np.float32(3.1)), float(np.float32(0.1)), None],
        "style": [None, float(np.float32(1e-42)), float(np.float32(1 / 3))],
    }


def test_measures_are_added_without_the_audio_being_touched(store):
    kept = store.write(outcome(FIRST))
    before = kept.audio.stat()
    measured = store.write(replace(kept, values=VALUES, reasons=REASONS))
    assert (kept.audio.stat().st_mtime_ns, kept.audio.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert measured.audio == kept.audio
    assert_same(store.read(FIRST), outcome(FIRST, values=VALUES, reasons=REASONS))


@pytest.fixture
def replaced(monkeypatch) -> list[str]:
    """Names of the files that appear, in order, each whole at once."""
    names, rename = [], os.replace

    def record(source, target):
        assert Path(source).parent == Path(target).parent  # another disk could not be atomic
        assert Path(source).stat().st_size > 0
        names.append(Path(target).name)
        rename(source, target)

    monkeypatch.setattr(os, "replace", record)
    return names


def test_audio_is_written_first_and_the_json_last_and_both_at_once(store, replaced):
    kept = store.write(outcome(FIRST))
    store.write(kept)
    assert replaced == ["0.flac", "0.json", "0.json"]


@pytest.mark.parametrize("until", [0, 1])
def test_what_is_cut_short_is_as_good_as_missing(store, until, monkeypatch):
    """Killed before a file appears."""
    rename, left = os.replace, [until]

    def fail(source, target):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        rename(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        store.write(outcome(FIRST))
    monkeypatch.undo()
    assert os.listdir(store.folder / "lanes") == ["0.flac"][:until]
    assert store.read(FIRST) is None
    store.write(outcome(FIRST, seed=1))
    assert_same(store.read(FIRST), outcome(FIRST, seed=1))


@pytest.mark.parametrize("until", [0, 1])
def test_a_full_disk_is_named_and_leaves_the_rest(filled, until, monkeypatch):
    before, rename, left = contents(filled.folder), os.replace, [until]

    def fail(source, target):
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        rename(source, target)

    monkeypatch.setattr(os, "replace", fail)
    name = ["1.flac", "1.json"][until]
    with pytest.raises(OutputError, match=rf"lanes/{name}: cannot be written \(No space left on device\)") as error:
        filled.write(outcome(SECOND, seed=5))
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    after = contents(filled.folder)
    assert after.keys() == before.keys()
    assert [path for path in after if after[path] != before[path]] == ["lanes/1.flac"][:until]
    assert_same(filled.read(FIRST), outcome(FIRST, values=VALUES, reasons=REASONS))
    assert (filled.read(SECOND) is None) == bool(until)  # the new audio beside the old JSON is no result
    filled.write(outcome(SECOND, seed=5))
    assert_same(filled.read(SECOND), outcome(SECOND, seed=5))


AUDIO, FACTS = "lanes/0.flac", "lanes/0.json"
DAMAGES = {
    "deleted audio": lambda folder: (folder / AUDIO).unlink(),
    "deleted json": lambda folder: (folder / FACTS).unlink(),
    "empty audio": lambda folder: (folder / AUDIO).write_bytes(b""),
    "empty json": lambda folder: (folder / FACTS).write_bytes(b""),
    "truncated audio": lambda folder: (folder / AUDIO).write_bytes((folder / AUDIO).read_bytes()[:-1]),
    "truncated json": lambda folder: (folder / FACTS).write_bytes((folder / FACTS).read_bytes()[:-3]),
    "longer audio": lambda folder: (folder / AUDIO).write_bytes((folder / AUDIO).read_bytes() + b"\0"),
    "other audio": lambda folder: shutil.copy(folder / "lanes/1.flac", folder / AUDIO),
    "other json": lambda folder: shutil.copy(folder / "lanes/1.json", folder / FACTS),
    "other lane": lambda folder: [
        shutil.copy(folder / f"lanes/1.{s}", folder / f"lanes/0.{s}") for s in ("flac", "json")
    ],
    "a list": lambda folder: (folder / FACTS).write_text("[]"),
    "nothing in it": lambda folder: (folder / FACTS).write_text("{}"),
    "only the name": lambda folder: (folder / FACTS).write_text('{"name": "0"}'),
    "no text": lambda folder: (folder / FACTS).write_bytes(b"\xff\xfe\x00"),
    "a folder for audio": lambda folder: [(folder / AUDIO).unlink(), (folder / AUDIO).mkdir()],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_as_good_as_missing(filled, damage):
    DAMAGES[damage](filled.folder)
    store = open_store(filled.folder, PLAN.manifest)
    assert store.read(FIRST) is None
    assert_same(store.read(SECOND), outcome(SECOND, values=VALUES, reasons=REASONS, seed=1))
    if damage != "a folder for audio":
        store.write(outcome(FIRST, seed=7))
        assert_same(store.read(FIRST), outcome(FIRST, seed=7))


def test_no_flipped_bit_makes_another_result(filled):
    done = outcome(FIRST, values=VALUES, reasons=REASONS)
    for name, step in ((FACTS, 3), (AUDIO, 37)):
        path = filled.folder / name
        whole = path.read_bytes()
        harmless = 0
        for place in range(0, len(whole), step):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
            if (found := filled.read(FIRST)) is not None:
                harmless += 1
                assert_same(found, done)
        assert harmless < (0.01 * len(whole) if name == FACTS else 1)  # such as a digit that float64 does not resolve
        path.write_bytes(whole)
        assert_same(filled.read(FIRST), done)


def test_results_of_another_plan_are_not_read(filled, tmp_path):
    other = open_store(tmp_path / "other", OTHER.manifest)
    for path in (filled.folder / "lanes").iterdir():
        shutil.copy(path, other.folder / "lanes")
    shutil.copy(filled.folder / "references.json", other.folder)
    assert [other.read(lane) for lane in OTHER.lanes] == [None, None]
    assert other.read_references() == {}


def test_plans_that_differ_in_the_order_of_options_do_not_share_results(tmp_path):
    """Their runs have other numbers."""
    grid = {"style_weight": [0.1, 10], "seed": [1, 2]}
    plans = [make_plan([tuple(CLIPS)], as_spaces(dict(g)), options={}) for g in (grid.items(), reversed(grid.items()))]
    store = open_store(tmp_path / "sweep", plans[0].manifest)
    store.write(outcome(plans[0].lanes[1]))
    with pytest.raises(OutputError, match=r"style_weight=0\.1,10 seed=1,2 before, seed=1,2 style_weight=0\.1,10 now"):
        open_store(tmp_path / "sweep", plans[1].manifest)


def test_references_are_kept(filled):
    kept = {"0": {"noise": {"texture": 0.5, "gram": None}}}
    path = filled.folder / "references.json"
    assert filled.read_references() == kept
    whole = path.read_bytes()
    for damaged in (b"", whole[:-3], whole.replace(b"0.5", b"0.6"), b'{"0": 5}', b"[]"):
        path.write_bytes(damaged)
        assert filled.read_references() == {}
    path.unlink()
    assert filled.read_references() == {}
    filled.write_references(kept)
    assert path.read_bytes() == whole


def test_the_same_plan_again_changes_nothing(filled):
    before = contents(filled.folder)
    for overwrite in (False, True):
        store = open_store(filled.folder, PLAN.manifest, overwrite=overwrite)
        assert contents(filled.folder) == before
        assert all(store.read(lane) is not None for lane in PLAN.lanes)


def test_another_plan_is_refused_with_what_differs_or_replaces_all(filled):
    folder, before = filled.folder, contents(filled.folder)
    with pytest.raises(OutputError) as error:
        open_store(folder, OTHER.manifest)
    assert str(error.value) == (
        f"{folder}: holds another sweep (grid: style_weight=0.1,10 windows=64,32,16 before, style_weight=0.1,20 now); "
        "choose another folder or pass --overwrite"
    )
    assert contents(folder) == before
    (folder / "notes.txt").write_text("mine")
    (folder / ".0123456789abcdef.part").write_text("stale")
    store = open_store(folder, OTHER.manifest, overwrite=True)
    assert sorted(os.listdir(folder)) == [".0123456789abcdef.part", "lanes", "manifest.json", "notes.txt"]
    assert os.listdir(folder / "lanes") == []
    assert json.loads((folder / "manifest.json").read_text()) == OTHER.manifest
    store.write(outcome(OTHER.lanes[0]))
    assert_same(open_store(folder, OTHER.manifest).read(OTHER.lanes[0]), outcome(OTHER.lanes[0]))
    with pytest.raises(OutputError, match="holds another sweep"):
        open_store(folder, PLAN.manifest)


def test_a_plan_that_left_no_results_gives_way(store):
    """Such as one with a mistake that is noticed late."""
    (store.folder / "lanes" / "0.flac").write_bytes(b"audio without its JSON")
    other = open_store(store.folder, OTHER.manifest)
    assert json.loads((store.folder / "manifest.json").read_text()) == OTHER.manifest
    assert other.read(OTHER.lanes[0]) is None


LOST = {
    "deleted": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "a list": lambda path: path.write_text("[1, 2]"),
    "another's": lambda path: path.write_text('{"name": "app", "pairs": 5, "grid": [3]}'),
}


@pytest.mark.parametrize("lose", LOST)
def test_without_its_manifest_a_sweep_goes_on(filled, lose):
    """And another one still takes no results of it, nor removes them unasked."""
    folder, path = filled.folder, filled.folder / "manifest.json"
    LOST[lose](path)
    before = contents(folder)
    with pytest.raises(OutputError, match="holds another sweep") as error:
        open_store(folder, OTHER.manifest)
    assert "\n" not in str(error.value)
    assert contents(folder) == before
    store = open_store(folder, PLAN.manifest)
    for lane in PLAN.lanes:
        assert_same(store.read(lane), outcome(lane, values=VALUES, reasons=REASONS, seed=int(lane.name)))
    assert store.read_references()
    assert json.loads(path.read_text()) == PLAN.manifest
    LOST[lose](path)
    open_store(folder, OTHER.manifest, overwrite=True)
    assert sorted(os.listdir(folder)) == ["lanes", "manifest.json"]
    assert os.listdir(folder / "lanes") == []


def test_parts_of_files_do_no_harm(filled):
    for name in (".0123456789abcdef.part", "lanes/.0123456789abcdef.part"):
        (filled.folder / name).write_bytes(b"half of somethi")
    (filled.folder / "manifest.json").unlink()
    store = open_store(filled.folder, PLAN.manifest)
    assert all(store.read(lane) is not None for lane in PLAN.lanes)


def test_a_sweep_that_was_killed_as_it_began_begins_anew(folder):
    folder.mkdir(parents=True)
    (folder / ".0123456789abcdef.part").write_bytes(b"half of a manif")
    open_store(folder, PLAN.manifest)
    (folder / "manifest.json").unlink()
    assert open_store(folder, OTHER.manifest).read(OTHER.lanes[0]) is None


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "files",
    [["notes.txt"], ["lanes/notes.txt", "notes.txt"], ["manifest.json"], ["index.html", "sweep.json"], [".hidden"]],
)
def test_a_folder_with_other_files_is_refused_untouched(folder, files, overwrite):
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"name": "app"}')
    before = contents(folder)
    with pytest.raises(OutputError, match=r"sweep: holds other files; choose a new folder"):
        open_store(folder, PLAN.manifest, overwrite=overwrite)
    assert contents(folder) == before


def test_what_lies_beside_a_sweep_stays(filled):
    (filled.folder / "notes.txt").write_text("mine")
    store = open_store(filled.folder, PLAN.manifest)
    assert all(store.read(lane) is not None for lane in PLAN.lanes)
    assert (filled.folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Path.touch, "is a file; give a folder"),
        (lambda path: path.symlink_to("nowhere"), "cannot be used (File exists)"),
        (lambda path: [path.mkdir(), (path / "lanes").touch()], "cannot be used (File exists)"),
        (os.mkfifo, "is a file; give a folder"),
    ],
)
def test_what_is_no_folder_is_refused(tmp_path, make, words, overwrite):
    path = tmp_path / "sweep"
    make(path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError) as error:
        open_store(path, PLAN.manifest, overwrite=overwrite)
    assert str(error.value).startswith(f"{path}: {words}")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path, words in (
        (tmp_path / "file" / "sweep", "Not a directory"),
        (tmp_path / ("n" * 300), "File name too long"),
    ):
        with pytest.raises(OutputError, match=rf"cannot be used \({words}\)"):
            open_store(path, PLAN.manifest)


@pytest.fixture
def nobody(tmp_path, filled):
    """Root may write anywhere: as root, be someone else to whom the files belong."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (tmp_path, *tmp_path.parents):
        if folder == tmp_path or folder.name.startswith(("pytest-", "popen-")):  # pytest's own
            folder.chmod(0o755)
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


def test_a_folder_that_may_not_be_written_to_is_refused(nobody, filled, tmp_path):
    before = contents(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (empty, filled.folder, filled.folder / "lanes"):
        folder.chmod(0o500)
    try:
        with pytest.raises(OutputError, match=r"empty: cannot be used \(Permission denied\)"):
            open_store(empty, PLAN.manifest)
        with pytest.raises(OutputError, match=r"below: cannot be used \(Permission denied\)"):
            open_store(empty / "below", PLAN.manifest)
        with pytest.raises(OutputError, match=r"sweep: cannot be used \(Permission denied\)"):
            open_store(filled.folder, OTHER.manifest, overwrite=True)
        store = open_store(filled.folder, PLAN.manifest)  # to look at
        assert_same(store.read(FIRST), outcome(FIRST, values=VALUES, reasons=REASONS))
        with pytest.raises(OutputError, match=r"0\.flac: cannot be written \(Permission denied\)"):
            store.write(outcome(FIRST))
        empty.chmod(0)
        with pytest.raises(OutputError, match=r"empty/below: cannot be used \(Permission denied\)"):
            open_store(empty / "below", PLAN.manifest)
    finally:
        for folder in (empty, filled.folder, filled.folder / "lanes"):
            folder.chmod(0o700)
    empty.rmdir()
    assert contents(tmp_path) == before


def test_a_manifest_that_does_not_fit_on_the_disk_is_named(folder, monkeypatch):
    def fail(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match=r"manifest\.json: cannot be written \(No space left on device\)"):
        open_store(folder, PLAN.manifest)
    monkeypatch.undo()
    assert os.listdir(folder) == ["lanes"]
    store = open_store(folder, PLAN.manifest)
    store.write(outcome(FIRST))
    assert_same(store.read(FIRST), outcome(FIRST))
