"""What a grid may say, which runs it stands for, and what a user is told of one that stands for none."""

import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxst.config import OPTIONS
from jaxst.errors import ConfigError
from jaxst.methods import METHODS
from jaxst.options import parsed
from jaxst.sweep.grid import MOST, Choices, Range, as_spaces, as_text, combinations, parse_grid, parse_space, sample

LENGTHS = st.lists(st.floats(0, exclude_min=True, allow_infinity=False), min_size=1).map(tuple)
LISTS = {
    "windows": LENGTHS,
    "hops": LENGTHS,
    "bank_weights": LENGTHS,
    "patch_frames": st.lists(st.integers(1, 2**31 - 1), min_size=1).map(tuple),
    "shapes": st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(1, 2**31 - 1)), min_size=1).map(tuple),
}


def values_of(name):
    """All values that an option can have."""
    if name == "method":
        return st.sampled_from(list(METHODS))
    option = OPTIONS[name]
    if option.kind is tuple:
        return LISTS[name]
    if option.kind is str:
        return st.sampled_from(option.need.removeprefix("one of ").split(", "))
    numbers = st.integers(0, 2**31 - 1) if option.kind is int else st.floats(0, 1) | st.floats(-200, 0) | st.floats()
    return numbers.filter(option.valid)


ANY = st.sampled_from(["method", *OPTIONS]).flatmap(lambda name: st.tuples(st.just(name), values_of(name)))


def grid_of(name, text):
    """The values that one option takes in turn."""
    return [combination[name] for combination in combinations({name: parse_space(name, text)})]


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("style_weight", "0.1,1,10", (0.1, 1.0, 10.0)),
        ("style_weight", "1e3", (1000.0,)),
        ("style_weight", "1000,100", (1000.0, 100.0)),
        ("threshold", "-60,-1e2", (-60.0, -100.0)),
        ("seed", "3,1,2", (3, 1, 2)),
        ("seed", "0:8", (0, 1, 2, 3, 4, 5, 6, 7)),
        ("seed", "5:6", (5,)),
        ("steps", "100:400:100", (100, 200, 300)),
        ("steps", "3:0:-1", (3, 2, 1)),
        ("method", "arccos,caracalla-roebel", ("arccos", "caracalla-roebel")),
        ("optimizer", "adam", ("adam",)),
        ("windows", "64,32/128,64", ((64.0, 32.0), (128.0, 64.0))),
        ("windows", "64", ((64.0,),)),
        ("patch_frames", "11/11,7", ((11,), (11, 7))),
        ("shapes", "0x11,3x3/5x5", (((0, 11), (3, 3)), ((5, 5),))),
    ],
)
def test_values_are_listed(name, text, values):
    space = parse_space(name, text)
    assert space == Choices(values)
    assert repr(space) == repr(Choices(values))  # the same types, too


@pytest.mark.parametrize(
    ("name", "text", "space", "values"),
    [
        ("learning_rate", "log:1e-4:1e-1:4", Range(1e-4, 1e-1, "log", 4), [1e-4, 1e-3, 1e-2, 1e-1]),
        ("learning_rate", "log:1e-4:1e-1:2", Range(1e-4, 1e-1, "log", 2), [1e-4, 1e-1]),
        ("learning_rate", "log:1e-4:1e-1:1", Range(1e-4, 1e-1, "log", 1), [1e-4]),
        ("style_weight", "log:0.1:1000:5", Range(0.1, 1000.0, "log", 5), [0.1, 1.0, 10.0, 100.0, 1000.0]),
        ("style_weight", "log:0.123456789012345:1:2", Range(0.123456789012345, 1.0, "log", 2), [0.123456789012345, 1]),
        ("equalization", "lin:0:1:11", Range(0.0, 1.0, "linear", 11), [n / 10 for n in range(11)]),
        ("threshold", "lin:-200:0:5", Range(-200.0, 0.0, "linear", 5), [-200.0, -150.0, -100.0, -50.0, 0.0]),
        ("steps", "log:10:1000:5", Range(10, 1000, "log", 5, whole=True), [10, 32, 100, 316, 1000]),
        ("seed", "lin:0:10:5", Range(0, 10, "linear", 5, whole=True), [0, 2, 5, 8, 10]),
        ("seed", "lin:0:4:5", Range(0, 4, "linear", 5, whole=True), [0, 1, 2, 3, 4]),
    ],
)
def test_ranges_are_divided_evenly_and_roundly(name, text, space, values):
    assert parse_space(name, text) == space
    divided = grid_of(name, text)
    assert divided == values
    assert {type(value) for value in divided} == {OPTIONS[name].kind}


def test_a_range_between_any_ends_is_divided_as_numpy_does():
    for scale, numpys in (("log", np.geomspace), ("lin", np.linspace)):
        divided = grid_of("style_weight", f"{scale}:0.0371:5.213:9")
        np.testing.assert_allclose(divided, numpys(0.0371, 5.213, 9), rtol=1e-11)
        assert (divided[0], divided[-1]) == (0.0371, 5.213)


@given(ANY)
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_parsed_to_the_same_value(option):
    name, value = option
    text = as_text(name, value)
    assert repr(parse_space(name, text)) == repr(Choices((value,)))
    if name != "method":
        assert repr(parsed(OPTIONS, name, text)) == repr(value)  # as flags are


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("style_weight", 0.1, "0.1"),
        ("style_weight", 10.0, "10"),
        ("style_weight", 10, "10"),
        ("style_weight", np.float64(1e-7), "1e-07"),
        ("seed", np.int32(10), "10"),
        ("method", "mel", "mel"),
        ("windows", (64, 32.5), "64,32.5"),
        ("shapes", ((0, 11), (3, 3)), "0x11,3x3"),
    ],
)
def test_values_are_written_short(name, value, text):
    assert as_text(name, value) == text


@given(
    st.sampled_from(["log", "linear"]),
    st.lists(st.floats(1e-30, 1e30), min_size=2, max_size=2).map(sorted),
    st.none() | st.integers(1, 50),
)
@settings(deadline=None)
def test_a_range_is_written_as_it_is_parsed(scale, ends, count):
    space = Range(*ends, scale, count)
    if math.isclose(*ends):
        with pytest.raises(ConfigError, match=r"^style_weight=.* must have LOW below HIGH$"):
            as_spaces({"style_weight": space})
    elif ends[1] > 1.001 * ends[0]:
        assert as_spaces({"style_weight": space}) == {"style_weight": space}
        assert parse_grid([f"style_weight={space}"]) == {"style_weight": space}


def test_a_grid_is_all_combinations_and_the_last_option_varies_fastest():
    texts = ["style_weight=0.1,1", "method=mel,arccos", "learning_rate=log:0.01:1:3"]
    expected = itertools.product([0.1, 1.0], ["mel", "arccos"], [0.01, 0.1, 1.0])
    names = ["style_weight", "method", "learning_rate"]
    spaces = parse_grid(texts)
    assert list(spaces) == names
    found = combinations(spaces)
    assert found == [dict(zip(names, values, strict=True)) for values in expected]
    assert all(list(combination) == names for combination in found)
    assert combinations({}) == [{}]


def test_a_grid_in_python_is_that_of_the_command_line():
    grid = {
        "style_weight": [0.1, 1, 10],
        "content_weight": np.array([0.0, 0.5]),
        "learning_rate": "log:1e-4:1e-1:7",
        "start_noise": jnp.array([0.25, 0.5]),
        "seed": range(8),
        "steps": np.array([10, 20]),
        "filter_seed": (np.int64(1), 2),
        "method": ["arccos", "mel"],
        "windows": [[64, 32], (128, 64)],
        "hops": np.array([[16, 8], [32, 16]]),
        "patch_frames": Choices(([np.int64(11), 11], [7])),
        "shapes": [[[0, 11], (3, 3)], np.array([[5, 5]])],
        "whitening": Range(0, 1, "linear", 3),
        "memory": Range(1.0, 10.0, "log"),
    }
    texts = [
        "style_weight=0.1,1,10",
        "content_weight=0,0.5",
        "learning_rate=log:1e-4:1e-1:7",
        "start_noise=0.25,0.5",
        "seed=0:8",
        "steps=10,20",
        "filter_seed=1,2",
        "method=arccos,mel",
        "windows=64,32/128,64",
        "hops=16,8/32,16",
        "patch_frames=11,11/7",
        "shapes=0x11,3x3/5x5",
        "whitening=lin:0:1:3",
        "memory=log:1:10",
    ]
    assert repr(as_spaces(grid)) == repr(parse_grid(texts))
    assert as_spaces(parse_grid(texts)) == parse_grid(texts)


MIXED = ["style_weight=lin:0.5:2", "learning_rate=log:1e-4:1:3", "seed=lin:0:9", "steps=log:1:50", "init=noise,style"]


@given(count=st.integers(2, 60), seed=st.integers(0, 2**64))
@settings(max_examples=50, deadline=None)
def test_samples_are_distinct_reproducible_within_bounds_and_continued(count, seed):
    spaces = parse_grid(MIXED)
    found = sample(spaces, count, seed)
    assert found == sample(spaces, count, seed)
    assert found[:-1] == sample(spaces, count - 1, seed)
    assert found != sample(spaces, count, seed + 1)
    assert len({tuple(combination.values()) for combination in found}) == len(found) == count
    for combination in found:
        assert list(combination) == list(spaces)
        assert 0.5 <= combination["style_weight"] <= 2
        assert 1e-4 <= combination["learning_rate"] <= 1
        assert combination["seed"] in range(10)
        assert combination["steps"] in range(1, 51)
        assert combination["init"] in ("noise", "style")
        kinds = [OPTIONS[name].kind for name in combination]
        assert [type(value) for value in combination.values()] == kinds


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.data())
@settings(max_examples=30, deadline=None)
def test_all_of_a_finite_space_can_be_sampled_and_no_more(sizes, data):
    names = data.draw(st.permutations(["style_weight", "seed", "steps"]))
    spaces = parse_grid(
        [f"{name}={','.join(map(str, range(1, 1 + n)))}" for name, n in zip(names, sizes, strict=False)]
    )
    total = math.prod(sizes)
    assert sorted(sample(spaces, total, 0), key=str) == sorted(combinations(spaces), key=str)
    with pytest.raises(ConfigError, match=rf"^random={total + 1} must be at most {total}, the number of combinations"):
        sample(spaces, total + 1, 0)


def test_whole_numbers_in_a_range_are_finite_too():
    spaces = parse_grid(["seed=lin:3:5", "optimizer=adam,lbfgs"])
    assert {(found["seed"], found["optimizer"]) for found in sample(spaces, 6, 1)} == {
        *itertools.product((3, 4, 5), ("adam", "lbfgs"))
    }
    with pytest.raises(ConfigError, match=r"^random=7 must be at most 6, "):
        sample(spaces, 7, 1)


def test_samples_are_spread_as_the_scale_is():
    found = sample(parse_grid(MIXED), 3000, 0)
    drawn = {name: [combination[name] for combination in found] for name in found[0]}
    assert scipy.stats.kstest(drawn["style_weight"], scipy.stats.uniform(0.5, 1.5).cdf).pvalue > 0.01
    assert scipy.stats.kstest(drawn["learning_rate"], scipy.stats.loguniform(1e-4, 1).cdf).pvalue > 0.01
    assert scipy.stats.chisquare([drawn["seed"].count(seed) for seed in range(10)]).pvalue > 0.01
    assert scipy.stats.chisquare([drawn["init"].count(init) for init in ("noise", "style")]).pvalue > 0.01
    steps = np.arange(1, 51)
    expected = len(found) * np.log((steps + 0.5) / (steps - 0.5)) / np.log(50.5 / 0.5)
    assert scipy.stats.chisquare([drawn["steps"].count(n) for n in steps], expected).pvalue > 0.01


FLOAT = r"must be values separated by commas, log:LOW:HIGH\[:COUNT\] or lin:LOW:HIGH\[:COUNT\]"
INT = r"must be values separated by commas, FIRST:STOP\[:STEP\], log:LOW:HIGH\[:COUNT\] or lin:LOW:HIGH\[:COUNT\]"
SIZE = f"must have from 1 to {MOST} values"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("style_weight", "grid=style_weight must be NAME=VALUES, such as style_weight=0.1,1,10"),
        ("", "grid= must be NAME=VALUES, such as style_weight=0.1,1,10"),
        ("stylewight=1", "stylewight: no such option; there are .*, method, .*style_weight.*"),
        ("=1", ": no such option; there are .*"),
        ("style_weight=", f"style_weight= {FLOAT}"),
        ("style_weight=1,,2", f"style_weight=1,,2 {FLOAT}"),
        ("style_weight=1,", f"style_weight=1, {FLOAT}"),
        ("style_weight=1,a", "style_weight=a must be a positive number"),
        ("style_weight=1,0", "style_weight=0.0 must be a positive number"),
        ("style_weight=nan", "style_weight=nan must be a positive number"),
        ("style_weight=inf", "style_weight=inf must be a positive number"),
        ("style_weight=1,2,1.0", "style_weight=1 is there twice; give each value once"),
        ("style_weight=0:8", f"style_weight=0:8 {FLOAT}"),
        ("style_weight=exp:1:8", f"style_weight=exp:1:8 {FLOAT}"),
        ("style_weight=log:1", f"style_weight=log:1 {FLOAT}"),
        ("style_weight=log:1:2:3:4", f"style_weight=log:1:2:3:4 {FLOAT}"),
        ("style_weight=log:1:2:", f"style_weight=log:1:2: {FLOAT}"),
        ("style_weight=log:1:2:2.5", f"style_weight=log:1:2:2.5 {FLOAT}"),
        ("style_weight=log:1:2:0", f"style_weight=log:1:2:0 {SIZE}"),
        ("style_weight=log:1:2:-1", f"style_weight=log:1:2:-1 {SIZE}"),
        (f"style_weight=log:1:2:{MOST + 1}", f"style_weight=log:1:2:{MOST + 1} {SIZE}"),
        ("style_weight=log:a:2", "style_weight=a must be a positive number"),
        ("style_weight=log:1:", "style_weight= must be a positive number"),
        ("style_weight=lin:0:2:3", "style_weight=0.0 must be a positive number"),
        ("style_weight=lin:1:inf:3", "style_weight=inf must be a positive number"),
        ("style_weight=lin:nan:1", "style_weight=nan must be a positive number"),
        ("style_weight=log:2:1:3", "style_weight=log:2:1:3 must have LOW below HIGH"),
        ("style_weight=lin:1:1", "style_weight=lin:1:1 must have LOW below HIGH"),
        ("style_weight=lin:1:1.0000000001", "style_weight=lin:1:1.0000000001 must have LOW below HIGH"),
        ("style_weight=lin:1:1.00000001:99999", "style_weight=.*:99999 must have values that differ when they are .*"),
        ("content_weight=log:0:1:3", "content_weight=log:0:1:3 must have LOW above zero on a log scale; give lin"),
        ("threshold=log:-10:-1", "threshold=log:-10:-1 must have LOW above zero on a log scale; give lin"),
        ("equalization=lin:0:2:3", "equalization=2.0 must be between 0 and 1"),
        ("seed=0.5", "seed=0.5 must be a whole number from 0 to 2147483647"),
        ("seed=-1:2", "seed=-1 must be a whole number from 0 to 2147483647"),
        ("seed=lin:0:2.5:3", "seed=2.5 must be a whole number from 0 to 2147483647"),
        ("seed=8:0", f"seed=8:0 {SIZE}"),
        ("seed=0:0", f"seed=0:0 {SIZE}"),
        (f"seed=0:{10**30}", f"seed=0:{10**30} {SIZE}"),
        (f"seed=0:{MOST + 1}", f"seed=0:{MOST + 1} {SIZE}"),
        ("seed=0:8:0", f"seed=0:8:0 {INT}"),
        ("seed=0:", f"seed=0: {INT}"),
        ("seed=a:8", f"seed=a:8 {INT}"),
        ("seed=0:8:2:1", f"seed=0:8:2:1 {INT}"),
        ("seed=0:4,9", f"seed=0:4,9 {INT}"),
        ("seed=0:4:0.5", f"seed=0:4:0.5 {INT}"),
        ("seed=1,01", "seed=1 is there twice; give each value once"),
        ("seed=lin:0:3:9", "seed=lin:0:3:9 must have values that differ when they are rounded; lower the count"),
        ("steps=log:1:100:20", "steps=log:1:100:20 must have values that differ when .* rounded; lower the count"),
        ("method=gatys", f"method='gatys' must be one of {', '.join(METHODS)}"),
        ("method=", "method= must be values separated by commas"),
        ("method=mel,arccos,mel", "method=mel is there twice; give each value once"),
        ("method=log:a:b", f"method='log:a:b' must be one of {', '.join(METHODS)}"),
        ("windows=", "windows= must be lists separated by slashes"),
        ("windows=64/", "windows=64/ must be lists separated by slashes"),
        ("windows=64,,32", "windows=64,,32 must be positive lengths in milliseconds, separated by commas"),
        ("windows=64/0", r"windows=\(0.0,\) must be positive lengths in milliseconds, separated by commas"),
        ("windows=lin:1:2", "windows=lin:1:2 must be positive lengths in milliseconds, separated by commas"),
        ("windows=64,32/64.0,32", "windows=64,32 is there twice; give each value once"),
        ("shapes=3", "shapes=3 must be shapes such as 0x11 or 3x3, separated by commas"),
    ],
)
def test_what_cannot_be_parsed_is_refused_by_name_and_text(text, message):
    with pytest.raises(ConfigError, match=f"^{message}$") as caught:
        parse_grid(["n_filters=8", text])
    assert "\n" not in str(caught.value)


def test_an_option_that_is_there_twice_is_refused():
    with pytest.raises(ConfigError, match=r"^grid=seed=2: seed is there twice; give all of its values at once$"):
        parse_grid(["seed=0:2", "steps=3", "seed=2"])


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"seed": 3}, "seed=3 must be a list of values, even if there is only one"),
        ({"seed": None}, "seed=None must be a list of values, even if there is only one"),
        ({"seed": np.int32(3)}, r"seed=.*3.* must be a list of values, even if there is only one"),
        ({"seed": jnp.array(3)}, r"seed=.*3.* must be a list of values, even if there is only one"),
        ({"seed": {1}}, r"seed=\{1\} must be a list of values, even if there is only one"),
        ({"seed": []}, rf"seed=\(\) {SIZE}"),
        ({"seed": range(0)}, rf"seed=range\(0, 0\) {SIZE}"),
        ({"seed": range(10**30)}, rf"seed=range\(0, 10.*0\) {SIZE}"),
        ({"seed": [0] * (MOST + 1)}, rf"seed=\(0, 0, .*\) {SIZE}"),
        ({"seed": [1, True]}, "seed=True must be a whole number from 0 to 2147483647"),
        ({"seed": [1.0]}, "seed=1.0 must be a whole number from 0 to 2147483647"),
        ({"seed": [[1]]}, r"seed=\(1,\) must be a whole number from 0 to 2147483647"),
        ({"style_weight": [1, 0]}, "style_weight=0 must be a positive number"),
        ({"style_weight": ["1"]}, "style_weight='1' must be a positive number"),
        ({"style_weight": [math.inf]}, "style_weight=inf must be a positive number"),
        ({"style_weight": [1, None]}, "style_weight=None must be a positive number"),
        ({"style_weight": np.ones(2)}, "style_weight=1 is there twice; give each value once"),
        ({"style_weight": "a"}, "style_weight=a must be a positive number"),
        ({"style_weight": Choices(())}, rf"style_weight=\(\) {SIZE}"),
        ({"style_weight": Choices((0,))}, "style_weight=0 must be a positive number"),
        ({"style_weight": Range(1, 9, "exp")}, f"style_weight=exp:1:9 {FLOAT}"),
        ({"style_weight": Range(9, 1, "log")}, "style_weight=log:9:1 must have LOW below HIGH"),
        ({"style_weight": Range(1, 9, "log", 0)}, f"style_weight=log:1:9:0 {SIZE}"),
        ({"seed": Range(0.5, 9, "linear")}, "seed=0.5 must be a whole number from 0 to 2147483647"),
        ({"windows": (64, 32)}, r"windows=\(64, 32\) must be a list of lists, even if there is only one"),
        ({"windows": 64.0}, "windows=64.0 must be a list of lists, even if there is only one"),
        ({"windows": []}, rf"windows=\(\) {SIZE}"),
        ({"windows": [[]]}, r"windows=\(\) must be positive lengths in milliseconds, separated by commas"),
        ({"windows": [(64, 32), [64.0, 32.0]]}, "windows=64,32 is there twice; give each value once"),
        ({"shapes": [(3, 3)]}, r"shapes=\(3, 3\) must be shapes such as 0x11 or 3x3, separated by commas"),
        ({"method": ["gatys"]}, "method='gatys' must be one of .*"),
        ({"stylewight": [1]}, "stylewight: no such option; there are .*"),
        ({"stylewight": 1}, "stylewight: no such option; there are .*"),
        ({"stylewight": "1"}, "stylewight: no such option; there are .*"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_python_gives_is_checked_as_well(grid, message):
    with pytest.raises(ConfigError, match=f"^{message}$") as caught:
        as_spaces(grid)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("seed", -1), ("seed", 0.5), ("windows", 64), ("method", "gatys")])
def test_what_no_option_can_be_is_not_written(name, value):
    with pytest.raises(ConfigError, match=f"^{name}={value!r} must be "):
        as_text(name, value)


def test_an_unknown_option_is_not_written():
    with pytest.raises(ConfigError, match=r"^stylewight: no such option; there are "):
        as_text("stylewight", 1)


def test_a_grid_needs_counts_and_has_an_end():
    with pytest.raises(
        ConfigError, match=r"^style_weight=log:1:9 has no count; add a count, such as log:1:9:5, or give --random$"
    ):
        combinations(parse_grid(["seed=0:2", "style_weight=log:1:9"]))
    spaces = parse_grid(["seed=0:1000", "filter_seed=0:1000"])
    with pytest.raises(ConfigError, match=rf"^grid: 1000000 combinations are more than {MOST}; give fewer values, or "):
        combinations(spaces)
    assert len(sample(spaces, 3, 0)) == 3


@pytest.mark.parametrize("count", [-1, 0, MOST + 1])
def test_a_number_of_samples_out_of_bounds_is_refused(count):
    with pytest.raises(ConfigError, match=f"^random={count} must be from 1 to {MOST}$"):
        sample(parse_grid(["style_weight=lin:1:2"]), count, 0)
