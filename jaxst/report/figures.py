"""The report's pictures: arrays in, matplotlib figures out.

A figure here is the plot area alone, edge to edge, without axes. The page writes the tick labels beside it as text
(`axis_ticks` reads them off the figure), so that they stay sharp, keep their size on a narrow screen, and follow the
reader's light or dark colors, which pixels cannot.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import librosa
import matplotlib
import numpy as np
import scipy.ndimage
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator
from PIL import Image

from jaxst.report.parts import Tracks

COLOR_MAP = matplotlib.colormaps["magma"].resampled(255)  # and transparent: what the palette of a PNG file can hold
TRACK_COLOR_MAP = matplotlib.colormaps["viridis"].resampled(255)
THUMBNAIL_COLORS = 64  # files are a third smaller than with all colors, and look the same at that size
MEL_SCALE = (partial(librosa.hz_to_mel, htk=True), partial(librosa.mel_to_hz, htk=True))  # and its inverse
SILENCE = 1e-6  # amplitude, -120 dBFS: below the last bit of 16-bit audio, so no sound is cut off
WINDOW_SECONDS = 0.064  # the same for every sample rate, or noise would be louder in the clips with wider bins
OCTAVES_HZ = (0.0, 500.0, 1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 64e3)

# Middle tones: at least 3:1 against the light and the dark page alike. The first is for the total.
LINE_COLORS = ("#a855f7", "#d97706", "#0d9488", "#3b82f6", "#db2777", "#65870f", "#7c7c8a")


@dataclass(frozen=True)
class Tick:
    """One tick: its text and its place along the axis, from 0 (left or bottom) to 1 (right or top)."""

    label: str
    fraction: float


def frequency_edges(limit: float, rows: int = 288) -> Float[np.ndarray, "rows_plus_1"]:
    """Borders of `rows` frequency bands in Hz from 0 to `limit`, equally wide on the mel scale, as hearing is."""
    to_mel, to_hertz = MEL_SCALE
    return to_hertz(np.linspace(0, to_mel(limit), rows + 1))


def spectrogram(
    samples: Float[np.ndarray, "channels time"],
    sample_rate: int,
    *,
    bands: Float[np.ndarray, "rows_plus_1"],
    times: Float[np.ndarray, "columns_plus_1"],
) -> Float[np.ndarray, "rows columns"]:
    """Peak level of every cell of a time-frequency grid, in dB re a full-scale sine, of the channels' mean.

    Args:
        samples: audio in [-1, 1].
        sample_rate: in Hz.
        bands: borders of the cells in Hz, increasing, within 0 and half the sample rate.
        times: borders of the cells in seconds, increasing.

    Returns:
        Levels from -120 dB (silence). A cell holds its loudest bin, so that a pure tone keeps its level and its line
        whatever the size of the picture; a cell that is smaller than a bin repeats its neighbor.
    """
    mono = samples.mean(axis=0)
    win_length = 2 * math.ceil(WINDOW_SECONDS * sample_rate / 2)
    n_fft = 2 * win_length
    # Cells as long as the window, or longer, need no overlap: hours of sound would fill the memory.
    hop_length = round(min(max((times[1] - times[0]) * sample_rate, 1), win_length))
    mono = np.pad(mono, (0, max(n_fft - mono.size, 0)))
    spectrum = librosa.stft(mono, n_fft=n_fft, win_length=win_length, hop_length=hop_length)
    window_gain = np.sum(librosa.filters.get_window("hann", win_length)) / 2
    magnitude = _peaks(np.abs(spectrum), np.arange(len(spectrum)) * sample_rate / n_fft, bands, axis=0)
    magnitude = _peaks(magnitude, np.arange(magnitude.shape[1]) * hop_length / sample_rate, times, axis=1)
    return librosa.amplitude_to_db(magnitude / window_gain, ref=1.0, amin=SILENCE, top_db=None)


def _peaks(values: np.ndarray, positions: np.ndarray, edges: np.ndarray, *, axis: int) -> np.ndarray:
    """Maximum of `values` between consecutive `edges`; the next value where no position falls in between."""
    starts = np.minimum(np.searchsorted(positions, edges), len(positions) - 1)
    # The last edge closes the last cell: what lies above it is not shown.
    return np.delete(np.maximum.reduceat(values, starts, axis=axis), -1, axis=axis)


def track_levels(
    tracks: Tracks, *, bands: Float[np.ndarray, "rows_plus_1"], times: Float[np.ndarray, "columns_plus_1"]
) -> Float[np.ndarray, "rows columns"]:
    """Level of the loudest line in every cell of a time-frequency grid, in dB; NaN where there is none.

    Lines are two cells thick, louder ones up to four: drawn one by one they would be a million strokes. The grid is
    that of `spectrogram`.
    """
    n_frames = tracks.frequency.shape[-1]
    # Points so close that no column is left out, nor a row but in the steepest glides.
    points = np.linspace(0, times[-1], max(2 * len(times), 4 * n_frames), endpoint=False)
    column = np.searchsorted(times, points, side="right") - 1
    share, frame = np.modf(np.minimum(points * tracks.frame_rate, n_frames - 1))
    frame = frame.astype(int)
    grid = np.zeros((len(bands) - 1, len(times) - 1))
    lines = (values.reshape(-1, n_frames) for values in (tracks.frequency, tracks.magnitude))
    for frequency, magnitude in zip(*lines, strict=True):
        following = np.minimum(frame + 1, n_frames - 1)
        following = np.where(frequency[following] > 0, following, frame)
        hertz, level = (
            values[frame] + (values[following] - values[frame]) * share for values in (frequency, magnitude)
        )
        row = np.searchsorted(bands, hertz, side="right") - 1
        drawn = (frequency[frame] > 0) & (row < grid.shape[0])
        np.maximum.at(grid, (row[drawn], column[drawn]), level[drawn])
    thick = scipy.ndimage.maximum_filter(grid, size=(2, 1))
    for rows, share_of_loudest in ((3, 0.03), (4, 0.3)):
        loud = np.where(grid > share_of_loudest * grid.max(), grid, 0)
        thick = np.maximum(thick, scipy.ndimage.maximum_filter(loud, size=(rows, 1)))
    return np.where(thick > 0, librosa.amplitude_to_db(thick, ref=1.0, amin=SILENCE, top_db=None), np.nan)


def color_limits(levels: Sequence[Float[np.ndarray, "_ _"]], span: float = 80.0) -> tuple[float, float]:
    """Lowest and highest level in dB of one color scale for all `levels`: the loudest, and `span` dB below it. NaN is
    no level."""
    loudest = max((float(np.nanmax(level, initial=-np.inf)) for level in levels), default=-np.inf)
    # Everything silent: any scale would do that shows it as silence.
    top = 0.0 if loudest <= librosa.amplitude_to_db(SILENCE) else float(math.ceil(loudest))
    return top - span, top


def spectrogram_figure(
    levels: Float[np.ndarray, "rows columns"],
    *,
    bands: Float[np.ndarray, "rows_plus_1"],
    times: Float[np.ndarray, "columns_plus_1"],
    limits: tuple[float, float],
    frequency_limit: float,
    time_limit: float,
    color_map: Colormap = COLOR_MAP,
    height: int = 288,
) -> Figure:
    """Draw levels in dB on a mel axis from 0 to `frequency_limit` Hz and a time axis from 0 to `time_limit` seconds.

    `limits` are the lowest and highest color's levels. What the grid does not cover, or is NaN, stays transparent.
    """
    figure, axes = _bare_figure(width=1200, height=height)
    axes.pcolormesh(times, bands, levels, cmap=color_map, vmin=limits[0], vmax=limits[1], shading="flat")
    axes.set_yscale("function", functions=MEL_SCALE)
    axes.set(xlim=(0, time_limit), ylim=(0, frequency_limit))
    axes.xaxis.set(major_locator=MaxNLocator(7, steps=(1, 2, 5, 10)), major_formatter=FuncFormatter(_seconds))
    axes.yaxis.set(major_locator=FixedLocator(OCTAVES_HZ), major_formatter=FuncFormatter(_hertz))
    return figure


def _hertz(value: float, _: int | None = None) -> str:
    return f"{value / 1000:g} kHz" if value >= 1000 else f"{value:g} Hz"


def _seconds(value: float, _: int | None = None) -> str:
    return f"{1000 * value:.4g} ms" if 0 < value < 0.1 else f"{value:.6g} s"


def plottable(values: Float[np.ndarray, "steps_plus_1"]) -> Float[np.ndarray, "steps_plus_1"]:
    """`values` with NaN for what a logarithmic axis cannot show: zero, negative, infinite."""
    values = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def line_styles(names: Sequence[str]) -> dict[str, str]:
    """A color for each curve; "total" has its own, and the others keep theirs whether there is a total or not."""
    others = [name for name in names if name != "total"]
    colors = LINE_COLORS[1:]
    return {"total": LINE_COLORS[0]} | {name: colors[i % len(colors)] for i, name in enumerate(others)}


def loss_figure(history: Mapping[str, Float[np.ndarray, "_"]]) -> Figure | None:
    """Draw each term's loss over the steps on a logarithmic axis, or return None where there is nothing to draw.

    Values that are not positive and finite leave gaps. The axis ends six decades below the largest value: a content
    loss that starts at rounding error would otherwise press everything else against the top.
    """
    curves = {name: plottable(values) for name, values in history.items()}
    shown = np.concatenate([*curves.values(), []])
    shown = shown[np.isfinite(shown)]
    if not shown.size:
        return None
    figure, axes = _bare_figure(width=960, height=320)
    axes.set_yscale("log")
    colors = line_styles(list(curves))
    last = max(max(map(len, curves.values())) - 1, 1)
    top, bottom = shown.max(), max(shown.min(), shown.max() * 1e-6)
    margin = max((top / bottom) ** 0.06, 1.02)
    axes.set(xlim=(-0.012 * last, 1.012 * last), ylim=(bottom / margin, top * margin))
    dash = 0.004 * last
    for name, values in sorted(curves.items(), key=lambda item: item[0] == "total"):  # the total on top
        width, color = (2.6 if name == "total" else 1.7), colors[name]
        axes.plot(values, color=color, linewidth=width, solid_capstyle="round", clip_on=False, label=name)
        # A point without neighbors makes no line: it gets a dash.
        drawn = np.pad(np.isfinite(values), 1)
        (lone,) = np.nonzero(drawn[1:-1] & ~drawn[:-2] & ~drawn[2:])
        axes.hlines(values[lone], lone - dash, lone + dash, colors=color, linewidth=4, clip_on=False)
    decades = math.log10(top / bottom)
    axes.yaxis.set_major_locator(
        LogLocator(numticks=8) if decades > 2.5 else LogLocator(subs=(1, 2, 5)) if decades > 1 else MaxNLocator(5)
    )
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=(1, 2, 5, 10), integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.4g}"))
    return figure


def _bare_figure(*, width: int, height: int) -> tuple[Figure, Axes]:
    """A transparent figure of so many pixels whose axes fill it to the edge."""
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    return figure, axes


def axis_ticks(axis: Axis) -> list[Tick]:
    """The ticks that matplotlib chooses for an axis, within its limits."""
    low, high = axis.get_view_interval()
    values = [value for value in axis.get_majorticklocs() if low <= value <= high]
    first, last, *places = axis.get_transform().transform(np.array([low, high, *values]))
    labels = axis.get_major_formatter().format_ticks(values)
    return [Tick(label, float((place - first) / (last - first))) for label, place in zip(labels, places, strict=True)]


def figure_png(figure: Figure) -> bytes:
    """A figure of at most 256 colors as a PNG file: with a palette, less than half as large as without."""
    raw = io.BytesIO()
    figure.savefig(raw, format="rgba", transparent=True)
    width, height = figure.canvas.get_width_height()
    colors, pixels = np.unique(np.frombuffer(raw.getvalue(), np.uint32), return_inverse=True)
    if len(colors) > 256:
        raise ValueError(f"a palette holds 256 colors, not {len(colors)}")
    return _palette_png(pixels.reshape(height, width), colors.view(np.uint8))


def thumbnail(levels: Float[np.ndarray, "rows columns"], limits: tuple[float, float]) -> bytes:
    """Levels in dB as a small PNG file: a pixel for each cell, the first row at the bottom, NaN transparent.

    `limits` are the lowest and highest color's levels.
    """
    low, high = limits
    shade = np.rint(np.clip((levels - low) / (high - low), 0, 1) * (THUMBNAIL_COLORS - 1))
    pixels = np.where(np.isnan(shade), THUMBNAIL_COLORS, shade)[::-1]
    colors = COLOR_MAP(np.linspace(0, 1, THUMBNAIL_COLORS), bytes=True)
    return _palette_png(pixels, np.append(colors, np.zeros((1, 4), np.uint8), axis=0))


def _palette_png(pixels: np.ndarray, colors: np.ndarray) -> bytes:
    """A PNG file of indices, shape `(rows, columns)`, into at most 256 colors, four bytes each."""
    image = Image.fromarray(pixels.astype(np.uint8))
    image.putpalette(colors.tobytes(), "RGBA")
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def figure_svg(figure: Figure) -> str:
    """The figure as an `<svg>` element to stand inside a page, which stretches it to any shape."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg ") :].replace("<svg ", '<svg preserveAspectRatio="none" ', 1)
