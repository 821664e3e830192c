"""Labels beside points hide no other label and stay inside their axes."""

from itertools import combinations

import numpy as np
import pytest

from analysis.drawing.figure import STYLES, WIDTH, new_figure
from analysis.drawing.labels import place_labels
from analysis.drawing.marks import Label

NAMES = ["Original", "FineTune", "UNDIAL", "TaskVector", "SimNPO", "NegGrad", "NPO", "RMU", "UAM", "Retrain"]


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("corner", [(0.0, 0.0), (0.0, 0.9), (1.0, 1.0)])
def test_in_a_crowd_labels_hide_no_other_label_and_stay_inside(spread, corner):
    draw = np.random.default_rng(3)
    figure, (axes,) = new_figure(WIDTH, 5.0)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    points = np.clip(corner + spread * draw.normal(size=(len(NAMES), 2)), 0, 1)
    bars = np.column_stack([np.zeros(200), np.linspace(0, 1, 200)])  # along the axis at the left
    place_labels(axes, points, [Label(0, name, STYLES["uam"]) for name in NAMES], np.concatenate([points, bars]))
    figure.draw_without_rendering()
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert list(boxes) == NAMES
    assert not [pair for pair in combinations(NAMES, 2) if boxes[pair[0]].overlaps(boxes[pair[1]])]
    inside = axes.get_window_extent().padded(2)
    assert all(inside.contains(*corner) for box in boxes.values() for corner in (box.p0, box.p1))


def test_a_lone_label_stands_beside_its_point():
    _, (axes,) = new_figure(WIDTH, 5.0)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    place_labels(axes, np.array([[0.5, 0.5]]), [Label(0, "UAM", STYLES["uam"])], np.empty((0, 2)))
    assert not axes.lines  # none leads to it
    (text,) = axes.texts
    assert np.hypot(*text.get_position()) < 40
