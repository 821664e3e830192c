"""Accuracy, membership inference and predictions per sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.svm import SVC
from torch import nn

from sweep.tasks.evaluation import (
    EVALUATION_BATCH,
    Predictions,
    accuracy,
    apart,
    confidence,
    membership_inference,
    predict,
)


def predictions(labels: list[int], logits: list[list[float]]) -> Predictions:
    return Predictions(torch.arange(len(labels)), torch.tensor(labels), torch.tensor(logits))


def test_accuracy_is_the_share_of_samples_whose_largest_logit_is_their_labels():
    assert accuracy(predictions([0, 1, 1, 0], [[2, 1], [0, 1], [5, 4], [1, -1]])) == 75.0
    assert accuracy(predictions([1], [[2, 1]])) == 0.0


def test_confidence_is_the_labels_probability():
    found = confidence(predictions([0, 1, 2], [[0, 0, 0], [0, np.log(3), 0], [0, 0, 1000.0]]))
    np.testing.assert_allclose(found, [1 / 3, 3 / 5, 1], rtol=1e-6)


def test_a_subset_keeps_samples_together():
    part = predictions([3, 4, 5], [[0.0], [1.0], [2.0]]).subset(torch.tensor([2, 0]))
    assert (part.index.tolist(), part.targets.tolist(), part.outputs[:, 0].tolist()) == ([2, 0], [5, 3], [2.0, 0.0])


def test_the_samples_of_a_label_are_set_apart_from_the_others():
    part = predictions([3, 4, 3, 5], [[0.0], [1.0], [2.0], [3.0]])
    others, chosen = apart(part, 3)
    assert (others.index.tolist(), others.targets.tolist(), others.outputs[:, 0].tolist()) == ([1, 3], [4, 5], [1, 3])
    assert (chosen.index.tolist(), chosen.targets.tolist(), chosen.outputs[:, 0].tolist()) == ([0, 2], [3, 3], [0, 2])
    assert [len(each.targets) for each in apart(part, None)] == [4, 0]
    assert [len(each.targets) for each in apart(part, 9)] == [4, 0]


class Doubled(nn.Module):
    """Doubles its inputs; in training mode it makes them 0."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * 0 if self.training else inputs * 2


def test_predicting_goes_through_all_samples_in_order_in_evaluation_mode(make_samples):
    count = EVALUATION_BATCH["cpu"] + 3
    inputs = torch.randn(count, 2)
    samples = make_samples(inputs, torch.arange(count) % 2)
    found = predict(Doubled().train(), samples)
    assert torch.equal(found.outputs, inputs * 2)
    assert torch.equal(found.targets, torch.arange(count) % 2)
    assert torch.equal(found.index, torch.arange(count))


def test_predictions_of_a_subset_name_its_rows(make_samples):
    samples = make_samples(torch.arange(6.0)[:, None], torch.arange(6)).subset(torch.tensor([4, 1]))
    found = predict(Doubled(), samples)
    assert (found.index.tolist(), found.targets.tolist(), found.outputs[:, 0].tolist()) == ([4, 1], [4, 1], [8.0, 2.0])


def test_logits_of_a_network_in_bfloat16_are_float32_too(make_samples):
    samples = make_samples(torch.ones(2, 3, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.int64))
    found = predict(nn.Linear(3, 2).bfloat16(), samples)
    assert found.outputs.dtype == torch.float32


members, non_members = np.linspace(0.9, 1, 50), np.linspace(0, 0.1, 50)


@pytest.mark.parametrize(
    ("forget", "expected"),
    [
        (np.full(20, 0.95), 0.0),
        (np.full(20, 0.05), 100.0),
        (np.array([0.95, 0.05, 0.02, 0.01]), 75.0),
    ],
)
def test_forget_samples_that_look_like_test_samples_are_called_non_members(forget, expected):
    assert membership_inference(members, non_members, forget) == expected


def test_the_attack_is_an_svc_on_the_confidence():
    random = np.random.default_rng(2)
    trained, unseen, forget = random.beta(8, 1, 30), random.beta(2, 1, 30), random.beta(4, 1, 300)

    def share_called_non_member(penalty: float) -> float:
        attack = SVC(C=penalty, kernel="rbf", gamma=1.0)
        attack.fit(np.stack([np.r_[trained, unseen]], axis=1), ["member"] * 30 + ["non-member"] * 30)
        return 100 * (attack.predict(forget.reshape(-1, 1)) == "non-member").sum() / 300

    assert len({share_called_non_member(penalty) for penalty in (1, 3, 10)}) == 3
    assert membership_inference(trained, unseen, forget) == pytest.approx(share_called_non_member(3))


def test_the_attack_needs_equally_many_members_and_non_members():
    with pytest.raises(ValueError, match="50 members and 49 non-members"):
        membership_inference(members, non_members[1:], members)
