"""Suites from their names to files."""

import json

import pytest

from jaxst.bench import run
from jaxst.bench.findings import Comparison, Figure
from jaxst.bench.timing import Timing
from jaxst.errors import ConfigError


@pytest.fixture
def asked(monkeypatch):
    """One suite, whose findings are known; and the devices that it was asked for."""
    timings = {side: Timing(seconds, seconds, seconds) for side, seconds in (("jaxst", 1.0), ("torch", 3.0))}
    devices = []

    def suite(threads, device):
        assert threads >= 1
        devices.append(device)
        yield Comparison("STFT", "10 s", timings, targets={"torch": 2.0})
        yield Figure("import", 3.0, "s", most=2.0)

    monkeypatch.setattr(run, "SUITES", {"kernels": suite})
    return devices


def test_what_is_found_is_told_and_written(asked, tmp_path, capsys):
    machine, found = run.measure(["kernels"], "none")
    assert asked == [None]
    assert "| STFT | 10 s | jaxst |" in capsys.readouterr().out
    run.write(tmp_path / "found", machine, found)
    assert {path.name for path in (tmp_path / "found").iterdir()} == set(run.files(["kernels"]))
    page = (tmp_path / "found" / "RESULTS.md").read_text()
    assert "## Kernels" in page
    assert "![kernels](kernels.png)" in page
    content = json.loads((tmp_path / "found" / "results.json").read_text())
    assert content["suites"]["kernels"][0]["ratios"] == {"torch": 3.0}
    assert content["suites"]["kernels"][1]["missed"] == ["import: 3 s, not at most 2"]
    assert content["environment"] == machine


def test_a_target_that_is_missed_is_told_and_the_exit_status(asked, capsys):
    _, found = run.measure(["kernels"], "none")
    met, missed = ({"kernels": [finding]} for finding in found["kernels"])
    capsys.readouterr()
    assert run.report_missed(met) == 0
    assert capsys.readouterr().out == ""
    assert run.report_missed(met | {"import": missed["kernels"]}) == 1
    assert capsys.readouterr().out == "MISSED import: 3 s, not at most 2\n"


def test_without_pytorch_it_says_what_to_install(asked, monkeypatch):
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install 'jaxst"):
        run.measure(["kernels"], "torch")
    assert asked == []
