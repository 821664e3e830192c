from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from methods import Task
from methods.gaussian_amnesiac import GaussianAmnesiac


@pytest.fixture
def regression(make_task: Callable) -> Callable[..., Task]:
    """(model, **arguments of make_task) -> a task whose targets have their own mean and spread."""

    def build(model: nn.Module, **arguments: object) -> Task:
        count = int(arguments.get("retain", 20)) + int(arguments.get("forget", 6))
        targets = 3 + 2 * torch.randn(count, 1, generator=torch.Generator().manual_seed(4))
        return make_task(model, targets=targets, classes=None, criterion=mse_loss, **arguments)

    return build


def drawn(task: Task) -> Tensor:
    """The forget set's new targets, [n_f, 1], from sums over all training targets."""
    known = [task.retain.targets[row].item() for row in [*task.retain.index, *task.forget.index]]
    mean = sum(known) / len(known)
    spread = (sum((value - mean) ** 2 for value in known) / (len(known) - 1)) ** 0.5
    return mean + spread * torch.randn(len(task.forget), 1, generator=task.generator("gaussian targets"))


@pytest.mark.parametrize("batchnorm", [False, True])
def test_it_is_a_plain_loop_of_sgd(network: Callable, regression: Callable, batchnorm: bool) -> None:
    model = network(batchnorm=batchnorm, outputs=1)
    task = regression(copy.deepcopy(model), forget=8)
    targets = task.forget.targets.clone()
    targets[task.forget.index] = drawn(task)
    retain, forget = task.generator("retain"), task.generator("forget")
    passes = (task.forget.index[torch.randperm(8, generator=forget)].split(4) for _ in range(99))
    beside = (batch for batches in passes for batch in batches)
    velocity = [torch.zeros_like(weight) for weight in model.parameters()]
    for _ in range(3):
        for rows in task.retain.index[torch.randperm(20, generator=retain)].split(4):
            both = [*rows.tolist(), *next(beside).tolist()]
            outputs, loss = model(task.retain.inputs[both]), torch.zeros(1)
            for at, row in enumerate(both):
                loss = loss + (20 if at < 4 else 8) / 28 * (outputs[at] - targets[row]) ** 2 / 4
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            for weight, speed, gradient in zip(model.parameters(), velocity, gradients, strict=True):
                speed.mul_(0.7).add_(gradient + 0.01 * weight.detach())
                weight.data -= 0.02 * speed
    torch.optim.swa_utils.update_bn([x for x, _ in task.retain.epoch(4, task.generator("batchnorm"))], model)
    method = GaussianAmnesiac(epochs=3, lr=0.02, momentum=0.7, weight_decay=0.01, batch_size=4)
    torch.testing.assert_close(method.unlearn(task).state_dict(), model.state_dict(), rtol=0, atol=1e-12)


def test_with_whole_sets_as_batches_it_follows_the_mean_loss_on_all_data(
    network: Callable, regression: Callable, whole: Callable
) -> None:
    task = GaussianAmnesiac().prepare(regression(network(outputs=1)))
    GaussianAmnesiac().gradients(task, whole(task.retain), whole(task.forget), 0.0)
    loss = mse_loss(task.model(task.forget.inputs), task.forget.targets)
    expected = torch.autograd.grad(loss, list(task.model.parameters()))
    for weight, gradient in zip(task.model.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=0, atol=1e-14)


def test_new_targets_are_like_the_training_targets_and_tell_nothing_of_the_old(
    network: Callable, regression: Callable
) -> None:
    task = regression(network(outputs=1), retain=2000, forget=2000)
    prepared = GaussianAmnesiac().prepare(task)
    old, new = (each.forget.targets[task.forget.index][:, 0] for each in (task, prepared))
    assert abs(new.mean() - 3) < 0.2
    assert abs(new.std() - 2) < 0.2
    assert abs(torch.corrcoef(torch.stack([old, new]))[0, 1]) < 0.1
    assert torch.equal(prepared.retain.targets, task.retain.targets)


def test_each_number_of_a_target_has_its_own_mean_and_spread(network: Callable, make_task: Callable) -> None:
    targets = torch.tensor([1.0, 100.0]) * (1 + torch.randn(4000, 2, generator=torch.Generator().manual_seed(1)))
    task = GaussianAmnesiac().prepare(make_task(network(outputs=2), retain=2000, forget=2000, targets=targets))
    new = task.forget.targets[task.forget.index]
    torch.testing.assert_close(new.mean(dim=0), torch.tensor([1.0, 100.0]), rtol=0.1, atol=0)
    torch.testing.assert_close(new.std(dim=0), torch.tensor([1.0, 100.0]), rtol=0.1, atol=0)


def test_a_learning_rate_of_0_and_frozen_parameters_leave_weights_bit_for_bit(
    network: Callable, regression: Callable
) -> None:
    model = network(outputs=1)
    before = copy.deepcopy(model)
    replace(GaussianAmnesiac(), lr=0.0).unlearn(regression(model))
    assert all(torch.equal(w, v) for w, v in zip(model.parameters(), before.parameters(), strict=True))
    model[0].requires_grad_(False)
    GaussianAmnesiac().unlearn(regression(model))
    assert torch.equal(model[0].weight, before[0].weight)
    assert not torch.equal(model[2].weight, before[2].weight)
