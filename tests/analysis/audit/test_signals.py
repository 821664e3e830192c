"""What attacks see, against loops and closed forms."""

import math

import numpy as np
import pytest
from made_models import drawn, numbers, said

from analysis.audit import signals
from analysis.audit.outputs import Part

PROBABILITIES = [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.25, 0.25, 0.5]]
TARGETS = [0, 2, 2]


def by_definition(probabilities, target):
    others = (p for place, p in enumerate(probabilities) if place != target)
    own = probabilities[target]
    return -(1 - own) * math.log(own) - sum(p * math.log(1 - p) for p in others)


def test_of_three_predictions():
    part = said(PROBABILITIES, TARGETS)
    assert signals.correctness(part).tolist() == [1, 0, 1]
    assert signals.confidence(part) == pytest.approx([0.7, 0.3, 0.5])
    assert signals.entropy(part) == pytest.approx([-sum(p * math.log(p) for p in row) for row in PROBABILITIES])
    expected = [by_definition(row, target) for row, target in zip(PROBABILITIES, TARGETS, strict=True)]
    assert signals.modified_entropy(part) == pytest.approx(expected)
    assert signals.losses(part) == pytest.approx([-math.log(p) for p in (0.7, 0.3, 0.5)])


def test_other_labels_change_the_modified_entropy_and_not_the_entropy():
    part = drawn(np.random.default_rng(0), 200, 3.0)
    other = Part(part.samples, np.roll(part.targets, 1), part.outputs)
    assert (signals.entropy(part) == signals.entropy(other)).all()
    moved = part.targets != other.targets
    assert ((signals.modified_entropy(part) == signals.modified_entropy(other)) == ~moved).all()
    assert signals.modified_entropy(other)[moved].mean() > 2 * signals.modified_entropy(part)[moved].mean()


def test_a_certain_prediction_has_no_modified_entropy_if_it_is_right_and_a_finite_one_if_it_is_wrong():
    right, wrong = signals.modified_entropy(said([[1.0, 0.0], [1.0, 0.0]], [0, 1]))
    assert right == pytest.approx(0)
    assert wrong == pytest.approx(-2 * math.log(1e-30))


def test_the_loss_of_a_number_is_its_squared_error():
    part = numbers(np.random.default_rng(0))["forget"]
    expected = [(float(said) - float(target)) ** 2 for (said,), target in zip(part.outputs, part.targets, strict=True)]
    assert signals.losses(part) == pytest.approx(expected)


@pytest.mark.parametrize("noise", [0, 1])
def test_where_a_class_is_forgotten_its_test_samples_are_told_from_the_others(noise):
    def of(targets):
        return said(np.full((len(targets), 3), 1 / 3), targets)

    parts = {"retain": of([0, 1] * 8 + [2] * noise), "forget": of([2] * 5 + [0] * noise), "test": of([0, 1, 2] * 3)}
    assert signals.of_kept_classes(parts).tolist() == [True, True, False] * 3
    assert signals.of_forgotten_classes(parts).tolist() == [False, False, True] * 3


def test_where_no_class_is_forgotten_all_test_samples_count():
    rng = np.random.default_rng(0)
    retain, forget, test = (rng.choice(3, size=count, p=[0.7, 0.2, 0.1]) for count in (60, 9, 30))
    parts = {
        name: said(np.full((len(each), 3), 1 / 3), each)
        for name, each in (("retain", retain), ("forget", forget), ("test", test))
    }
    for each in (parts, numbers(rng)):
        assert signals.of_kept_classes(each).all()
        assert signals.of_forgotten_classes(each).all()
