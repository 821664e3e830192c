from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.equivalence import can_be_shown, equivalence, pseudo_distances

DRAW = np.random.default_rng(5)


def mean_distance(values):
    return np.mean([abs(one - other) for one, other in combinations(values, 2)])


def one_sided(margin, differences):
    return stats.ttest_1samp(margin - differences, 0, alternative="greater").pvalue


@pytest.mark.parametrize("seeds", [3, 4, 9])
def test_pseudo_values_are_those_of_the_mean_distance_of_all_pairs(seeds):
    values = DRAW.normal(size=seeds)
    without = [mean_distance(np.delete(values, seed)) for seed in range(seeds)]
    expected = seeds * mean_distance(values) - (seeds - 1) * np.array(without)
    assert pseudo_distances(values) == pytest.approx(expected, abs=1e-12)
    assert pseudo_distances(values).mean() == pytest.approx(mean_distance(values), abs=1e-12)


def test_of_one_metric_it_is_scipys_two_one_sided_tests():
    for shift in (-0.6, 0.0, 0.3):
        retrain = DRAW.normal(size=12)
        differences = shift + DRAW.normal(size=12)
        margin = pseudo_distances(retrain)
        expected = max(one_sided(margin, differences), one_sided(margin, -differences))
        assert equivalence(differences[None], retrain[None]) == pytest.approx(expected, abs=1e-12)


def test_of_several_metrics_every_choice_of_signs_must_pass():
    retrain, differences = DRAW.normal(size=(2, 30, 3, 8))
    found = equivalence(differences, retrain)
    margin = pseudo_distances(retrain).sum(axis=1)
    for place in range(30):
        tests = [one_sided(margin[place], np.array(signs) @ differences[place]) for signs in product((1, -1), repeat=3)]
        assert found[place] == pytest.approx(max(tests), abs=1e-12)


def test_two_seeds_and_values_without_spread_show_nothing():
    with np.errstate(all="raise"):
        assert np.isnan(equivalence([[0.0, 0.1]], [[1.0, 2.0]]))
    assert np.isnan(equivalence([[0.0, 0.0, 0.0]], [[5.0, 5.0, 5.0]]))
    assert np.isnan(equivalence(np.zeros((0, 5)), np.zeros((0, 5))))


SWEEPS = 4000
MOST = 0.05 + 3 * np.sqrt(0.05 * 0.95 / SWEEPS)
FLOOR = 2 / np.sqrt(np.pi)
"""The mean distance of two values of deviation 1."""


def share_equivalent(metrics, seeds, own, shift):
    """Of sweeps whose method is off by `shift` floors in the first metric: in what share it is called equivalent.

    `own`: the deviation of method less Retrain; None: the method's runs are as Retrain's, and independent of them.
    """
    draw = np.random.default_rng([metrics, seeds, int(10 * shift)])
    retrain, method = draw.normal(size=(2, SWEEPS, metrics, seeds))
    differences = method - retrain if own is None else own * method
    differences[:, 0] += shift * FLOOR * metrics
    return float((equivalence(differences, retrain) < 0.05).mean())


@pytest.mark.parametrize("seeds", [3, 5, 10, 20])
@pytest.mark.parametrize("metrics", [1, 4])
@pytest.mark.parametrize("own", [None, 0.3, 0.0])
def test_a_method_that_differs_by_the_margin_is_called_equivalent_in_at_most_5_percent(metrics, seeds, own):
    assert share_equivalent(metrics, seeds, own, 1.0) <= MOST


def test_with_ten_seeds_another_retrain_is_found_equivalent_and_with_three_it_is_not():
    assert share_equivalent(4, 10, None, 0.0) > 0.8
    assert share_equivalent(4, 3, None, 0.0) < 0.01
    assert share_equivalent(4, 10, None, 2.0) == 0


def test_whether_anything_can_be_shown_is_whether_the_next_seeds_reference_passes():
    shown = {
        seeds: np.mean([can_be_shown(DRAW.normal(size=(4, seeds)), 8) for _ in range(200)]) for seeds in (2, 3, 20)
    }
    assert shown[2] == 0
    assert shown[3] < 0.02
    assert shown[20] > 0.9
    values = DRAW.normal(size=(1, 10))
    p = equivalence(np.roll(values, -1) - values, values)
    assert can_be_shown(values, 1) == (p < 0.05)
    assert not can_be_shown(values, int(0.05 / p) + 1)
