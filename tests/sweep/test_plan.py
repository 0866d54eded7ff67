"""Which runs a sweep has and how they are called; what is refused; and that a manifest changes with all that results
depend on, and with nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import jaxst
from jaxst.config import options as config_options
from jaxst.errors import AudioError, ConfigError
from jaxst.sweep import plan as planning
from jaxst.sweep.grid import as_spaces
from jaxst.sweep.plan import differences, make_plan, read_pairs

NOISE = np.random.default_rng(0).standard_normal((1, 4_000)).astype(np.float32)
TONE, WATER, SEA = (jaxst.Recording(level * NOISE, 8_000, name) for level, name in [(0.1, "a"), (0.2, "b"), (0.3, "c")])
LEARNED = {"method": "ulyanov", "n_filters": 4, "shapes": ((0, 3),), "windows": (32.0,), "hops": (8.0,)}


def planned(grid, pairs=((TONE, WATER),), *, options=None, **given):
    return make_plan(pairs, as_spaces(grid), options=options or {}, **given)


@pytest.fixture(scope="module")
def learned():
    return jaxst.analyze_style(WATER, **LEARNED)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three recordings and a list of pairs."""
    for name, level in (("tone", 0.1), ("water", 0.2), ("sea", 0.3)):
        soundfile.write(tmp_path / f"{name}.wav", level * NOISE[0], 8_000)
    (tmp_path / "pairs.csv").write_text("content,style\ntone.wav,water.wav\n,sea.wav;water.wav\n")
    return tmp_path


def test_pairs_are_outermost_and_the_last_option_varies_fastest():
    plan = planned({"style_weight": [0.1, 1], "seed": range(3)}, [(TONE, WATER), (WATER, [SEA, TONE])])
    assert [(lane.name, lane.pair, lane.settings["style_weight"], lane.settings["seed"]) for lane in plan.lanes] == [
        *(("00", 0, 0.1, 0), ("01", 0, 0.1, 1), ("02", 0, 0.1, 2), ("03", 0, 1.0, 0), ("04", 0, 1.0, 1)),
        *(("05", 0, 1.0, 2), ("06", 1, 0.1, 0), ("07", 1, 0.1, 1), ("08", 1, 0.1, 2), ("09", 1, 1.0, 0)),
        *(("10", 1, 1.0, 1), ("11", 1, 1.0, 2)),
    ]
    assert plan.lanes[4].text == "style_weight=1 seed=1"
    assert [pair.texts for pair in plan.pairs] == [
        {"content": "a", "style": "b"},
        {"content": "b", "style": "c,a"},
    ]


@pytest.mark.parametrize(("count", "last"), [(1, "0"), (10, "9"), (11, "10"), (100, "99"), (101, "100")])
def test_names_are_as_long_as_the_last_one(count, last):
    lanes = planned({"seed": range(count)}).lanes
    assert [int(lane.name) for lane in lanes] == list(range(count))
    assert lanes[-1].name == last
    assert {len(lane.name) for lane in lanes} == {len(last)}


def test_without_a_grid_there_is_one_run():
    (lane,) = planned({}).lanes
    assert (lane.name, lane.text, dict(lane.settings)) == ("0", "", {})


def test_every_run_has_its_options():
    grid = {"method": ["arccos", "caracalla-roebel"], "steps": [7, 3], "compression": [1, 100]}
    plan = planned(grid, options={"seed": 5, "memory": None, "content_weight": 0.5})
    for lane in plan.lanes:
        found = config_options(lane.config)
        given = {"seed": 5, "content_weight": 0.5, **lane.settings}
        assert {name: found[name] for name in given} == given
    assert len({lane.config for lane in plan.lanes}) == 8
    assert dict(plan.options) == {"seed": 5, "content_weight": 0.5}
    single = jaxst.task.transfer_config(
        "arccos", {"seed": 5, "content_weight": 0.5, "steps": 3, "compression": 100.0}, []
    )
    assert plan.lanes[3].config == single


@pytest.mark.parametrize(
    ("grid", "given", "words"),
    [
        ({"seed": [1]}, {"options": {"seed": 2}}, ["seed is given, and varied"]),
        ({"method": ["arccos"]}, {"method": "arccos"}, ["method is given, and varied"]),
        ({}, {"options": {"nope": 2}}, ["nope"]),
        ({}, {"options": {"seed": -1}}, ["seed=-1"]),
        ({}, {"method": "nope"}, ["method='nope'"]),
        ({"seed": [1]}, {"duration": 3.0}, ["duration=3", "content"]),
        ({"seed": [1]}, {"random": 2}, ["random=2", "at most 1"]),
        ({"seed": [1]}, {"random": 0}, ["random=0"]),
        (
            {"learning_rate": [0.1], "method": ["arccos", "ulyanov"], "n_filters": [8]},
            {},
            ["n_filters", "(of the grid, in the run with learning_rate=0.1, method=arccos, n_filters=8)"],
        ),
        (
            {"content_weight": [0.1, 0], "windows": [[64, 32, 16]]},
            {},
            ["content_weight=0 must", "in the run with content_weight=0, windows=64,32,16)"],
        ),
        ({"seed": [1, 2]}, {"options": {"content_weight": 0}}, ["content_weight=0", "in the run with seed=1)"]),
    ],
)
def test_a_mistake_is_one_line_that_names_the_run(grid, given, words):
    with pytest.raises(ConfigError) as error:
        planned(grid, **given)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)
    assert ("of the grid" in str(error.value)) == any("the run with" in word for word in words)


def test_what_is_fine_with_one_pair_may_be_a_mistake_with_another():
    with pytest.raises(
        ConfigError, match=r"content_weight=0\.5 needs a content.*in the run with content_weight=0\.5\)"
    ):
        planned({"content_weight": [0.5]}, [(TONE, WATER), (None, WATER)])
    assert len(planned({"content_weight": [0.5]}, [(TONE, WATER), (SEA, WATER)]).lanes) == 2


def test_a_pair_needs_a_style():
    with pytest.raises(ConfigError, match="style: give at least one recording"):
        planned({"seed": [1]}, [(TONE, [])])


def test_texture_has_a_duration():
    plan = planned({"seed": [1, 2]}, [(None, WATER)], duration=2)
    assert plan.duration == 2.0
    assert plan.lanes[0].config == jaxst.task.texture_config(None, {"seed": 1}, [])


def test_combinations_are_drawn_alike_by_a_seed():
    grid = {"style_weight": "log:0.01:100", "seed": range(50)}

    def drawn(count, seed):
        return [dict(lane.settings) for lane in planned(grid, random=count, sample_seed=seed).lanes]

    eight = drawn(8, 3)
    assert len({tuple(settings.items()) for settings in eight}) == 8
    assert all(0.01 <= settings["style_weight"] <= 100 and settings["seed"] in range(50) for settings in eight)
    assert len({settings["style_weight"] for settings in eight}) == 8
    assert drawn(8, 3) == eight == drawn(20, 3)[:8]
    assert all(settings not in eight for settings in drawn(8, 4))
    plan = planned(grid, [(TONE, WATER), (WATER, SEA)], random=3, sample_seed=3)
    assert [(lane.pair, dict(lane.settings)) for lane in plan.lanes] == [(p, s) for p in (0, 1) for s in eight[:3]]


def test_a_learned_style_decides_the_method(learned):
    assert planned({"seed": [1]}, [(TONE, learned)]).lanes[0].config.method == "ulyanov"
    with pytest.raises(ConfigError, match=r"method=arccos.*learned for method=ulyanov.*in the run with method=arccos"):
        planned({"method": ["arccos"]}, [(TONE, learned)])


def test_a_saved_style_goes_by_the_name_of_its_file(learned, tmp_path):
    path = tmp_path / "water.npz"
    jaxst.save_style(path, learned)
    plan = planned({"seed": [1]}, [(TONE, path), (TONE, [str(path)]), (TONE, learned)])
    assert [pair.texts["style"] for pair in plan.pairs] == [str(path), str(path), "b"]
    assert plan.lanes[0].config.method == "ulyanov"
    first, second, _ = plan.manifest["pairs"]
    assert first == second == {**first, "content": "a", "style": "water.npz"}
    jaxst.save_style(path, replace(learned, length=3_999), overwrite=True)
    assert planned({"seed": [1]}, [(TONE, path)]).manifest["pairs"][0]["sha256"] != first["sha256"]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("content,style\na.wav,b.wav\nc.wav,d.wav\n", [("a.wav", ["b.wav"]), ("c.wav", ["d.wav"])]),
        ("\ufeffcontent,style\r\na.wav,b.wav\r\n", [("a.wav", ["b.wav"])]),
        ("style,content\nb.wav,a.wav", [("a.wav", ["b.wav"])]),
        (" content , style \n a.wav , b.wav \n", [("a.wav", ["b.wav"])]),
        ("content,style\na.wav,b.wav;sub/c.wav ; d.npz;\n", [("a.wav", ["b.wav", "sub/c.wav", "d.npz"])]),
        ("content,style\n,b.wav\n", [(None, ["b.wav"])]),
        ("style\nb.wav\n", [(None, ["b.wav"])]),
        ('content,style\n"a, live.wav","b, 2.wav"\n', [("a, live.wav", ["b, 2.wav"])]),
        ("\ncontent,style\n\na.wav,b.wav\n,\n\n", [("a.wav", ["b.wav"])]),
        ("content,style\na.wav,../b.wav\n", [("a.wav", ["../b.wav"])]),
        ("content,style\nä.wav,b.wav\n", [("ä.wav", ["b.wav"])]),
    ],
)
def test_pairs_are_read_relative_to_their_list(text, pairs, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_bytes(text.encode())
    assert read_pairs(path) == [
        (content and str(tmp_path / content), [str(tmp_path / name) for name in style]) for content, style in pairs
    ]


def test_absolute_paths_stay(tmp_path):
    (tmp_path / "pairs.csv").write_text("content,style\n/else/a.wav,/else/b.wav;c.wav\n")
    assert read_pairs(str(tmp_path / "pairs.csv")) == [("/else/a.wav", ["/else/b.wav", str(tmp_path / "c.wav")])]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["columns content and style, not none"]),
        (b"\n\n", ["columns content and style, not none"]),
        (b"content,style\n", ["names no pairs"]),
        (b"content,style\n\n,\n", ["names no pairs"]),
        (b"content\na.wav\n", ["columns content and style, not content"]),
        (b"content;style\na.wav;b.wav\n", ["columns content and style, not content;style"]),
        (b"content,style,gain\na.wav,b.wav,2\n", ["not content, style, gain"]),
        (b"content,style,style\na.wav,b.wav,c.wav\n", ["not content, style, style"]),
        (b"a.wav,b.wav\n", ["columns content and style, not a.wav, b.wav"]),
        (b"content,style\na.wav,b.wav\n\nc.wav,\n", ["line 4 names no style"]),
        (b"content,style\na.wav,b.wav\nc.wav\n", ["line 3 names no style"]),
        (b"content,style\na.wav, ; ;\n", ["line 2 names no style"]),
        (b"content,style\na.wav,b.wav,c.wav\n", ["line 2 has more cells", "semicolons"]),
        (b"content,style\n\xff\xfe,b.wav\n", ["cannot be read as CSV"]),
        ("content,style\na.wav,b.wav\n".encode("utf-16"), ["cannot be read as CSV"]),
        (None, ["cannot be read as CSV (No such file"]),
        (Path.mkdir, ["cannot be read as CSV (Is a directory"]),
    ],
)
def test_a_bad_list_of_pairs_is_refused_in_one_line(content, words, tmp_path):
    path = tmp_path / "pairs.csv"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        content(path)
    with pytest.raises(AudioError) as error:
        read_pairs(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_sources_are_each_path_once(folder):
    pairs = [*read_pairs(folder / "pairs.csv"), (TONE, folder / "sea.wav"), (str(folder / "tone.wav"), SEA)]
    plan = planned({"seed": [1]}, pairs)
    for sources, recording, names in [
        (plan.contents, TONE, ["tone.wav"]),
        (plan.styles, SEA, ["water.wav", "sea.wav"]),
    ]:
        assert sources[0] is recording
        assert [Path(source).name for source in sources[1:]] == names


def test_a_manifest_is_what_json_holds_and_the_same_wherever_it_is_made(folder, monkeypatch):
    def made(path):
        grid = {"style_weight": "log:0.1:10:3", "windows": [[64, 32, 16], [48, 24, 12]], "method": ["arccos"]}
        return planned(grid, read_pairs(path), options={"seed": 3}, sample_rate=8_000).manifest

    manifest = made(folder / "pairs.csv")
    assert json.loads(json.dumps(manifest)) == manifest
    monkeypatch.chdir(folder)
    assert made("pairs.csv") == manifest
    (folder / "below").mkdir()
    monkeypatch.chdir("below")
    assert made("../pairs.csv") == manifest
    assert manifest["jaxst"] == jaxst.version.__version__
    assert manifest["grid"] == ["style_weight=log:0.1:10:3", "windows=64,32,16/48,24,12", "method=arccos"]
    assert [(pair.get("content"), pair["style"]) for pair in manifest["pairs"]] == [
        ("tone.wav", "water.wav"),
        (None, "sea.wav,water.wav"),
    ]
    assert manifest["lanes"] == 12


# What is changed, of a plan with `BASE`; under which name a manifest tells it; the values before and now.
BASE = {"method": "single-layer", "options": {"steps": 5}, "sample_rate": 8_000, "style_mix": [2, 1]}
GRID = {"style_weight": [0.1, 1], "seed": range(2)}
CHANGES = {
    "option": ({"options": {"steps": 6}}, GRID, "options", "steps=5", "steps=6"),
    "more options": (
        {"options": {"steps": 5, "content_weight": 0.25}},
        GRID,
        "options",
        "steps=5",
        "content_weight=0.25 steps=5",
    ),
    "no option": ({"options": {}}, GRID, "options", "steps=5", "none"),
    "method": ({"method": "ulyanov"}, GRID, "method", "single-layer", "ulyanov"),
    "no method": ({"method": None}, GRID, "method", "single-layer", "none"),
    "rate": ({"sample_rate": 16_000}, GRID, "sample_rate", "8000", "16000"),
    "mix": ({"style_mix": [1, 2]}, GRID, "style_mix", "2.0 1.0", "1.0 2.0"),
    "no mix": ({"style_mix": None}, GRID, "style_mix", "2.0 1.0", "none"),
    "value": (
        {},
        {**GRID, "style_weight": [0.1, 2]},
        "grid",
        "style_weight=0.1,1 seed=0,1",
        "style_weight=0.1,2 seed=0,1",
    ),
    "order of values": (
        {},
        {**GRID, "style_weight": [1, 0.1]},
        "grid",
        "style_weight=0.1,1 seed=0,1",
        "style_weight=1,0.1 seed=0,1",
    ),
    "order of options": (
        {},
        dict(reversed(GRID.items())),
        "grid",
        "style_weight=0.1,1 seed=0,1",
        "seed=0,1 style_weight=0.1,1",
    ),
    "drawn": ({"random": 4}, GRID, "random", "none", "4"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_plan_is_told_with_both_values(change):
    given, grid, name, before, now = CHANGES[change]
    pairs = [(TONE, [WATER, SEA])]
    first = planned(GRID, pairs, **BASE).manifest
    second = planned(grid, pairs, **{**BASE, **given}).manifest
    found = differences(first, second)
    assert f"{name}: {before} before, {now} now" in found
    assert differences(second, first)[found.index(f"{name}: {before} before, {now} now")].endswith(f"{before} now")
    also = {"drawn": {"sample_seed"}}.get(change, set())
    assert {text.partition(":")[0] for text in found} == {name} | also
    assert json.dumps(first, sort_keys=True) != json.dumps(second, sort_keys=True)


def test_the_same_plan_in_other_words_is_the_same():
    pairs = [(TONE, [WATER, SEA])]
    first = planned(GRID, pairs, **BASE).manifest
    grid = {"style_weight": "0.1,1", "seed": np.arange(2)}
    given = {**BASE, "options": {"memory": None, "steps": np.int64(5)}, "style_mix": (2.0, 1.0)}
    second = planned(grid, pairs, **given).manifest
    assert json.dumps(first) == json.dumps(second)
    assert differences(first, second) == []
    lengths = [planned({}, [(None, WATER)], duration=duration).manifest for duration in (2, 2.0)]
    assert json.dumps(lengths[0]) == json.dumps(lengths[1])


def test_a_drawing_has_a_seed_and_textures_a_duration():
    one, two = (planned(GRID, random=2, sample_seed=seed).manifest for seed in (0, 1))
    assert differences(one, two) == ["sample_seed: 0 before, 1 now"]
    one, two = (planned(GRID, sample_seed=seed).manifest for seed in (0, 1))
    assert differences(one, two) == []
    one, two = (planned(GRID, [(None, WATER)], duration=seconds).manifest for seconds in (None, 1.5))
    assert differences(one, two) == ["duration: none before, 1.5 now"]


def test_another_version_is_another_plan(monkeypatch):
    before = planned(GRID).manifest
    monkeypatch.setattr(planning, "__version__", "99.0")
    assert differences(before, planned(GRID).manifest) == [f"jaxst: {jaxst.version.__version__} before, 99.0 now"]


def test_other_pairs_are_told_by_name_and_checksum(folder):
    pairs = read_pairs(folder / "pairs.csv")
    before = planned(GRID, pairs).manifest
    (text,) = differences(before, planned(GRID, pairs[::-1]).manifest)
    tone, water, sea = (sha[:8] for sha in (*before["pairs"][0]["sha256"], before["pairs"][1]["sha256"][0]))
    assert text == (
        f"pairs: tone.wav with water.wav ({tone} {water}); no content with sea.wav,water.wav ({sea} {water}) before, "
        f"no content with sea.wav,water.wav ({sea} {water}); tone.wav with water.wav ({tone} {water}) now"
    )
    assert {text.partition(":")[0] for text in differences(before, planned(GRID, pairs[:1]).manifest)} == {
        "pairs",
        "lanes",
    }
    with open(folder / "tone.wav", "r+b") as file:  # one bit of one sample
        file.seek(1_000)
        byte = file.read(1)[0]
        file.seek(1_000)
        file.write(bytes([byte ^ 1]))
    assert [text.partition(":")[0] for text in differences(before, planned(GRID, pairs).manifest)] == ["pairs"]
    (folder / "tone.wav").unlink()
    with pytest.raises(AudioError, match=r"tone\.wav: cannot be read \(No such file"):
        _ = planned(GRID, pairs).manifest


def test_recordings_are_told_apart_by_all_that_they_are(learned):
    samples = NOISE[:, :2_000]
    sources = [
        jaxst.Recording(samples, 8_000, "a"),
        jaxst.Recording(samples, 16_000, "a"),
        jaxst.Recording(samples.reshape(2, -1), 8_000, "a"),
        jaxst.Recording(samples + np.float32(1e-7), 8_000, "a"),
    ]
    styles = [learned, replace(learned, length=3_999), replace(learned, levels=2 * np.asarray(learned.levels))]
    pairs = [[(source, WATER)] for source in sources] + [[(WATER, style)] for style in styles]
    texts = [json.dumps(planned(GRID, each).manifest) for each in pairs]
    assert len(set(texts)) == len(pairs)
    again = [json.dumps(planned(GRID, each).manifest) for each in pairs]
    assert texts == again
