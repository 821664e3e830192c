from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from methods.distillation import divergence, teacher

T = 2.5


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of a student and of its teacher, [4, 3]."""
    random = torch.Generator().manual_seed(3)
    return torch.randn(4, 3, generator=random), torch.randn(4, 3, generator=random)


def test_the_divergence_is_its_definition_summed_term_by_term(pair: tuple) -> None:
    total = 0.0
    for z, z_0 in zip(*pair, strict=True):
        p, q = ((values / T).exp() / (values / T).exp().sum() for values in (z_0, z))
        total += sum(float(p[k] * (p[k] / q[k]).log()) for k in range(3))
    assert divergence(*pair, T).item() == pytest.approx(total / 4, rel=1e-12)


def test_where_both_agree_its_curvature_is_that_of_the_softmax(pair: tuple) -> None:
    z = pair[1][:1]
    hessian = torch.autograd.functional.hessian(lambda student: T**2 * divergence(student, z, T), z).view(3, 3)
    p = (z[0] / T).softmax(0)
    torch.testing.assert_close(hessian, torch.diag(p) - torch.outer(p, p), rtol=0, atol=1e-12)


def test_at_a_high_temperature_it_compares_centred_logits(pair: tuple) -> None:
    difference = pair[0] - pair[1]
    centred = difference - difference.mean(dim=1, keepdim=True)
    limit = 0.5 * centred.square().sum(dim=1).mean() / 3
    torch.testing.assert_close(1e4**2 * divergence(*pair, 1e4), limit, rtol=1e-3, atol=0)


def test_a_teacher_is_a_copy_in_evaluation_mode_that_learns_nothing(network: Callable) -> None:
    model = network(batchnorm=True)
    copied = teacher(model)
    assert model.training
    assert not any(layer.training for layer in copied.modules())
    assert all(weight.requires_grad for weight in model.parameters())
    assert not any(weight.requires_grad for weight in copied.parameters())
    before = copied[0].weight.clone()
    nn.init.zeros_(model[0].weight)
    assert torch.equal(copied[0].weight, before)
