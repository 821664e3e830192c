import math

import pytest

from analysis.pages.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, chart


def points(*values):
    return [{"epoch": epoch, "loss": value, "other": None} for epoch, value in enumerate(values)]


def test_points_stand_between_round_ticks():
    found = chart("Loss", points(1.0, 3.0, 2.0), {"loss": "retain", "other": "forget"})
    assert [tick.text for tick in found.across] == ["0", "1", "2"]
    assert (found.across[0].place, found.across[-1].place) == (LEFT, WIDTH - RIGHT)
    assert (found.upwards[0].text, found.upwards[0].place) == ("1", HEIGHT - BOTTOM)
    assert (found.upwards[-1].text, found.upwards[-1].place) == ("3", TOP)
    (line,) = found.lines
    middle = (TOP + HEIGHT - BOTTOM) / 2
    assert line.points == [(LEFT, HEIGHT - BOTTOM), ((LEFT + WIDTH - RIGHT) / 2, TOP), (WIDTH - RIGHT, middle)]


def test_the_level_is_on_the_chart():
    found = chart("Angle", points(80.0, 85.0), {"loss": "angle"}, level=90.0)
    assert found.level == TOP
    assert found.upwards[-1].text == "90"


@pytest.mark.parametrize("values", [(2.0,), (2.0, 2.0), (1e10, 1e10), (0.0, 0.0)])
def test_equal_values_have_a_place(values):
    (line,) = chart("Loss", points(*values), {"loss": "retain"}).lines
    assert all(math.isfinite(number) for point in line.points for number in point)


def test_what_is_not_finite_is_left_out():
    found = chart("Loss", points(1.0, math.nan, math.inf, 2.0), {"loss": "retain"})
    assert len(found.lines[0].points) == 2
    assert chart("Loss", points(None, math.nan), {"loss": "retain"}) is None
    assert chart("Loss", [], {"loss": "retain"}) is None


def test_of_an_epoch_the_last_value_counts():
    rows = [*points(1.0, 2.0), {"epoch": 1, "loss": 4.0, "other": None}]
    assert chart("Loss", rows, {"loss": "retain"}).alt == "Loss: retain from 1 at epoch 0 to 4 at epoch 1."
