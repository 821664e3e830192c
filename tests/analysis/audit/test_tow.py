"""Tug of war, multiplied by hand."""

import numpy as np
import pytest
from made_models import beside, numbers, said

from analysis.audit.svc import Confidence
from analysis.audit.tow import TugOfWar, TugOfWarMIA


def model(retain, forget, test):
    """A model with so many right of ten samples in each part."""

    def part(right):
        return said([[0.9, 0.1]] * right + [[0.2, 0.8]] * (10 - right), [0] * 10)

    return {"retain": part(retain), "forget": part(forget), "test": part(test)}


def test_it_is_the_product_of_what_accuracies_have_in_common():
    unlearned, retrain = [model(9, 8, 7), model(10, 7, 8)], [model(10, 5, 8), model(10, 9, 8)]
    found = TugOfWar().estimate(beside(unlearned, retrain))
    assert found.value == pytest.approx((0.9 * 0.7 * 0.9 + 1 * 0.8 * 1) / 2)
    assert TugOfWar().floor(beside(unlearned, retrain)).value == pytest.approx(0.6)
    assert TugOfWar().estimate(beside(retrain, retrain)).value == 1


def test_with_the_attack_its_share_stands_for_the_forget_accuracy():
    unlearned, retrain = model(9, 8, 3), model(10, 5, 4)
    shares = [Confidence().share(each) / 100 for each in (unlearned, retrain)]
    assert shares == [0.2, 0.5]
    assert TugOfWarMIA().of(unlearned, retrain, None) == pytest.approx((1 - 0.3) * 0.9 * 0.9)


def test_numbers_have_no_accuracy():
    models = [numbers(np.random.default_rng(0))] * 2
    assert TugOfWar().estimate(beside(models, models)).note == "it is for classes, or for several candidates"
