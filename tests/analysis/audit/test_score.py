"""Floors, ceilings and intervals of scores of either sort."""

import numpy as np
import pytest
from made_cohorts import cohort, drawn
from scipy import stats

from analysis.audit.score import CohortScore, Estimate, ModelScore, halves, next_seeds
from analysis.audit.single import SingleScore


class Mean(ModelScore):
    name, label, words = "mean", "mean", "the mean margin above Retrain's"

    def of(self, model, retrain, original):
        return model["forget"].margins.mean() - retrain["forget"].margins.mean()


class Distance(ModelScore):
    name, label, words = "distance", "distance", "the distance of mean margins to Retrain's"

    def of(self, model, retrain, original):
        return abs(model["forget"].margins.mean() - retrain["forget"].margins.mean())


class Median(CohortScore):
    name, label, words = "median", "median", "the median difference of margins"
    fewest = 3

    def of(self, cohort):
        return float(np.median(cohort.margins("unlearned") - cohort.margins("retrain")))


@pytest.mark.parametrize("folds", [1, 2])
def test_a_model_s_number_is_averaged_over_seeds(folds):
    made = drawn(0, 6, 20, 1.0, folds=folds)
    differences = (made.margins("unlearned") - made.margins("retrain")).mean(axis=1)
    low, high = stats.t.interval(0.95, 5, differences.mean(), stats.sem(differences))
    found = Mean().estimate(made)
    assert (found.value, found.low, found.high) == pytest.approx((differences.mean(), low, high))


def test_a_cohort_s_number_has_the_interval_of_the_jackknife():
    made = drawn(0, 8, 20, 1.0)
    found = Median().estimate(made)
    without = [Median().of(made.take(np.delete(np.arange(8), seed))) for seed in range(8)]
    half = stats.t.ppf(0.975, 7) * np.sqrt(7 / 8 * np.sum((without - np.mean(without)) ** 2))
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))
    few = Median().estimate(made.take([0, 1, 2]))
    assert few.value == Median().of(made.take([0, 1, 2]))
    assert np.isnan([few.low, few.high]).all()


@pytest.mark.parametrize("score", [Mean(), Median()], ids=["of models", "of cohorts"])
def test_a_method_that_is_perfect_has_the_floor_and_one_that_does_nothing_the_ceiling(score):
    made = drawn(0, 12, 50, 1.0, ceiling=3.0)
    perfect = next_seeds(made) if isinstance(score, ModelScore) else halves(made)
    assert score.floor(made).value == score.estimate(perfect).value
    assert abs(score.floor(made).value) < 0.5
    assert score.ceiling(made) == score.estimate(made.of("original"))
    assert score.ceiling(made).value == pytest.approx(3, abs=0.5)


@pytest.mark.parametrize("folds", [1, 2])
def test_the_interval_of_a_floor_leaves_out_each_retrain_in_turn(folds):
    made = drawn(0, 7, 20, folds=folds)
    without = [Distance().floor(made.take(np.delete(np.arange(7), seed))).value for seed in range(7)]
    half = stats.t.ppf(0.975, 6) * np.sqrt(6 * np.var(without))
    found = Distance().floor(made)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))
    assert np.isnan(Distance().floor(made.take([0, 1])).low)


def test_the_floor_of_a_model_by_itself_has_student_s_interval():
    made = drawn(0, 7, 20, 1.0)
    score = type("Own", (SingleScore,), {"of": lambda self, model, retrain, original: model["forget"].margins.mean()})()
    own = made.margins("retrain").mean(axis=1)
    low, high = stats.t.interval(0.95, 6, own.mean(), stats.sem(own))
    found = score.floor(made)
    assert (found.value, found.low, found.high) == pytest.approx((own.mean(), low, high))


def test_halves_are_of_different_seeds():
    retrain = np.arange(7.0)[:, None] + np.zeros(3)
    found = halves(cohort(retrain + 100, retrain))
    np.testing.assert_array_equal(found.margins("unlearned")[:, 0], [1, 3, 5])
    np.testing.assert_array_equal(found.margins("retrain")[:, 0], [0, 2, 4])


def test_each_seed_s_retrain_is_compared_with_another_s():
    retrain = np.arange(3.0)[:, None] + np.zeros(3)
    found = next_seeds(cohort(retrain + 100, retrain))
    np.testing.assert_array_equal(found.margins("unlearned")[:, 0], [1, 2, 0])
    assert next_seeds(drawn(0, 1, 3)) is None


@pytest.mark.parametrize(
    ("needs", "originals", "why"),
    [
        ({}, 3, ""),
        ({"parts": ("forget", "retain", "test")}, 3, "no predictions for retain and test data"),
        ({"fewest": 4}, 3, "needs 4 originals, there are 3"),
        ({"choices": True}, 3, ""),
    ],
)
def test_a_score_says_what_it_lacks(needs, originals, why):
    score = type("Needing", (Mean,), needs)()
    made = drawn(0, originals, 5)
    assert score.missing(made) == why
    assert score.estimate(made).note == why
    assert np.isnan(score.estimate(made).value) == bool(why)


def test_there_is_neither_floor_of_too_few_nor_ceiling_without_originals():
    made = drawn(0, 5, 10)
    assert np.isnan(Median().floor(made).value)
    assert Median().floor(made).note == "too few originals"
    assert np.isnan(Median().ceiling(made).value)
    assert Median().ceiling(made).note == "no originals of all these seeds"


def test_the_interval_of_percents_ends_at_0_and_100():
    values = np.array([2.0, 50.0, 98.0])
    percents, others = (Estimate.of_seeds(values, unit) for unit in ("percent", "percentage points"))
    assert (percents.value, percents.low, percents.high) == (50.0, 0.0, 100.0)
    assert others.low < 0
    assert others.high > 100
