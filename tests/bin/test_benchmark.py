"""jaxst-bench from flags to files, and what it refuses."""

import json

import pytest
from absl import flags
from commands import assert_refused, serving

from jaxst.bench.findings import Comparison, Figure
from jaxst.bench.timing import Timing
from jaxst.bin import benchmark as binary


@pytest.fixture(scope="module")
def bench(environment):
    with serving("jaxst-bench", environment) as command:
        yield command


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Runs a command line in this process with one suite, whose findings are known; gives the exit status."""
    timings = {side: Timing(seconds, seconds, seconds) for side, seconds in (("jaxst", 1.0), ("torch", 3.0))}
    asked = []

    def suite(threads, device):
        asked.append(device)
        yield Comparison("STFT", "10 s", timings, targets={"torch": 2.0})
        yield Figure("import", 3.0, "s", most=2.0 if len(asked) > 1 else 4.0)

    monkeypatch.setattr(binary, "SUITES", {"kernels": suite})
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        flags.FLAGS(["", *arguments])
        try:
            return binary.main(), asked
        finally:
            flags.FLAGS.unparse_flags()
            for name in ("suite", "baseline", "output", "overwrite"):
                flags.FLAGS[name].unparse()

    return run


def test_tables_and_files(here, tmp_path, capsys):
    status, asked = here("--suite=kernels", "--output=found", "--baseline=none")
    assert status == 0
    assert asked == [None]
    assert "| STFT | 10 s | jaxst |" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "found").iterdir()} == {"RESULTS.md", "results.json", "kernels.png"}
    page = (tmp_path / "found" / "RESULTS.md").read_text()
    assert "## Kernels" in page
    assert "![kernels](kernels.png)" in page
    suites = json.loads((tmp_path / "found" / "results.json").read_text())["suites"]
    assert suites["kernels"][0]["ratios"] == {"torch": 3.0}


def test_a_target_that_is_missed_is_the_exit_status(here, capsys):
    here("--suite=kernels", "--baseline=none")
    status, _ = here("--suite=kernels", "--baseline=none")
    assert status == 1
    assert "MISSED import: 3 s, not at most 2" in capsys.readouterr().out


def test_nothing_is_overwritten_unless_asked_to(bench, tmp_path):
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "kernels.png").write_text("mine")
    assert_refused(bench, ["--suite=kernels", "--output=found"], tmp_path, "kernels.png")
    assert (tmp_path / "found" / "kernels.png").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    assert_refused(bench, ["--suite=kernels", "--output=file"], tmp_path, "--output takes a folder")


def test_without_pytorch_it_says_what_to_install(here, monkeypatch):
    monkeypatch.setattr(binary.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(binary.ConfigError, match="pip install 'jaxst"):
        here("--suite=kernels")


def test_mistakes_are_one_line(bench, tmp_path):
    assert_refused(bench, ["--suite=speed"], tmp_path, "--suite=speed")
    assert_refused(bench, ["--baseline=tensorflow"], tmp_path, "--baseline=tensorflow")


def test_help_names_the_suites(bench, tmp_path):
    outcome = bench("--help", folder=tmp_path)
    assert outcome.status == 0
    assert all(name in outcome.out for name in ("kernels", "losses", "transfer", "sweep", "scaling"))
