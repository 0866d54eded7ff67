"""Every mistake gets one line that names it and status 2, and leaves every file as it was."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from bad_recordings import BAD_RECORDINGS, NOISE
from commands import assert_refused

GOOD = {"--content": "tone.wav", "--style": "noise.wav", "--output": "out.wav"}


def options(*extra: str, **changes: str | None) -> list[str]:
    """A good command line for `jaxst-transfer` but for some options, `None` leaving one out, and some more."""
    chosen = {**GOOD, **{f"--{name}": value for name, value in changes.items()}}
    return [*(f"{name}={value}" for name, value in chosen.items() if value is not None), *extra]


@pytest.mark.parametrize("name", BAD_RECORDINGS)
def test_a_bad_recording_is_refused_by_name(transfer, texture, folder, name):
    make, reason = BAD_RECORDINGS[name]
    make(folder / name)
    assert_refused(transfer, options(content=name), folder, name, reason)
    assert_refused(transfer, options(style=name), folder, name, reason)
    assert_refused(transfer, options(style=f"noise.wav,{name}"), folder, name, reason)
    assert_refused(texture, options(content=None, style=name), folder, name, reason)
    assert_refused(texture, options("--duration=0.5", content=None, style=name), folder, name, reason)


def test_content_that_is_too_long_is_refused(transfer, folder):
    soundfile.write(folder / "long.flac", np.resize(NOISE[:, 0], 31 * 8_000), 8_000)
    arguments = options("--method=ulyanov", content="long.flac")
    assert_refused(transfer, arguments, folder, "long.flac", "31 s", "30 s", "variable=spectrogram")


def test_a_long_style_of_which_excerpts_are_read_is_refused_by_name(transfer, folder):
    samples = np.resize(NOISE[:, 0], 40 * 8_000)
    write_long = {
        "cut.flac": lambda path: (soundfile.write(path, samples, 8_000), path.write_bytes(path.read_bytes()[:-9_000])),
        "nan.wav": lambda path: soundfile.write(path, samples + np.where(samples > 0.3, np.nan, 0), 8_000, "FLOAT"),
        "silent.ogg": lambda path: soundfile.write(path, 0 * samples, 8_000),
    }
    for name, reason in {"cut.flac": "cut off", "nan.wav": "NaN", "silent.ogg": "is silent"}.items():
        write_long[name](folder / name)
        assert_refused(transfer, options(style=f"noise.wav,{name}"), folder, name, reason)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *(("style_weight", value) for value in ("0", "-1", "nan", "inf", "much")),
        *(("content_weight", value) for value in ("0", "-1", "nan", "inf", "much")),
        *(("steps", value) for value in ("0", "-1", "1.5", "many", "")),
        *(("seed", value) for value in ("-1", "0.5", "2147483648")),
        *(("sample_rate", value) for value in ("0", "-1", "3999", "192001", "high")),
        *(("learning_rate", value) for value in ("0", "-1", "nan", "fast")),
        *(("style_mix", value) for value in ("0", "-1", "nan", "1,2", "half", "")),
        *(("method", value) for value in ("nope", "")),
        *(("optimizer", value) for value in ("sgd", "")),
        *(("init", value) for value in ("silence", "")),
        ("overwrite", "maybe"),
    ],
)
def test_a_bad_value_is_refused_by_flag_and_value(transfer, folder, flag, value):
    assert_refused(transfer, options(f"--{flag}={value}"), folder, flag, value.split(",")[0])


def test_the_known_names_are_offered_for_an_unknown_one(transfer, folder):
    assert_refused(transfer, options("--method=nope"), folder, "arccos")
    assert_refused(transfer, options("--optimizer=nope"), folder, "lbfgs", "adam")
    assert_refused(transfer, options("--init=nope"), folder, "content", "noise", "style")
    assert_refused(transfer, options("--step=5"), folder, "step", "steps")


def test_a_step_size_is_refused_where_it_would_do_nothing(transfer, folder):
    assert_refused(transfer, options("--learning_rate=0.1"), folder, "learning_rate", "optimizer=adam")


@pytest.mark.parametrize("duration", ["0", "-1", "nan", "inf", "long", "1801"])
def test_a_bad_duration_is_refused(texture, folder, duration):
    assert_refused(texture, options(f"--duration={duration}", content=None), folder, "duration", duration)


def test_texture_has_no_content_to_start_from(texture, folder):
    assert_refused(texture, options("--init=content", content=None), folder, "init", "noise")


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *((flag, value) for flag in ("content", "style", "output") for value in (None, "")),
        ("style", ","),
        ("style", "noise.wav,"),
    ],
)
def test_a_missing_name_is_asked_for(transfer, folder, flag, value):
    assert_refused(transfer, options(**{flag: value}), folder, f"--{flag}")


def test_an_empty_command_line_is_refused(transfer, texture, folder):
    assert_refused(transfer, [], folder, "--content")
    assert_refused(texture, [], folder, "--output")


def test_what_is_no_flag_is_refused(transfer, folder):
    assert_refused(transfer, ["tone.wav", "noise.wav"], folder, "tone.wav", "--help")


@pytest.mark.parametrize(
    ("flag", "value", "reason"),
    [
        ("output", "none/out.wav", "none does not exist"),
        ("output", "tone.wav", "already exists"),
        ("output", "folder.wav", "is a directory"),
        ("output", "out.mp3", ".wav, .flac, .ogg"),
        ("output", "out", ".wav, .flac, .ogg"),
        ("output", "tone.wav/out.wav", "tone.wav does not exist"),
        ("output", "o" * 300 + ".wav", "cannot be written"),
        ("json", "none/out.json", "none does not exist"),
        ("json", "tone.wav", "already exists"),
        ("json", "folder.wav", "is a directory"),
        ("json", "out.wav", "--output"),
        ("json", "./out.wav", "--output"),
        ("report", "none/report", "none does not exist"),
        ("report", "tone.wav", "is a file"),
        ("report", "old", "already exists"),
    ],
)
def test_a_bad_target_is_refused(transfer, folder, flag, value, reason):
    (folder / "folder.wav").mkdir()
    (folder / "old").mkdir()
    (folder / "old" / "report.html").write_text("precious")
    assert_refused(transfer, options(**{flag: value}), folder, value, reason)


def test_a_folder_that_takes_no_files_is_refused(transfer, folder):
    if not Path("/proc").is_dir():
        pytest.skip("no folder is known where not even root may write")
    for flag, name in {"output": "/proc/out.wav", "json": "/proc/out.json", "report": "/proc/report"}.items():
        assert_refused(transfer, options(**{flag: name}), folder, name, "cannot be written")


def test_with_debug_a_traceback_comes_before_the_line(transfer, folder):
    outcome = transfer(*options("--debug", content="missing.wav"), folder=folder)
    assert outcome.status == 2
    assert outcome.err.startswith("Traceback")
    assert outcome.err.splitlines()[-1].startswith("error: missing.wav")


def test_a_learned_style_is_not_written_over_by_another_file(texture, folder):
    arguments = options("--save_style=same.npz", "--json=same.npz", content=None)
    assert_refused(texture, arguments, folder, "--json and --save_style name the same file")
