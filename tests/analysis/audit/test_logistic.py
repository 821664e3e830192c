"""The attack by the loss, where the laws of the losses are known."""

import numpy as np
import pytest
from made_models import beside, numbers, said
from scipy.special import expit, ndtr
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from analysis.audit.logistic import LossAttack, cross_validated


def of_margins(margins):
    likely = expit(margins)
    return said(np.column_stack([likely, 1 - likely]), np.zeros(len(margins), dtype=int))


@pytest.mark.parametrize("shift", [0.05, -0.2, 1.0])
@pytest.mark.parametrize("penalty", [1.0, 1e6])
def test_it_is_what_fitted_regressions_say(shift, penalty):
    rng = np.random.default_rng(3)
    forget, test = rng.exponential(size=63) + shift, rng.exponential(size=150)
    seen, members = np.concatenate([forget, test])[:, None], np.repeat([1, 0], [63, 150])
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    expected = cross_val_score(LogisticRegression(C=penalty), seen, members, cv=folds, scoring="roc_auc")
    assert cross_validated(forget, test) == pytest.approx(expected.mean())


@pytest.mark.parametrize("shift", [1.0, -1.0])
def test_the_area_is_that_of_two_shifted_laws_whatever_their_order(shift):
    rng = np.random.default_rng(0)
    forget, test = of_margins(rng.normal(size=4000) + shift), of_margins(rng.normal(size=4000))
    found = LossAttack().of({"retain": test, "forget": forget, "test": test}, {}, None)
    assert found == pytest.approx(ndtr(1 / np.sqrt(2)), abs=0.015)


def test_equal_laws_have_no_area_on_average():
    rng = np.random.default_rng(1)
    parts = ("retain", "forget", "test")
    models = [{part: of_margins(rng.normal(size=100)) for part in parts} for _ in range(40)]
    assert LossAttack().estimate(beside(models, models)).value == pytest.approx(0.5, abs=0.02)


def test_of_numbers_the_loss_is_their_squared_error():
    rng = np.random.default_rng(2)
    model = numbers(rng, 300)
    near = model["forget"]
    model["forget"] = type(near)(near.samples, near.targets, near.targets[:, None].astype(np.float32))
    assert LossAttack().of(model, {}, None) > 0.95


def test_one_sample_is_too_few():
    part = of_margins(np.zeros(1))
    assert np.isnan(LossAttack().of({"retain": part, "forget": part, "test": part}, {}, None))
