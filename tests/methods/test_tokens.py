from __future__ import annotations

import math

import pytest
import torch

from methods import Unsuitable
from methods.tokens import IGNORED, answer_losses, answer_means, token_losses


def batch(samples: int = 5, length: int = 7, vocabulary: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and targets with answers of several lengths; the last sample has none."""
    random = torch.Generator().manual_seed(3)
    outputs = 3 * torch.randn(samples, length, vocabulary, generator=random)
    targets = torch.randint(vocabulary, (samples, length), generator=random)
    for row in range(samples):
        targets[row, :2] = IGNORED
        targets[row, length - row :] = IGNORED
    targets[-1] = IGNORED
    return outputs, targets


def negative_log_probability(logits: list[float], token: int) -> float:
    return math.log(math.fsum(math.exp(logit) for logit in logits)) - logits[token]


def test_losses_are_those_of_a_loop_over_tokens() -> None:
    outputs, targets = batch()
    tokens, answers = token_losses(outputs, targets), answer_losses(outputs, targets)
    assert (tokens.shape, answers.shape) == ((5, 7), (5,))
    for row in range(5):
        found = []
        for position, token in enumerate(targets[row].tolist()):
            expected = 0.0
            if token != -100:
                expected = negative_log_probability(outputs[row, position].tolist(), token)
                found.append(expected)
            assert tokens[row, position].item() == pytest.approx(expected, rel=1e-12)
        mean = sum(found) / len(found) if found else 0.0
        assert answers[row].item() == pytest.approx(mean, rel=1e-12)


def test_what_lies_outside_an_answer_counts_for_nothing() -> None:
    outputs, targets = batch()
    outputs.requires_grad_()
    (gradient,) = torch.autograd.grad(answer_losses(outputs, targets).sum(), outputs)
    assert ((gradient != 0).any(dim=2) == (targets != -100)).all()
    values = torch.where(targets == -100, math.inf, 2.0)
    assert answer_means(values, targets).tolist() == [2, 2, 2, 2, 0]


def test_the_loss_of_each_sample_alone_is_found_under_vmap_too() -> None:
    outputs, targets = batch()
    alone = torch.func.vmap(lambda output, target: answer_losses(output[None], target[None]).mean())(outputs, targets)
    torch.testing.assert_close(alone, answer_losses(outputs, targets), rtol=1e-12, atol=0)


@pytest.mark.parametrize(("outputs", "targets"), [((4, 3), (4,)), ((4, 5, 3), (4, 6)), ((4, 5, 3), (4,))])
def test_outputs_of_another_kind_are_refused_in_one_line(outputs: tuple[int, ...], targets: tuple[int, ...]) -> None:
    with pytest.raises(Unsuitable, match="needs a language model") as refused:
        token_losses(torch.zeros(outputs), torch.zeros(targets, dtype=torch.long))
    assert "\n" not in str(refused.value)
