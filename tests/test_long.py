"""Long runs of short chunks: seams, ends, interruptions, and what a folder keeps of them."""

from functools import cache

import jax
import numpy as np
import pytest
import short_chunks
from jax.sharding import Mesh

import jaxst
from jaxst import audio, chunks
from jaxst.config import HEARING
from jaxst.errors import InterruptionError, OutputError
from jaxst.lanes import batches
from jaxst.lanes.program import LANES
from jaxst.solver import Status
from jaxst.sweep.run import sweep

RATE = 8_000
# Compiles quickly, and moves enough in a few steps.
SMALL = {"windows": (32.0,), "hops": (8.0,), "patch_frames": (3,), **dict.fromkeys(HEARING, 0.0), "steps": 8}
LENGTH = round(3.2 * RATE)  # four chunks


def shorten(patch):
    """Chunks of a second, on one device."""
    short_chunks.shorten(patch)
    patch.setattr(batches, "device_mesh", lambda: Mesh(np.array(jax.devices()[:1]), (LANES,)))


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """In all tests."""
    shorten(monkeypatch)


@cache
def clip(name, channels=1):
    recording = audio.resample(jaxst.read(jaxst.example(name)), RATE)
    tiled = np.tile(recording.samples[:1], (channels, 2))[:, :LENGTH]
    return jaxst.Recording(tiled, RATE, name)


def transfer(**options):
    return jaxst.transfer(clip("guitar"), clip("water"), **SMALL | options)


def texture(**options):
    return jaxst.texture(clip("water"), **SMALL | {"duration": LENGTH / RATE} | options)


@pytest.fixture(scope="module")
def whole():
    """A transfer in four chunks."""
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        return transfer()


def test_a_long_transfer_is_as_long_as_its_content_and_took_the_style(whole):
    assert whole.audio.samples.shape == (1, LENGTH)
    assert (whole.chunks, whole.chunks_done, whole.status) == (4, 4, Status.FINISHED)
    assert whole.message == "4 chunks of 8 steps"
    assert whole.complete
    assert whole.history.keys() == {"total", "style", "content"}
    assert len(whole.history["total"]) == SMALL["steps"] + 1
    assert whole.history["total"][-1] < 0.5 * whole.history["total"][0]
    assert whole.audio.rms == pytest.approx(clip("guitar").rms, rel=0.1)


def test_progress_counts_the_steps_of_all_chunks():
    seen = []
    transfer(on_progress=lambda progress: seen.append((progress.step, progress.steps)))
    steps = [step for step, _ in seen]
    assert steps == sorted(steps)
    assert seen[-1] == (4 * SMALL["steps"], 4 * SMALL["steps"])
    assert {total for _, total in seen} == {4 * SMALL["steps"]}


def ending_after(steps):
    """Ends a run."""
    return lambda progress: progress.step >= steps and progress.stage == "solving"


def test_an_interrupted_run_has_its_beginning(whole):
    result = transfer(on_progress=ending_after(3 * SMALL["steps"] + 1))
    assert (result.status, result.chunks_done) == (Status.STOPPED, 3)
    assert result.message == "interrupted after 3 of 4 chunks of 8 steps"
    length = result.audio.samples.shape[1]
    assert RATE < length < LENGTH
    # Of other loudness, as the rest is missing.
    ours, all_of_it = result.audio.samples[0], whole.audio.samples[0, :length]
    assert np.corrcoef(ours, all_of_it)[0, 1] > 0.98


def test_an_interruption_before_the_first_chunk_is_done_leaves_nothing():
    with pytest.raises(InterruptionError):
        transfer(on_progress=ending_after(1))


def test_a_run_goes_on_where_it_was_ended(whole, tmp_path):
    folder, steps = tmp_path / "kept", []
    transfer(checkpoint_dir=folder, on_progress=ending_after(2 * SMALL["steps"] + 1))
    assert sorted(path.name for path in folder.glob("chunk*")) == ["chunk-0000.npz", "chunk-0002.npz"]
    result = transfer(checkpoint_dir=folder, on_progress=lambda progress: steps.append(progress.step))
    assert min(step for step in steps if step) > 2 * SMALL["steps"] - 1
    np.testing.assert_array_equal(result.audio.samples, whole.audio.samples)
    np.testing.assert_allclose(result.history["total"], whole.history["total"], rtol=1e-6)
    # Once more, with nothing left to do but for a chunk that was damaged.
    (folder / "chunk-0002.npz").write_bytes((folder / "chunk-0002.npz").read_bytes()[:-100])
    (folder / "chunk-0003.npz").write_bytes(b"no archive")
    again = transfer(checkpoint_dir=folder)
    np.testing.assert_array_equal(again.audio.samples, whole.audio.samples)


def test_chunks_side_by_side_are_those_one_after_another(whole, monkeypatch):
    monkeypatch.setattr(batches, "device_mesh", lambda: Mesh(np.array(jax.devices()[:2]), (LANES,)))
    assert batches.side_by_side(batches.device_mesh(), 4) == 2
    result = transfer()
    for name, values in whole.history.items():
        np.testing.assert_allclose(result.history[name], values, rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(result.audio.samples, whole.audio.samples, atol=0.02)


def test_lanes_of_a_sweep_are_the_long_single_runs(whole):
    found = sweep(clip("guitar"), clip("water"), {"style_weight": [1.0, 3.0]}, evaluate=False, **SMALL)
    assert found.complete
    np.testing.assert_array_equal(found.outcomes[0].load().samples, whole.audio.samples)
    assert np.abs(found.outcomes[1].load().samples - whole.audio.samples).max() > 1e-3


def test_two_channels_stay_apart_and_in_their_places():
    samples = np.concatenate([clip("guitar").samples, 0.1 * clip("tabla").samples])
    result = jaxst.transfer(jaxst.Recording(samples, RATE), clip("water"), **SMALL)
    assert result.audio.samples.shape == (2, LENGTH)
    levels = np.sqrt(np.mean(result.audio.samples**2, axis=1))
    wanted = np.sqrt(np.mean(samples**2, axis=1))
    np.testing.assert_allclose(levels[0] / levels[1], wanted[0] / wanted[1], rtol=0.25)


def test_what_is_no_longer_than_a_chunk_is_solved_whole():
    result = jaxst.transfer(jaxst.Recording(clip("guitar").samples[:, :RATE], RATE), clip("water"), **SMALL)
    assert (result.chunks, result.audio.samples.shape) == (1, (1, RATE))
    assert result.message == "8 steps"


def clicks(samples):
    """How far each sample is from where its neighbors lead, relative to the root mean square of that."""
    bends = np.diff(samples.astype(np.float64), n=4)
    return np.abs(bends) / np.sqrt(np.mean(bends**2))


@pytest.mark.parametrize("seed", [0, 1])
def test_seams_are_as_smooth_as_the_rest(seed):
    result = texture(seed=seed)
    how = chunks.cut(LENGTH, RATE)
    found = clicks(result.audio.samples[0])
    ends = [start + offset for start in how.starts[1:] for offset in (0, how.seams.given)]
    ends += [start + how.size - offset for start in how.starts[:-1] for offset in (0, how.seams.given)]
    near = np.concatenate([found[max(at - 6, 0) : at + 6] for at in ends])
    assert near.max() < np.quantile(found, 0.9995)


def test_chunks_of_another_run_are_refused_unless_they_may_be_replaced(tmp_path):
    folder = tmp_path / "kept"
    first = texture(checkpoint_dir=folder)
    for options in ({"seed": 1}, {"steps": 9}, {"duration": 2.5}, {"style_weight": 2.0}):
        with pytest.raises(OutputError, match="holds chunks of another run"):
            texture(checkpoint_dir=folder, **options)
    other = texture(checkpoint_dir=folder, overwrite=True, seed=1)
    assert np.abs(other.audio.samples - first.audio.samples).max() > 0.01


@pytest.mark.parametrize("duration", [3.2, 0.8])
def test_the_end_of_a_loop_leads_on_to_its_beginning(duration):
    plain, looped = (texture(loop=loop, duration=duration, seed=1).audio.samples[0] for loop in (False, True))
    assert looped.shape == plain.shape == (round(duration * RATE),)
    joined, broken = (clicks(np.roll(samples, len(samples) // 2)) for samples in (looped, plain))
    middle = slice(len(looped) // 2 - 4, len(looped) // 2 + 1)
    assert joined[middle].max() < np.quantile(joined, 0.999)
    assert broken[middle].max() > 1.5 * joined[middle].max()


def test_folders_with_other_files_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other files; choose a new folder"):
        texture(checkpoint_dir=tmp_path)
    with pytest.raises(OutputError, match="is a file; give a folder"):
        texture(checkpoint_dir=tmp_path / "notes.txt")
    with pytest.raises(OutputError, match="cannot be used"):
        texture(checkpoint_dir=tmp_path / "none" / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
