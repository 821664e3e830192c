from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import Unsuitable
from methods.cf_k import CFk, only_last_layers
from methods.check import checks
from methods.finetune import FineTune
from methods.tiny_problem import Problem

SHAPE = {"epochs": 2, "lr": 0.1, "batch_size": 8}


@pytest.mark.parametrize("k", [3, 50])
def test_with_all_layers_it_is_fine_tuning_bit_for_bit(k: int) -> None:
    problem = Problem()
    ours = CFk(k=k, **SHAPE).unlearn(problem.task(CFk())).state_dict()
    tuned = FineTune(**SHAPE).unlearn(problem.task(FineTune())).state_dict()
    assert all(torch.equal(value, tuned[name]) for name, value in ours.items())


@pytest.mark.parametrize(
    ("k", "trained"), [(1, {"6.weight", "6.bias"}), (2, {"3.weight", "3.bias", "6.weight", "6.bias"})]
)
def test_the_parameters_of_all_but_the_last_layers_stay(k: int, trained: set[str]) -> None:
    task = Problem().task(CFk())
    before = copy.deepcopy(task.model)
    after = CFk(k=k, **SHAPE).unlearn(task)
    moved = {name for name, weight in after.named_parameters() if not torch.equal(weight, before.get_parameter(name))}
    assert moved == trained
    hidden = torch.cat([after[0](inputs) for inputs, _ in task.retain.in_order(8)])
    torch.testing.assert_close(after[1].running_mean, hidden.mean(dim=(0, 2, 3)).detach())  # of the retain set only
    assert all(weight.requires_grad for weight in after.parameters())


def test_batchnorm_behind_the_first_of_them_is_trained_too(network: Callable, make_task: Callable) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), *network(batchnorm=True))
    with only_last_layers(model, 2) as frozen:
        assert {name for name, p in model.named_parameters() if not p.requires_grad} == {
            "0.weight",
            "0.bias",
            "1.weight",
            "1.bias",
        }
        assert len(frozen) == 4
    assert all(p.requires_grad for p in model.parameters())


def test_a_long_run_of_the_last_layer_ends_at_its_minimum(
    network: Callable, make_task: Callable, whole: Callable
) -> None:
    task = make_task(network())
    inputs, targets = whole(task.retain)
    hidden = task.model[:2](inputs).detach()

    def loss(head: Tensor) -> Tensor:
        logits = hidden @ head[:15].view(3, 5).T + head[15:]
        return cross_entropy(logits, targets) + 0.05 * head.square().sum()

    head = torch.zeros(18)
    for _ in range(20):
        head = head - torch.linalg.solve(torch.func.hessian(loss)(head), torch.func.grad(loss)(head))
    after = CFk(k=1, epochs=300, lr=1.0, momentum=0.5, weight_decay=0.1, batch_size=20).unlearn(task)
    found = torch.cat([after[2].weight.detach().reshape(-1), after[2].bias.detach()])
    torch.testing.assert_close(found, head, rtol=0, atol=1e-6)


def look_inside(model: nn.Module) -> None:
    with only_last_layers(model, 1):
        assert [name for name, p in model.named_parameters() if p.requires_grad] == ["3.weight"]
        raise KeyError


def test_what_was_frozen_stays_frozen_and_the_rest_is_trained_again_even_after_an_error(network: Callable) -> None:
    model = network(batchnorm=True)
    model[3].bias.requires_grad_(False)
    with pytest.raises(KeyError):
        look_inside(model)
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["3.bias"]


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(4))

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs * self.factor)[:, :3]


def test_networks_without_such_layers_are_refused(network: Callable, make_task: Callable) -> None:
    with pytest.raises(Unsuitable, match="no convolution and no linear layer"):
        CFk().unlearn(make_task(Scale()))
    model = network()
    model[2].requires_grad_(False)
    with pytest.raises(Unsuitable, match="no parameter of the last 1 layers"):
        CFk(k=1).unlearn(make_task(model))
    assert all(weight.requires_grad for weight in model[0].parameters())


def test_parameters_before_the_first_layer_are_trained_with_all_layers(make_task: Callable) -> None:
    for k, moves in ((1, False), (2, True)):
        model = nn.Sequential(Scale(), nn.Linear(3, 4), nn.Linear(4, 3))
        CFk(k=k, epochs=1).unlearn(make_task(model))
        assert torch.equal(model[0].factor, torch.ones(4)) is not moves


@pytest.mark.parametrize("k", [1, 2])
def test_it_keeps_a_methods_promises(k: int) -> None:
    assert [(promise, problem) for promise, problem in checks(CFk, k=k) if problem is not None] == []


def test_an_empty_forget_set_changes_nothing_of_it(network: Callable, make_task: Callable) -> None:
    task = make_task(network())
    empty = replace(make_task(network()), forget=task.forget.subset(torch.arange(0)))
    models = [CFk(k=1, **SHAPE).unlearn(one) for one in (task, empty)]
    assert torch.equal(models[0][2].weight, models[1][2].weight)
