"""The suites on less than a second of sound, once: that they measure what they say, and that both sides agree."""

from types import SimpleNamespace

import pytest

from jaxst.bench import sms_tools
from jaxst.bench.findings import OURS, Comparison, Curve, Figure
from jaxst.bench.suites import kernels, losses, scaling, sweeps, transfers

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'jaxst[bench]'")


DONE = SimpleNamespace(timings={"prepare": 1, "compile": 2, "solve": 3, "finish": 4})


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Two threads are what workers have."""
    for suite in (kernels, losses, sweeps):
        monkeypatch.setattr(suite, "SECONDS", 0.5)
    monkeypatch.setattr(kernels, "ROUNDS", 1)
    monkeypatch.setattr(losses, "ROUNDS", 1)
    monkeypatch.setattr(transfers, "RUNS", 1)


def sides(findings):
    return {finding.name: set(finding.timings) for finding in findings if isinstance(finding, Comparison)}


def test_kernels_beside_all_others(monkeypatch):
    monkeypatch.setattr(sms_tools, "available", lambda: False)  # compared in tests/kernels/sinusoids
    found = list(kernels.run(1, "cpu"))
    assert sides(found) == {
        "STFT": {OURS, "torch", "librosa"},
        "STFT magnitudes, value and gradient": {OURS, "torch"},
        "inverse STFT": {OURS, "torch", "torch.istft", "librosa"},
        "Griffin-Lim, fast, 32 iterations": {OURS, "torch", "torch with torch.istft", "librosa"},
        "128 mel bands to magnitudes": {OURS, "torch", "librosa"},
    }
    alone = list(kernels.run(1, None))
    assert all("torch" not in each for each in sides(alone).values())


def test_losses_are_pytorchs(monkeypatch):
    monkeypatch.setattr(losses, "peak_memory", lambda *arguments: 1.0)
    found = list(losses._banks("ri-spectrogram", 2, 1, "cpu"))
    assert sides(found) == {"ri-spectrogram, 2 filters a bank": {OURS, "torch", "torch, conv2d as published"}}
    (difference,) = [finding for finding in found if isinstance(finding, Figure)]
    assert difference.value < losses.AGREEMENT
    assert not difference.missed


def test_every_preset_can_be_measured_alone():
    (found,) = sides([losses._alone("ulyanov-limit")]).items()
    assert found == ("ulyanov-limit", {OURS})


def test_whole_runs_reach_the_same_loss():
    steps, to_level = transfers._beside("cpu", "caracalla-roebel", 2, "lbfgs", None, 4)
    assert steps.name == "caracalla-roebel, L-BFGS, 4 steps"
    for side in (OURS, "torch"):
        assert 0 < to_level.timings[side].median <= steps.timings[side].median
    left = [float(part.split()[-1]) for part in steps.setting.split(": ")[1].split(", ")]
    assert left[0] == pytest.approx(left[1], rel=0.3)
    assert left[0] < 0.9


def test_time_grows_with_length_and_filters(monkeypatch):
    asked = []
    monkeypatch.setattr(scaling.jaxst, "transfer", lambda content, *_, **__: asked.append(content.duration) or DONE)
    monkeypatch.setattr(scaling, "FILTERS", (1, 2))
    monkeypatch.setattr(scaling, "ROUNDS", 1)
    lengths, memory, filters = scaling.run(1, None)
    assert isinstance(lengths, Curve)
    assert asked[::2] == asked[1::2] == list(lengths.places) == list(scaling.LENGTHS)  # each once more, compiled
    assert set(lengths.seconds[OURS]) == {10}
    assert 0.1 < memory.value < 20
    assert filters.seconds.keys() == {OURS}
