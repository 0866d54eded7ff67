import io
import math

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from PIL import Image

from jaxst.report import figures


def tone(frequency: float, *, sample_rate: int, seconds: float = 1.0, amplitude: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * frequency * time))[None].astype(np.float32)


def mel(frequency: float) -> float:
    """O'Shaughnessy's formula, written out again as the oracle of the frequency axis."""
    return 2595 * math.log10(1 + frequency / 700)


def levels(samples: np.ndarray, sample_rate: int, *, limit: float = 8000.0, columns: int = 100):
    bands = figures.frequency_edges(limit)
    times = np.linspace(0, samples.shape[1] / sample_rate, columns + 1)
    return figures.spectrogram(samples, sample_rate, bands=bands, times=times), bands, times


def draw(samples: np.ndarray, sample_rate: int, limits=(-80.0, 0.0), frequency_limit=8000.0, time_limit=1.0) -> Figure:
    decibels, bands, times = levels(samples, sample_rate)
    return figures.spectrogram_figure(
        decibels, bands=bands, times=times, limits=limits, frequency_limit=frequency_limit, time_limit=time_limit
    )


def pixels(figure: Figure) -> np.ndarray:
    """The picture as (row, column, RGBA), in 0 to 255."""
    return np.asarray(Image.open(io.BytesIO(figures.figure_png(figure))).convert("RGBA")).astype(int)


@pytest.mark.parametrize("sample_rate", [16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("frequency", [100.0, 1000.0, 5000.0])
def test_a_tone_has_its_frequency_and_its_level_at_every_sample_rate(frequency, sample_rate):
    decibels, bands, _ = levels(tone(frequency, sample_rate=sample_rate), sample_rate)
    column = decibels[:, 50]
    row = int(np.argmax(column))
    width = bands[row + 1] - bands[row]
    assert abs((bands[row] + bands[row + 1]) / 2 - frequency) < width + 8  # 8 Hz: the distance of two bins
    # 0.5 is -6.02 dB; a Hann window that is padded to twice its length loses up to 0.36 dB between two bins.
    assert -6.42 < column[row] < -6.0
    assert column[np.abs(bands[:-1] - frequency) > 0.2 * frequency + 100].max() < -60


def test_noise_is_equally_loud_at_every_sample_rate():
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 32_000)).astype(np.float32)
    low, _, _ = levels(noise, 16_000, limit=7000.0)
    high, _, _ = levels(librosa.resample(noise, orig_sr=16_000, target_sr=48_000), 48_000, limit=7000.0)
    assert abs(np.median(low) - np.median(high)) < 0.5


@pytest.mark.parametrize("seconds", [0.001, 0.1])
def test_a_clip_shorter_than_the_window_is_drawn(seconds):
    decibels, _, _ = levels(tone(1000, sample_rate=16_000, seconds=seconds), 16_000)
    assert decibels.shape == (288, 100)
    assert np.isfinite(decibels).all()
    assert decibels.max() > -60


def test_channels_are_averaged():
    left = tone(1000, sample_rate=16_000)
    both, _, _ = levels(np.concatenate([left, np.zeros_like(left)]), 16_000)
    alone, _, _ = levels(left, 16_000)
    assert both.max() == pytest.approx(alone.max() - 6.02, abs=0.01)


def test_color_limits_span_80_db_below_the_loudest_of_all():
    assert figures.color_limits([np.full((2, 2), -31.5), np.full((3, 1), -12.3)]) == (-92.0, -12.0)
    assert figures.color_limits([np.full((2, 2), -31.5)], span=60.0) == (-91.0, -31.0)


def test_silence_has_limits_and_the_lowest_color():
    silence = np.zeros((2, 16_000), np.float32)
    decibels, _, _ = levels(silence, 16_000)
    assert (decibels == -120).all()
    assert figures.color_limits([decibels]) == figures.color_limits([]) == (-80.0, 0.0)
    assert pixels(draw(silence, 16_000)).reshape(-1, 4).max(axis=0).tolist() == [0, 0, 4, 255]  # magma's first color


def test_figures_of_different_clips_share_their_colors():
    pair = [
        draw(tone(1000, sample_rate=16_000, amplitude=amplitude), 16_000, (-86.0, -6.0)) for amplitude in (0.5, 0.05)
    ]
    meshes = [next(c for c in figure.axes[0].collections if isinstance(c, QuadMesh)) for figure in pair]
    assert meshes[0].get_clim() == meshes[1].get_clim() == (-86, -6)
    brightness = [pixels(figure)[..., :3].sum(axis=2).max() for figure in pair]
    assert brightness[0] > 1.1 * brightness[1]


@pytest.mark.parametrize("frequency", [250, 1000, 4000])
def test_the_picture_shows_the_tone_at_its_place_on_the_mel_axis(frequency):
    image = pixels(draw(tone(frequency, sample_rate=16_000), 16_000))
    brightest = np.argmax(image[:, 600, :3].sum(axis=1))
    assert 1 - (brightest + 0.5) / len(image) == pytest.approx(mel(frequency) / mel(8000), abs=0.006)


def test_what_the_clip_does_not_cover_is_transparent():
    alpha = pixels(draw(tone(1000, sample_rate=16_000), 16_000, frequency_limit=24e3, time_limit=2.0))[..., 3]
    covered = round(288 * (1 - mel(8000) / mel(24_000)))
    assert (alpha[covered + 2 :, :598] == 255).all()
    assert (alpha[: covered - 2] == 0).all()
    assert (alpha[:, 602:] == 0).all()


def test_ticks_of_a_spectrogram():
    axes = draw(tone(1000, sample_rate=16_000), 16_000, time_limit=10.0).axes[0]
    frequencies = {tick.label: tick.fraction for tick in figures.axis_ticks(axes.yaxis)}
    assert list(frequencies) == ["0 Hz", "500 Hz", "1 kHz", "2 kHz", "4 kHz", "8 kHz"]
    assert frequencies["1 kHz"] == pytest.approx(mel(1000) / mel(8000))
    times = [(tick.label, round(tick.fraction, 6)) for tick in figures.axis_ticks(axes.xaxis)]
    assert times == [("0 s", 0), ("2 s", 0.2), ("4 s", 0.4), ("6 s", 0.6), ("8 s", 0.8), ("10 s", 1)]


def drawn_tracks(frequency, magnitude, *, frame_rate: float = 100.0, seconds: float = 1.0) -> np.ndarray:
    """Levels of lines, all of one channel, on 400 rows and 200 columns up to 8 kHz."""
    tracks = figures.Tracks(np.atleast_2d(frequency)[None], np.atleast_2d(magnitude)[None], frame_rate)
    bands = figures.frequency_edges(8000.0, rows=400)
    return figures.track_levels(tracks, bands=bands, times=np.linspace(0, seconds, 201))


@pytest.mark.parametrize("frequency", [60.0, 1000.0, 7900.0])
def test_a_track_lies_at_its_frequency_with_its_level(frequency):
    levels = drawn_tracks(np.full(101, frequency), np.full(101, 0.1))
    for column in levels.T:
        (rows,) = np.nonzero(np.isfinite(column))
        assert 2 <= len(rows) <= 4
        assert abs(rows.mean() + 0.5 - 400 * mel(frequency) / mel(8000)) < 2
        assert column[rows] == pytest.approx(-20)


def test_tracks_are_drawn_where_they_sound_and_no_lower_than_the_loudest():
    frequency = np.zeros((3, 101))
    frequency[0, :51] = frequency[1, 20:81] = 1000.0
    frequency[2, 40:61] = 3000.0
    magnitude = (frequency > 0) * np.array([[0.1], [0.5], [0.01]])
    levels = drawn_tracks(frequency, magnitude)
    at_1000, at_3000 = (levels[round(400 * mel(hertz) / mel(8000))] for hertz in (1000, 3000))
    assert np.isfinite(at_1000).nonzero()[0].tolist() == list(range(162))  # the last frame, at 0.8 s, is drawn as one
    assert at_1000[[10, 41, 100, 160]] == pytest.approx([-20, -6.02, -6.02, -6.02], abs=0.01)
    assert np.isfinite(at_3000).nonzero()[0].tolist() == list(range(80, 122))
    thickness = np.isfinite(levels[:, [10, 100]]).sum(axis=0)
    assert thickness.tolist() == [3, 6]  # louder lines are thicker; at 0.5 s there are two


@pytest.mark.parametrize(("frames", "seconds"), [(11, 1.0), (5001, 1.0), (1, 0.001), (2, 1e-5)])
def test_tracks_have_no_gaps_whatever_the_frame_rate(frames, seconds):
    frame_rate = (frames - 1) / seconds or 100.0
    glide = np.linspace(500, 2000, frames)
    levels = drawn_tracks(glide, np.full(frames, 0.1), frame_rate=frame_rate, seconds=seconds)
    assert np.isfinite(levels).any(axis=0).all()
    middle = np.nonzero(np.isfinite(levels[:, 100]))[0].mean()
    wanted = 500 if frames == 1 else 1250
    assert middle == pytest.approx(400 * mel(wanted) / mel(8000), abs=3)


def test_what_lies_above_the_picture_is_not_drawn():
    assert np.isnan(drawn_tracks(np.full(101, 8100.0), np.full(101, 0.1))).all()
    assert np.isnan(drawn_tracks(np.zeros(101), np.zeros(101))).all()
    assert figures.color_limits([np.full((2, 2), np.nan)], span=60.0) == (-60.0, 0.0)
    assert figures.color_limits([np.array([[np.nan, -12.3]])]) == (-92.0, -12.0)


def test_losses_are_drawn_over_the_steps_on_a_logarithmic_axis():
    history = {"total": np.array([1.0, 0.1, 0.01]), "style": np.array([0.9, 0.09, 0.009])}
    figure = figures.loss_figure(history)
    assert figure is not None
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    lines = {str(line.get_label()): line for line in axes.lines}
    assert lines.keys() == history.keys()
    for name, values in history.items():
        np.testing.assert_array_equal(lines[name].get_xydata(), np.column_stack([[0, 1, 2], values]))
    assert {name: line.get_color() for name, line in lines.items()} == figures.line_styles(list(history))
    ticks = {tick.label: tick.fraction for tick in figures.axis_ticks(axes.yaxis)}
    assert ticks["1"] - ticks["0.1"] == pytest.approx(ticks["0.1"] - ticks["0.01"])
    assert [tick.label for tick in figures.axis_ticks(axes.xaxis)] == ["0", "1", "2"]


def test_what_a_logarithm_cannot_show_is_a_gap_and_a_lone_value_a_dash():
    assert np.isnan(figures.plottable(np.array([0.0, -1, np.nan, np.inf, 2]))).tolist() == [True] * 4 + [False]
    figure = figures.loss_figure({"total": np.array([0.0, 2, np.nan, 1, 1]), "one": np.array([3.0])})
    assert figure is not None
    dashes = [segment for c in figure.axes[0].collections for segment in c.get_paths()]
    assert [np.mean(np.asarray(path.vertices), axis=0).tolist() for path in dashes] == [[0, 3], [1, 2]]


@pytest.mark.parametrize("values", [[], [np.nan], [0.0, -1.0], [np.inf]])
def test_a_history_with_nothing_to_draw_gives_no_figure(values):
    assert figures.loss_figure({"total": np.array(values)}) is None
    assert figures.loss_figure({}) is None


def test_the_axis_ends_six_decades_below_the_largest_loss():
    figure = figures.loss_figure({"total": np.ones(3), "content": np.array([1e-12, 1e-3, 1e-2])})
    assert figure is not None
    assert 1e-7 < figure.axes[0].get_ylim()[0] < 1e-6


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=5))
def test_any_history_is_drawn_within_finite_limits_and_with_labels(values):
    figure = figures.loss_figure({"total": np.array(values)})
    drawable = [value for value in values if 0 < value < np.inf]
    assert (figure is None) == (not drawable)
    if figure is not None:
        low, high = figure.axes[0].get_ylim()
        assert 0 < low < max(drawable) < high < np.inf
        assert figures.axis_ticks(figure.axes[0].yaxis)
        assert figures.axis_ticks(figure.axes[0].xaxis)


def test_svg_stretches_is_reproducible_and_refers_to_nothing():
    first, second = (figures.loss_figure({"total": np.array([1.0, 0.5])}) for _ in range(2))
    assert first is not None
    assert second is not None
    picture = figures.figure_svg(first)
    assert picture == figures.figure_svg(second)
    assert picture.startswith('<svg preserveAspectRatio="none"')
    assert "href" not in picture
    assert "url(" not in picture
