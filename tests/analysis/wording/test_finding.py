import numpy as np
from made_sweeps import frames, retrains, row, uam

from analysis.statistics.intervals import Interval
from analysis.wording.doing_nothing import doing_nothing
from analysis.wording.finding import tells


def test_doing_nothing_is_worse_than_a_method_that_is_closer_on_the_seeds_of_both():
    values = lambda gap: (100.0, 80.0 + 2 * gap, 90.0, 40.0 - 2 * gap)  # noqa: E731
    rows = [*retrains(3), *(row("original", seed, values(gap)) for seed, gap in enumerate((3.0, 1.0)))]
    better = rows + [uam(seed, gap) for seed, gap in enumerate((2.5, 1.2, 9.0))]  # on shared seeds 1.85 against 2
    assert doing_nothing(frames(better).trials) == ""
    worse = rows + [uam(seed, gap) for seed, gap in enumerate((3.2, 1.2, 0.1))]  # 2.2 against 2, though 1.5 in all
    assert doing_nothing(frames(worse).trials) == (
        "The original is at 2.0: at this setting no method has a lower mean gap to Retrain than doing nothing."
    )
    assert doing_nothing(frames([*retrains(3), uam(0, 1.0)]).trials) == ""


def test_a_configuration_of_few_seeds_can_be_closer_than_doing_nothing():
    values = lambda gap: (100.0, 80.0 + 2 * gap, 90.0, 40.0 - 2 * gap)  # noqa: E731
    rows = [*retrains(3), *(row("original", seed, values(2.0)) for seed in range(3))]
    rows += [uam(seed, 3.0) for seed in range(3)]
    assert "no method has a lower mean gap" in doing_nothing(frames(rows).trials)
    assert doing_nothing(frames([*rows, uam(0, 1.0, rho=8.0)]).trials) == ""


def test_that_even_the_closest_method_is_distinguishable_from_doing_nothing_is_a_verdict():
    values = lambda gap: (100.0, 80.0 + 2 * gap, 90.0, 40.0 - 2 * gap)  # noqa: E731
    rows = [*retrains(3), *(row("original", seed, values(2.0)) for seed in range(3))]
    told = "than doing nothing; even the closest is distinguishable from it."
    far, near = (6.0, 6.3, 6.6), (2.5, 2.1, 3.0)
    alone = rows + [uam(seed, gap) for seed, gap in enumerate(far)]
    assert doing_nothing(frames(alone).trials).endswith(told)
    beside = alone + [row("neggrad", seed, values(gap)) for seed, gap in enumerate(near)]
    assert doing_nothing(frames(beside).trials).endswith("than doing nothing.")
    grid = alone + [uam(seed, 9.0 + gap, rho=10.0 + place) for place in range(60) for seed, gap in enumerate(far)]
    assert doing_nothing(frames(grid).trials).endswith("than doing nothing.")  # 61 could have been the closest


def test_what_an_interval_tells():
    assert tells(Interval(90.0, 50.0, 139.0, 3), "probe_degrees")
    assert not tells(Interval(90.0, 40.0, 140.0, 3), "probe_degrees")
    assert tells(Interval(90.0, np.nan, np.nan, 1), "probe_degrees")
    assert tells(Interval(5.0, -900.0, 900.0, 3), "anything")
