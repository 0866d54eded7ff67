"""What a sweep tells: which runs are best, in which form their numbers are, and how each is run alone."""

import csv
import html
import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from commands import contents

import jaxst
from jaxst.config import OPTIONS
from jaxst.errors import ConfigError, OutputError
from jaxst.evaluation import MEASURES
from jaxst.solver import Status
from jaxst.sweep import tables
from jaxst.sweep.grid import as_spaces, as_text
from jaxst.sweep.plan import make_plan
from jaxst.sweep.store import Outcome, open_store

NOISE = np.random.default_rng(0).standard_normal((1, 2_000)).astype(np.float32)
TONE, WATER, SEA = (
    jaxst.Recording(level * NOISE, 8_000, name)
    for level, name in [(0.1, "clips/tone.wav"), (0.2, "my clips/water.wav"), (0.3, "clips/sea, calm.wav")]
)
LEARNED = {"method": "ulyanov", "n_filters": 4, "shapes": ((0, 3),), "windows": (32.0,), "hops": (8.0,)}


def planned(grid, pairs=((TONE, WATER),), *, options=None, **given):
    return make_plan(pairs, as_spaces(grid), options=options or {}, **given)


def ended(lane, total, *, status=Status.FINISHED, audio=TONE, **values):
    """How a lane ended, by its last loss and its measures."""
    history = {"total": np.array([9.0, 8.0, total]), "style": np.array([1.0, 1.0, total / 4])}
    timings = {"prepare": 0.25, "solve": 0.5}
    return Outcome(lane, audio, status, "3 steps", history, timings, values, {})


@pytest.fixture(scope="module")
def learned():
    return jaxst.analyze_style(WATER, **LEARNED)


def test_lanes_are_ranked_by_texture_or_loss_unless_told(learned):
    transfer, texture = planned({}), planned({}, [(None, WATER)])
    saved, both = planned({}, [(TONE, learned)]), planned({}, [(TONE, learned), (None, WATER)])

    def ranking(plan, rank_by=None, evaluate=True):
        return tables.checked_ranking(rank_by, plan, evaluate=evaluate)

    assert [ranking(plan) for plan in (transfer, texture, saved, both)] == ["texture", "texture", "loss", "texture"]
    assert ranking(transfer, evaluate=False) == "loss"
    for measure in MEASURES:
        if not measure.better:
            with pytest.raises(ConfigError, match=rf"rank_by={measure.key} must be one of loss, texture, "):
                ranking(transfer, measure.key)
            continue
        assert ranking(transfer, measure.key) == measure.key
        with pytest.raises(ConfigError, match=rf"rank_by={measure.key} must be one of loss$"):
            ranking(transfer, measure.key, evaluate=False)
        content = measure.group in ("content", "signal")
        for plan, there in ((texture, not content), (saved, content), (both, True)):
            if there:
                assert ranking(plan, measure.key) == measure.key
            else:
                with pytest.raises(ConfigError, match=f"rank_by={measure.key} must be one of"):
                    ranking(plan, measure.key)
    with pytest.raises(ConfigError, match="rank_by=nope must be one of"):
        ranking(transfer, "nope")


@pytest.mark.parametrize(("rank_by", "order"), [("texture", "2031"), ("onsets", "1302"), ("loss", "3120")])
def test_the_best_is_first_and_what_has_no_number_last(rank_by, order):
    """Of equals, the first one of the plan is first: texture wants to be low, onsets high."""
    lanes = planned({"seed": range(4)}).lanes
    outcomes = [
        ended(lanes[0], math.nan, texture=2.0, onsets=0.1, status=Status.DIVERGED),
        ended(lanes[1], 2.0, texture=None, onsets=0.9),
        ended(lanes[2], 3.0, texture=-1.0),
        ended(lanes[3], 1.0, texture=2.0, onsets=0.5),
    ]
    assert "".join(done.lane.name for done in tables.ranked(outcomes, rank_by)) == order


def test_a_row_is_flat_and_lacks_nothing():
    plan = planned({"style_weight": [0.5]})
    done = ended(plan.lanes[0], 0.75, texture=0.1, gram=None)
    assert tables.row(plan, done) == {
        "lane": "0",
        "content": "clips/tone.wav",
        "style": "my clips/water.wav",
        "style_weight": 0.5,
        "status": "complete",
        "steps_taken": 2,
        "seconds": 0.75,
        "loss": 0.75,
        "style_loss": 0.1875,
        "texture": 0.1,
        "gram": None,
    }


def a_value(name):
    special = {"method": "arccos", "threshold": -60.0, "patch_frames": (3, 5), "shapes": ((3, 5), (0, 3))}
    if name in special:
        return special[name]
    names = OPTIONS[name].need.removeprefix("one of ").split(", ")
    return {float: 0.5, int: 50, tuple: (64.0, 32.0), str: names[0]}[OPTIONS[name].kind]


@pytest.mark.parametrize("name", ["method", *OPTIONS])
def test_no_varied_option_is_hidden_by_a_number(name):
    """Such as `steps`, of which fewer may be taken, and `windows`, which is a measure's name, too."""
    plan, value = planned({}), a_value(name)
    lane = replace(plan.lanes[0], settings={name: value})
    measured = {measure.key: float(place) for place, measure in enumerate(MEASURES)}
    found = tables.row(plan, ended(lane, 0.75, **measured))
    key = f"{name}_option" if name in measured else name
    assert found[key] == (as_text(name, value) if isinstance(value, tuple) else value)
    assert {key: found[key] for key in measured} == measured
    assert (found["lane"], found["steps_taken"], found["loss"], found["status"]) == ("0", 2, 0.75, "complete")
    assert found["content"] == TONE.name


def test_a_terminal_shows_the_best():
    plan = planned({"seed": range(23), "windows": [[64, 32, 16]]})
    outcomes = [ended(lane, 1.0, texture=float(lane.name), onsets=0.25) for lane in plan.lanes[:22]]
    outcomes[1] = ended(plan.lanes[1], math.inf, texture=1.0, status=Status.DIVERGED)
    outcomes[2] = ended(plan.lanes[2], 123.4, status=Status.STALLED)
    lines = tables.text(plan, tables.ranked(outcomes, "texture"), "texture").splitlines()
    assert lines[0] == "22 of 23 lanes, the best by texture first"
    assert lines[1].split() == ["texture", "onsets", "loss"]
    assert lines[2].split() == ["better", "low", "high", "low"]
    assert lines[3].split() == ["00", "seed=0", "windows=64,32,16", "0.000", "0.250", "1.000"]
    assert lines[4].split() == ["01", "seed=1", "windows=64,32,16", "(diverged)", "1.000", "-", "-"]
    assert lines[5].split() == ["03", "seed=3", "windows=64,32,16", "3.000", "0.250", "1.000"]
    assert len(lines) == 3 + tables.SHOWN + 2
    assert lines[-2:] == ["", "and 2 more"]
    assert "02" not in [line[:2] for line in lines]
    ends = tables.text(plan, outcomes[2:3], "loss").splitlines()
    assert ends[1].split() == ["loss"]
    assert ends[3].split() == ["02", "seed=2", "windows=64,32,16", "123.4"]


def test_pairs_are_told_apart():
    pairs = [(TONE, [WATER, SEA]), (TONE, [TONE, SEA]), (None, SEA)]
    plan = planned({"seed": [1, 2]}, pairs)
    lines = tables.text(plan, [ended(lane, 1.0) for lane in plan.lanes[::2]], "loss").splitlines()
    assert [re.sub(r" +1\.000$", "", line) for line in lines[3:]] == [
        "0 tone with water and sea, calm seed=1",
        "2 tone with tone and sea, calm seed=1",
        "4 sea, calm seed=1",
    ]


def test_nothing_done_is_told_too():
    plan = planned({"seed": range(3)})
    assert tables.text(plan, [], "texture").splitlines()[0] == "0 of 3 lanes, the best by texture first"


@pytest.fixture
def kept(tmp_path):
    """Keeps outcomes of a plan, given its grid and what made them, and writes its tables."""

    def keep(plan, outcomes, *, rank_by, references=None, command="jaxst-sweep --x='1 2'"):
        store = open_store(tmp_path / "sweep", plan.manifest)
        found = tables.ranked([store.write(done) for done in outcomes], rank_by)
        tables.write(store, plan, found, references or {}, rank_by=rank_by, command=command)
        return store.folder

    return keep


def read_tables(folder):
    """Rows of the CSV, the JSON and the page's text."""
    with open(folder / "sweep.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    facts = json.loads((folder / "sweep.json").read_text("utf-8"), parse_constant=pytest.fail)
    return rows, facts, (folder / "index.html").read_text("utf-8")


def test_csv_json_and_page_tell_the_same(kept):
    plan = planned({"style_weight": [0.1, 1 / 3, 10]}, [(TONE, [SEA, WATER])], options={"seed": 7}, style_mix=[2, 1])
    outcomes = [
        ended(plan.lanes[0], 0.1 + 0.2, texture=0.7, gram=None, onsets=-0.25, audio=SEA),
        ended(plan.lanes[1], math.nan, texture=None, gram=None, onsets=None, status=Status.DIVERGED, audio=WATER),
        ended(plan.lanes[2], 1e-30, texture=1e-5, gram=None, onsets=0.5),
    ]
    references = {0: {"noise": {"texture": 0.9, "gram": None}, "style": {"texture": 0.0}}}
    folder = kept(plan, outcomes, rank_by="texture", references=references)
    assert sorted(os.listdir(folder)) == ["index.html", "lanes", "manifest.json", "sweep.csv", "sweep.json"]
    rows, facts, page = read_tables(folder)
    found = [tables.row(plan, outcomes[place]) for place in (2, 0, 1)]
    commands = [tables.lane_command(plan, outcomes[place].lane) for place in (2, 0, 1)]
    assert facts["lanes"] == [row | {"command": text} for row, text in zip(found, commands, strict=True)]
    assert rows == [{k: "" if v is None else str(v) for k, v in row.items()} for row in found]
    assert [row["style"] for row in rows] == ["clips/sea, calm.wav,my clips/water.wav"] * 3
    for row in facts["lanes"]:
        lane = json.loads((folder / "lanes" / f"{row['lane']}.json").read_text())
        assert {key: row[key] for key in lane["values"]} == lane["values"]
        assert (row["loss"], row["style_loss"]) == (lane["history"]["total"][-1], lane["history"]["style"][-1])
        assert row["style_weight"] == lane["settings"]["style_weight"] == lane["config"]["style_weight"]
    assert (facts["complete"], facts["rank_by"], facts["command"]) == (True, "texture", "jaxst-sweep --x='1 2'")
    assert facts["plan"] == plan.manifest
    assert facts["references"] == {"0": references[0]}
    assert facts["measures"]["onsets"]["better"] == "high"
    assert facts["measures"]["loudness"]["better"] is None
    assert "tone in the style of sea, calm and water, 3 times" in page
    assert "jaxst-sweep --x=" in page
    for lane in plan.lanes:
        assert tables.lane_command(plan, lane) in html.unescape(page)
    assert page.count("data:audio/flac") == 3 + 1  # the lanes and the style
    assert "ranked by McDermott texture distance" in page
    assert "3 lanes are done" not in page


def test_what_is_done_of_a_sweep_is_told_as_such(kept):
    plan = planned({"seed": range(3)}, method="kanak", options={"content_weight": 0.5})
    folder = kept(plan, [ended(plan.lanes[1], 0.5)], rank_by="loss")
    rows, facts, page = read_tables(folder)
    assert [row["lane"] for row in rows] == ["1"]
    assert facts["complete"] is False
    assert "1 of 3 lanes are done" in page


def test_a_measure_that_no_lane_has_may_rank(kept):
    """Where every recording is too short for it, say."""
    plan = planned({"seed": range(2)})
    folder = kept(plan, [ended(lane, 0.5, gram=None, snr=1.0) for lane in plan.lanes], rank_by="texture")
    rows, facts, page = read_tables(folder)
    assert [row["lane"] for row in rows] == ["0", "1"]
    assert facts["rank_by"] == "texture"
    assert "texture" not in rows[0]
    assert "ranked by McDermott texture distance" in page


def test_transfers_and_textures_are_on_one_page(kept):
    pairs = [(TONE, WATER), (None, [SEA, WATER]), (SEA, WATER)]
    plan = planned({"seed": [1, 2]}, pairs)
    outcomes = [ended(lane, 0.5, texture=1.0) for lane in plan.lanes]
    references = {0: {"noise": {"texture": 0.9}}, 1: {"noise": {"texture": 0.8}}}
    rows, facts, page = read_tables(kept(plan, outcomes, rank_by="texture", references=references))
    names = ["clips/tone.wav"] * 2 + [""] * 2 + ["clips/sea, calm.wav"] * 2
    assert [row["content"] for row in rows] == names
    assert [row.get("content", "") for row in facts["lanes"]] == names
    assert "6 runs with 3 pairs" in page
    assert "noise sea, calm and water" in page


def test_a_page_names_the_method_that_all_lanes_have(kept, learned):
    """What a learned style decided, and none where it is varied."""

    def config(plan):
        folder = kept(plan, [ended(lane, 0.5) for lane in plan.lanes], rank_by="loss")
        page = read_tables(folder)[2]
        for path in [*(folder / "lanes").iterdir()]:
            path.unlink()
        found = re.search(r"<(?:th|dt)[^>]*>\s*method\s*</(?:th|dt)>\s*<(?:td|dd)[^>]*>([^<]*)<", page)
        return found and found[1].strip()

    assert config(planned({"seed": [1]})) == "arccos"
    assert config(planned({"seed": [1]}, [(TONE, learned)])) == "ulyanov"
    assert config(planned({"seed": [1]}, method="kanak", options={"content_weight": 1.0})) == "kanak"
    assert config(planned({"method": ["ulyanov", "kanak"]}, options={"content_weight": 1.0})) is None


def test_tables_replace_those_before_at_once_or_not_at_all(kept, monkeypatch):
    plan = planned({"seed": range(2)})
    folder = kept(plan, [ended(plan.lanes[0], 0.5)], rank_by="loss")
    before, rename = contents(folder), os.replace

    def fail(source, target):
        if str(target).endswith("sweep.json"):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match=r"sweep\.json: cannot be written \(No space left on device\)"):
        kept(plan, [ended(lane, 0.5) for lane in plan.lanes], rank_by="loss")
    after = contents(folder)
    assert after.keys() == before.keys() | {"lanes/1.flac", "lanes/1.json"}
    assert after["sweep.json"] == before["sweep.json"]
    monkeypatch.undo()
    kept(plan, [ended(lane, 0.5) for lane in plan.lanes], rank_by="loss")
    assert json.loads((folder / "sweep.json").read_text())["complete"] is True


# Reads command lines with a binary's own flags, and says what it would hand on.
PARSE = """
import importlib, json, shlex, sys
from absl import flags
binary = importlib.import_module(f"jaxst.bin.{sys.argv[1]}")
from jaxst.bin import style_flags
for line in sys.stdin:
    program, *arguments = shlex.split(line)
    assert program == f"jaxst-{sys.argv[1]}"
    rest = flags.FLAGS([program, *arguments])
    assert rest == [program], rest
    raw = {name: flags.FLAGS[name].value for name in ("content", "duration", "init", "sample_rate", "output")
           if name in flags.FLAGS}
    print(json.dumps({**raw, **style_flags.options(binary.OPTIONS), "style": style_flags.names()}))
    flags.FLAGS.unparse_flags()
"""


def parsed(program, commands):
    """What a binary makes of command lines, but for what they leave open."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE, program], input="\n".join(commands), text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [{name: value for name, value in each.items() if value is not None} for each in found]


def as_json(value):
    return json.loads(json.dumps(value))


def test_a_lanes_command_says_to_the_binary_what_the_lane_is(learned, tmp_path):
    path = tmp_path / "my styles" / "water.npz"
    path.parent.mkdir()
    jaxst.save_style(path, learned)
    awkward = make_plan(
        [("a b.wav", ["c, d.wav", "it's.wav", 'say "e".wav'])], as_spaces({"seed": [2**31 - 1]}), options={}
    )
    plans = [
        planned(
            {"style_weight": "log:1e-4:7:5", "learning_rate": [0.1 + 0.2], "init": ["mix", "noise"]},
            [(TONE, [WATER, SEA]), (SEA, TONE)],
            options={"windows": [64, 32.5, 16], "steps": 12, "compression": 1e-30, "optimizer": "adam"},
            style_mix=None,
            sample_rate=22_050,
        ),
        planned({"seed": "lin:0:10:3"}, [(TONE, [WATER, SEA])], style_mix=[0.1, 1 / 3]),
        planned(
            {"shapes": [[[3, 3], [5, 7]], [[1, 11]]], "n_filters": [4]},
            method="kanak",
            options={"content_weight": 0.5},
        ),
        planned({"method": ["arccos", "single-layer"]}),
        planned({"threshold": [-60, -55.5]}, method="sines-tensor"),
        awkward,
        planned({"seed": [4]}, [(TONE, path)]),
    ]
    commands = [(plan, lane, tables.lane_command(plan, lane)) for plan in plans for lane in plan.lanes]
    found = parsed("transfer", [command for *_, command in commands])
    assert len(found) == len(commands) == 20 + 3 + 2 + 2 + 2 + 1 + 1
    assert (found[-1]["style"], found[-2]["style"]) == ([str(path)], ["c, d.wav", "it's.wav", 'say "e".wav'])
    for (plan, lane, command), given in zip(commands, found, strict=True):
        names = plan.pairs[lane.pair].names
        wanted = {
            "method": plan.method,
            "style_mix": plan.style_mix,
            "sample_rate": plan.sample_rate,
            "content": names["content"][0],
            "style": names["style"],
            "output": f"{lane.name}.wav",
            **plan.options,
            **lane.settings,
        }
        assert given == as_json({name: value for name, value in wanted.items() if value is not None}), command


def test_a_textures_command_does_too():
    plan = planned(
        {"seed": [0, 5], "init": ["style", "noise"], "diversity_weight": [0.25]},
        [(None, [WATER, SEA]), (None, TONE)],
        options={"texture_weight": 0.5, "equalization": 0.5},  # of which a texture has nothing
        duration=0.1 + 0.2,
        sample_rate=8_000,
    )
    found = parsed("texture", [tables.lane_command(plan, lane) for lane in plan.lanes])
    assert len(found) == 8
    for lane, given in zip(plan.lanes, found, strict=True):
        assert given == as_json(
            {
                "duration": 0.1 + 0.2,
                "sample_rate": 8_000,
                "style": plan.pairs[lane.pair].names["style"],
                "output": f"{lane.name}.wav",
                "texture_weight": 0.5,
                **lane.settings,
            }
        )
