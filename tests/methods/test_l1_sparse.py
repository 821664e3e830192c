from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from methods.check import checks
from methods.finetune import FineTune
from methods.l1_sparse import L1Sparse


def equal(left: nn.Module, right: nn.Module) -> bool:
    other = right.state_dict()
    return all(torch.equal(value, other[key]) for key, value in left.state_dict().items())


def test_without_a_penalty_it_is_fine_tuning_bit_for_bit(network: Callable, make_task: Callable) -> None:
    shape = {"epochs": 3, "lr": 0.1, "batch_size": 8}
    tuned = FineTune(**shape).unlearn(make_task(network(batchnorm=True)))
    for silent in (L1Sparse(gamma=0.0, **shape), L1Sparse(gamma=1.0, unpenalised=3, **shape)):
        assert equal(silent.unlearn(make_task(network(batchnorm=True))), tuned)
    assert not equal(L1Sparse(gamma=1e-3, **shape).unlearn(make_task(network(batchnorm=True))), tuned)


def test_a_step_adds_the_sign_of_the_weights(network: Callable, make_task: Callable, whole: Callable) -> None:
    task = make_task(network())
    task.model[0].weight.data[0] = 0.0
    before = copy.deepcopy(task.model)
    inputs, targets = whole(task.retain)
    gradients = torch.autograd.grad(cross_entropy(before(inputs), targets), list(before.parameters()))
    step = L1Sparse(epochs=1, lr=0.3, momentum=0.0, weight_decay=0.02, batch_size=20, gamma=0.05)
    after = step.unlearn(task)
    for w, moved, g in zip(before.parameters(), after.parameters(), gradients, strict=True):
        torch.testing.assert_close(moved, w - 0.3 * (g + 0.02 * w + 0.05 * w.sign()), rtol=0, atol=1e-14)


@pytest.mark.parametrize("unpenalised", [0, 1])
def test_a_run_is_plain_sgd_on_the_penalised_loss(network: Callable, make_task: Callable, unpenalised: int) -> None:
    task = make_task(network())
    model, random = copy.deepcopy(task.model), task.generator("retain")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for strength in {0: [0.03, 0.02, 0.01], 1: [0.03, 0.015, 0.0]}[unpenalised]:
        for inputs, targets in task.retain.epoch(8, random):
            optimizer.zero_grad()
            size = sum(p.abs().sum() for p in model.parameters())
            (cross_entropy(model(inputs), targets) + strength * size).backward()
            optimizer.step()
    method = L1Sparse(epochs=3, lr=0.1, weight_decay=0.01, batch_size=8, gamma=0.03, unpenalised=unpenalised)
    torch.testing.assert_close(method.unlearn(task).state_dict(), model.state_dict(), rtol=0, atol=1e-12)


def test_frozen_and_unused_parameters_are_not_penalised(network: Callable, make_task: Callable) -> None:
    model = network()
    model[0].requires_grad_(False)
    model.unused = nn.Parameter(torch.ones(2))
    model.forward = lambda inputs: nn.Sequential(*model[:3])(inputs)
    before = copy.deepcopy(model.state_dict())
    after = L1Sparse(epochs=2, gamma=0.1).unlearn(make_task(model)).state_dict()
    still = {name for name, value in after.items() if torch.equal(value, before[name])}
    assert still == {"0.weight", "0.bias", "unused"}


@pytest.mark.parametrize("variant", [{"unpenalised": 1}, {"unpenalised": 5}])
def test_it_keeps_a_methods_promises(variant: dict[str, object]) -> None:
    assert [(promise, problem) for promise, problem in checks(L1Sparse, **variant) if problem is not None] == []
