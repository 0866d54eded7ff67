"""jaxst-resynth from files to files, and what it refuses."""

import json
import os
import re
import resource
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bad_recordings import BAD_RECORDINGS
from commands import assert_refused, contents

GOOD = ("--input=tone.wav", "--output=out.wav")


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, always_2d=True)[0]


def test_sms_writes_audio_parts_json_and_report(resynth, folder):
    command = "--input=tone.wav --output=out.wav --parts=parts --json=out.json --report=report --n_bands=20 --seed=3"
    outcome = resynth(*command.split(), folder=folder)
    assert outcome.status == 0
    assert sorted(os.listdir(folder)) == ["noise.wav", "out.json", "out.wav", "parts", "report", "tone.wav"]
    assert sorted(os.listdir(folder / "parts")) == ["residual.wav", "sines.wav", "stochastic.wav"]
    tone, out = read(folder / "tone.wav"), read(folder / "out.wav")
    sines, residual, stochastic = (read(folder / "parts" / f"{n}.wav") for n in ("sines", "residual", "stochastic"))
    rounding = 2 * 2.0**-23  # of three files of 24 bits
    np.testing.assert_allclose(sines + residual, tone, atol=rounding)
    np.testing.assert_allclose(sines + stochastic, out, atol=rounding)
    assert 10 * np.log10(np.mean(tone**2) / np.mean((tone - sines) ** 2)) > 20  # the tone is 17 dB above the noise

    facts = json.loads((folder / "out.json").read_text())
    assert facts["complete"] is True
    assert facts["command"] == f"jaxst-resynth {command}"
    assert (facts["inputs"], facts["output"]) == ({"input": "tone.wav"}, "out.wav")
    assert facts["parts"] == {n: f"parts/{n}.wav" for n in ("sines", "residual", "stochastic")}
    assert (facts["sample_rate"], facts["samples"], facts["history"]) == (8_000, 4_000, {})
    assert {"model": "sms", "n_bands": 20, "seed": 3, "window": 46.0}.items() <= facts["config"].items()
    assert "iterations" not in facts["config"]
    error = 10 * np.log10(np.sum(tone**2) / np.sum((tone - out) ** 2))
    assert facts["measures"]["snr"] == pytest.approx(error, abs=0.01)
    assert facts["measures"]["sines_snr"] > facts["measures"]["snr"]
    assert {"reading", "finding peaks", "measuring"} <= set(facts["timings"])

    page = (folder / "report" / "report.html").read_text()
    for text in ("out.wav", "residual.wav", "Signal-to-noise ratio", "Partials of tone.wav", "jaxst-resynth"):
        assert text in page
    assert page.count("<audio") == 5
    for name in ("out.wav", "parts/sines.wav", "report/report.html"):
        assert name in outcome.out
    assert "tracking partials" in outcome.err


def test_a_search_for_phases_has_a_history_and_a_curve(resynth, folder):
    arguments = "--model=fast_griffin_lim --iterations=12 --momentum=0.5 --json=out.json --report=report"
    outcome = resynth(*GOOD, *arguments.split(), folder=folder)
    assert outcome.status == 0
    facts = json.loads((folder / "out.json").read_text())
    history = facts["history"]["spectral_convergence"]
    assert len(history) == 13
    assert min(history) < 0.5 * history[0]
    assert facts["message"] == "12 rounds"
    assert facts["config"]["momentum"] == 0.5
    page = (folder / "report" / "report.html").read_text()
    assert "Convergence over the rounds" in page
    assert "<svg" in page
    assert page.count("<audio") == 2
    assert "12/12" in outcome.err


def test_parts_take_the_outputs_format_and_rate(resynth, folder):
    arguments = "--input=noise.wav --model=harmonic --output=out.flac --parts=parts --sample_rate=6000"
    assert resynth(*arguments.split(), folder=folder).status == 0
    for name in ("out.flac", "parts/sines.flac", "parts/residual.flac"):
        info = soundfile.info(folder / name)
        assert (info.format, info.samplerate, info.frames) == ("FLAC", 6_000, 3_000)


def test_what_would_clip_is_turned_down_alike(resynth, folder):
    """Partials of a square wave without the highest ones overshoot it."""
    square = 0.999 * np.sign(np.sin(2 * np.pi * 301 * np.arange(4_000) / 8_000))
    soundfile.write(folder / "square.wav", square, 8_000)
    outcome = resynth("--input=square.wav", "--model=sines", "--output=out.wav", "--parts=parts", folder=folder)
    assert outcome.status == 0
    decibels = float(re.search(r"turned down by (\d+\.\d) dB", outcome.out)[1])
    out, residual = read(folder / "out.wav"), read(folder / "parts" / "residual.wav")
    assert np.abs(out).max() == pytest.approx(10 ** (-1 / 20), rel=1e-3)
    whole = (out + residual)[:, 0]
    assert 20 * np.log10(np.std(square) / np.std(whole)) == pytest.approx(decibels, abs=0.06)
    assert np.corrcoef(whole, square)[0, 1] > 0.99999


def test_models_are_listed_with_their_options(resynth, folder):
    outcome = resynth("--model=help", folder=folder)
    assert (outcome.status, outcome.err) == (0, "")
    listed = dict(re.findall(r"^(\w+): .*\n +(--.*)$", outcome.out, re.MULTILINE))
    assert list(listed) == ["stft", "griffin_lim", "fast_griffin_lim", "lbfgs", "mel", "sines", "harmonic", "sms"]
    assert "--n_bands" in listed["sms"].split()
    assert "--n_bands" not in listed["sines"].split()


def test_help_lists_its_flags_and_no_one_elses(resynth, folder):
    outcome = resynth("--help", folder=folder)
    assert (outcome.status, outcome.err) == (0, "")
    flags = set(re.findall(r"^ *--(?:\[no\])?(\w+):", outcome.out, re.MULTILINE))
    assert flags >= {"input", "model", "output", "parts", "report", "json", "sample_rate", "overwrite", "debug", "seed"}
    assert flags >= {"window", "hop", "iterations", "momentum", "n_mels", "max_partials", "f_min", "n_bands", "start"}
    assert not flags & {"style", "content", "method", "steps", "init", "optimizer", "verbosity"}
    assert "jaxst-resynth" in outcome.out


@pytest.mark.parametrize("name", [name for name, (_, reason) in BAD_RECORDINGS.items() if reason != "needed"])
def test_a_bad_recording_is_refused_by_name(resynth, folder, name):
    make, reason = BAD_RECORDINGS[name]
    make(folder / name)
    assert_refused(resynth, [f"--input={name}", "--output=out.wav"], folder, name, reason)


@pytest.mark.parametrize(
    ("model", "flag", "value"),
    [
        ("nope", "model", "nope"),
        ("stft", "window", "nan"),
        ("stft", "window", "0"),
        ("stft", "hop", "30"),
        ("stft", "window_shape", "flat"),
        ("griffin_lim", "iterations", "0"),
        ("griffin_lim", "iterations", "1.5"),
        ("fast_griffin_lim", "momentum", "-0.1"),
        ("lbfgs", "start", "noise"),
        ("lbfgs", "seed", "-1"),
        ("mel", "n_mels", "0"),
        ("sines", "max_partials", "0"),
        ("sines", "threshold", "1"),
        ("sines", "min_duration", "-1"),
        ("sines", "synthesis", "wavetable"),
        ("harmonic", "f_min", "900"),
        ("harmonic", "f_max", "5000"),
        ("harmonic", "max_aperiodicity", "2"),
        ("sms", "n_bands", "many"),
        ("sms", "sample_rate", "3999"),
    ],
)
def test_a_bad_value_is_refused_by_flag_and_value(resynth, folder, model, flag, value):
    assert_refused(resynth, [*GOOD, f"--model={model}", f"--{flag}={value}"], folder, flag, value)


def test_options_of_other_models_are_refused_and_those_of_the_model_named(resynth, folder):
    assert_refused(resynth, [*GOOD, "--iterations=5"], folder, "iterations", "model=sms", "n_bands", "max_partials")
    assert_refused(resynth, [*GOOD, "--model=stft", "--seed=1"], folder, "seed", "model=stft", "window_shape")
    assert_refused(resynth, [*GOOD, "--model=griffin_lim", "--momentum=1"], folder, "momentum", "iterations")
    assert_refused(resynth, [*GOOD, "--model=mel", "--parts=parts"], folder, "parts", "sines, harmonic, sms")
    assert_refused(resynth, [*GOOD, "--method=help"], folder, "method")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="a full disk cannot be played here")
def test_a_full_disk_is_named_and_leaves_nothing(resynth, folder):
    """The limit on the size of files does what a full disk does, for root too."""
    arguments = ("--input=tone.wav", "--model=stft")
    # Without the limit all is well. Besides, what is compiled now need not be written to a cache under the limit.
    assert resynth(*arguments, "--output=good.wav", folder=folder).status == 0
    before = contents(folder)
    with resynth.largest_file(4_000):
        outcome = resynth(*arguments, "--output=out.wav", folder=folder)
    *progress, last = outcome.err.splitlines()
    assert outcome.status == 2
    assert last.startswith("error: out.wav: cannot be written")
    assert not any("error" in line for line in progress)
    assert contents(folder) == before


def test_missing_names_are_asked_for(resynth, folder):
    assert_refused(resynth, [], folder, "--input")
    assert_refused(resynth, ["--input=tone.wav"], folder, "--output")
    assert_refused(resynth, ["--input=tone.wav", "--parts=parts"], folder, "--output")


def test_nothing_is_overwritten_unasked(resynth, folder):
    (folder / "parts").mkdir()
    (folder / "parts" / "residual.wav").write_text("precious")
    (folder / "file").write_text("precious")
    refused = {
        "--output=tone.wav": "already exists",
        "--parts=parts": "already exists",
        "--parts=file": "is a file",
        "--parts=none/parts": "does not exist",
        "--parts=.": "--output",
        "--json=parts/residual.wav": "already exists",
    }
    for flag, reason in refused.items():
        arguments = ["--input=tone.wav", "--output=./sines.wav", flag]
        assert_refused(resynth, arguments, folder, flag.split("=")[1].removesuffix("."), reason)


def test_overwrite_replaces_what_is_written_and_nothing_else(resynth, folder):
    (folder / "parts").mkdir()
    old = [folder / "out.wav", *(folder / "parts" / f"{n}.wav" for n in ("sines", "residual", "stochastic"))]
    for path in [*old, folder / "parts" / "mine.wav"]:
        path.write_text("old")
    assert resynth(*GOOD, "--parts=parts", "--n_bands=20", "--overwrite", folder=folder).status == 0
    assert all(soundfile.info(path).frames == 4_000 for path in old)
    assert (folder / "parts" / "mine.wav").read_text() == "old"
