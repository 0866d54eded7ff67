"""From files to files: whole runs of the binaries on half a second of sound."""

import importlib.metadata
import json
import os
import re
import shlex
import signal
import subprocess
import sysconfig
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import MODULES

from jaxst.audio import Recording
from jaxst.bin.command import _guarded as guarded
from jaxst.bin.flags import Outputs
from jaxst.bin.job import Account, clip, execute
from jaxst.config import HEARING
from jaxst.errors import AudioError
from jaxst.evaluation import optimized_measures
from jaxst.solver import Progress, Status

STEPS = 3
SCRIPTS = Path(sysconfig.get_path("scripts"))
# For what has nothing to do with the number of resolutions or with what is heard: compiles in a fifth of the time.
QUICK = ["--windows=64", "--hops=16", "--patch_frames=11"]
QUICK += [f"--{name}=0" for name in HEARING]


def levels(path: Path) -> np.ndarray:
    """Root mean square of every channel."""
    return np.sqrt(np.mean(np.square(soundfile.read(path, always_2d=True)[0]), axis=0))


def assert_sound(path: Path, *, length: int, sample_rate: int, channels: int, container: str) -> None:
    samples, rate = soundfile.read(path, always_2d=True)
    assert (samples.shape, rate, soundfile.info(path).format) == ((length, channels), sample_rate, container)
    assert np.isfinite(samples).all()
    assert 0 < np.abs(samples).max() <= 1


def test_transfer_writes_audio_json_and_report(transfer, folder):
    command = (
        "--content=tone.wav --style=noise.wav --output=out.wav --steps=3 --json=out.json --report=report "
        "--content_weight=0.2 --style_weight=2 --seed=5"
    )
    outcome = transfer(*command.split(), folder=folder)
    assert outcome.status == 0
    assert sorted(os.listdir(folder)) == ["noise.wav", "out.json", "out.wav", "report", "tone.wav"]
    assert_sound(folder / "out.wav", length=4_000, sample_rate=8_000, channels=1, container="WAV")
    np.testing.assert_allclose(levels(folder / "out.wav"), levels(folder / "tone.wav"), rtol=0.05)

    facts = json.loads((folder / "out.json").read_text())
    assert facts["complete"] is True
    assert facts["command"] == f"jaxst-transfer {command}"
    assert facts["inputs"] == {"content": "tone.wav", "style": "noise.wav"}
    assert (facts["output"], facts["sample_rate"], facts["samples"]) == ("out.wav", 8_000, 4_000)
    chosen = {"steps": STEPS, "content_weight": 0.2, "style_weight": 2.0, "seed": 5, "init": "content"}
    assert chosen.items() <= facts["config"].items()
    assert set(facts["timings"]) == {"prepare", "compile", "solve", "finish", "evaluate"}
    assert "jax" in facts["environment"]
    history = facts["history"]
    assert {len(values) for values in history.values()} == {STEPS + 1}
    assert history["style"][-1] < history["style"][0]
    terms, config = {name: np.array(values) for name, values in history.items()}, facts["config"]
    style = terms["style"] + config["texture_weight"] * terms["texture"]
    content = terms["content"] + config["onset_weight"] * terms["onsets"] + config["harmony_weight"] * terms["harmony"]
    np.testing.assert_allclose(terms["total"], 2 * style + 0.2 * content, rtol=1e-5)

    evaluation = facts["evaluation"]
    assert list(evaluation["rows"]) == ["output", "content", "style", "noise"]
    assert evaluation["rows"]["style"]["values"]["texture"]["value"] == 0
    assert 0 < evaluation["rows"]["output"]["values"]["onsets"]["value"] <= 1
    assert evaluation["rows"]["output"]["values"]["gram"]["value"] is None
    marked = {key for key, measure in evaluation["measures"].items() if measure["optimized"]}
    assert marked == set(evaluation["optimized"]) == optimized_measures(facts["config"])

    page = (folder / "report" / "report.html").read_text()
    assert os.listdir(folder / "report") == ["report.html"]
    for text in ("tone.wav", "noise.wav", "out.wav", "jaxst-transfer", "Onset correlation", "half of the style lasts"):
        assert text in page
    assert "out.wav" in outcome.out
    assert "report/report.html" in outcome.out
    assert f"{STEPS}/{STEPS}" in outcome.err


def test_the_seed_decides_the_result_to_the_byte(transfer, folder):
    for name, seed in {"a.wav": 1, "b.wav": 1, "c.wav": 2}.items():
        arguments = ("--content=tone.wav", "--style=noise.wav", f"--output={name}", f"--seed={seed}", "--steps=3")
        assert transfer(*arguments, folder=folder).status == 0
    a, b, c = ((folder / name).read_bytes() for name in ("a.wav", "b.wav", "c.wav"))
    assert a == b
    assert a != c


def test_two_styles_of_other_formats_rates_and_lengths_on_stereo(transfer, folder):
    samples = np.random.default_rng(0).standard_normal((9_000, 2)) * [0.1, 0.02]
    soundfile.write(folder / "content.flac", samples[:4_001], 8_000)
    soundfile.write(folder / "one.ogg", samples[:, 0], 11_025)
    soundfile.write(folder / "two.mp3", samples, 16_000)
    outcome = transfer(
        *["--content=content.flac", "--style=one.ogg,two.mp3", "--style_mix=0.7,0.3", "--output=out.flac", "--steps=3"],
        *["--json=out.json", "--report=report", "--noevaluate", *QUICK],
        folder=folder,
    )
    assert outcome.status == 0
    assert_sound(folder / "out.flac", length=4_001, sample_rate=8_000, channels=2, container="FLAC")
    np.testing.assert_allclose(levels(folder / "out.flac"), levels(folder / "content.flac"), rtol=0.1)
    inputs = json.loads((folder / "out.json").read_text())["inputs"]
    assert inputs == {"content": "content.flac", "style 1 of 2": "one.ogg", "style 2 of 2": "two.mp3"}


def test_texture_is_as_long_as_wanted(texture, folder):
    arguments = "--style=noise.wav --output=out.ogg --duration=0.75 --steps=3 --json=out.json --report=report"
    outcome = texture(*arguments.split(), *QUICK, folder=folder)
    assert outcome.status == 0
    assert_sound(folder / "out.ogg", length=6_000, sample_rate=8_000, channels=1, container="OGG")
    np.testing.assert_allclose(levels(folder / "out.ogg"), levels(folder / "noise.wav"), rtol=0.2)
    facts = json.loads((folder / "out.json").read_text())
    assert (facts["config"]["content_weight"], facts["config"]["init"]) == (0, "noise")
    assert set(facts["history"]) == {"total", "style"}
    assert facts["inputs"] == {"style": "noise.wav"}
    assert list(facts["evaluation"]["rows"]) == ["output", "style", "noise"]
    page = (folder / "report" / "report.html").read_text()
    assert "jaxst-texture" in page
    assert "McDermott texture distance" in page


def test_overwrite_replaces_everything_that_is_written(transfer, folder):
    (folder / "report").mkdir()
    old = [folder / "out.wav", folder / "out.json", folder / "report" / "report.html"]
    for path in old:
        path.write_text("old")
    (folder / "report" / "notes.txt").write_text("mine")
    arguments = "--content=tone.wav --style=noise.wav --steps=3 --output=out.wav --json=out.json --report=report"
    assert transfer(*arguments.split(), "--overwrite", folder=folder).status == 0
    assert all(path.stat().st_size > 100 for path in old)
    assert (folder / "report" / "notes.txt").read_text() == "mine"


def test_the_content_may_be_replaced_by_the_result(transfer, folder):
    before = (folder / "tone.wav").read_bytes()
    arguments = "--content=tone.wav --style=noise.wav --steps=3 --output=tone.wav --overwrite"
    assert transfer(*arguments.split(), folder=folder).status == 0
    assert (folder / "tone.wav").read_bytes() != before
    assert_sound(folder / "tone.wav", length=4_000, sample_rate=8_000, channels=1, container="WAV")


@pytest.mark.parametrize("binary", ["jaxst-transfer", "jaxst-texture"])
def test_help_lists_the_flags_and_no_one_elses(request, binary, folder):
    command = request.getfixturevalue(binary.removeprefix("jaxst-"))
    outcome = command("--help", folder=folder)
    assert (outcome.status, outcome.err) == (0, "")
    flags = set(re.findall(r"^ *--(?:\[no\])?(\w+):", outcome.out, re.MULTILINE))
    shared = {"style", "style_mix", "output", "steps", "seed", "report", "json", "overwrite", "sample_rate", "method"}
    assert flags >= shared | ({"content", "init"} if binary == "jaxst-transfer" else {"duration", "init"})
    assert not flags & {"v", "verbosity", "logtostderr", "pdb", "flagfile"}
    assert binary in outcome.out


def test_methods_are_listed(transfer, folder):
    outcome = transfer("--method=help", folder=folder)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith("arccos: ")


@pytest.mark.parametrize("binary", MODULES)
def test_every_binary_has_a_script(binary):
    (script,) = importlib.metadata.entry_points(group="console_scripts", name=binary)
    assert script.value == f"{MODULES[binary]}:run"
    assert os.access(SCRIPTS / binary, os.X_OK)


def test_an_installed_script_starts_and_fails_as_it_should(environment, tmp_path):
    result = subprocess.run(
        [SCRIPTS / "jaxst-texture", "--style=missing.wav", "--output=out.wav"],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(r"error: [^\n]+\n", result.stderr)


@pytest.mark.parametrize(
    ("moment", "stepped"), [("compiling", False), (r" [1-9]\d*/", True)], ids=["while compiling", "after steps"]
)
def test_ctrl_c_writes_what_there_is(environment, folder, moment, stepped):
    """A run of a million steps, interrupted when the progress bar shows `moment`."""
    arguments = "--content=tone.wav --style=noise.wav --output=out.wav --json=out.json --report=report"
    arguments = [*arguments.split(), "--steps=1000000", "--optimizer=adam", *QUICK]
    process = subprocess.Popen(
        [SCRIPTS / "jaxst-transfer", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    watchdog = threading.Timer(240, process.kill)
    watchdog.start()
    with process:
        shown = b""
        while not re.search(moment, shown.decode(errors="ignore")):
            more = os.read(process.stderr.fileno(), 65_536)
            assert more, f"ended too early: {shown.decode()}"
            shown += more
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read().decode()
    watchdog.cancel()
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert "interrupted" in rest
    assert_sound(folder / "out.wav", length=4_000, sample_rate=8_000, channels=1, container="WAV")
    facts = json.loads((folder / "out.json").read_text())
    assert facts["complete"] is False
    taken = len(facts["history"]["total"]) - 1
    assert facts["message"] == f"interrupted after {taken} of 1000000 steps"
    assert (taken > 0) is stepped
    assert facts["evaluation"] == {"reason": "the run was interrupted"}
    page = (folder / "report" / "report.html").read_text()
    assert "interrupted after" in page
    assert "not evaluated: the run was interrupted" in page
    assert shlex.split(facts["command"])[1:] == arguments


def test_a_second_ctrl_c_quits_at_once(capsys, folder, monkeypatch):
    def job(on_progress):
        assert not on_progress(Progress(0, 5, {}))
        signal.raise_signal(signal.SIGINT)
        assert on_progress(Progress(1, 5, {"total": 1.0}))
        signal.raise_signal(signal.SIGINT)
        pytest.fail("went on after a second Ctrl-C")

    monkeypatch.chdir(folder)
    before, handler = sorted(os.listdir(folder)), signal.getsignal(signal.SIGINT)
    assert guarded(lambda: execute(job, Outputs(Path("out.wav"), None, None, False))) == 130
    assert "again to quit at once" in (err := capsys.readouterr().err)
    assert err.endswith("interrupted: nothing was written\n")
    assert sorted(os.listdir(folder)) == before
    assert signal.getsignal(signal.SIGINT) is handler


def account(evaluate) -> Account:
    """A run of no steps."""
    noise = Recording(0.1 * np.random.default_rng(0).standard_normal((1, 4_000)), 8_000)
    return Account("title", {}, noise, {}, {}, {"solve": 1.0}, Status.FINISHED, "done", "", evaluate=evaluate)


@pytest.mark.parametrize("error", [AudioError("output: is silent"), KeyboardInterrupt()])
def test_a_result_that_cannot_be_evaluated_is_written_all_the_same(tmp_path, capsys, error):
    def evaluate(recording):
        assert (tmp_path / "out.wav").exists()
        raise error

    outputs = Outputs(tmp_path / "out.wav", tmp_path / "out.json", tmp_path / "report" / "report.html", False)
    assert execute(lambda on_progress: account(evaluate), outputs) == 0
    reason = str(error) or "interrupted"
    facts = json.loads((tmp_path / "out.json").read_text())
    assert facts["evaluation"] == {"reason": reason}
    assert set(facts["timings"]) == {"solve", "evaluate"}
    assert f"not evaluated: {reason}" in (tmp_path / "report" / "report.html").read_text()


def test_nothing_is_evaluated_where_no_one_would_read_it(tmp_path, transfer, folder):
    outputs = Outputs(tmp_path / "out.wav", None, None, False)
    assert execute(lambda on_progress: account(lambda recording: pytest.fail("evaluated")), outputs) == 0
    arguments = "--content=tone.wav --style=noise.wav --output=out.wav --steps=3 --json=out.json --noevaluate"
    assert transfer(*arguments.split(), folder=folder).status == 0
    assert json.loads((folder / "out.json").read_text())["evaluation"] is None


def test_pages_hold_the_beginning_of_what_is_long():
    recording = Recording(np.zeros((2, 61 * 4_000), np.float32), 4_000, "song.wav")
    shown = clip("output", "song.wav", recording)
    assert shown.samples.shape == (2, 60 * 4_000)
    assert shown.name == "song.wav, the first 60 s"
    short = Recording(recording.samples[:, : 60 * 4_000], 4_000, "song.wav")
    assert clip("output", "song.wav", short).name == "song.wav"
