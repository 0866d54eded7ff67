"""One output beside its references: what each row must be, whatever the recordings; marks, gaps and tables."""

import collections
import csv
import dataclasses
import gc
import io
import json
import math
import weakref
from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from recordings import clip

from jaxst.audio import Recording, resample
from jaxst.errors import AudioError, ConfigError
from jaxst.evaluation import GROUPS, MEASURES, Comparison, Value, compare_with, evaluate, optimized_measures, run
from jaxst.evaluation.measures import kept_banks
from jaxst.evaluation.references import halves, joined, shaped_noise
from jaxst.evaluation.run import _value as to_value
from jaxst.evaluation.tables import (
    CSV_COLUMNS,
    as_json,
    csv_lines,
    evaluation_table,
    mean_table,
    means,
    measures_as_json,
    overview_table,
)
from jaxst.excerpts import excerpted
from jaxst.metrics.content import onset_correlation, pitch_set_distance
from jaxst.metrics.copying import peak_cross_correlation
from jaxst.metrics.descriptors import Descriptors
from jaxst.metrics.gram import WIDTHS
from jaxst.metrics.texture import TextureDistance, texture_distance, texture_statistics
from jaxst.report.table import as_text

RATE, LENGTH = 16_000, 32_000  # of all but the style, which is twice as long: programs are compiled for two lengths


def recording(samples: np.ndarray, name: str = "recording") -> Recording:
    return Recording(samples.astype(np.float32), RATE, name)


STYLE = recording(clip("water", 4.0), "water")
CONTENT = recording(clip("guitar", 2.0), "guitar")
# Some of both.
MIX = recording(clip("guitar", 2.0) + clip("water", 5.9)[-LENGTH:], "mix")
KEYS = {group: [m.key for m in MEASURES if m.group == group] for group in GROUPS}
# What no difference is, by key.
PERFECT = {m.key: 0.0 if m.better == "low" else 1.0 for m in MEASURES if m.better} | {"snr": 144.49}


@pytest.fixture(scope="module", autouse=True)
def few_filters():
    """Smaller networks, which are quick to draw, compile and run."""

    def draw_banks():
        draw = np.random.default_rng(0)
        return (jnp.asarray(draw.standard_normal((width, 257, 32), np.float32)) for width in WIDTHS)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxst.evaluation.measures.draw_banks", draw_banks)
        yield


@pytest.fixture(scope="module")
def evaluation(few_filters):
    return evaluate(MIX, style=STYLE, content=CONTENT, optimized=["texture"])


@pytest.fixture(scope="module")
def comparison(few_filters):
    return compare_with(style=STYLE, content=CONTENT, sample_rate=RATE)


@pytest.fixture(scope="module")
def measured(comparison):
    """The numbers of one output alone."""
    return lambda output: {key: value.value for key, value in comparison.measure(output).items()}


@pytest.fixture
def calls(monkeypatch):
    """Of a few quick measures, each time that one was computed: for which signal, compared with which."""
    found = collections.Counter()

    @cache  # two measures may have one function
    def counted(function):
        def measure(*signals):
            found[", ".join(signal.name for signal in signals)] += 1
            return function(*signals)

        return measure

    keys = ("timbre", "log_spectral", "log_spectral_overall", "windows", "snr", "crest")
    quick = [dataclasses.replace(m, function=counted(m.function)) for m in MEASURES if m.key in keys]
    monkeypatch.setattr(run, "MEASURES", quick)
    return found


def values(evaluation, row):
    return {key: value.value for key, value in evaluation.rows[row].items()}


def assert_no_nan(content):
    json.dumps(content, allow_nan=False)


def test_there_are_five_rows_and_every_measure(evaluation):
    assert list(evaluation.rows) == list(evaluation.recordings) == list(evaluation.seconds)
    assert list(evaluation.rows) == ["output", "content", "style", "noise", "other_half"]
    assert evaluation.measures == MEASURES
    assert evaluation.absent == {}
    keys = [m.key for m in MEASURES]
    assert len(set(keys)) == len(keys)
    assert all(list(row) == keys for row in evaluation.rows.values())
    assert {m.better for m in MEASURES} == {"low", "high", ""}
    assert {m.key for m in MEASURES if not m.better} == set(KEYS["descriptors"])
    assert len(KEYS["descriptors"]) == len(Descriptors._fields)


def test_the_style_untouched_has_all_of_the_style_and_is_a_copy(evaluation):
    style = values(evaluation, "style")
    for key in set(KEYS["style"]) - {"frechet_infinite"}:
        assert style[key] == pytest.approx(0, abs=1e-6), key
    assert abs(style["frechet_infinite"]) < 0.1 * values(evaluation, "noise")["frechet_infinite"]
    for key in KEYS["copying"]:
        assert style[key] == pytest.approx(1, abs=1e-3), key


def test_the_content_untouched_keeps_all_of_the_content(evaluation):
    content = values(evaluation, "content")
    for key in KEYS["content"] + KEYS["signal"]:
        assert content[key] == pytest.approx(PERFECT[key], abs=1e-2), key


def test_some_of_both_is_between_them(evaluation):
    output, content, style = (values(evaluation, row) for row in ("output", "content", "style"))
    for key in ("texture", "gram", "frechet"):
        assert style[key] < output[key] < content[key], key
    for key in ("pitch_sets", "auraloss", "ddsp"):
        assert content[key] < output[key] < style[key], key
    for key in ("chroma_centered", "onsets", "snr"):
        assert content[key] > output[key] > style[key], key


def test_the_other_half_is_nearer_to_the_style_than_noise_and_content(evaluation):
    half, noise, content = (values(evaluation, row) for row in ("other_half", "noise", "content"))
    for key in ("texture", "texstat", "gram", "frechet"):
        assert half[key] < noise[key] < content[key], key


def test_numbers_are_those_of_the_metrics(evaluation):
    style, content, mix = (np.asarray(r.samples[0], np.float64) for r in (STYLE, CONTENT, MIX))
    output, half = values(evaluation, "output"), values(evaluation, "other_half")
    assert output["onsets"] == pytest.approx(onset_correlation(mix, content, RATE), abs=1e-4)
    assert output["pitch_sets"] == pytest.approx(pitch_set_distance(mix, content, RATE), abs=1e-4)
    assert output["peak_correlation"] == pytest.approx(peak_cross_correlation(mix, style, RATE), abs=1e-4)
    wanted = texture_distance(texture_statistics(mix, RATE), texture_statistics(style, RATE))
    found = evaluation.rows["output"]["texture"]
    np.testing.assert_allclose([found.value, *found.parts.values()], wanted, rtol=1e-3)
    assert tuple(found.parts) == TextureDistance._fields[1:]
    first, second = style[:LENGTH], style[LENGTH:]
    distance = texture_distance(texture_statistics(second, RATE), texture_statistics(first, RATE))
    assert half["texture"] == pytest.approx(distance.mean, rel=1e-3)
    assert output["crest"] == pytest.approx(20 * np.log10(np.abs(mix).max() / np.sqrt(np.mean(mix**2))), abs=1e-3)


def test_gain_changes_only_what_says_that_level_matters(evaluation, measured):
    before, after = values(evaluation, "output"), measured(recording(0.1 * MIX.samples))
    changed = {key for key in before if not math.isclose(before[key], after[key], rel_tol=1e-2, abs_tol=1e-3)}
    assert changed == {"log_spectral", "log_spectral_overall", "auraloss", "ddsp", "snr", "loudness"}
    assert after["loudness"] == pytest.approx(before["loudness"] - 20, abs=0.01)


def test_a_shifted_copy_is_found_out(measured):
    part = STYLE.samples[:, 20_000 : 20_000 + LENGTH]
    copied = measured(recording(-0.3 * part, "copy"))
    assert copied["windows"] > 0.999
    assert copied["windows_peak"] > 0.999
    share = np.linalg.norm(part) / np.linalg.norm(STYLE.samples)
    assert copied["peak_correlation"] == pytest.approx(share, rel=1e-2)
    assert copied["texture"] < 0.5


def test_noise_has_the_styles_spectrum_and_the_outputs_length_and_level(evaluation):
    stereo = Recording(np.repeat(MIX.samples, 2, axis=0), RATE)
    noise, again, other = (shaped_noise(STYLE, stereo, seed) for seed in (3, 3, 4))
    assert noise.samples.shape == (2, LENGTH)
    assert noise.rms == pytest.approx(stereo.rms, rel=1e-5)
    np.testing.assert_array_equal(noise.samples, again.samples)
    assert abs(np.corrcoef(noise.samples[0], other.samples[0])[0, 1]) < 0.05
    assert np.mean(noise.samples[0] ** 4) / np.mean(noise.samples[0] ** 2) ** 2 == pytest.approx(3, abs=0.2)
    spectra = []
    for samples in (noise.samples[0] / noise.rms, STYLE.samples[0] / STYLE.rms):
        frequencies, power = scipy.signal.welch(samples, RATE, nperseg=1024)
        bands = np.digitize(frequencies, np.geomspace(300, 7_900, 20))
        spectra.append([10 * np.log10(power[bands == band].mean()) for band in range(1, 20)])
    np.testing.assert_allclose(*spectra, atol=2.0)
    assert np.mean(np.abs(np.subtract(*spectra))) < 0.7
    assert abs(np.corrcoef(evaluation.recordings["noise"].samples[0], STYLE.samples[0, :LENGTH])[0, 1]) < 0.05


def test_several_styles_are_joined_at_one_level_without_clicks():
    time = np.arange(RATE) / RATE
    loud, quiet = recording(0.5 * np.sin(2 * np.pi * 100 * time)), recording(0.01 * np.cos(2 * np.pi * 150 * time))
    both = joined([loud, quiet])
    assert both.samples.shape == (1, 2 * RATE - 160)
    np.testing.assert_array_equal(both.samples[:, : RATE - 160], loud.samples[:, :-160])
    np.testing.assert_allclose(both.samples[:, RATE:], 50 * quiet.samples[:, 160:], rtol=1e-4, atol=1e-6)
    assert np.abs(np.diff(both.samples)).max() < 0.1
    assert joined([loud]).samples is loud.samples
    stereo = Recording(np.repeat(loud.samples, 2, axis=0), RATE)
    assert joined([stereo, stereo]).channels == 2
    assert joined([stereo, quiet]).channels == 1


def test_a_long_style_is_compared_with_in_excerpts():
    samples = np.random.default_rng(5).standard_normal(40 * RATE).astype(np.float32)
    long = Recording(0.1 * samples, RATE, "long")
    style = compare_with(style=[long, STYLE], content=long, sample_rate=RATE).style
    np.testing.assert_array_equal(style.recordings[0].samples, excerpted(long).samples)
    assert style.recordings[1] is STYLE
    assert joined(style.recordings).in_excerpts


def test_halves_hold_half_of_every_style():
    first, second = halves([STYLE, CONTENT])
    assert first.samples.shape == second.samples.shape == (1, LENGTH + LENGTH // 2 - 160)
    np.testing.assert_array_equal(second.samples[0, :30_000], STYLE.samples[0, LENGTH:][:30_000])
    correlation = np.corrcoef(first.samples[0, LENGTH:], CONTENT.samples[0, 160 : LENGTH // 2])
    assert correlation[0, 1] == pytest.approx(1, abs=1e-5)
    with pytest.raises(AudioError, match=r"^half of the style lasts 1 s; 2 s or more are needed$"):
        halves([recording(STYLE.samples[:, : 2 * RATE])])


def test_other_rates_and_channels_are_brought_together(evaluation, monkeypatch):
    """The same recordings at 44.1 kHz, the content in stereo: nearly the same numbers."""
    style, content = (resample(r, 44_100) for r in (STYLE, CONTENT))
    stereo = dataclasses.replace(content, samples=np.repeat(content.samples, 2, axis=0))
    keys = ("texture", "gram", "timbre", "onsets", "chroma", "peak_correlation", "snr")
    monkeypatch.setattr(run, "MEASURES", [m for m in MEASURES if m.key in keys])
    other = evaluate(MIX, style=style, content=stereo)
    assert other.sample_rate == RATE
    assert other.recordings["content"].channels == 2
    before, after = values(evaluation, "output"), values(other, "output")
    assert after.keys() == set(keys)
    for key in keys:
        assert after[key] == pytest.approx(before[key], rel=0.05, abs=0.01), key


@pytest.mark.parametrize(
    ("given", "groups", "rows"),
    [
        ({"style": []}, {"descriptors"}, ["output"]),
        ({"style": STYLE}, {"style", "copying", "descriptors"}, ["output", "style", "noise", "other_half"]),
        ({"content": CONTENT}, {"content", "signal", "descriptors"}, ["output", "content"]),
    ],
)
def test_without_a_content_or_a_style_their_measures_are_left_out(given, groups, rows):
    evaluation = evaluate(MIX, **given)
    assert {m.group for m in evaluation.measures} == groups
    assert list(evaluation.rows) == rows
    assert_no_nan(as_json(evaluation))


def test_outputs_that_share_their_references_have_the_numbers_of_separate_evaluations(evaluation, comparison):
    """First one in stereo, with another seed."""
    other = recording(np.repeat(STYLE.samples[:, :LENGTH], 2, axis=0) * [[1.0], [0.5]], "other")
    row, references = comparison.measure(other), comparison.references(other, seed=1)
    alone = evaluate(other, style=STYLE, content=CONTENT, seed=1)
    assert {"output": row, **references.rows} == alone.rows
    assert references.absent == alone.absent
    shared = comparison.evaluate(MIX, optimized=["texture"])
    assert shared.rows == evaluation.rows
    for field in ("measures", "seconds", "absent", "optimized", "sample_rate"):
        assert getattr(shared, field) == getattr(evaluation, field)
    for found, wanted in ((references, alone), (shared, evaluation)):
        for name, one in found.recordings.items():
            np.testing.assert_array_equal(one.samples, wanted.recordings[name].samples)


def test_references_are_measured_once_for_all_outputs(calls, few_filters):
    comparison = compare_with(style=STYLE, content=CONTENT, sample_rate=RATE)
    comparison.measure(MIX)
    alone = {"output": 1, "output, style": 2, "output, content": 2}
    assert calls == alone  # and nothing of references
    for _ in range(3):
        comparison.references(MIX)
    noise = {"noise": 3, "noise, style": 6, "noise, content": 6}
    once = {
        **{"content": 1, "content, style": 2, "content, content": 2},
        **{"style": 1, "style, style": 2, "style, content": 2},
        **{"other half": 1, "other half, first half": 2},
    }
    assert calls == {**alone, **noise, **once}
    comparison.evaluate(MIX)
    assert {key: count for key, count in calls.items() if key.split(",")[0] not in ("output", "noise")} == once


def test_statistics_are_computed_once_for_all_outputs(monkeypatch):
    lengths = []

    def texture_statistics(samples, rate):
        lengths.append(samples.shape[1])
        return (samples.shape[1],)

    monkeypatch.setattr("jaxst.evaluation.measures.texture_statistics", texture_statistics)
    monkeypatch.setattr("jaxst.evaluation.measures.texture_distance", lambda x, style: TextureDistance(*x, *[0.0] * 8))
    monkeypatch.setattr(run, "MEASURES", [m for m in MEASURES if m.key == "texture"])
    shared = compare_with(style=STYLE, content=CONTENT, sample_rate=RATE)
    for _ in range(2):
        shared.evaluate(recording(MIX.samples[:, :-1]))
    assert collections.Counter(lengths) == {LENGTH - 1: 4, LENGTH: 3, 2 * LENGTH: 1}  # outputs, noise; halves, content


def test_comparisons_share_a_style_and_let_go_of_contents(calls, few_filters):
    banks = kept_banks()
    style = run.load_style(STYLE, RATE, banks)
    contents = [run.load_content(recording(samples), RATE, banks) for samples in (CONTENT.samples, MIX.samples)]
    for content in contents:
        Comparison(RATE, style, content, banks).evaluate(MIX)
    assert {key: count for key, count in calls.items() if key.startswith(("style", "other"))} == {
        **{"style": 1, "style, style": 2, "other half": 1, "other half, first half": 2},
        "style, content": 4,  # each content is another
    }
    gone = weakref.ref(contents.pop())
    del content
    gc.collect()
    assert gone() is None


def test_an_output_of_another_rate_is_refused(comparison):
    wide = Recording(MIX.samples, 2 * RATE, "wide.wav")
    for job in (comparison.measure, comparison.references, comparison.evaluate):
        with pytest.raises(AudioError, match=r"^wide.wav: has 32000 Hz, but is compared at 16000 Hz; resample it$"):
            job(wide)


def test_a_silent_output_has_a_row_with_reasons(comparison):
    row = comparison.measure(recording(np.zeros((1, LENGTH))))
    assert row["texture"].reason == "output: is silent: there is nothing to measure; choose another recording"
    assert (row["snr"].value, row["windows"].value) == (0, 0)
    assert all((value.value is None) == bool(value.reason) for value in row.values())
    assert all(value.value is None or math.isfinite(value.value) for value in row.values())


def test_what_cannot_be_measured_is_none_and_the_reason_is_told_once():
    short = recording(STYLE.samples[:, :4_800], "short")
    evaluation = evaluate(short, style=recording(STYLE.samples[:, :LENGTH]), content=CONTENT)
    assert list(evaluation.rows) == ["output", "content", "style", "noise"]
    assert evaluation.absent == {"other_half": "half of the style lasts 1 s; 2 s or more are needed"}
    gram = evaluation.rows["output"]["gram"]
    assert gram.value is None
    assert gram.reason == "output: lasts 0.300 s, but this measure needs 1.1 s or more"
    assert values(evaluation, "content")["gram"] > 0
    found = values(evaluation, "output")
    assert found["texture"] is None
    assert found["timbre"] > 0
    assert found["log_spectral"] > 0
    content = as_json(evaluation)
    assert content["rows"]["output"]["values"]["gram"] == {"value": None, "reason": gram.reason}
    assert_no_nan(content)
    text = as_text(evaluation_table(evaluation, "Evaluation"))
    assert text.count("needs 1.1 s or more") == 1
    assert "output, noise: lasts 0.300 s, but this measure needs 1.1 s or more (gram)" in text
    assert "no other half: half of the style lasts 1 s" in text
    assert "nan" not in text.lower()


def test_content_without_pitch_and_with_a_silent_channel_gives_no_nan():
    noise = np.random.default_rng(0).standard_normal(LENGTH)
    content = recording(0.1 * np.stack([noise, 0 * noise]), "hiss")
    output = recording(0.1 * np.stack([noise, noise]), "output")
    evaluation = evaluate(output, content=content)
    f0 = evaluation.rows["output"]["f0"]
    assert f0.value is None
    assert f0.reason == "content: has no pitch that could be followed; use another measure for such content"
    assert_no_nan(as_json(evaluation))


def test_what_is_not_finite_is_none():
    loudness = next(m for m in MEASURES if m.key == "loudness")
    for bad in (math.nan, math.inf, -math.inf):
        assert to_value(loudness, bad, "style") == Value(None, reason="style: has no finite value here")
    found = to_value(MEASURES[0], TextureDistance(0.5, *[0.1] * 7, math.nan), "style")
    assert (found.value, found.parts["modulation_c2"], found.parts["level"]) == (0.5, None, 0.1)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"output": recording(np.zeros(LENGTH), "quiet.wav")}, AudioError, "quiet.wav: is silent"),
        ({"style": recording(np.zeros(LENGTH), "quiet.wav")}, AudioError, "quiet.wav: is silent"),
        ({"content": recording(STYLE.samples[:, :1_000], "cut.wav")}, AudioError, "cut.wav: lasts 0.0625 s"),
        ({"output": "missing.wav"}, AudioError, "missing.wav: no such file"),
        ({"optimized": ["textur"]}, ConfigError, "optimized=textur: no such measure; there are texture, "),
        ({"seed": -1}, ConfigError, "seed=-1"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(changes, error, message):
    with pytest.raises(error, match=f"^{message}"):
        evaluate(**{"output": MIX, "style": STYLE, "content": CONTENT} | changes)


def test_what_a_loss_contains_is_known_from_its_options():
    assert optimized_measures({}) == optimized_measures({"texture_weight": None}) == frozenset()
    assert optimized_measures({"texture_weight": 0.5}) == {"texture"}
    assert optimized_measures({"texture_weight": 0.5}) <= {m.key for m in MEASURES}


def test_optimized_measures_are_marked_wherever_they_stand(evaluation):
    text = as_text(evaluation_table(evaluation, "Evaluation"))
    assert "\nMcDermott texture distance* " in text
    assert "\nTexStat  " in text
    assert "style taken? texture*: " in text
    assert text.count("* part of the loss that the output was made with: weak evidence") == 1
    described = measures_as_json([evaluation])
    assert [key for key, facts in described.items() if facts["optimized"]] == ["texture"]
    assert as_json(evaluation)["optimized"] == ["texture"]
    unmarked = dataclasses.replace(evaluation, optimized=frozenset())
    assert "*" not in as_text(evaluation_table(unmarked, "Evaluation"))
    lines = as_text(overview_table(["a.wav", "b.wav"], [evaluation, unmarked])).splitlines()
    assert "texture*" in lines[1]
    assert [("*" in line) for line in lines if line.startswith(("a.wav", "b.wav"))] == [True, False]
    assert {line[-1] for line in csv_lines("a.wav", evaluation) if line[3] == "texture"} == {True}


def test_the_table_fits_a_terminal_and_ranks_the_rows(evaluation):
    text = as_text(evaluation_table(evaluation, "mix.wav"))
    assert max(map(len, text.splitlines())) <= 100
    assert text.splitlines()[0] == "mix.wav"
    assert text.splitlines()[1].split("  ")[-1] == "other half"
    for m in MEASURES:
        assert m.name in text
    numbers = {row: values(evaluation, row)["onsets"] for row in ("output", "content", "style", "noise")}
    ranked = sorted(numbers, key=numbers.get, reverse=True)
    line = next(line for line in text.splitlines() if line.startswith("content kept? onsets: "))
    titles = [part.rpartition(" ")[0] for part in line.partition(": ")[2].split(" > ")]
    assert titles == ranked


def test_json_and_csv_hold_every_number(evaluation):
    content = as_json(evaluation)
    assert_no_nan(content)
    for row, found in evaluation.rows.items():
        assert content["rows"][row]["seconds"] == pytest.approx(4 if row == "style" else 2)
        assert {k: v["value"] for k, v in content["rows"][row]["values"].items()} == values(evaluation, row)
        assert len(content["rows"][row]["values"]["gram"]["parts"]["networks"]) == 6
        assert found["frechet"].parts["embedding"] == "log-mel patches"
    text = io.StringIO()
    csv.writer(text).writerows([CSV_COLUMNS, *csv_lines("mix.wav", evaluation)])
    lines = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert len(lines) == 5 * len(MEASURES)
    (snr,) = (line for line in lines if (line["row"], line["measure"]) == ("output", "snr"))
    assert float(snr["value"]) == values(evaluation, "output")["snr"]
    assert (snr["unit"], snr["better"], snr["seconds"], snr["optimized"]) == ("dB", "high", "2.0", "False")


def test_means_are_of_the_outputs_that_have_a_value(evaluation):
    def changed(value):
        row = {**evaluation.rows["output"], "f0": dataclasses.replace(evaluation.rows["output"]["f0"], value=value)}
        return dataclasses.replace(evaluation, rows={**evaluation.rows, "output": row})

    three = [changed(value) for value in (0.25, 0.75, None)]
    mean, counts = means(three)
    assert (mean["output"]["f0"], counts["output"]["f0"]) == (0.5, 2)
    assert (mean["output"]["snr"], counts["output"]["snr"]) == (pytest.approx(values(evaluation, "output")["snr"]), 3)
    assert (mean["other_half"]["snr"], counts["other_half"]["snr"]) == (None, 0)
    text = as_text(mean_table(three))
    assert text.startswith("Mean of 3 outputs\n")
    assert "some means are of fewer outputs" in text
    assert "some means" not in as_text(mean_table([evaluation, evaluation]))


def test_gaps_that_must_be_are_no_gaps(evaluation):
    assert evaluation.rows["other_half"]["onsets"].reason == "compared with the style's first half alone"
    assert "\n- " not in as_text(evaluation_table(evaluation, "Evaluation"))
    assert "\n- " not in as_text(mean_table([evaluation, evaluation]))
