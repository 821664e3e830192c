"""Ranks of unlearned models' margins among Retrain's."""

from itertools import combinations

import numpy as np
import pytest
from made_cohorts import cohort, drawn
from scipy.stats import mannwhitneyu, norm

from analysis.audit.distinguish import (
    Distinguishability,
    OverForgotten,
    Remembered,
    null_law,
    sample_areas,
    squared,
)
from analysis.statistics.jackknife import jackknife_spread, share_spread


def mann_whitney(unlearned, retrain):
    """Pair by pair, in double precision."""
    return np.array(
        [
            np.mean([[1.0 if a > b else 0.5 if a == b else 0.0 for b in below] for a in above])
            for above, below in zip(np.transpose(unlearned), np.transpose(retrain), strict=True)
        ]
    )


def signed_square(values):
    return np.sign(values) * np.square(values)


@pytest.mark.parametrize("folds", [1, 3])
@pytest.mark.parametrize("originals", [1, 2, 5, 8])
def test_the_areas_count_pairs(originals, folds):
    rng = np.random.default_rng(originals)
    unlearned, retrain = rng.integers(-4, 5, size=(2, originals, 12)).astype(float)
    found = sample_areas(cohort(unlearned, retrain, folds=folds))
    np.testing.assert_allclose(found, mann_whitney(unlearned, retrain), rtol=0, atol=1e-12)


def test_the_mean_area_of_shifted_normal_laws_is_known():
    shifts = np.repeat([-1.0, 0.0, 0.5, 2.0], 3000)
    found = sample_areas(drawn(0, 6, len(shifts), shifts)).reshape(4, -1)
    np.testing.assert_allclose(found.mean(axis=1), norm.cdf(shifts[::3000] / np.sqrt(2)), atol=0.01)


@pytest.mark.parametrize("originals", [2, 4, 8])
def test_equal_laws_are_at_distance_0_on_average_for_every_number_of_originals(originals):
    found = [squared(sample_areas(drawn(seed, originals, 4000)), originals) for seed in range(20)]
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(0, abs=4 * error)
    assert error < 0.001


@pytest.mark.parametrize("originals", [2, 3, 4])
def test_the_null_law_counts_orders_of_the_models(originals):
    orders = [*combinations(range(2 * originals), originals)]
    found = [np.mean([a > b for a in own for b in {*range(2 * originals)} - {*own}]) for own in orders]
    values, probabilities = null_law(originals)
    expected = [np.isclose(found, value).mean() for value in values]
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("originals", [5, 8, 16, 64])
def test_the_null_law_is_that_of_the_exact_test(originals):
    values, probabilities = null_law(originals)
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities @ (values - 0.5) ** 2 == pytest.approx((2 * originals + 1) / (12 * originals**2))
    if originals <= 16:
        rng = np.random.default_rng(0)
        above, below = rng.normal(0.5, size=originals), rng.normal(size=originals)
        test = mannwhitneyu(above, below, alternative="greater", method="exact")
        at_least = probabilities[values >= test.statistic / originals**2 - 1e-9].sum()
        assert at_least == pytest.approx(test.pvalue, rel=1e-9)


def test_the_distance_is_half_where_every_model_is_told_and_signed_where_chance_makes_it_small():
    margins = np.random.default_rng(0).normal(size=(8, 100))
    score = Distinguishability()
    for shift in (100, -100):
        found = score.estimate(cohort(margins + shift, margins))
        assert found.value == pytest.approx(np.sqrt(0.25 - 17 / (12 * 64)))
        assert np.isnan([found.low, found.high]).all()
    same = score.of(cohort(margins, margins))
    assert same == pytest.approx(-np.sqrt(17 / (12 * 64)))


@pytest.mark.parametrize("score", [Distinguishability(), Remembered(), OverForgotten()], ids=lambda score: score.name)
class TestEveryScore:
    @pytest.mark.parametrize("originals", [3, 6, 9])
    def test_the_interval_comes_from_the_score_without_each_seed(self, score, originals):
        made = drawn(0, originals, 60, 0.7)
        found = score.estimate(made)
        others = [score.of(made.take(np.delete(np.arange(originals), seed))) for seed in range(originals)]
        if score.name == "distinguishability":
            low, high, _ = jackknife_spread(signed_square(found.value), signed_square(others))
            assert signed_square([found.low, found.high]) == pytest.approx([low, high])
        else:
            low, high, _ = share_spread(found.value / 100, np.divide(others, 100), 60)
            assert [found.low, found.high] == pytest.approx([100 * low, 100 * high])

    def test_one_original_that_shifts_every_sample_widens_it(self, score):
        unlearned, retrain = np.random.default_rng(0).normal(size=(2, 12, 300))
        sign = -1 if score.name == "over_forgotten" else 1
        found = score.estimate(cohort(unlearned + sign * 0.5, retrain))
        unlearned[2] += 30 * sign
        apart = score.estimate(cohort(unlearned + sign * 0.5, retrain))
        assert apart.high - apart.low > 1.2 * (found.high - found.low)

    def test_it_does_not_depend_on_order_or_scale(self, score):
        unlearned, retrain = np.random.default_rng(0).normal(size=(2, 8, 200)) + 0.3
        rng = np.random.default_rng(1)
        seeds, samples = rng.permutation(8), rng.permutation(200)
        found = score.estimate(cohort(unlearned, retrain))
        for change in (lambda x: x[seeds][:, samples], lambda x: 2 * x):
            again = score.estimate(cohort(change(unlearned), change(retrain)))
            assert [again.value, again.low, again.high] == pytest.approx([found.value, found.low, found.high])

    def test_two_originals_have_no_interval(self, score):
        found = score.estimate(drawn(0, 2, 50))
        assert not np.isnan(found.value)
        assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize("originals", [3, 4, 8])
def test_sides_of_one_half(originals):
    shifts = np.repeat([-9.0, 9.0, 0.0], (100, 300, 2000))
    made = drawn(0, originals, len(shifts), shifts)
    chance = Remembered().floor(made).value
    tied = np.mean(np.isclose(sample_areas(made)[400:], 0.5))
    assert chance == pytest.approx(100 * (1 - tied) / 2, abs=2)
    assert Remembered().of(made) == pytest.approx((300 + 20 * chance) / 24, abs=2)
    assert OverForgotten().of(made) == pytest.approx((100 + 20 * chance) / 24, abs=2)
    assert OverForgotten().floor(made).value == pytest.approx(chance)


def test_the_distance_s_floor_is_near_0_and_its_ceiling_is_the_originals():
    made = drawn(0, 16, 1000, 0.5, ceiling=3)
    score = Distinguishability()
    assert abs(score.floor(made).value) < 0.05
    assert score.floor(made).low < 0 < score.floor(made).high
    assert score.ceiling(made).value > score.estimate(made).value + 0.2
