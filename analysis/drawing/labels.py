"""Labels beside points, each where it hides as little as possible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike, NDArray

from analysis.drawing.marks import POINT, SMALL, Label

AWAY = (1.0, 2.0, 3.2, 4.6, 6.4, 8.6, 11.2, 14.4, 18.0)
"""How far from its point a label may stand, in steps of 7 points; far enough that there is room in any crowd."""


def place_labels(axes: Axes, points: NDArray[np.float64], labels: Sequence[Label], obstacles: ArrayLike) -> None:
    """Write each label beside its point, where it hides no other text and as little else as possible.

    Args:
        points: one for each label, [n, 2] in data coordinates; `Label.y` is not used.
        obstacles: further points [m, 2] to keep clear of.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    scale = figure.dpi / POINT
    everything = axes.transData.transform(np.concatenate([points, np.asarray(obstacles, dtype=float).reshape(-1, 2)]))
    inside = axes.get_window_extent()
    taken: list[Bbox] = []
    for place, point, label in zip(everything, points.tolist(), labels, strict=False):
        text = axes.annotate(label.text, point, (0, 0), textcoords="offset points", fontsize=SMALL, zorder=5)
        size = text.get_window_extent()
        box, distance = min(
            _boxes_around(place, size.width, size.height, scale),
            key=lambda candidate: _cost(candidate[0], candidate[1], taken, everything, inside),
        )
        taken.append(box)
        text.set_position(((box.x0 - place[0]) / scale, (box.y0 - place[1]) / scale))
        if distance > 1:
            middle = np.clip(place, box.p0, box.p1)
            ends = axes.transData.inverted().transform([place, middle])
            axes.add_line(Line2D(*ends.T, color=label.style.color, linewidth=0.8, zorder=2.5))


def _boxes_around(place: NDArray[np.float64], width: float, height: float, scale: float) -> list[tuple[Bbox, float]]:
    """Boxes for a text around a point, and how far away they are (1: beside it)."""
    found = []
    for distance in AWAY:
        away = 7 * scale * distance
        for angle in np.deg2rad(np.arange(0, 360, 22.5)).tolist():
            x = place[0] + np.cos(angle) * (away + width / 2) - width / 2
            y = place[1] + np.sin(angle) * (away + height / 2) - height / 2
            found.append((Bbox.from_bounds(x, y, width, height), distance))
    return found


def _cost(box: Bbox, distance: float, taken: list[Bbox], places: NDArray[np.float64], inside: Bbox) -> float:
    padded = box.padded(6)
    overlaps = sum(1 for other in taken if padded.overlaps(other))
    hidden = int(((places > padded.p0) & (places < padded.p1)).all(axis=1).sum())
    outside: bool = box.x0 < inside.x0 or box.x1 > inside.x1 or box.y0 < inside.y0 or box.y1 > inside.y1
    return 1000 * (overlaps + outside) + 5 * hidden + distance
