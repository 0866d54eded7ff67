"""Findings as tables, JSON and charts."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxst.bench.findings import Comparison, Curve, Figure, as_json, as_markdown, charts
from jaxst.bench.timing import Timing


def timing(median):
    return Timing(median, 0.9 * median, 1.1 * median)


FASTER = Comparison(
    "STFT", "10 s", {"jaxst": timing(0.002), "torch": timing(0.005)}, 0.3, {"jaxst": 12.4}, targets={"torch": 2.0}
)
SLOWER = Comparison("inverse", "10 s", {"jaxst": timing(0.004), "torch": timing(0.002)}, targets={"torch": 1.5})
QUICK, LATE = Figure("import", 1.4, "s", most=2.0), Figure("lanes", 3.0, least=8.0)
GROWTH = Curve("length", "seconds", (1, 2, 4, 8), {"jaxst": (5.0, 2.0, 4.0, 8.0), "torch": (1, 4, 16, 64)}, 2, 1.1)
EVERYTHING = [FASTER, SLOWER, QUICK, LATE, GROWTH]


def test_targets_that_are_missed_say_by_how_much():
    assert [finding.missed for finding in EVERYTHING] == [
        [],
        ["inverse: 0.50 times as fast as torch, not 1.5"],
        [],
        ["lanes: 3, not at least 8"],
        [],
    ]


def test_an_exponent_is_that_of_the_places_it_is_asked_for():
    assert GROWTH.exponent("jaxst") == pytest.approx(1)
    assert GROWTH.exponent("torch") == pytest.approx(2)
    steep = Curve("n", "n", (1, 2, 4), {"jaxst": (1, 4, 16)}, most=1.1)
    assert steep.missed == ["n: exponent 2.00, not at most 1.1"]


def test_markdown_has_every_number_and_verdict():
    lines = as_markdown(EVERYTHING).splitlines()
    assert "| STFT | 10 s | jaxst | 2 | 1.8 to 2.2 |  |  |  | 0.3 | 12 |" in lines
    assert "|  |  | torch | 5 | 4.5 to 5.5 | 2.50 | 2 | met |  |  |" in lines
    assert "|  |  | torch | 2 | 1.8 to 2.2 | 0.50 | 1.5 | MISSED |  |  |" in lines
    assert "| import | 1.4 | s | at most 2 | met |" in lines
    assert "| 8 | 8 | 64 |" in lines
    assert lines[-1] == "Exponents from 2 on: jaxst 1.00, torch 2.00 (asked at most 1.1: met)"
    assert {line.count("|") for line in lines if line.startswith(("| STFT", "|  | of", "|  |  |"))} == {11}


def test_json_has_ratios_exponents_and_what_is_missed():
    found = json.loads(as_json({"jax": "1"}, {"kernels": EVERYTHING}))
    assert found["environment"] == {"jax": "1"}
    one, _, figure, late, curve = found["suites"]["kernels"]
    assert one["kind"] == "comparison"
    assert one["ratios"] == {"torch": pytest.approx(2.5)}
    assert one["timings"]["torch"]["median"] == 0.005
    assert figure["value"] == 1.4
    assert late["missed"]
    assert curve["exponents"]["torch"] == pytest.approx(2)


def test_charts_are_pictures_of_something(tmp_path):
    assert charts(EVERYTHING, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10
    assert not charts([QUICK], tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()
