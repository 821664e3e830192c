"""Distances of predictions to Retrain's: their ends, and independent computations between."""

import numpy as np
import pytest
from made_models import beside, drawn, numbers, said
from scipy.spatial.distance import jensenshannon

from analysis.audit.divergence import ActivationDistance, JensenShannon

SCORES = [JensenShannon(), ActivationDistance()]
ONE, OTHER = {"forget": said([[1, 0, 0]] * 3, [0] * 3)}, {"forget": said([[0, 0.5, 0.5]] * 3, [0] * 3)}


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.name)
def test_equal_predictions_are_0_apart(score):
    part = {"forget": drawn(np.random.default_rng(0), 20)}
    assert score.of(part, part, None) == 0


def test_disjoint_predictions_are_farthest_apart():
    assert JensenShannon().of(ONE, OTHER, None) == pytest.approx(np.log(2))
    certain = {"forget": said([[0, 1, 0]] * 3, [0] * 3)}
    assert ActivationDistance().of(ONE, certain, None) == pytest.approx(np.sqrt(2))


def test_others_are_as_scipy_says():
    rng = np.random.default_rng(1)
    one, other = drawn(rng, 50), drawn(rng, 50)
    expected = np.mean([jensenshannon(p, q) ** 2 for p, q in zip(one.probabilities, other.probabilities, strict=True)])
    assert JensenShannon().of({"forget": one}, {"forget": other}, None) == pytest.approx(expected)
    squares = [sum((p - q) ** 2) for p, q in zip(one.probabilities, other.probabilities, strict=True)]
    found = ActivationDistance().of({"forget": one}, {"forget": other}, None)
    assert found == pytest.approx(np.mean(np.sqrt(squares)))


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.name)
def test_another_seeds_retrain_is_the_floor(score):
    rng = np.random.default_rng(2)
    retrain = [{"forget": drawn(rng, 30)} for _ in range(4)]
    cohort = beside(retrain, retrain)
    assert score.estimate(cohort).value == 0
    pairs = zip(retrain[1:] + retrain[:1], retrain, strict=True)
    assert score.floor(cohort).value == pytest.approx(np.mean([score.of(one, other, None) for one, other in pairs]))


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.name)
def test_numbers_have_no_probabilities(score):
    models = [numbers(np.random.default_rng(0))] * 2
    assert score.estimate(beside(models, models)).note == "it is for classes, or for several candidates"
