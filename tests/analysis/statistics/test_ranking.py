import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.statistics.ranking import compare_to_lowest, pairs, rank, verdicts


def test_verdicts_are_those_of_scipys_paired_t_test_times_the_comparisons():
    draw = np.random.default_rng(0)
    left, right = draw.normal(1, 1, (300, 5)), draw.normal(0, 1, (300, 5))
    for comparisons in (1, 6):
        test = stats.ttest_rel(left, right, axis=1)
        expected = np.where(test.pvalue * comparisons < 0.05, np.sign(test.statistic), 0)
        assert set(expected) == {0, 1}
        assert verdicts(left - right, comparisons).tolist() == expected.tolist()
    assert verdicts(right - left, 1).min() == -1


def test_of_differences_without_spread_nothing_can_be_said_unless_they_are_zero():
    first, second = 0.4 - 0.2, 70.3 - 70.1
    assert 0 < abs(second - first) < 1e-13
    cases = [[2, 2, np.nan], [first, second, first], [2, np.nan, np.nan], [np.nan] * 3, [0, second - first, 0]]
    assert verdicts(cases, 1) == pytest.approx([np.nan, np.nan, np.nan, np.nan, 0], nan_ok=True)


def test_pairs_of_groups_that_were_themselves_chosen():
    assert pairs([1] * 7) == 21
    assert pairs([3, 2, 1]) == 3 * 2 + 3 * 1 + 2 * 1
    assert pairs([5]) == 0


SWEEPS = 4000
DEVIATIONS = {
    "equal variances": lambda groups: np.ones(groups),
    "unequal variances": lambda groups: np.linspace(0.2, 3, groups),
    "one unstable": lambda groups: np.where(np.arange(groups) == 0, 3, 0.1),
}


def sweeps(groups, seeds, spread="equal variances", unit=None):
    """Many sweeps of groups that are equal: each seed moves all of them, and each of them by its own deviation."""
    draw = np.random.default_rng([groups, seeds])
    own = draw.normal(size=(SWEEPS, groups, seeds)) * DEVIATIONS[spread](groups)[:, None]
    values = 5 + draw.normal(size=(SWEEPS, 1, seeds)) + own
    return values if unit is None else unit * np.round(values / unit)


def share_with_an_error(values, comparisons=None):
    """In what share of sweeps a group is called worse than the lowest."""
    return (compare_to_lowest(values, comparisons)[1] > 0).any(axis=-1).mean()


MOST = 0.05 + 3 * np.sqrt(0.05 * 0.95 / SWEEPS)


@pytest.mark.parametrize("spread", DEVIATIONS)
@pytest.mark.parametrize(("groups", "seeds"), [(7, 2), (7, 3), (20, 10)])
def test_of_equal_groups_one_is_called_worse_in_at_most_5_percent_of_sweeps(groups, seeds, spread):
    assert share_with_an_error(sweeps(groups, seeds, spread)) <= MOST
    assert share_with_an_error(sweeps(groups, seeds, spread), comparisons=1) > 3 * MOST  # so they could be


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_measuring_in_coarse_steps_makes_no_more_errors(seeds):
    assert share_with_an_error(sweeps(7, seeds, unit=1.0)) <= MOST


def test_groups_that_are_the_best_of_many_make_no_more_errors():
    sizes = [36, 1, 1, 1, 1, 1, 1]
    values = sweeps(sum(sizes), 10)
    chosen = values[:, :36].mean(axis=-1).argmin(axis=-1)
    best = np.concatenate([values[np.arange(SWEEPS), chosen][:, None], values[:, 36:]], axis=1)
    assert share_with_an_error(best, pairs(sizes)) <= MOST
    assert share_with_an_error(best) > MOST  # were the 35 others not counted


def test_clear_differences_are_found():
    higher = np.array([0, 0, 0, 0, 0, 0, 40])
    lowest, found = compare_to_lowest(sweeps(7, 3) + higher[:, None])
    assert (found[:, 6] == 1).mean() > 0.7
    higher = np.linspace(0, 8, 20)
    lowest, found = compare_to_lowest(sweeps(20, 10) + higher[:, None])
    assert (found[:, 19] == 1).mean() > 0.99
    assert (lowest < 10).all()


def test_a_sweep_is_compared_alone_as_among_many():
    values = sweeps(5, 4)[:20] - 9 * np.arange(5)[:, None]
    values[3, 2, :3] = np.nan
    values[4, 4, 1:] = np.nan  # the lowest, on one seed only
    values[5, :, 1:] = np.nan
    lowest, found = compare_to_lowest(values)
    assert lowest.tolist() == [4, 4, 4, 4, 3, 4, *[4] * 14]
    for sweep, first, verdict in zip(values, lowest, found, strict=True):
        alone = compare_to_lowest(sweep)
        assert alone[0] == first
        assert alone[1] == pytest.approx(verdict, nan_ok=True)


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
    given = trials(a=[1.0, 5.0, 9.0], b=[2.0, 6.0, 10.1], c=[9.0, 2.0, 9.5])
    found = rank(given, ["name"], "gap")
    assert (found.best, found.interval.mean) == (("a",), 5.0)
    assert (found.equals, found.worse, found.unjudged) == ([("c",)], [("b",)], [])
    # b: t = 31, p = 0.001; with more than three comparisons that is not enough
    assert rank(given, ["name"], "gap", comparisons=60).equals == [("b",), ("c",)]


def test_rank_does_not_judge_a_difference_without_spread():
    found = rank(trials(a=[1.0, 5.0], b=[3.0, 7.0], same=[1.0, 5.0]), ["name"], "gap")
    assert (found.best, found.equals, found.worse, found.unjudged) == (("a",), [("same",)], [], [("b",)])


def test_a_group_that_is_lower_on_the_seeds_shared_is_not_worse():
    # a is lowest thanks to seed 3, where b has none
    found = rank(trials(a=[5.0, 6.0, 7.0, 0.0], b=[4.9, 5.9, 6.85, None]), ["name"], "gap")
    assert (found.best, found.equals, found.worse) == (("a",), [("b",)], [])


def test_a_group_that_survives_on_one_lucky_seed_is_no_winner():
    found = rank(trials(a=[4.0, 5.0, 6.0], lucky=[0.1, None, None]), ["name"], "gap")
    assert found.best == ("a",)
    assert found.unjudged == [("lucky",)]


def test_a_group_with_half_of_the_seeds_may_win():
    lowest, _ = compare_to_lowest([[2.0, 2.0, 2.1, 2.2], [1.0, 1.1, np.nan, np.nan]])
    assert lowest == 1


def test_rank_of_nothing():
    assert rank(trials(a=[np.nan]), ["name"], "gap") is None
