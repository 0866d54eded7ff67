"""Which samples of its recordings a style is learned from."""

import numpy as np
import pytest

from jaxst.audio import Recording
from jaxst.excerpts import excerpted
from jaxst.style import _excerpts as excerpts_of

RATE = 4_000


def steps(seconds: float, channels: int = 1) -> Recording:
    """A recording whose samples tell the tenth of it that they are in, and the channel by their sign."""
    length = round(seconds * RATE)
    tenths = 1 + 10 * np.arange(length) // length
    signs = np.array([1, -1])[:channels]
    return Recording(signs[:, None] * tenths[None], RATE)


def heard(styles: list[Recording], shortest: float = 0.3) -> list[list[int]]:
    """The tenths that excerpts of each style are from, with the channel's sign; sizes and weights are checked."""
    styles = [excerpted(style) for style in styles]
    excerpts, weights = excerpts_of(styles, (1.0,) * len(styles), shortest)
    assert sum(weights) == pytest.approx(len(styles))
    assert sum(map(len, excerpts)) <= 12 * RATE
    found = iter(excerpts)
    per_style = len(excerpts) // len(styles)
    levels = [np.sqrt(np.mean(style.samples.astype(np.float64) ** 2, axis=1)) for style in styles]
    return [[round(float(np.median(next(found))) * level[0]) for _ in range(per_style)] for level in levels]


@pytest.mark.parametrize(
    ("channels", "count", "tenths"),
    [
        (1, 1, [2, 4, 7, 9]),
        (2, 1, [2, -4, 7, -9]),
        (1, 2, [3, 8]),
        (2, 2, [3, -8]),
        (1, 3, [6]),
        (2, 4, [3, -8]),
    ],
)
def test_what_is_compared_with_a_long_style_is_from_all_over_it(channels, count, tenths):
    """Counted from 1; the channels take turns."""
    assert heard([steps(600, channels)] * count) == [tenths] * count


@pytest.mark.parametrize(("count", "size"), [(1, 3), (3, 3), (6, 2), (24, 0.5)])
def test_excerpts_of_long_styles_share_what_is_compared_with(count, size):
    excerpts, _ = excerpts_of([excerpted(steps(60))] * count, (1.0,) * count, 0.3)
    assert {len(excerpt) for excerpt in excerpts} == {size * RATE}


def test_excerpts_of_long_styles_are_as_long_as_filters():
    excerpts, _ = excerpts_of([excerpted(steps(60))], (1.0,), 7.0)
    assert [len(excerpt) for excerpt in excerpts] == [7 * RATE]


def test_a_sound_that_was_found_in_silence_is_taken_once():
    samples = np.zeros((2, 60 * RATE), np.float32)
    samples[:, 12_345] = 0.5
    excerpts, weights = excerpts_of([excerpted(Recording(samples, RATE))], (1.0,), 0.3)
    assert [len(excerpt) for excerpt in excerpts] == [3 * RATE, 3 * RATE]  # of each channel
    assert weights == (0.5, 0.5)


@pytest.mark.parametrize(("seconds", "starts"), [(11, [0]), (25, [0, 22 / 3, 44 / 3, 22])])
def test_what_is_not_long_is_heard_at_equal_distances(seconds, starts):
    samples = np.random.default_rng(0).standard_normal((1, seconds * RATE)).astype(np.float32)
    excerpts, weights = excerpts_of([excerpted(Recording(samples, RATE))], (1.0,), 0.3)
    size = seconds * RATE if len(starts) == 1 else 3 * RATE
    level = np.sqrt(np.mean(samples.astype(np.float64) ** 2)).astype(np.float32)
    for excerpt, start in zip(excerpts, starts, strict=True):
        begin = round(start * RATE)
        np.testing.assert_array_equal(excerpt, samples[0, begin : begin + size] / level)
    assert weights == (1 / len(starts),) * len(starts)
