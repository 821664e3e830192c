"""The competition's forgetting quality, against rates made by hand and every rule tried one by one."""

import itertools
import math

import numpy as np
import pytest
from made_cohorts import cohort, drawn

from analysis.audit.forgetting_quality import DELTA, ForgettingQuality, epsilon_of_rates, epsilons, points


def rule_by_rule(unlearned, retrain):
    """The epsilon of one sample by the definition."""
    count = len(unlearned)

    def epsilon(positives, negatives, chosen):
        missed = count - sum(map(chosen, positives))
        wrong = sum(map(chosen, negatives))
        if missed == 0 and wrong == 0:
            return math.inf
        if missed == 0 or wrong == 0:
            return 0.0
        found = []
        for one, other in ((wrong, missed), (missed, wrong)):
            if 1 - DELTA - one / count > 0:
                found.append(math.log(1 - DELTA - one / count) - math.log(other / count))
        return max(found, default=0.0)

    values = sorted({*unlearned, *retrain})
    places = [-math.inf, *((low + high) / 2 for low, high in itertools.pairwise(values)), math.inf]
    pair = unlearned, retrain
    above = pair if np.median(unlearned) >= np.median(retrain) else pair[::-1]
    inside = pair if np.ptp(unlearned) < np.ptp(retrain) else pair[::-1]
    cuts = [epsilon(*above, lambda value, place=place: value > place) for place in places]
    top, width = max(inside[0]), np.ptp(inside[0])
    intervals = [0.0]
    for right in np.arange(top - 2, top + 2, 0.01):
        ends = np.unique(np.clip(np.array([*values, -1e3, 1e3]) + 1e-9, right - width - 2, right - width + 2))
        intervals += [epsilon(*inside, lambda value, left=left, r=right: left <= value <= r) for left in ends]
    return max(*cuts, *intervals)


def test_epsilons_of_rates_made_by_hand():
    rates = np.array([(0.1, 0.1), (0.0, 0.0), (0.0, 0.1), (0.2, 0.0), (0.5, 0.1), (1.0, 0.5), (1.0, 1.0)])
    expected = [math.log(0.9 - 1e-5) - math.log(0.1), math.inf, -math.inf, -math.inf]
    expected += [math.log(0.5 - 1e-5) - math.log(0.1), math.log(0.5 - 1e-5), -math.inf]
    assert epsilon_of_rates(*rates.T).tolist() == pytest.approx(expected)


def test_points_halve_every_half():
    assert points(np.array([0, 0.49, 0.5, 1.2, 2.19, np.inf])).tolist() == [1, 1, 0.5, 0.25, 0.0625, 0]


@pytest.mark.parametrize("shift", [0.0, 1.0, -3.0])
@pytest.mark.parametrize("width", [1.0, 0.2])
def test_every_rule_is_tried(shift, width):
    rng = np.random.default_rng(0)
    unlearned, retrain = width * rng.normal(size=(6, 5)) + shift, rng.normal(size=(6, 5))
    retrain[:3] = np.round(retrain[:3])
    unlearned[2:5] = np.round(unlearned[2:5])  # some are equal
    expected = [rule_by_rule(one, other) for one, other in zip(unlearned.T, retrain.T, strict=True)]
    assert epsilons(unlearned, retrain).tolist() == pytest.approx(expected)


def test_disjoint_laws_give_0_and_identical_margins_1():
    retrain = np.random.default_rng(1).normal(size=(6, 10))
    assert ForgettingQuality().of(cohort(retrain + 100, retrain)) == 0
    assert ForgettingQuality().of(cohort(retrain, retrain)) == 1
    tight = 0.1 + 1e-4 * np.random.default_rng(2).normal(size=(6, 10))
    assert ForgettingQuality().of(cohort(tight, np.linspace(-3, 3, 6)[:, None] + np.zeros(10))) == 0, "nearly one value"


def test_perfect_unlearning_is_not_1_and_a_difference_counts_more_the_more_models_there_are():
    score = ForgettingQuality()
    equal, shifted = ([score.of(drawn(2, count, 300, shift)) for count in (8, 32)] for shift in (0.0, 1.5))
    assert all(0.1 < each < 0.7 for each in equal)
    assert shifted[1] < shifted[0] / 2


def test_the_floor_is_of_halves_of_the_retrains():
    made = drawn(3, 12, 100, 2.0, ceiling=4.0)
    found, floor, ceiling = (getattr(ForgettingQuality(), name)(made) for name in ("estimate", "floor", "ceiling"))
    retrain = made.margins("retrain")
    assert floor.value == pytest.approx(np.mean(points(epsilons(retrain[1::2], retrain[0::2]))))
    assert floor.value > found.value > ceiling.value
    assert found.low < found.value < found.high
