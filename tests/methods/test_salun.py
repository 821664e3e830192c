from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import Samples
from methods.check import checks
from methods.randomlabel import RandomLabel
from methods.salun import SalUn, saliency_masks

SCHEMES = ["joint", "authors"]


def flat(model: nn.Module) -> Tensor:
    return torch.cat([weight.detach().reshape(-1) for weight in model.parameters()])


def brute_force_mask(model: nn.Module, batch: tuple[Tensor, Tensor], count: int) -> list[bool]:
    """Whether each weight is among the `count` with the largest gradient of the batch, in evaluation mode."""
    model = copy.deepcopy(model).eval()
    cross_entropy(model(batch[0]), batch[1]).backward()
    sizes = torch.cat([weight.grad.abs().reshape(-1) for weight in model.parameters()]).tolist()
    chosen = set(sorted(range(len(sizes)), key=lambda place: -sizes[place])[:count])
    return [place in chosen for place in range(len(sizes))]


@pytest.mark.parametrize("retain_weight", [0.5, 0.0])
def test_with_all_weights_it_is_random_labels_bit_for_bit(
    network: Callable, make_task: Callable, retain_weight: float
) -> None:
    shape = {"epochs": 3, "lr": 0.1, "weight_decay": 0.01, "batch_size": 4, "retain_weight": retain_weight}
    ours = SalUn(ratio=1.0, **shape).unlearn(make_task(network(batchnorm=True))).state_dict()
    theirs = RandomLabel(**shape).unlearn(make_task(network(batchnorm=True))).state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ratio", [0.1, 0.35])
@pytest.mark.parametrize("seed", range(3))
def test_exactly_the_weights_with_the_largest_forget_gradient_move(
    network: Callable, make_task: Callable, whole: Callable, seed: int, ratio: float, scheme: str
) -> None:
    task = make_task(network(seed, batchnorm=True), seed)
    task.model[1].running_mean.add_(0.3)
    before = copy.deepcopy(task.model)
    after = SalUn(ratio=ratio, scheme=scheme, epochs=2, lr=0.1, weight_decay=0.1, batch_size=4).unlearn(task)
    moved = (flat(after) != flat(before)).tolist()
    assert moved == brute_force_mask(before, whole(task.forget), round(ratio * 53))
    assert sum(moved) == round(ratio * 53)


def test_of_weights_without_a_gradient_the_first_are_chosen(network: Callable, make_task: Callable) -> None:
    task = make_task(network(), forget=1)
    task.forget.inputs[task.forget.index] = 0.0
    mask = torch.cat([part.reshape(-1) for part in saliency_masks(task, 30 / 43)])
    assert mask.sum() == 30
    assert mask[20:].all()  # biases of the first layer and the whole second one: 5 + 15 + 3
    assert mask[:20].tolist() == [1.0] * 7 + [0.0] * 13


def test_masks_leave_the_model_as_it_is(network: Callable, make_task: Callable) -> None:
    task = make_task(network(batchnorm=True))
    before = copy.deepcopy(task.model.state_dict())
    saliency_masks(task, 0.5)
    assert all(torch.equal(value, before[name]) for name, value in task.model.state_dict().items())
    assert task.model.training
    assert all(weight.grad is None for weight in task.model.parameters())
    assert task.recorder.samples_processed == 6


def test_authors_forget_first_and_retain_then(network: Callable, make_task: Callable, whole: Callable) -> None:
    task, taught = make_task(network()), []

    def criterion(outputs: Tensor, targets: Tensor) -> Tensor:
        taught.append(targets)
        return cross_entropy(outputs, targets)

    model, masks = copy.deepcopy(task.model), saliency_masks(task, 0.4)
    task = replace(task, criterion=criterion)
    method = SalUn(scheme="authors", ratio=0.4, epochs=2, lr=0.1, weight_decay=0.01, batch_size=4)
    after = method.unlearn(task)
    taught = taught[1:]  # the mask's
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    forget_random, retain_random = task.generator("forget"), task.generator("retain")
    for epoch in range(2):
        relabelled = [x for x, _ in task.forget.epoch(4, forget_random)]
        batches = list(zip(relabelled, taught[7 * epoch : 7 * epoch + 2], strict=True))
        for inputs, targets in [*batches, *task.retain.epoch(4, retain_random)]:
            optimizer.zero_grad()
            decay = sum(weight.square().sum() for weight in model.parameters()) / 2
            (cross_entropy(model(inputs), targets) + 0.01 * decay).backward()
            for weight, mask in zip(model.parameters(), masks, strict=True):
                weight.grad *= mask
            optimizer.step()
    torch.testing.assert_close(after.state_dict(), model.state_dict(), rtol=0, atol=1e-12)
    assert task.recorder.samples_processed == 6 + 6 + 2 * (6 + 20)  # masks twice
    assert [(row["epoch"], row["step"]) for row in task.recorder.rows] == [(1, 7), (2, 14)]


def test_authors_draw_labels_anew_from_all_classes(network: Callable, make_task: Callable) -> None:
    rows, labels = [], []

    def prepare(raw: Tensor, draws: Tensor | None) -> Tensor:
        rows.append(raw[:, 0])
        return raw

    def criterion(outputs: Tensor, targets: Tensor) -> Tensor:
        labels.append(targets)
        return cross_entropy(outputs, targets)

    task = make_task(network(), forget=60, retain=2, criterion=criterion)
    forget: Samples = replace(task.forget, prepare=prepare)
    SalUn(scheme="authors", epochs=10, batch_size=60).unlearn(replace(task, forget=forget))
    taught = torch.cat(labels[1::2])
    assert len(taught) == 600
    assert stats.chisquare(taught.bincount(minlength=3).numpy()).pvalue > 1e-3
    true = dict(zip(forget.inputs[forget.index, 0].tolist(), forget.targets[forget.index].tolist(), strict=True))
    right = sum(true[row] == label for row, label in zip(torch.cat(rows[1:]).tolist(), taught.tolist(), strict=True))
    assert stats.binomtest(right, 600, 1 / 3).pvalue > 1e-3


def test_frozen_parameters_are_neither_ranked_nor_moved(network: Callable, make_task: Callable) -> None:
    task = make_task(network())
    task.model[0].requires_grad_(False)
    before = copy.deepcopy(task.model)
    after = SalUn(epochs=1, ratio=1.0).unlearn(task)
    assert torch.equal(after[0].weight, before[0].weight)
    assert (after[2].weight != before[2].weight).all()


@pytest.mark.parametrize("variant", [{"scheme": "authors"}, {"retain_weight": 0.0}])
def test_it_keeps_a_methods_promises(variant: dict[str, object]) -> None:
    assert [(promise, problem) for promise, problem in checks(SalUn, **variant) if problem is not None] == []
