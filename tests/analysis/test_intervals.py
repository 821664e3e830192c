import itertools

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


def enumerated(values):
    """The 2.5 % and 97.5 % quantiles of the mean over all n^n equally likely resamples."""
    means = [np.mean(draw) for draw in itertools.product(values, repeat=len(values))]
    return np.percentile(means, [2.5, 97.5], method="inverted_cdf")


@pytest.mark.parametrize("values", [[1.0, 4.0], [3.0, 1.0, 7.0], [2.0, 2.5, 9.0, 4.0], [0.0, 1.0, 5.0, 6.0, 20.0]])
def test_interval_agrees_with_enumeration_of_all_resamples(values):
    found = mean_interval(values)
    low, high = enumerated(values)
    spread = max(values) - min(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.low == pytest.approx(low, abs=0.05 * spread)
    assert found.high == pytest.approx(high, abs=0.05 * spread)
    assert found.n == len(values)


@pytest.mark.parametrize("size", [2, 3, 10, 40])
def test_interval_equals_scipys_percentile_bootstrap_with_the_same_draws(size):
    values = np.random.default_rng(size).normal(5, 2, size)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    found = mean_interval(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_three_seeds_span_the_smallest_to_the_largest():
    assert mean_interval([3.0, 1.0, 8.0]) == Interval(4.0, 1.0, 8.0, 3)


def test_one_seed_has_no_interval_and_none_no_mean():
    one, none = mean_intervals([[4.0, np.nan], []])
    assert (one.mean, one.n, np.isnan(one.low), np.isnan(one.high)) == (4.0, 1, True, True)
    assert (np.isnan(none.mean), none.n) == (True, 0)
    assert str(one) == "4.0, n = 1"


def test_groups_together_give_what_each_gives_alone():
    groups = [[1.0, 2.0, 4.0], [5.0, 5.0], [9.0, np.nan, 1.0, 3.0], [7.0], [2.0, 8.0, 8.0]]
    assert [str(found) for found in mean_intervals(groups)] == [str(mean_interval(group)) for group in groups]


def test_many_groups_exceed_no_chunk():
    values = np.random.default_rng(0).normal(size=(2500, 3))
    found = mean_intervals(list(values))
    assert [interval.low for interval in found] == pytest.approx(values.min(axis=1))


def test_summarise_groups_and_leaves_out_what_is_missing():
    trials = pd.DataFrame(
        {
            "rho": [1.0, 2.0, 1.0, 2.0, np.nan, 4.0],
            "gap": [5.0, 1.0, 7.0, 3.0, 100.0, np.nan],
        }
    )
    expected = pd.DataFrame({"rho": [1.0, 2.0], "mean": [6.0, 2.0], "low": [5.0, 1.0], "high": [7.0, 3.0], "n": [2, 2]})
    pd.testing.assert_frame_equal(summarise(trials, ["rho"], "gap"), expected, check_column_type=False)
    assert summarise(trials.iloc[4:], ["rho"], "gap").empty


def test_paired_difference_uses_only_shared_seeds():
    left = pd.Series({0: 10.0, 1: 20.0, 2: 31.0, 9: 1000.0})
    right = pd.Series({0: 9.0, 1: 19.0, 2: 29.0, 8: -1000.0})
    found = paired_difference(left, right)
    assert (found.mean, found.n) == (pytest.approx(4 / 3), 3)
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
