"""Line charts as the numbers of an SVG: a page of a trial is made in milliseconds, and follows the reader's colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 480, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 40
"""The size of a chart and of its margins, in units of the SVG."""

MOST_DOTS = 30
"""Of more points a line shows none."""

SMALLEST = 1e-12
"""The span of an axis is at least this."""


@dataclass(frozen=True)
class Tick:
    """A number on an axis, and where it stands."""

    place: float
    text: str


@dataclass(frozen=True)
class Line:
    """A line's name, and its points (x, y) in units of the SVG; `dots`: whether each is marked."""

    label: str
    points: list[tuple[float, float]]
    dots: bool

    @property
    def path(self) -> str:
        """The points as SVG writes them."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)


@dataclass(frozen=True)
class Chart:
    """A line chart; `alt` is the picture in words, `level` where a line for comparison stands."""

    title: str
    lines: list[Line]
    across: list[Tick]
    upwards: list[Tick]
    level: float | None
    alt: str


Path = list[tuple[float, float]]
"""Epochs, ascending, and a value at each."""


def chart(
    title: str, points: Sequence[Mapping[str, Any]], columns: Mapping[str, str], level: float | None = None
) -> Chart | None:
    """A chart of some columns against `epoch`; None where none of them has a finite number.

    Args:
        points: rows of `traces` of one trial, in their order.
        columns: what each is called.
        level: a value that is marked.
    """
    found = {label: _finite(points, column) for column, label in columns.items()}
    paths = {label: path for label, path in found.items() if path}
    if not paths:
        return None
    values = [value for path in paths.values() for _, value in path]
    epochs = _ticks([epoch for path in paths.values() for epoch, _ in path], whole=True)
    heights = _ticks(values if level is None else [*values, level])

    def x(epoch: float) -> float:
        return LEFT + (epoch - epochs[0]) / (epochs[-1] - epochs[0]) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - heights[0]) / (heights[-1] - heights[0]) * (HEIGHT - TOP - BOTTOM)

    return Chart(
        title,
        [
            Line(label, [(x(epoch), y(value)) for epoch, value in path], len(path) <= MOST_DOTS)
            for label, path in paths.items()
        ],
        [Tick(x(epoch), f"{epoch:g}") for epoch in epochs],
        [Tick(y(value), f"{value:.4g}") for value in heights],
        None if level is None else y(level),
        _alt(title, paths),
    )


def _finite(points: Sequence[Mapping[str, Any]], column: str) -> Path:
    """The last finite value of each epoch."""
    values = {row["epoch"]: row[column] for row in points if row[column] is not None and math.isfinite(row[column])}
    return sorted(values.items())


def _ticks(values: Sequence[float], whole: bool = False) -> list[float]:
    """Round numbers that enclose all values, ascending, two at least."""
    low, high = min(values), max(values)
    if high - low < SMALLEST + abs(high) * SMALLEST:
        low, high = low - 0.5, high + 0.5
    ticks = [float(tick) for tick in MaxNLocator(6, integer=whole, steps=[1, 2, 5, 10]).tick_values(low, high)]
    first = max(place for place, tick in enumerate(ticks) if tick <= low or place == 0)
    last = min(place for place, tick in enumerate(ticks) if tick >= high or place == len(ticks) - 1)
    return ticks[first : last + 1]


def _alt(title: str, paths: Mapping[str, Path]) -> str:
    parts = []
    for label, path in paths.items():
        (start, first), (end, last) = path[0], path[-1]
        parts.append(f"{label} from {first:.4g} at epoch {start:g} to {last:.4g} at epoch {end:g}")
    return f"{title}: {'; '.join(parts)}."
