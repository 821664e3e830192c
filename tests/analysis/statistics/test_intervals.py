import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.statistics.intervals import Interval, mean_interval, mean_intervals, paired_difference, summarise


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


@pytest.mark.parametrize("values", [[3.0, 3.0], [3.0, 3.0 + 1e-13, 3.0]], ids=["equal", "but for rounding"])
def test_seeds_of_one_and_the_same_value_have_no_interval(values):
    found = mean_interval(values, "retain_accuracy")
    assert (found.known, np.isnan(found.low), np.isnan(found.high)) == (False, True, True)
    assert str(found) == f"3.0 in every seed, n = {len(values)}"
    assert found.signed == "+3.0 in every seed"
    assert Interval(-1.0, -2.0, 0.5, 3).signed == "-1.0 [-2.0, +0.5]"


def test_differences_that_are_0_but_for_rounding_have_no_interval():
    assert not mean_interval([1e-13, 0.0, -1e-13]).known
    assert mean_interval([1e-7, 0.0, -1e-7]).known


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
        ("attack_auc", (0, 100)),
        ("forget_likelihood", (0, 100)),
        ("gap.mia", (0, 100)),
        ("probe_degrees", (0, 180)),
        ("unlearn_seconds", (0, 90 + 127.062)),
        ("percent_difference", (-37.062, 100)),
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
