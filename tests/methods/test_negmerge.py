from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import Task
from methods.check import checks
from methods.negmerge import NegMerge
from methods.task import derived_seed


def unreadable(raw: Tensor, draws: Tensor | None) -> Tensor:
    raise AssertionError("these samples must not be read")


def fine_tuned(task: Task, number: int, lr: float) -> dict[str, Tensor]:
    """The weights after two epochs on the forget set, batches of 4."""
    model = copy.deepcopy(task.model).train()
    for layer in model:
        if isinstance(layer, nn.BatchNorm1d):
            layer.eval()
    order = replace(task, seed=derived_seed(task.seed, f"negmerge/{number}")).generator("forget")
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
    for _ in range(2):
        for inputs, targets in task.forget.epoch(4, order):
            optimizer.zero_grad()
            cross_entropy(model(inputs), targets).backward()
            optimizer.step()
    return {name: p.detach() for name, p in model.named_parameters()}


SHAPE = {"epochs": 2, "batch_size": 4}


@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("scale", [0.7, 1.0])
def test_what_all_agree_on_is_subtracted(network: Callable, make_task: Callable, batchnorm: bool, scale: float) -> None:
    task = make_task(network(batchnorm=batchnorm))
    before = {name: p.detach().clone() for name, p in task.model.named_parameters()}
    tuned = [fine_tuned(task, number, lr) for number, lr in enumerate((0.02, 0.08, 0.32))]
    task = replace(task, retain=replace(task.retain, prepare=unreadable))
    model = NegMerge(**SHAPE, models=3, lr=0.08, spread=4.0, scale=scale).unlearn(task)
    kept = []
    for name, found in model.named_parameters():
        changes = torch.stack([one[name] - before[name] for one in tuned])
        agree = (changes > 0).all(0) | (changes < 0).all(0)
        kept.append(agree.reshape(-1))
        torch.testing.assert_close(found[agree], (before[name] - scale * changes.mean(0))[agree], rtol=0, atol=1e-13)
        assert torch.equal(found[~agree], before[name][~agree])
    share = torch.cat(kept).double().mean().item()
    assert 0 < share < 1
    assert task.recorder.notes == {"agreeing": pytest.approx(share)}
    assert task.recorder.samples_processed == 3 * 2 * 6
    assert not model.training


def test_one_model_is_the_negation_of_a_task_vector(network: Callable, make_task: Callable) -> None:
    tuned = fine_tuned(make_task(network()), 0, 0.1)
    model = NegMerge(**SHAPE, models=1, lr=0.1, scale=1.0).unlearn(make_task(network()))
    for name, before in network().named_parameters():
        torch.testing.assert_close(model.get_parameter(name), 2 * before - tuned[name], rtol=0, atol=1e-14)


def test_running_statistics_and_frozen_parameters_stay(network: Callable, make_task: Callable) -> None:
    model = network(batchnorm=True)
    model[0].requires_grad_(False)
    before = copy.deepcopy(model)
    NegMerge(**SHAPE).unlearn(make_task(model))
    assert all(torch.equal(value, dict(before.named_buffers())[name]) for name, value in model.named_buffers())
    assert torch.equal(model[0].weight, before[0].weight)
    assert not torch.equal(model[3].weight, before[3].weight)


def test_a_fine_tuning_leaves_no_points_of_a_path(network: Callable, make_task: Callable) -> None:
    task = make_task(network())
    NegMerge(**SHAPE).unlearn(task)
    assert task.recorder.rows == []


@pytest.mark.parametrize("variant", [{"models": 1}, {"models": 2, "scale": 3.0}], ids=str)
def test_it_keeps_a_methods_promises(variant: dict[str, float]) -> None:
    assert [(promise, problem) for promise, problem in checks(NegMerge, **variant) if problem is not None] == []
