"""What figures are built of: lines with intervals, Retrain's band, labels beside lines and points, ticks, the note."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from matplotlib.transforms import Bbox, ScaledTranslation
from numpy.typing import ArrayLike, NDArray

from analysis.figure import Style
from analysis.intervals import Interval

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
    if interval.n > 1:
        axes.axhspan(interval.low, interval.high, color=style.color, alpha=0.13, linewidth=0, zorder=1)


def shades(style: Style, count: int) -> list[Style]:
    """So many styles of one hue, light to dark, told apart by marker and line too; a single one is the style itself."""
    if count == 1:
        return [style]
    base = np.array(to_rgb(style.color))
    looks = [("s", ":"), ("o", "-"), ("^", "--"), ("D", "-.")]
    colors = [base + (1 - base) * -t if t < 0 else base * (1 - t) for t in np.linspace(-0.45, 0.65, count).tolist()]
    return [Style(to_hex(color), *looks[place % len(looks)]) for place, color in enumerate(colors)]


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
    axes.xaxis.set_major_locator(FixedLocator(ticks.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FixedFormatter([f"{tick:.4g}" for tick in ticks.tolist()]))


def logarithmic(values: ArrayLike) -> bool:
    """Whether positive values span so much that they are better seen on a logarithmic axis."""
    found = np.asarray(values, dtype=float)
    positive = found[found > 0]
    return len(positive) > 1 and bool(positive.max() / positive.min() >= 8)


def finish(figure: Figure, note: str, labels: Sequence[tuple[Axes, list[Label]]] = ()) -> None:
    """Write the note below the figure and the labels beside their axes, moved apart where they would overlap."""
    width, _ = figure.get_size_inches()
    text = textwrap.fill(note, int(width * POINT / (0.52 * SMALL)))
    figure.supxlabel(text, x=0.01, ha="left", fontsize=SMALL, linespacing=1.3)
    written = [(axes, _write_labels(axes, found)) for axes, found in labels if found]
    figure.draw_without_rendering()
    for axes, pairs in written:
        height = axes.get_window_extent().height / figure.dpi * POINT
        gap = SMALL * LINE_HEIGHT / height
        wanted = np.array([text.get_position()[1] for _, text in pairs])
        for (marker, text), place in zip(pairs, _apart(wanted, gap).tolist(), strict=True):
            marker.set_ydata([place])
            text.set_y(place)
    for axes in figure.axes:
        if isinstance(axes.xaxis.get_major_formatter(), FixedFormatter):
            _hide_overlapping_ticks(axes)


def _write_labels(axes: Axes, labels: list[Label]) -> list[tuple[Line2D, object]]:
    """Marker and text of each label, at the height (in heights of the axes) where its line ends."""
    written = []
    for label in labels:
        height = float((axes.transData + axes.transAxes.inverted()).transform((1.0, label.y))[1])
        height = min(max(height, 0.0), 1.0)
        style = label.style
        marker = Line2D([MARGIN_MARKER], [height], color=style.color, marker=style.marker, linestyle="none")
        marker.set(transform=axes.transAxes, clip_on=False, markersize=6)
        axes.add_artist(marker)
        text = axes.text(MARGIN_TEXT, height, label.text, transform=axes.transAxes, fontsize=SMALL, va="center_baseline")
        written.append((marker, text))
    return written


def _apart(wanted: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """The nearest places (least squares) that keep their order and at least `gap` between neighbours."""
    order = np.argsort(wanted, kind="stable")
    blocks: list[list[float]] = []  # sum, count of the places less their rank's share
    for rank, value in enumerate((wanted[order] - gap * np.arange(len(wanted))).tolist()):
        del rank
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    level = np.concatenate([np.full(int(count), total / count) for total, count in blocks])
    placed = np.empty(len(wanted))
    placed[order] = level + gap * np.arange(len(wanted))
    return placed


def _hide_overlapping_ticks(axes: Axes) -> None:
    formatter = axes.xaxis.get_major_formatter()
    assert isinstance(formatter, FixedFormatter)
    labels = axes.get_xticklabels()
    texts, end = [label.get_text() for label in labels], -np.inf
    for index, label in enumerate(labels):
        if not texts[index]:
            continue
        box = label.get_window_extent()
        if box.x0 < end:
            texts[index] = ""
        else:
            end = box.x1 + 0.4 * SMALL / POINT * box.height / max(box.height, 1) * 100
    axes.xaxis.set_major_formatter(FixedFormatter(texts))


def place_labels(axes: Axes, points: NDArray[np.float64], texts: Sequence[str], styles: Sequence[Style]) -> None:
    """Write a text beside each point, where it hides no other text and as few points as possible.

    Args:
        points: [n, 2] in data coordinates; those beyond the number of texts are only kept clear of.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    scale = figure.dpi / POINT
    places = axes.transData.transform(points)
    inside = axes.get_window_extent()
    taken: list[Bbox] = []
    for place, text, style in zip(places, texts, styles, strict=False):
        artist = axes.annotate(text, (0, 0), fontsize=SMALL, color="black", annotation_clip=False)
        box = artist.get_window_extent()
        artist.remove()
        best = min(
            _candidates(place, box.width, box.height, scale),
            key=lambda candidate: _cost(candidate[0], candidate[1], taken, places, inside),
        )
        taken.append(best[0])
        corner = (best[0].p0 - place) / scale
        axes.annotate(
            text,
            axes.transData.inverted().transform(place),
            xytext=tuple(corner),
            textcoords="offset points",
            fontsize=SMALL,
            arrowprops={"arrowstyle": "-", "color": style.color, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 3}
            if best[1] > 1
            else None,
        )


def _candidates(place: NDArray[np.float64], width: float, height: float, scale: float) -> list[tuple[Bbox, float]]:
    """Boxes around a point, and how far away (1: beside it) they are."""
    found = []
    for distance in (1.0, 2.2, 3.8):
        away = 7 * scale * distance
        for angle in np.deg2rad(np.arange(0, 360, 22.5)):
            x = place[0] + np.cos(angle) * (away + width / 2) - width / 2
            y = place[1] + np.sin(angle) * (away + height / 2) - height / 2
            found.append((Bbox.from_bounds(x, y, width, height), distance))
    return found


def _cost(box: Bbox, distance: float, taken: list[Bbox], places: NDArray[np.float64], inside: Bbox) -> float:
    overlaps = sum(1 for other in taken if box.overlaps(other))
    padded = box.padded(4)
    hidden = int(
        ((places > padded.p0) & (places < padded.p1)).all(axis=1).sum()
    )
    outside = not (inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1)
    return 100 * overlaps + 20 * hidden + 50 * outside + distance
