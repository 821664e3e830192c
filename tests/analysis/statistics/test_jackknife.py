import numpy as np
import pytest
from scipy import stats

from analysis.statistics.intervals import mean_interval
from analysis.statistics.jackknife import circle_interval, jackknife, jackknife_spread, share_spread


@pytest.mark.parametrize("count", [3, 8, 40])
def test_of_a_mean_it_is_student_s_interval(count):
    values = np.random.default_rng(count).normal(size=count)
    found = jackknife(lambda places: float(values[places].mean()), count)
    error = values.std(ddof=1) / np.sqrt(count)
    assert found == pytest.approx((values.mean(), *stats.t.interval(0.95, count - 1, values.mean(), error)))


@pytest.mark.parametrize("count", [1, 2])
def test_of_fewer_than_three_observations_there_is_none(count):
    value, low, high = jackknife(lambda places: float(len(places)), count)
    assert value == count
    assert np.isnan([low, high]).all()


def test_where_no_observation_makes_a_difference_there_is_none():
    assert np.isnan(jackknife_spread(0.7, [0.7] * 5)).all()
    assert np.isnan(share_spread(1.0, [1.0] * 5, 100)).all()


def test_of_a_root_it_holds_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(0).exponential(size=(400, 30))
    found = [jackknife(lambda places, one=one: float(np.sqrt(one[places].mean())), 30) for one in draws]
    assert np.mean([low < 1 < high for _, low, high in found]) == pytest.approx(0.94, abs=0.03)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_an_interval_of_shares_lies_between_0_and_1_and_holds_the_share(share):
    without = np.clip(share + np.linspace(-0.05, 0.05, 7), 0, 1)
    low, high, _ = share_spread(share, without, 1000)
    assert 0 <= low <= share <= high <= 1
    assert high - low > 0.001


def test_in_the_middle_shares_and_numbers_have_one_interval():
    without = 0.5 + np.linspace(-0.001, 0.001, 9)
    shares, numbers = share_spread(0.5, without, 10**9, 0.499), jackknife_spread(0.5, without, 0.499)
    assert tuple(shares) == pytest.approx(tuple(numbers), abs=1e-4)


def test_its_p_value_of_a_mean_is_student_s():
    values = np.random.default_rng(0).normal(size=9)
    without = [np.delete(values, place).mean() for place in range(9)]
    found = jackknife_spread(values.mean(), without, expected=0.8)
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0.8).pvalue)
    assert np.isnan(jackknife_spread(values.mean(), without).p)


def distances(values, ahead=1):
    return np.abs(np.roll(values, -ahead) - values)


@pytest.mark.parametrize("count", [3, 4, 9])
def test_of_neighbours_on_a_circle_it_leaves_each_observation_out(count):
    values = np.random.default_rng(count).normal(size=count)
    without = [distances(np.delete(values, place)).mean() for place in range(count)]
    half = stats.t.ppf(0.975, count - 1) * np.sqrt((count - 1) * np.var(without))
    found = circle_interval(distances(values), distances(values, 2))
    mean = distances(values).mean()
    assert (found.mean, found.low, found.high, found.n) == pytest.approx((mean, mean - half, mean + half, count))


def test_of_two_neighbours_or_where_one_is_unknown_there_is_none():
    for values in (np.array([1.0, 4.0]), np.array([1.0, np.nan, 2.0, 7.0, 9.0])):
        found = circle_interval(distances(values), distances(values, 2))
        assert np.isnan([found.low, found.high]).all()
        assert found.mean == np.nanmean(distances(values))


@pytest.mark.parametrize("count", [3, 5, 10])
def test_of_neighbours_it_holds_the_truth_more_often_than_student_s(count):
    draws = np.random.default_rng(0).normal(size=(2000, count))
    found = [circle_interval(distances(values), distances(values, 2)) for values in draws]
    alone = [mean_interval(distances(values)) for values in draws]
    held, before = (
        np.mean([each.low < 2 / np.sqrt(np.pi) < each.high for each in each_of]) for each_of in (found, alone)
    )
    assert before < 0.89
    assert 0.9 < held < 0.97
