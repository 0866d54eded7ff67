"""The report's page: what one run heard, made, minimized and took, in a single HTML file that needs no network."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from jaxst.report import figures, markup
from jaxst.report.markup import MINUS, NOTHING
from jaxst.report.parts import Clip, Measure
from jaxst.report.table import Table

TIMES = "\N{MULTIPLICATION SIGN}"
COLUMNS = 1200  # of a spectrogram: the plot's width on a large screen, with some to spare for sharp displays
TRACK_ROWS = 640  # of the picture of tracks: lines close together stay apart
TRACK_SPAN = 60.0  # dB from its brightest color to its darkest
SHORTEST_SHARE = 1 / 8  # a clip shorter than this part of the longest gets a time axis of its own


def render_page(
    *,
    title: str,
    clips: Sequence[Clip],
    history: Mapping[str, Float[np.ndarray, "steps_plus_1"]],
    config: Mapping[str, object],
    facts: Mapping[str, object],
    timings: Mapping[str, float],
    curves: str = "Loss over the steps",
    measures: Sequence[Measure] = (),
    tables: Sequence[Table] = (),
    command: str | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Render the report of one run.

    Args:
        title: the page's heading, such as "guitar.flac in the style of water.flac".
        clips: the recordings in the order of the page. Their spectrograms share one color scale and one frequency
            axis, and one time axis where their lengths allow.
        history: each loss term's value before the first step and after every step; the sum under "total". Terms may
            have different lengths, be empty, or hold zero, negative and NaN values, which the plot leaves out.
        config: the configuration, by name; mappings inside are shown as "outer.inner".
        facts: anything else about the run, by name: versions, device, number of steps.
        timings: seconds, by name.
        curves: heading of the history's plot.
        measures: how good the result is.
        tables: the same in more numbers, beside those of other recordings.
        command: the command line that repeats the run, to be copied.
        notes: what the reader must know first, such as "interrupted after 37 of 200 steps": shown as banners.

    Returns:
        An HTML document that refers to nothing outside itself.
    """
    limits, cards = _cards(clips)
    return markup.render(
        "report.html",
        title=title,
        notes=notes,
        cards=cards,
        scale={"low": _signed(limits[0], 0), "high": _signed(limits[1], 0)},
        colors=markup.gradient(figures.COLOR_MAP),
        track_colors=markup.gradient(figures.TRACK_COLOR_MAP),
        curves=curves,
        terms=_terms(history),
        loss=_loss(history),
        measures=[(m.name, f"{_number(m.value)} {m.unit}".rstrip(), m.meaning) for m in measures],
        tables=tables,
        config=list(markup.pairs(config)),
        facts=list(markup.pairs(facts)),
        timings=[(name, _duration(value), _share(value, timings)) for name, value in timings.items()],
        command=command,
    )


def _cards(clips: Sequence[Clip]) -> tuple[tuple[float, float], list[dict[str, object]]]:
    """The common limits of the colors in dB, and what the template shows of each clip."""
    frequency_limit = max((clip.sample_rate / 2 for clip in clips), default=0.0)
    longest = max((clip.seconds for clip in clips), default=0.0)
    grid = []
    for clip in clips:
        axis_seconds = longest if clip.seconds >= SHORTEST_SHARE * longest else clip.seconds
        # Every clip's cells lie on the common grid; its last ones end where the clip does.
        bands = _until(figures.frequency_edges(frequency_limit), clip.sample_rate / 2)
        times = _until(np.linspace(0, axis_seconds, COLUMNS + 1), clip.seconds)
        grid.append((axis_seconds, bands, times))
    levels = [
        figures.spectrogram(clip.samples, clip.sample_rate, bands=bands, times=times)
        for clip, (_, bands, times) in zip(clips, grid, strict=True)
    ]
    limits = figures.color_limits(levels)
    cards = []
    for clip, level, (axis_seconds, bands, times) in zip(clips, levels, grid, strict=True):
        figure = figures.spectrogram_figure(
            level, bands=bands, times=times, limits=limits, frequency_limit=frequency_limit, time_limit=axis_seconds
        )
        axes = figure.axes[0]
        cards.append(
            {
                "clip": clip,
                "description": _description(clip),
                "audio": markup.data_uri("audio/flac", markup.flac(clip.samples, clip.sample_rate)),
                "image": markup.data_uri("image/png", figures.figure_png(figure)),
                "tracks": None if clip.tracks is None else _tracks(clip, times, frequency_limit, axis_seconds),
                "axis_seconds": axis_seconds,
                "own_axis": axis_seconds != longest,
                "x_ticks": figures.axis_ticks(axes.xaxis),
                "y_ticks": figures.axis_ticks(axes.yaxis),
            }
        )
    return limits, cards


def _tracks(clip: Clip, times: np.ndarray, frequency_limit: float, axis_seconds: float) -> dict[str, object]:
    """A transparent picture of the lines that fits the clip's spectrogram, with its own scale of colors."""
    assert clip.tracks is not None
    bands = _until(figures.frequency_edges(frequency_limit, rows=TRACK_ROWS), clip.sample_rate / 2)
    levels = figures.track_levels(clip.tracks, bands=bands, times=times)
    limits = figures.color_limits([levels], span=TRACK_SPAN)
    figure = figures.spectrogram_figure(
        levels,
        bands=bands,
        times=times,
        limits=limits,
        frequency_limit=frequency_limit,
        time_limit=axis_seconds,
        color_map=figures.TRACK_COLOR_MAP,
        height=TRACK_ROWS,
    )
    return {
        "image": markup.data_uri("image/png", figures.figure_png(figure)),
        "low": _signed(limits[0], 0),
        "high": _signed(limits[1], 0),
        "most": int(np.count_nonzero(clip.tracks.frequency, axis=1).max(initial=0)),
    }


def _until(edges: np.ndarray, end: float) -> np.ndarray:
    return np.append(edges[edges < end], end)


def _description(clip: Clip) -> dict[str, str]:
    channels = {1: "mono", 2: "stereo"}.get(len(clip.samples), f"{len(clip.samples)} channels")
    samples = clip.samples.astype(np.float64)  # a float32 sum of squares loses digits over minutes
    return {
        "Length": _duration(clip.seconds),
        "Format": f"{clip.sample_rate / 1000:g} kHz, {channels}",
        "Loudness": _decibels(float(np.sqrt(np.mean(samples**2)))) + " RMS",
        "Peak": _decibels(float(np.max(np.abs(samples)))),
    }


def _decibels(amplitude: float) -> str:
    return f"{_signed(20 * math.log10(amplitude), 1)} dBFS" if amplitude > 0 else f"{MINUS}\N{INFINITY} dBFS"


def _loss(history: Mapping[str, np.ndarray]) -> dict[str, object] | None:
    figure = figures.loss_figure(history)
    if figure is None:
        return None
    axes = figure.axes[0]
    return {
        "svg": Markup(figures.figure_svg(figure)),
        "x_ticks": figures.axis_ticks(axes.xaxis),
        "y_ticks": figures.axis_ticks(axes.yaxis),
    }


def _terms(history: Mapping[str, np.ndarray]) -> list[dict[str, object]]:
    """The legend of the loss curves, the total first: name, color, first and last value, and their ratio."""
    colors = figures.line_styles(list(history))
    rows = []
    for name, values in sorted(history.items(), key=lambda item: item[0] != "total"):
        row = {"name": name, "color": colors[name], "left_out": int(np.isnan(figures.plottable(values)).sum())}
        if len(values):
            first, last = float(values[0]), float(values[-1])
            row |= {"first": _number(first), "last": _number(last), "change": _change(first, last)}
        else:
            row |= {"first": NOTHING, "last": NOTHING, "change": NOTHING}
        rows.append(row)
    return rows


def _change(first: float, last: float) -> str:
    if not (0 < first < math.inf and 0 < last < math.inf):
        return NOTHING
    if last > 2 * first:
        return f"{TIMES} {last / first:.3g}"
    return f"{_signed(100 * (last / first - 1), 1)}%"


def _share(value: float, timings: Mapping[str, float]) -> float:
    return value / longest if (longest := max(timings.values())) > 0 else 0.0


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 100:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min {rest:02} s" if hours else f"{minutes} min {rest:02} s"


def _signed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", MINUS)


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", MINUS)
