from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from methods import Recorder
from methods.check import checks
from methods.eu_k import EUk
from methods.retrain import Retrain
from methods.task import derived_seed
from methods.tiny_problem import BATCH, Problem


@pytest.mark.parametrize("k", [3, 50])
def test_with_all_layers_it_is_retraining_bit_for_bit(k: int) -> None:
    problem = Problem()
    task = problem.task(EUk())
    ours = EUk(k=k).unlearn(task).state_dict()
    again = Retrain().unlearn(problem.task(Retrain())).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in ours.items())


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("epochs", [None, 1])
def test_the_last_layers_are_trained_from_their_initial_values(k: int, epochs: int | None) -> None:
    problem = Problem()
    task = problem.task(EUk())
    expected, original = problem.build(), copy.deepcopy(task.model)
    places = {1: [6], 2: [3, 6]}[k]
    for place in {0, 1, 3} - set(places):
        expected[place].weight.data.copy_(original[place].weight)
        expected[place].bias.data.copy_(original[place].bias)
    weights = [weight for place in places for weight in expected[place].parameters()]
    optimizer = torch.optim.SGD(weights, lr=0.05, momentum=0.9)
    random = torch.Generator().manual_seed(derived_seed(0, "training/"))
    expected.train()
    for _ in range(epochs or 2):
        for inputs, targets in task.retain.epoch(BATCH, random):
            optimizer.zero_grad()
            cross_entropy(expected(inputs), targets).backward()
            optimizer.step()
    after = EUk(k=k, epochs=epochs).unlearn(task)
    torch.testing.assert_close(after.state_dict(), expected.state_dict(), rtol=0, atol=1e-12)
    for place in {0, 1, 3} - set(places):
        assert torch.equal(after[place].weight, original[place].weight)
    assert all(weight.requires_grad for weight in after.parameters())


def test_the_original_is_left_alone() -> None:
    task = Problem().task(EUk())
    before = copy.deepcopy(task.model.state_dict())
    assert EUk(k=1).unlearn(task) is not task.model
    assert all(torch.equal(value, before[name]) for name, value in task.model.state_dict().items())


def test_nothing_of_the_originals_running_statistics_is_kept() -> None:
    problem = Problem()
    task, shifted = problem.task(EUk()), problem.task(EUk())
    shifted.model[1].running_mean.add_(3.0)
    models = [EUk(k=1).unlearn(one) for one in (task, shifted)]
    assert torch.equal(models[0][1].running_mean, models[1][1].running_mean)


def test_an_empty_forget_set_changes_nothing_of_it() -> None:
    problem = Problem()
    task = problem.task(EUk())
    empty = replace(task, forget=task.forget.subset(torch.arange(0)), recorder=Recorder())
    assert torch.equal(EUk(k=1).unlearn(task)[6].weight, EUk(k=1).unlearn(empty)[6].weight)


@pytest.mark.parametrize("variant", [{"k": 1}, {"epochs": 1}])
def test_it_keeps_a_methods_promises(variant: dict[str, object]) -> None:
    assert [(promise, problem) for promise, problem in checks(EUk, **variant) if problem is not None] == []
