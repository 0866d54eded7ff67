"""jaxst-evaluate from files to tables and files, and what it refuses."""

import csv
import json
import os
import re
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from absl import flags
from bad_recordings import BAD_RECORDINGS
from commands import assert_refused

from jaxst import audio
from jaxst.bin import evaluate as binary
from jaxst.evaluation import MEASURES, Comparison

GOOD = ("--output=tone.wav", "--style=noise.wav")


@pytest.fixture
def folders(folder) -> Path:
    """Two outputs with a content and a style each; the style of the first one is its own."""
    tone, noise = ((folder / name).read_bytes() for name in ("tone.wav", "noise.wav"))
    samples, rate = soundfile.read(folder / "noise.wav")
    for name in ("outputs", "contents", "styles"):
        (folder / name).mkdir()
    (folder / "outputs" / "notes.txt").write_text("mine")
    for name, content in (("a", noise), ("b", tone)):
        (folder / "outputs" / f"{name}.wav").write_bytes(content)
        (folder / "contents" / f"{name}.wav").write_bytes(tone)
        soundfile.write(folder / "styles" / f"{name}.flac", samples, rate, "PCM_24")
    return folder


@pytest.fixture
def here(folders, monkeypatch):
    """Runs a command line in this process, in the folder, with measures that are quick; gives the exit status."""
    monkeypatch.setattr("jaxst.evaluation.run.MEASURES", [m for m in MEASURES if m.key in ("timbre", "onsets", "snr")])
    monkeypatch.setattr(binary.environment, "enable_compilation_cache", lambda: None)
    monkeypatch.chdir(folders)

    def run(*arguments):
        flags.FLAGS(["", *arguments])
        try:
            return binary.main()
        finally:
            flags.FLAGS.unparse_flags()

    return run


def beside(folder: Path, name: str, **config: object) -> None:
    """A result's JSON, as far as it is read."""
    facts = {"output": f"elsewhere/{name}.wav", "config": {"steps": 3, **config}}
    (folder / f"{name}.json").write_text(json.dumps(facts))


def test_one_output_is_printed_written_and_shown(evaluate, folder):
    command = (
        "--content=tone.wav --style=noise.wav --output=noise.wav --json=e.json --csv=e.csv --report=report --seed=3"
    )
    outcome = evaluate(*command.split(), folder=folder)
    assert outcome.status == 0
    assert sorted(os.listdir(folder)) == ["e.csv", "e.json", "noise.wav", "report", "tone.wav"]
    lines = outcome.out.splitlines()
    assert lines[0] == "noise.wav, measured at 8000 Hz"
    assert lines[1].split() == ["better", "output", "content", "style", "noise"]
    (row,) = (line.split() for line in lines if line.startswith("McDermott texture distance"))
    assert (row[3], row[4], row[6]) == ("low", "0.000", "0.000")
    assert float(row[5]) > 0.1
    assert "no other half: half of the style lasts 0.25 s; 2 s or more are needed" in lines
    assert lines[-1] == "report/report.html: open it in a browser"

    facts = json.loads((folder / "e.json").read_text())
    assert facts["complete"] is True
    assert facts["command"] == f"jaxst-evaluate {command}"
    assert facts["seed"] == 3
    assert facts["measures"]["snr"] == {
        "name": "Signal-to-noise ratio",
        "unit": "dB",
        "better": "high",
        "group": "signal",
        "meaning": "power of the content over that of the difference; says little where phases are not kept",
        "optimized": False,
    }
    (evaluation,) = facts["evaluations"]
    assert (evaluation["output"], evaluation["content"], evaluation["style"]) == (
        "noise.wav",
        "tone.wav",
        ["noise.wav"],
    )
    assert evaluation["sample_rate"] == 8_000
    numbers = {row: {k: v["value"] for k, v in part["values"].items()} for row, part in evaluation["rows"].items()}
    assert numbers["output"] == pytest.approx(numbers["style"], nan_ok=False)
    assert numbers["output"]["windows"] == pytest.approx(1, abs=1e-3)
    assert numbers["content"]["onsets"] == pytest.approx(1, abs=1e-3)
    assert numbers["output"]["gram"] is None
    assert evaluation["rows"]["output"]["values"]["gram"]["reason"].endswith("needs 1.1 s or more")

    with open(folder / "e.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 4 * len(facts["measures"])
    for line in table:
        value = numbers[line["row"]][line["measure"]]
        assert line["value"] == ("" if value is None else repr(value))

    page = (folder / "report" / "report.html").read_text()
    assert page.count("<audio") == 4
    for text in ("Evaluation of noise.wav", "McDermott texture distance", "low is better", "jaxst-evaluate --content"):
        assert text in page


def test_folders_are_matched_by_name(evaluate, folders):
    arguments = "--output=outputs --content=contents --style=styles --json=e.json --report=report"
    outcome = evaluate(*arguments.split(), folder=folders)
    assert outcome.status == 0
    assert outcome.out.startswith("Mean of 2 outputs\n")
    facts = json.loads((folders / "e.json").read_text())
    assert [(e["output"], e["content"], e["style"]) for e in facts["evaluations"]] == [
        ("outputs/a.wav", "contents/a.wav", ["styles/a.flac"]),
        ("outputs/b.wav", "contents/b.wav", ["styles/b.flac"]),
    ]
    first, second = (e["rows"]["output"]["values"]["texture"]["value"] for e in facts["evaluations"])
    assert first == pytest.approx(0, abs=1e-6)
    assert facts["means"]["output"]["texture"] == {"mean": pytest.approx((first + second) / 2), "count": 2}
    assert facts["means"]["output"]["gram"] == {"mean": None, "count": 0}
    overview = outcome.out[outcome.out.index("Outputs\n") :].splitlines()
    assert overview[1].split() == ["texture", "gram", "chroma_centered", "onsets", "windows"]
    assert overview[3].split()[:3] == ["a.wav", "0.000", "-"]
    assert overview[4].split()[:3] == ["b.wav", f"{second:.3f}", "-"]
    page = (folders / "report" / "report.html").read_text()
    assert "Mean of 2 outputs" in page
    assert "a.wav" in page
    assert "2/2" in outcome.err


def test_one_style_serves_all_outputs_and_several_are_pooled(here, folders):
    assert here("--output=outputs", "--style=noise.wav,styles", "--json=e.json") == 0
    evaluations = json.loads((folders / "e.json").read_text())["evaluations"]
    assert [e["style"] for e in evaluations] == [["noise.wav", "styles/a.flac"], ["noise.wav", "styles/b.flac"]]
    assert [e["content"] for e in evaluations] == [None, None]
    assert evaluations[0]["rows"]["style"]["seconds"] == pytest.approx(0.99)
    assert "content" not in evaluations[0]["rows"]


def test_what_the_run_optimized_is_read_beside_the_output_or_named(evaluate, folders):
    beside(folders / "outputs", "a", texture_weight=0.5)
    beside(folders / "outputs", "b", texture_weight=None)
    arguments = ("--output=outputs", "--style=noise.wav", "--overwrite", "--json=e.json", "--report=report")

    def marked(*extra):
        outcome = evaluate(*arguments, *extra, folder=folders)
        assert outcome.status == 0
        facts = json.loads((folders / "e.json").read_text())
        optimized = [key for key, measure in facts["measures"].items() if measure["optimized"]]
        names = re.findall(r"^(.*?)\* .*", outcome.out, re.MULTILINE)
        page = (folders / "report" / "report.html").read_text()
        assert ("weak evidence" in page) == ("weak evidence" in outcome.out) == bool(optimized)
        assert bool(re.search(r"distance\*", page)) == ("texture" in optimized)
        return [e["optimized"] for e in facts["evaluations"]], optimized, names[:1]

    assert marked() == ([["texture"], []], ["texture"], ["McDermott texture distance"])
    assert marked("--optimized=texstat") == ([["texstat"], ["texstat"]], ["texstat"], ["TexStat"])
    assert marked("--optimized=") == ([[], []], [], [])


@pytest.mark.parametrize(
    ("text", "optimized"),
    [
        ('{"config": {"texture_weight": 1}, "output": "elsewhere/a.wav"}', {"texture"}),
        ('{"config": {"texture_weight": 1}, "output": "other.wav"}', set()),
        ('{"config": 3}', set()),
        ("[]", set()),
        ("{", set()),
        (None, set()),
    ],
)
def test_what_is_no_runs_json_says_nothing(text, optimized, tmp_path):
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    assert binary._optimized_beside(tmp_path / "a.wav") == optimized


def test_a_long_style_is_measured_and_shown_in_excerpts(here, folders):
    soundfile.write(folders / "long.flac", 0.1 * np.random.default_rng(0).standard_normal(60 * 8_000), 8_000)
    assert here("--output=tone.wav", "--style=long.flac", "--json=e.json", "--report=report") == 0
    (evaluation,) = json.loads((folders / "e.json").read_text())["evaluations"]
    assert evaluation["rows"]["style"]["seconds"] == 30
    page = (folders / "report" / "report.html").read_text()
    assert "long.flac, 30 s in excerpts" in page
    assert "tone.wav, 0.5 s" not in page


def test_stereo_of_another_rate_is_brought_to_the_outputs(evaluate, folder):
    samples = np.random.default_rng(0).standard_normal((22_050, 2)) * [0.1, 0.0]
    soundfile.write(folder / "wide.flac", samples, 44_100)
    arguments = "--output=noise.wav --style=tone.wav --content=wide.flac --json=e.json"
    outcome = evaluate(*arguments.split(), folder=folder)
    assert outcome.status == 0
    assert "noise.wav, measured at 8000 Hz" in outcome.out
    (evaluation,) = json.loads((folder / "e.json").read_text())["evaluations"]
    found = {key: value["value"] for key, value in evaluation["rows"]["output"]["values"].items()}
    assert found["timbre"] > 0
    assert found["log_spectral"] > 0
    assert evaluation["rows"]["content"]["seconds"] == 0.5
    assert outcome.out.count("lasts 0.500 s, but this measure needs 1.1 s or more (gram)") == 1
    assert "nan" not in outcome.out.lower()


@pytest.mark.parametrize("name", sorted(BAD_RECORDINGS.keys() - {"short.wav", "one_sample.wav"}))
def test_a_bad_recording_is_refused_by_name(evaluate, folder, name):
    make, reason = BAD_RECORDINGS[name]
    make(folder / name)
    assert_refused(evaluate, [f"--style={name}", "--output=tone.wav"], folder, name, reason)
    assert_refused(evaluate, [f"--content={name}", "--output=tone.wav"], folder, name, reason)
    if name != "folder.wav":  # a folder of outputs may have any name
        assert_refused(evaluate, [f"--output={name}", "--style=tone.wav"], folder, name, reason)


def test_all_that_a_folder_lacks_is_named_at_once(evaluate, folders):
    for name in ("styles/a.flac", "styles/b.flac", "contents/b.wav"):
        (folders / name).unlink()
    arguments = ["--output=outputs", "--style=styles", "--content=contents"]
    assert_refused(
        evaluate, arguments, folders, "--style=styles has nothing for a.wav, b.wav", "--content", "for b.wav"
    )
    (folders / "contents" / "b.wav").touch()
    (folders / "contents" / "b.mp3").touch()
    arguments[1] = "--style=noise.wav"
    assert_refused(evaluate, arguments, folders, "--content=contents has several of a name: b.mp3, b.wav")


def test_a_bad_recording_in_a_folder_is_refused_before_anything_is_measured(evaluate, folders):
    (folders / "styles" / "b.flac").write_text("words")
    assert_refused(
        evaluate, ["--output=outputs", "--style=styles", "--json=e.json"], folders, "styles/b.flac", "decoded"
    )


@pytest.mark.parametrize(
    ("arguments", "mentions"),
    [
        ([], ["--output is missing"]),
        (["--output=tone.wav"], ["--style and --content are missing"]),
        (["--output=tone.wav", "--style="], ["--style lacks a name"]),
        (["--output=tone.wav", "--style=noise.wav,"], ["--style lacks a name"]),
        (["--output=tone.wav", "--style=empty"], ["empty: is a directory"]),
        (["--output=empty", "--style=noise.wav"], ["empty: holds no recordings"]),
        ([*GOOD, "--seed=-1"], ["seed=-1"]),
        ([*GOOD, "--optimized=nope"], ["optimized=nope", "texture, texstat"]),
        ([*GOOD, "--json=old.json"], ["old.json: already exists"]),
        ([*GOOD, "--csv=old.json"], ["old.json: already exists"]),
        ([*GOOD, "--report=old.json"], ["old.json: is a file; --report takes a folder"]),
        ([*GOOD, "--json=tone.wav", "--overwrite"], ["tone.wav", "--json", "name the same file"]),
        ([*GOOD, "--csv=e", "--json=./e"], ["--csv", "--json", "name the same file"]),
        ([*GOOD, "--sample_rate=8000"], ["sample_rate"]),
        ([*GOOD, "tone.wav"], ["tone.wav", "--help"]),
    ],
)
def test_a_mistake_is_one_line(evaluate, folder, arguments, mentions):
    (folder / "empty").mkdir()
    (folder / "old.json").write_text("precious")
    assert_refused(evaluate, arguments, folder, *mentions)


def test_help_names_the_flags(evaluate, folder):
    outcome = evaluate("--help", folder=folder)
    assert (outcome.status, outcome.err) == (0, "")
    flags = set(re.findall(r"^ *--(?:\[no\])?(\w+):", outcome.out, re.MULTILINE))
    assert flags == {
        *("output", "content", "style", "optimized", "seed", "csv", "json", "report", "overwrite", "debug", "help")
    }


def test_after_ctrl_c_what_was_measured_is_written(here, folders, monkeypatch, capsys):
    """During the second of three outputs."""
    measure, calls = Comparison.evaluate, []

    def evaluate(self, output, **options):
        calls.append(Path(output.name).name)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return measure(self, output, **options)

    monkeypatch.setattr(Comparison, "evaluate", evaluate)
    (folders / "outputs" / "c.wav").write_bytes((folders / "tone.wav").read_bytes())
    arguments = "--output=outputs --content=tone.wav --json=e.json --csv=e.csv --report=report"
    assert here(*arguments.split()) == 130
    assert calls == ["a.wav", "b.wav"]
    assert capsys.readouterr().out.startswith("Mean of 2 outputs")
    facts = json.loads((folders / "e.json").read_text())
    assert facts["complete"] is False
    assert [e["output"] for e in facts["evaluations"]] == ["outputs/a.wav", "outputs/b.wav"]
    assert "outputs/b.wav,content," in (folders / "e.csv").read_text()
    assert "interrupted after 2 of 3 outputs" in (folders / "report" / "report.html").read_text()


@pytest.fixture
def reads(monkeypatch) -> Counter:
    """How often each file was decoded."""
    counts, opened = Counter(), audio.opened

    def counted(path):
        counts[str(path)] += 1
        return opened(path)

    monkeypatch.setattr(audio, "opened", counted)
    return counts


def test_outputs_of_different_rates_and_lengths_share_a_style_and_a_content(here, folders, reads, monkeypatch):
    """Three rates, each with two outputs, in turn: their numbers are those of each alone, and only outputs are decoded
    twice: once to be refused before the first is measured."""
    kept, evaluate_all = [], binary.evaluate_all
    monkeypatch.setattr(binary, "evaluate_all", lambda *args: kept.append(evaluate_all(*args)) or kept[-1])
    draw, others = np.random.default_rng(0), ("--content=tone.wav", "--style=noise.wav", "--overwrite")
    (folders / "mixed").mkdir()
    rates = {"a": 8_000, "b": 16_000, "c": 11_025, "d": 8_000, "e": 16_000, "f": 11_025}
    for index, (name, rate) in enumerate(rates.items()):
        soundfile.write(folders / "mixed" / f"{name}.wav", 0.1 * draw.standard_normal(4_000 + 500 * index), rate)
    assert here("--output=mixed", *others, "--json=all.json") == 0
    assert reads == {"tone.wav": 1, "noise.wav": 1} | {f"mixed/{name}.wav": 2 for name in rates}
    together = json.loads((folders / "all.json").read_text())["evaluations"]
    assert [e["sample_rate"] for e in together] == list(rates.values())
    for evaluation in together:
        reads.clear()
        assert here(f"--output={evaluation['output']}", *others, "--json=one.json") == 0
        assert json.loads((folders / "one.json").read_text())["evaluations"] == [evaluation]
        assert reads == dict.fromkeys(("tone.wav", "noise.wav", evaluation["output"]), 1)
    assert [bool(evaluation.recordings) for evaluation in kept[0]] == [True] + [False] * 5


def test_what_outputs_share_is_measured_once(here, folders, monkeypatch):
    """One style and a content for each: of the style alone nothing is measured twice."""
    calls = Counter()

    def counted(measure):
        def function(*signals):
            calls[measure.key, *(signal.name for signal in signals)] += 1
            return measure.function(*signals)

        return replace(measure, function=function)

    monkeypatch.setattr("jaxst.evaluation.run.MEASURES", [counted(m) for m in MEASURES if m.key in ("timbre", "snr")])
    assert here("--output=outputs", "--content=contents", "--style=noise.wav") == 0
    rows = ("output", "content", "noise")
    assert calls == {
        ("timbre", "style", "style"): 1,
        ("snr", "style", "content"): 2,
        **{("timbre", row, "style"): 2 for row in rows},
        **{("snr", row, "content"): 2 for row in rows},
    }
