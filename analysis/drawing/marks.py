"""What figures are built of: lines with intervals, Retrain's band, labels beside lines, ticks, the note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from matplotlib.transforms import Bbox, ScaledTranslation
from numpy.typing import ArrayLike, NDArray

from analysis.drawing.figure import STYLES, Line, Style, current_form
from analysis.statistics.intervals import Interval

SMALL = 9
"""Points; the size of ticks, labels and notes."""
DENSE = 15
"""From so many points on, a line's intervals are a band instead of bars."""
MARGIN_MARKER, MARGIN_TEXT = 1.035, 1.07
"""Where margin labels stand, in widths of the axes."""
LINE_HEIGHT = 1.25
POINT = 72.0
"""Points in an inch."""


@dataclass(frozen=True)
class Label:
    """A line's name, for the margin at the right: `y` is where the line ends, in data coordinates."""

    y: float
    text: str
    style: Style


def titled(axes: Axes, title: str, x: str = "") -> None:
    """Say above the axes what their y axis shows, and below it what their x axis shows."""
    axes.set_title(title, loc="left", fontsize=SMALL + 1)
    axes.set_xlabel(x, fontsize=SMALL + 1)
    axes.tick_params(labelsize=SMALL)


def draw_line(axes: Axes, points: pd.DataFrame, x: str, style: Style, shift: float = 0.0) -> None:
    """A line through means with their intervals.

    Args:
        points: columns `x`, and `mean`, `low`, `high` as `intervals.summarise` gives them.
        shift: points (1/72 inch) to the right, so that the intervals of several lines do not hide one another.
    """
    points = points.sort_values(x)
    places, mean, low, high = (points[name].to_numpy(dtype=float) for name in (x, "mean", "low", "high"))
    dense = len(points) > DENSE
    figure = axes.get_figure(root=True)
    assert figure is not None
    moved = axes.transData + ScaledTranslation(shift / POINT, 0, figure.dpi_scale_trans)
    size = {"o": 5.0, "*": 9.0}.get(style.marker, 5.5) * (0.6 if dense else 1)
    line = Line2D(
        places, mean, color=style.color, marker=style.marker, linestyle=style.line, linewidth=1.6, markersize=size
    )
    line.set_markerfacecolor(style.face)
    bars = (
        axes.fill_between(places, low, high, color=style.color, alpha=0.18, linewidth=0)
        if dense
        else axes.vlines(places, low, high, color=style.color, linewidth=1.2, alpha=0.85)
    )
    axes.add_line(line)
    axes.autoscale_view()
    for artist in (line, bars):
        artist.set_transform(moved)


def draw_reference(axes: Axes, interval: Interval, style: Style) -> None:
    """A horizontal line at Retrain's mean, and its interval as a band."""
    axes.axhline(interval.mean, color=style.color, linewidth=1.2, zorder=1.5)
    if interval.known:
        axes.axhspan(interval.low, interval.high, color=style.color, alpha=0.13, linewidth=0, zorder=1)


def draw_original(axes: Axes, level: Interval, upright: bool = False) -> list[Label]:
    """A dashed line at Original's average gap, and its label for the margin; neither where it was not run.

    `upright`: the gaps are across.
    """
    if level.n == 0:
        return []
    style = STYLES["original"]
    (axes.axvline if upright else axes.axhline)(
        level.mean, color=style.color, linestyle="--", linewidth=1.2, zorder=1.6
    )
    return [Label(level.mean, "Original", style)]


def draw_front(axes: Axes, front: pd.DataFrame) -> None:
    """The Pareto front as a grey line of steps, from the upper to the right end of the axes, which it keeps.

    Args:
        front: columns for across and upwards, in this order; a row per point, in any order.
    """
    right, top = axes.get_xlim()[1], axes.get_ylim()[1]
    points = front.sort_values(front.columns[0]).to_numpy(dtype=float)
    stairs = np.concatenate([[[points[0, 0], top]], points, [[right, points[-1, 1]]]])
    axes.plot(*stairs.T, color="#777777", linewidth=1.4, drawstyle="steps-post", zorder=1.8)
    axes.set(xlim=(axes.get_xlim()[0], right), ylim=(axes.get_ylim()[0], top))


def shades(style: Style, count: int) -> list[Style]:
    """`count` styles of one hue, from light to dark, that also differ in marker and line; of 1, the style itself."""
    if count == 1:
        return [style]
    base = np.array(to_rgb(style.color))
    looks: list[tuple[str, Line]] = [("s", ":"), ("o", "-"), ("^", "--"), ("D", "-.")]
    colors = [base + (1 - base) * -t if t < 0 else base * (1 - t) for t in np.linspace(-0.45, 0.65, count).tolist()]
    return [Style(to_hex(color), *looks[place % len(looks)]) for place, color in enumerate(colors)]


def fixed_ticks(axis: Axis, values: Sequence[float]) -> None:
    """Exactly these ticks, in ascending order, written short; on an x axis `finish` hides labels that would overlap."""
    axis.set_major_locator(FixedLocator(values))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FixedFormatter([f"{value:.4g}" for value in values]))


def whole_ticks(axis: Axis) -> None:
    """Ticks at whole numbers only."""
    axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def value_axis(axes: Axes, values: ArrayLike, log: bool) -> None:
    """The x axis, logarithmic or not, with the values as its ticks; `finish` hides labels that would overlap.

    A zero on a logarithmic axis stands at some distance from the smallest positive value.
    """
    ticks = np.unique(np.asarray(values, dtype=float))
    positive = ticks[ticks > 0]
    if log and len(positive):
        if ticks[0] > 0:
            axes.set_xscale("log")
        else:
            axes.set_xscale("symlog", linthresh=positive[0], linscale=0.4)
    fixed_ticks(axes.xaxis, ticks.tolist())


def cost_axis(axes: Axes, values: ArrayLike) -> None:
    """The x axis of a cost, logarithmic where it spans much, its ticks written as plain numbers."""
    if logarithmic(values):
        plain_log_axis(axes, "x")


def plain_log_axis(axes: Axes, which: Literal["x", "y"]) -> None:
    """A logarithmic axis with its ticks written as plain numbers."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def logarithmic(values: ArrayLike) -> bool:
    """Whether positive values span so much that they are better seen on a logarithmic axis."""
    found = np.asarray(values, dtype=float)
    positive = found[found > 0]
    return len(positive) > 1 and bool(positive.max() / positive.min() >= 8)


def finish(figure: Figure, note: str, labels: Sequence[tuple[Axes, list[Label]]] = ()) -> None:
    """Write the note below the figure and the labels beside their axes, moved apart where they would overlap."""
    form = current_form()
    form.captions.append(note)
    if form.caption:
        room = 0.98 * float(figure.get_size_inches()[0]) * POINT
        figure.supxlabel(wrapped(note, room), x=0.01, ha="left", fontsize=SMALL, linespacing=1.3)
    if form.width is not None:
        _wrap_titles(figure)
    written = [(axes, found, [_write_label(axes, label) for label in found]) for axes, found in labels if found]
    figure.draw_without_rendering()
    for axes, found, artists in written:
        height = axes.get_window_extent().height / figure.dpi * POINT
        ends = (axes.transData - axes.transAxes).transform([(0.0, label.y) for label in found])[:, 1]
        places = _apart(ends, SMALL * LINE_HEIGHT / height)
        for (marker, name), place in zip(artists, places.tolist(), strict=True):
            marker.set_ydata([place])
            name.set_y(place)
    for axes in figure.axes:
        if isinstance(axes.xaxis.get_major_formatter(), FixedFormatter):
            _hide_overlapping_ticks(axes)


def _wrap_titles(figure: Figure) -> None:
    """Break titles and names of axes that would reach beyond the figure, or into the next column of axes."""
    figure.draw_without_rendering()
    whole = figure.bbox.width
    for axes in figure.axes:
        box = axes.get_window_extent()
        beside = [each.get_window_extent().x0 for each in figure.axes]
        right = min([x for x in beside if x > box.x1], default=whole)
        room = 0.98 * (right - box.x0) / figure.dpi * POINT * SMALL / (SMALL + 1)
        axes.set_title(wrapped(axes.get_title(loc="left"), room), loc="left", fontsize=SMALL + 1)
        axes.set_xlabel(wrapped(axes.get_xlabel(), room))


def wrapped(text: str, room: float) -> str:
    """Text of the size `SMALL` in lines that are at most `room` points long, as far as their words allow."""
    lines: list[str] = []
    for word in text.split():
        if lines and _points_of(f"{lines[-1]} {word}") <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def _points_of(text: str) -> float:
    """The length of a line; a screen of few pixels to an inch shows it longer, by up to a twentieth."""
    return 1.05 * float(TextPath((0, 0), text.replace("$", "S"), size=SMALL).get_extents().width)


def _write_label(axes: Axes, label: Label) -> tuple[Line2D, Text]:
    style = label.style
    marker = Line2D([MARGIN_MARKER], [0.5], color=style.color, marker=style.marker, linestyle="none", markersize=6)
    marker.set_markerfacecolor(style.face)
    marker.set(transform=axes.transAxes, clip_on=False)
    axes.add_artist(marker)
    text = axes.text(MARGIN_TEXT, 0.5, label.text, transform=axes.transAxes, fontsize=SMALL, va="center_baseline")
    return marker, text


def _apart(wanted: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """The nearest places (least squares) that keep their order and at least `gap` between neighbours.

    Where there is room they stay between 0 and 1.
    """
    from scipy.optimize import isotonic_regression

    order = np.argsort(wanted, kind="stable")
    ranks = np.arange(len(wanted))
    places = isotonic_regression(wanted[order] - gap * ranks).x + gap * ranks
    if gap * len(wanted) <= 1 + gap:
        places = np.minimum(np.maximum(places, gap * ranks), 1 - gap * ranks[::-1])
    placed = np.empty(len(wanted))
    placed[order] = places
    return placed


def _hide_overlapping_ticks(axes: Axes) -> None:
    """Leave out labels that would overlap: 0 stays, then what comes first from the left."""
    labels = axes.get_xticklabels()
    texts = [label.get_text() for label in labels]
    written: list[Bbox] = []
    for index in sorted(range(len(labels)), key=lambda index: (texts[index] != "0", index)):
        box = labels[index].get_window_extent().padded(1.5)
        if any(box.overlaps(other) for other in written):
            texts[index] = ""
        else:
            written.append(box)
    axes.xaxis.set_major_formatter(FixedFormatter(texts))
