from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import Samples, Task, Unsuitable
from methods.check import checks
from methods.finetune import FineTune
from methods.msg import MSG


@pytest.fixture
def convolutional() -> nn.Module:
    """Two convolutions and BatchNorm, whose running statistics are of some data."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1), nn.BatchNorm2d(5), nn.Tanh(), nn.Conv2d(5, 4, 3), nn.Flatten(), nn.Linear(144, 3)
    )
    model(torch.randn(9, 2, 8, 8))
    return model


@pytest.fixture
def images(make_task: Callable) -> Callable:
    """(model, retain, forget) -> a task on random images of 2 x 8 x 8."""

    def build(model: nn.Module, retain: int = 13, forget: int = 6) -> Task:
        random = torch.Generator().manual_seed(1)
        inputs = torch.randn(retain + forget, 2, 8, 8, generator=random)
        targets = torch.randint(3, (retain + forget,), generator=random)
        samples = Samples(inputs, targets, torch.arange(retain + forget), lambda raw, draws: raw)
        parts = {"retain": torch.arange(retain), "forget": torch.arange(retain, retain + forget)}
        return replace(make_task(model, seed=2), **{name: samples.subset(rows) for name, rows in parts.items()})

    return build


def scores(model: nn.Module, task: Task, kernel: nn.Parameter) -> Tensor:
    """|g|, as public code takes it: a sum over batches of 2, which divide both sets, of gradients of their means."""
    chosen = torch.randperm(len(task.retain), generator=task.generator("scored samples"))[: len(task.forget)]
    total = torch.zeros_like(kernel)
    for sign, samples in ((1, task.retain.subset(chosen)), (-1, task.forget)):
        for inputs, targets in samples.in_order(2):
            total += sign * torch.autograd.grad(cross_entropy(model(inputs), targets), kernel)[0]
    return total.abs()


@pytest.mark.parametrize("variant", [{"share": 0.0}, {"share": 1.0, "kept": 0.0}], ids=str)
def test_its_variants_keep_their_promises(variant: dict[str, Any]) -> None:
    assert [(promise, problem) for promise, problem in checks(MSG, **variant) if problem is not None] == []


@pytest.mark.parametrize("share", [0.3, 0.55])
def test_the_weights_of_smallest_score_are_drawn_anew_and_nothing_else(
    convolutional: nn.Module, images: Callable, share: float
) -> None:
    task, before = images(convolutional), copy.deepcopy(convolutional).eval()
    MSG(share=share).prepare(task)
    state = before.state_dict()
    changed = {name: value != state[name] for name, value in convolutional.state_dict().items()}
    assert {name for name, where in changed.items() if where.any()} == {"0.weight", "3.weight"}
    for layer in (0, 3):
        drawn, score = changed[f"{layer}.weight"], scores(before, task, before[layer].weight)
        assert drawn.sum() == round(share * drawn.numel())
        assert score[drawn].max() < score[~drawn].min()


def test_they_are_drawn_as_they_were_initialised(images: Callable) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 128, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 3))
    before = model[0].weight.detach().clone()
    MSG(share=0.8).prepare(images(model))
    drawn = model[0].weight.detach()[model[0].weight != before]
    assert stats.kstest(drawn.numpy(), stats.norm(0, math.sqrt(2 / (128 * 9))).cdf).pvalue > 1e-3


def test_they_belong_to_the_seed(convolutional: nn.Module, images: Callable) -> None:
    tasks = [replace(images(copy.deepcopy(convolutional)), seed=seed) for seed in (0, 0, 1)]
    first, again, other = (MSG().prepare(task).model[0].weight for task in tasks)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("epochs", [1, 4])
def test_then_it_fine_tunes_with_small_gradients_where_weights_were_kept(
    convolutional: nn.Module, images: Callable, epochs: int
) -> None:
    task, before = images(convolutional), copy.deepcopy(convolutional)
    model = copy.deepcopy(convolutional)
    MSG(share=0.4).prepare(images(model))
    factors = {layer: torch.where(model[layer].weight == before[layer].weight, 0.2, 1.0).detach() for layer in (0, 3)}
    velocity = [torch.zeros_like(weight) for weight in model.parameters()]
    random, kernels = task.generator("retain"), {model[layer].weight: factors[layer] for layer in factors}
    model.train()
    for epoch in range(epochs):
        rate = {1: [1.0], 4: [1 / 2, 1, 2 / 3, 1 / 3]}[epochs][epoch] * 0.1
        for inputs, targets in task.retain.epoch(5, random):
            gradients = torch.autograd.grad(cross_entropy(model(inputs), targets), list(model.parameters()))
            for weight, speed, gradient in zip(model.parameters(), velocity, gradients, strict=True):
                speed.mul_(0.9).add_(gradient * kernels.get(weight, 1.0) + 0.01 * weight.detach())
                weight.data -= rate * speed
    torch.optim.swa_utils.update_bn([x for x, _ in task.retain.epoch(5, task.generator("batchnorm"))], model)
    method = MSG(epochs=epochs, lr=0.1, weight_decay=0.01, batch_size=5, share=0.4, kept=0.2)
    torch.testing.assert_close(method.unlearn(task).state_dict(), model.state_dict(), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("epochs", "rates"), [(1, [3]), (2, [3, 1.5]), (3, [1.5, 3, 1.5]), (5, [1, 2, 3, 2, 1])])
def test_its_learning_rate_rises_to_the_middle_epoch_and_falls_again(epochs: int, rates: list[float]) -> None:
    assert [3 * MSG(epochs=epochs).rate(epoch, 0.0) for epoch in range(1, epochs + 1)] == pytest.approx(rates)


def test_where_nothing_is_drawn_anew_and_nothing_slowed_down_it_is_fine_tuning(
    convolutional: nn.Module, images: Callable
) -> None:
    shape = {"epochs": 1, "lr": 0.1, "batch_size": 5}
    task, other = images(copy.deepcopy(convolutional)), images(convolutional)
    state = FineTune(**shape).unlearn(other).state_dict()
    unlearned = MSG(**shape, share=0.0, kept=1.0).unlearn(task).state_dict()
    assert all(torch.equal(value, state[name]) for name, value in unlearned.items())


def test_of_a_smaller_retain_set_all_samples_are_scored(convolutional: nn.Module, images: Callable) -> None:
    task = images(convolutional, retain=4, forget=10)
    MSG(epochs=2, batch_size=4).unlearn(task)
    assert task.recorder.samples_processed == 4 + 10 + 2 * 4


def test_frozen_kernels_stay(convolutional: nn.Module, images: Callable) -> None:
    convolutional[0].requires_grad_(False)
    before = copy.deepcopy(convolutional)
    MSG(epochs=1, share=1.0).unlearn(images(convolutional))
    assert torch.equal(convolutional[0].weight, before[0].weight)
    assert not torch.equal(convolutional[3].weight, before[3].weight)


def test_the_memory_layout_stays(convolutional: nn.Module, images: Callable) -> None:
    convolutional.to(memory_format=torch.channels_last)
    strides = [weight.stride() for weight in convolutional.parameters()]
    task = MSG().prepare(images(convolutional))
    assert [weight.stride() for weight in convolutional.parameters()] == strides
    assert [factor.stride() for factor in task.factors.values()] == [strides[0], strides[4]]


def test_networks_without_kernels_and_empty_forget_sets_are_refused(convolutional: nn.Module, images: Callable) -> None:
    with pytest.raises(Unsuitable, match="this network has none"):
        MSG().unlearn(images(nn.Linear(4, 3)))
    with pytest.raises(Unsuitable, match="there is nothing to forget"):
        MSG().unlearn(images(convolutional, forget=0))
