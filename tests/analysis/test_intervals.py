import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.intervals import (
    Interval,
    distinguishable,
    mean_interval,
    mean_intervals,
    paired_difference,
    rank,
    summarise,
)


@pytest.mark.parametrize("size", [2, 3, 10, 40])
def test_interval_is_that_of_scipys_t_test(size):
    values = np.random.default_rng(size).normal(5, 2, size)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_interval(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.mean, found.n) == (pytest.approx(np.mean(values)), size)


@pytest.mark.parametrize("size", [2, 3, 5, 10])
def test_95_percent_of_intervals_hold_the_true_mean(size):
    groups = np.random.default_rng(size).normal(7, 3, (8000, size))
    held = np.mean([found.low <= 7 <= found.high for found in mean_intervals(list(groups))])
    assert held == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / len(groups)))


def test_equal_values_have_an_interval_of_no_width():
    assert mean_interval([3.0, 3.0, 3.0]) == Interval(3.0, 3.0, 3.0, 3)


def test_one_seed_has_no_interval_and_none_no_mean():
    one, none = mean_intervals([[4.0, np.nan], []])
    assert (one.mean, one.n, np.isnan(one.low), np.isnan(one.high)) == (4.0, 1, True, True)
    assert (np.isnan(none.mean), none.n) == (True, 0)
    assert str(one) == "4.0, n = 1"


def test_groups_together_give_what_each_gives_alone():
    groups = [[1.0, 2.0, 4.0], [5.0, 5.0], [9.0, np.nan, 1.0, 3.0], [7.0], [2.0, 8.0, 8.0]]
    assert [str(found) for found in mean_intervals(groups)] == [str(mean_interval(group)) for group in groups]


def test_summarise_groups_and_leaves_out_what_is_missing():
    trials = pd.DataFrame(
        {
            "rho": [1.0, 2.0, 1.0, 2.0, np.nan, 4.0],
            "gap": [5.0, 1.0, 7.0, 3.0, 100.0, np.nan],
        }
    )
    expected = pd.DataFrame({"rho": [1.0, 2.0], "mean": [6.0, 2.0], "n": [2, 2]})
    half = 12.7062  # the 97.5 % quantile of t with one degree of freedom; the standard error is 1
    expected.insert(2, "low", expected["mean"] - half)
    expected.insert(3, "high", expected["mean"] + half)
    pd.testing.assert_frame_equal(summarise(trials, ["rho"], "gap"), expected, check_column_type=False)
    assert summarise(trials.iloc[4:], ["rho"], "gap").empty


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("mia", (0, 100)),
        ("gap.mia", (0, 100)),
        ("probe_degrees", (0, 180)),
        ("unlearn_seconds", (0, 90 + 127.062)),
        ("difference", (90 - 127.062, 90 + 127.062)),
    ],
)
def test_intervals_end_where_no_mean_can_lie(quantity, expected):
    found = mean_interval([80.0, 100.0], quantity)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-3)


def test_paired_difference_uses_only_shared_seeds():
    left = pd.Series({0: 10.0, 1: 20.0, 2: 30.6, 9: 1000.0})
    right = pd.Series({0: 9.0, 1: 19.0, 2: 29.0, 8: -1000.0})
    found = paired_difference(left, right)
    assert (found.mean, found.n) == (pytest.approx(3.6 / 3), 3)
    assert distinguishable(found)
    assert not distinguishable(mean_interval([-1.0, 1.0, 2.0]))
    assert not distinguishable(mean_interval([5.0]))


def trials(**groups):
    rows = [
        {"name": name, "seed": seed, "gap": value}
        for name, values in groups.items()
        for seed, value in enumerate(values)
        if value is not None
    ]
    return pd.DataFrame(rows)


def test_rank_compares_paired_by_seed():
    # b is 1 above a in every seed although their values overlap; c is below a in one seed
    found = rank(trials(a=[1.0, 5.0, 9.0], b=[2.0, 6.0, 10.0], c=[9.0, 2.0, 9.5]), ["name"], "gap")
    assert (found.best, found.interval.mean) == (("a",), 5.0)
    assert (found.equals, found.worse, found.unjudged) == ([("c",)], [("b",)], [])


def test_a_group_that_survives_on_one_lucky_seed_is_no_winner():
    found = rank(trials(a=[4.0, 5.0, 6.0], lucky=[0.1, None, None]), ["name"], "gap")
    assert found.best == ("a",)
    assert found.unjudged == [("lucky",)]


def test_rank_of_nothing():
    assert rank(trials(a=[np.nan]), ["name"], "gap") is None
