"""How signals are cut up, in which order, and what becomes of a content's levels and spectrum on the way."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import short_chunks

from jaxst import chunks, problem
from jaxst.audio import Recording
from jaxst.chunks import cut
from jaxst.config import HEARING
from jaxst.lanes.program import make_layout
from jaxst.spectrum import mean_power
from jaxst.task import transfer_config, transfer_task

RATE = 1_000
LENGTHS = [8_001, 11_000, 14_500, 14_501, 27_200, 45_000, 100_000, 600_000]
LOOPS = [600, 1_000, 4_000, 8_001, 17_000, 20_000, 60_000]


def order(how, side_by_side):
    return [index for together in how.rounds(side_by_side) for index in together]


@pytest.mark.parametrize("side_by_side", [1, 2, 3, 100])
@pytest.mark.parametrize(("length", "loop"), [*((n, False) for n in LENGTHS), *((n, True) for n in LOOPS)])
def test_every_second_chunk_comes_after_its_neighbors(length, loop, side_by_side):
    how = cut(length, RATE, loop=loop)
    count, done = len(how.starts), set()
    for together in how.rounds(side_by_side):
        for index in together:
            if index % 2:
                after = (index + 1) % count if loop else min(index + 1, count - 1)
                assert {index - 1, after} - {index} <= done
        assert len(together) <= side_by_side + 1
        done |= set(together)
    assert sorted(order(how, side_by_side)) == list(range(count))


@pytest.mark.parametrize(("length", "loop"), [*((n, False) for n in LENGTHS), *((n, True) for n in LOOPS)])
def test_every_sample_is_solved_in_full_or_fades_from_one_chunk_to_the_next(length, loop):
    """Written in order, each over what it is given: the square of what remains of all chunks adds up to 1."""
    how = cut(length, RATE, loop=loop)
    power, parts = np.zeros(length), {index: np.zeros(length) for index in range(len(how.starts))}
    for index in order(how, 1):
        places, share = how.places(index), how.share(index)
        for part in parts.values():
            part[places] *= 1 - share**2
        parts[index][places] += share**2
        power[places] = (1 - share**2) * power[places] + share**2
    np.testing.assert_allclose(power, 1, atol=1e-12)
    np.testing.assert_allclose(sum(parts.values()), 1, atol=1e-12)
    assert max(np.abs(np.diff(part)).max() for part in parts.values()) < 0.02  # nowhere does one break off


def test_short_signals_are_left_whole_unless_they_are_loops():
    assert cut(8 * RATE, RATE) is None
    assert len(cut(8 * RATE, RATE, loop=True).starts) == 2
    assert len(cut(8 * RATE + 1, RATE).starts) == 2


def test_chunks_are_no_longer_than_they_have_to_be_and_of_few_sizes():
    cuts = [cut(length, RATE) for length in range(8 * RATE + 1, 120 * RATE, 97)]
    sizes = {how.size for how in cuts}
    assert max(sizes) == 8 * RATE
    assert len(sizes) <= 7
    for how in cuts:
        count = len(how.starts)
        overlaps = count * how.size - how.length
        assert overlaps / (count - 1) >= 1.5 * RATE
        assert overlaps < (count - 1) * 1.5 * RATE + count * 0.5 * RATE
    assert cut(8 * RATE + 1, RATE, least=6 * RATE).size == 6 * RATE
    assert cut(12 * RATE, RATE, least=9 * RATE).size == 9 * RATE
    assert cut(9 * RATE, RATE, least=9 * RATE) is None


SECONDS, CLIP_RATE = 3.3, 8_000
SMALL = {"windows": (32.0,), "hops": (8.0,), "patch_frames": (3,), **dict.fromkeys(HEARING, 0.0)}


@pytest.fixture
def short(monkeypatch):
    """Chunks of a second."""
    short_chunks.shorten(monkeypatch)


def prepared(samples, **options):
    """A transfer of a content in the style of high-passed noise, and how it is cut up."""
    noise = scipy.signal.lfilter([1.0, -0.9], [1.0], np.random.default_rng(1).standard_normal(CLIP_RATE))
    style = Recording(0.1 * noise, CLIP_RATE, "style")
    config = transfer_config("arccos", SMALL | options, [style])
    content = Recording(samples, CLIP_RATE, "content")
    task = transfer_task(config, content, [style], style_mix=None, sample_rate=None)
    return task, chunks.cut_up(task)


def fading(channels=2):
    """Noise that ends 30 dB below where it began."""
    length = round(SECONDS * CLIP_RATE)
    noise = np.random.default_rng(0).standard_normal((channels, length))
    return 0.1 * noise * 10 ** (-1.5 * np.arange(length) / length)


def decibels(samples):
    """Of pieces of a tenth of a second."""
    pieces = samples[:, : samples.shape[1] // 800 * 800].reshape(samples.shape[0], -1, 800)
    return 10 * np.log10(np.mean(pieces**2, axis=(0, 2)))


def test_chunks_have_the_content_filtered_as_a_whole_at_an_even_level(short):
    task, how = prepared(fading())
    kept = chunks.keep(task, how)
    whole = np.asarray(
        problem.filtered(
            jnp.asarray(task.samples), mean_power(kept.spectra), task.style.spectrum, sample_rate=CLIP_RATE
        )
    )
    levels = []
    for index, start in enumerate(how.starts):
        content = kept.content(index)
        assert content.shape == (2, how.size)
        expected = whole[:, start : start + how.size]
        gain = np.sum(content * expected, axis=0) / np.sum(expected**2, axis=0)
        np.testing.assert_allclose(content, gain * expected, atol=2e-3 * np.abs(content).max())
        levels.append(decibels(content))
    assert np.ptp(np.concatenate(levels)) < 6  # 30 dB before
    assert np.abs(np.mean(levels)) < 1


def test_in_the_end_levels_are_the_contents_own(short):
    task, how = prepared(fading(), content_spectrum=None)
    task = replace(task, config=replace(task.config, content_spectrum=None))
    steady = np.random.default_rng(2).standard_normal(task.samples.shape).astype(np.float32)
    finished = chunks.finish(task, how, chunks.keep(task, how), steady)
    np.testing.assert_allclose(decibels(finished), decibels(np.asarray(task.samples)), atol=2.5)


def test_a_passage_of_silence_stays_silent_and_is_not_brought_up(short):
    samples = fading()
    samples[:, CLIP_RATE : 5 * CLIP_RATE // 2] = 0
    task, how = prepared(samples)
    kept = chunks.keep(task, how)
    contents = [kept.content(index) for index in range(len(how.starts))]
    assert all(np.isfinite(content).all() for content in contents)
    levels = kept.levels.at(0, samples.shape[1])[0]
    middle = slice(round(1.6 * CLIP_RATE), round(1.9 * CLIP_RATE))
    assert levels[middle].max() < 1e-2 * levels.max()


def test_the_spectrum_goes_as_far_towards_the_contents_as_that_of_a_whole_run(short):
    task, how = prepared(fading()[:, :CLIP_RATE].repeat(3, axis=1), content_spectrum=0.5, equalization=0.0)
    kept = chunks.keep(task, how)
    bright = scipy.signal.lfilter([1.0, -0.9], [1.0], np.random.default_rng(3).standard_normal(task.samples.shape))
    bright = (bright / bright.std()).astype(np.float32)
    leveled = bright * kept.levels.at(0, how.length)
    source, own = (
        mean_power(problem.long_term(task.program, jnp.asarray(x), sample_rate=CLIP_RATE))
        for x in (task.samples, leveled / np.sqrt(np.mean(leveled**2)))
    )
    finished = chunks.finish(task, how, kept, bright.copy())
    wanted = problem.filtered(jnp.asarray(leveled), own, source, sample_rate=CLIP_RATE, strength=0.5)
    found, wanted = (scipy.signal.welch(x, CLIP_RATE, nperseg=256)[1].mean(axis=0) for x in (finished, wanted))
    ratio = 10 * np.log10(found / wanted)
    np.testing.assert_allclose(ratio - ratio.mean(), 0, atol=0.5)


def test_chunks_share_a_program_alone_and_in_pairs(short):
    task, how = prepared(fading())
    kept, signal = chunks.keep(task, how), np.zeros(task.samples.shape, np.float32)
    pair = [chunks.chunk(task, how, index, kept, signal) for index in (0, 2)]
    layout = make_layout(pair)
    assert make_layout(pair[:1]) == layout
    assert {None, 0} <= set(layout.axes)  # the style is in memory once


def test_the_image_is_that_of_the_whole_content(short):
    """Channels with nothing in common get as much in common as the content's have."""
    rng, length = np.random.default_rng(4), 4 * CLIP_RATE
    common, left, right = rng.standard_normal((3, length))
    task, how = prepared(np.stack([common + 0.5 * left, common + 0.5 * right]), content_spectrum=None)
    task = replace(task, config=replace(task.config, content_spectrum=None))
    apart = rng.standard_normal(task.samples.shape).astype(np.float32)
    finished = chunks.finish(task, how, chunks.keep(task, how), apart.copy())
    assert np.corrcoef(finished)[0, 1] == pytest.approx(np.corrcoef(task.samples)[0, 1], abs=0.05)
    for own, before in zip(finished, apart, strict=True):
        assert np.corrcoef(own, before)[0, 1] > 0.85


def test_chunks_begin_with_noise_of_their_own(short):
    task, how = prepared(fading())
    kept, signal = chunks.keep(task, how), np.zeros(task.samples.shape, np.float32)
    seeds = [chunks.chunk(task, how, index, kept, signal).config.seed for index in range(len(how.starts))]
    assert len(set(seeds)) == len(seeds)
    assert seeds[0] == task.config.seed


def test_what_is_given_is_in_the_waveform_and_is_not_moved(short):
    task, how = prepared(fading())
    signal = np.random.default_rng(4).standard_normal(task.samples.shape).astype(np.float32)
    part = chunks.chunk(task, how, 1, chunks.keep(task, how), signal)
    posed, content = part.pose()
    start, seams = how.starts[1], how.seams
    for z in (posed.variable.parameters(content), 0 * posed.variable.parameters(content) + 3):
        waveform = np.asarray(posed.variable.waveform(z))
        for at in (slice(seams.given), slice(-seams.given, None)):
            np.testing.assert_allclose(waveform[:, at], signal[:, start : start + how.size][:, at], atol=1e-6)
    assert np.abs(waveform[:, how.size // 2] - signal[:, start + how.size // 2]).max() > 1e-2
