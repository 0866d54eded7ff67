"""jaxst-bench from flags to files, and what it refuses."""

import pytest
from commands import assert_refused, serving


@pytest.fixture(scope="module")
def bench(environment):
    with serving("jaxst-bench", environment) as command:
        yield command


def test_nothing_is_overwritten_unless_asked_to(bench, tmp_path):
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "kernels.png").write_text("mine")
    assert_refused(bench, ["--suite=kernels", "--output=found"], tmp_path, "kernels.png")
    assert (tmp_path / "found" / "kernels.png").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    assert_refused(bench, ["--suite=kernels", "--output=file"], tmp_path, "--output takes a folder")


def test_mistakes_are_one_line(bench, tmp_path):
    assert_refused(bench, ["--suite=speed"], tmp_path, "--suite=speed")
    assert_refused(bench, ["--baseline=tensorflow"], tmp_path, "--baseline=tensorflow")


def test_help_names_the_suites(bench, tmp_path):
    outcome = bench("--help", folder=tmp_path)
    assert outcome.status == 0
    assert all(name in outcome.out for name in ("kernels", "losses", "transfer", "sweep", "scaling"))
