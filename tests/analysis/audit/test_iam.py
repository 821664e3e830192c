"""Interpolation between Retrain and the original, against closed forms."""

import numpy as np
import pytest
from made_cohorts import cohort
from scipy.integrate import quad
from scipy.special import ndtr

from analysis.audit.iam import IAM

RNG = np.random.default_rng(0)
RETRAIN = RNG.normal(0, 0.05, size=(3, 400))
FAR = RETRAIN + 10 + RNG.normal(0, 0.05, size=(3, 400))


def test_the_original_is_near_1_and_retrain_near_0():
    score = IAM()
    found = [score.estimate(cohort(each, RETRAIN, FAR)).value for each in (RETRAIN, (RETRAIN + FAR) / 2, FAR)]
    assert found == pytest.approx([0, 0.25, 1], abs=0.02), "half way: the share of the weights a below 1/2"
    made = cohort(FAR, RETRAIN, FAR)
    assert (score.floor(made).value, score.ceiling(made).value) == pytest.approx((0, 1), abs=0.02)


def test_of_wide_laws_it_is_the_weighted_mean_of_their_distribution():
    """Every sample moves by 2 where margins deviate by 1: F_a(m) is the normal law's at m - 2 a."""
    start = np.linspace(-1, 1, 2001)[None]
    start /= start.std()
    for moved in (0.0, 1.0, 2.0):
        found = IAM().estimate(cohort(start + moved, start, start + 2)).value
        expected, _ = quad(lambda a, moved=moved: 2 * a * ndtr(moved - 2 * a), 0, 1)
        assert found == pytest.approx(expected, abs=0.005)


def test_without_an_original_there_is_none():
    found = IAM().estimate(cohort(RETRAIN, RETRAIN))
    assert np.isnan(found.value)
    assert found.note == "no originals of all these seeds"
