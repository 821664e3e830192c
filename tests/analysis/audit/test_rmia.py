"""RMIA, against its definition pair by pair."""

import numpy as np
import pytest
from made_models import beside, model, numbers, said

from analysis.audit.rmia import RMIA


def pair_by_pair(unlearned, retrain):
    """The share of pairs of a forget and a test sample in which the former dominates more of the test samples."""

    def ratio(part, row):
        target = unlearned[part].targets[row]
        own, out = (each[part].probabilities[row, target] for each in (unlearned, retrain))
        return own / (((1 + 0.3) * out + (1 - 0.3)) / 2)

    forget, test = ([ratio(part, row) for row in range(len(unlearned[part].samples))] for part in ("forget", "test"))
    inside, outside = ([np.mean([x / z >= 1 for z in test]) for x in each] for each in (forget, test))
    return np.mean([(x > z) + (x == z) / 2 for x in inside for z in outside])


@pytest.mark.parametrize("sure", [0.0, 2.0])
def test_it_is_what_its_definition_says(sure):
    rng = np.random.default_rng(3)
    unlearned, retrain = model(rng, forget=sure), model(rng)
    assert RMIA().of(unlearned, retrain, None) == pytest.approx(pair_by_pair(unlearned, retrain))


def test_it_sees_that_forget_samples_are_likelier_than_retrain_says():
    rng = np.random.default_rng(4)
    kinds = [[model(rng, forget=sure, counts=(5, 150, 300)) for _ in range(4)] for sure in (0.0, 2.0)]
    cohort = beside(kinds[1], kinds[0], original=kinds[1])
    assert RMIA().estimate(cohort).value > 0.7
    assert RMIA().floor(cohort).value == pytest.approx(0.5, abs=0.06)


def test_retrain_itself_is_told_apart_where_forget_samples_are_harder():
    hard, easy = said([[0.2, 0.8]] * 5, [0] * 5), said([[0.9, 0.1]] * 5, [0] * 5)
    retrain = {"retain": easy, "forget": hard, "test": easy}
    assert RMIA().of(retrain, retrain, None) == 0, "p / p' is larger where p is"


def test_numbers_have_no_probability():
    rng = np.random.default_rng(0)
    models = [numbers(rng), numbers(rng)]
    assert RMIA().estimate(beside(models, models)).note == "it is for classes, or for several candidates"
