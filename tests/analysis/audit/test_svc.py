"""The five attacks, where what they must find is known."""

import numpy as np
import pytest
from made_models import beside, model, numbers, said

from analysis.audit import svc
from analysis.audit.outputs import Part
from analysis.audit.svc import ATTACKS, Confidence, Entropy, ModifiedEntropy, WorstAttack


def surely(count, sure, classes=2):
    """Samples of class 0, of which a model is so sure."""
    others = np.full((count, classes - 1), (1 - sure) / (classes - 1))
    return said(np.column_stack([np.full(count, sure), others]), np.zeros(count, dtype=int))


def joined(*parts):
    return Part(
        np.arange(sum(len(part.samples) for part in parts)),
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.outputs for part in parts]),
    )


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_forget_samples_like_test_samples_are_called_non_members(attack):
    members, others = surely(30, 0.99), surely(40, 0.3)
    forget = joined(surely(6, 0.99), surely(2, 0.3))
    assert attack.share({"retain": members, "forget": forget, "test": others}) == 25


def test_only_the_modified_entropy_sees_that_the_labels_are_others():
    rng = np.random.default_rng(0)
    one = model(rng, forget=4.0, counts=(200, 100, 200))
    forget = one["forget"]
    other = one | {"forget": Part(forget.samples, (forget.targets + 1) % 4, forget.outputs)}
    assert Entropy().share(one) == Entropy().share(other)
    assert ModifiedEntropy().share(other) > ModifiedEntropy().share(one) + 50


def test_as_many_members_as_non_members_are_drawn_and_not_too_many(monkeypatch):
    members, others = svc.equally_many(surely(50, 0.9), surely(30, 0.9))
    assert len(members.samples) == len(others.samples) == 30
    assert members.samples.tolist() != list(range(30)), "the first of them"
    assert others.samples.tolist() == list(range(30))
    again, _ = svc.equally_many(surely(50, 0.1), surely(30, 0.1))
    assert again.samples.tolist() == members.samples.tolist(), "the same ones for every method"
    monkeypatch.setattr(svc, "MOST", 7)
    assert [len(part.samples) for part in svc.equally_many(members, others)] == [7, 7]


def test_perfect_unlearning_has_retrains_own_number():
    rng = np.random.default_rng(1)
    retrain = [model(rng) for _ in range(3)]
    cohort = beside([model(rng, forget=4.0) for _ in range(3)], retrain, original=[model(rng) for _ in range(3)])
    shares = [Confidence().share(each) for each in retrain]
    assert Confidence().floor(cohort).value == pytest.approx(np.mean(shares))
    assert Confidence().estimate(cohort).value < np.mean(shares) - 20


class Says(Confidence):
    """An attack whose result a model has under the attack's name."""

    def __init__(self, name):
        self.name, self.label = name, name.title()

    def share(self, model):
        return model[self.name]


def test_the_attack_is_chosen_on_other_seeds_than_it_is_reported_on(monkeypatch):
    monkeypatch.setattr(WorstAttack, "attacks", (Says("one"), Says("two")))
    part = {"retain": surely(2, 0.5), "forget": surely(2, 0.5), "test": surely(2, 0.5)}
    unlearned = [part | {"one": one, "two": two} for one, two in ((60, 40), (55, 95), (58, 44), (53, 91))]
    retrain = [part | {"one": 50, "two": 50} for _ in range(4)]
    found = WorstAttack().estimate(beside(unlearned, retrain))
    assert found.value == pytest.approx(4), "of `one`, which is farther (9 against 8) on the first and third seed"
    assert found.note == "by One"
    assert found.low < 4 < found.high
    assert found.p == pytest.approx(2 * (0.5 - np.arctan(4) / np.pi)), (
        "of a t of 4 (mean 4, error 1) on 1 degree of freedom"
    )
    assert WorstAttack().estimate(beside(retrain, retrain)).value == 0


@pytest.mark.parametrize("score", [*ATTACKS, WorstAttack()], ids=lambda score: score.name)
def test_numbers_and_single_candidates_have_no_attack(score):
    rng = np.random.default_rng(0)
    for make in (lambda: numbers(rng), lambda: dict.fromkeys(score.parts, said([[0.5]] * 5, [0] * 5))):
        cohort = beside([make() for _ in range(4)], [make() for _ in range(4)])
        found = score.estimate(cohort)
        assert np.isnan(found.value)
        assert found.note == "it is for classes, or for several candidates"
