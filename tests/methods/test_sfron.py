from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import Task
from methods.check import checks
from methods.finetune import FineTune
from methods.sfron import SFRon, cosine


@dataclass(frozen=True)
class Constant(SFRon):
    """Without the course of the learning rate."""

    def rate(self, epoch: int, progress: float) -> float:
        return 1.0


def climbed(task: Task, forget: tuple[Tensor, Tensor], masks: list[Tensor] | None = None, **options: float) -> Tensor:
    """The gradient that a forget step leaves, as one vector."""
    progress = options.pop("progress", 0.0)
    masks = masks or [torch.ones_like(p) for p in task.model.parameters()]
    SFRon(**({"clip": 1e9} | options)).climb(task, forget, masks, progress)
    return torch.cat([p.grad.reshape(-1) for p in task.model.parameters()])


def gradient(loss: Tensor, model: nn.Module) -> Tensor:
    return torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, list(model.parameters()))])


def same(left: nn.Module, right: nn.Module) -> bool:
    return all(torch.equal(value, right.state_dict()[name]) for name, value in left.state_dict().items())


@pytest.mark.parametrize("batchnorm", [False, True])
def test_without_ascent_it_is_fine_tuning(network: Callable, make_task: Callable, batchnorm: bool) -> None:
    shape = {"epochs": 3, "batch_size": 6, "momentum": 0.0, "weight_decay": 0.0}
    tuned = FineTune(**shape).unlearn(make_task(network(batchnorm=batchnorm)))
    assert same(Constant(**shape, strength=0.0).unlearn(make_task(network(batchnorm=batchnorm))), tuned)
    assert not same(Constant(**shape, strength=0.1).unlearn(make_task(network(batchnorm=batchnorm))), tuned)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 2.0])
def test_a_forget_step_climbs_the_weighted_losses(
    network: Callable, make_task: Callable, whole: Callable, exponent: float
) -> None:
    task = make_task(network())
    inputs, targets = whole(task.forget)
    losses = [-task.model(x[None]).log_softmax(1)[0, y] for x, y in zip(inputs, targets, strict=True)]
    weights = [loss.item() ** -exponent for loss in losses]
    weighted = sum(weight * loss for weight, loss in zip(weights, losses, strict=True)) / sum(weights)
    expected = -25 * 0.5 * (1 + math.cos(math.pi * 0.3)) * gradient(weighted, task.model)
    found = climbed(task, (inputs, targets), exponent=exponent, progress=0.3)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    if exponent == 0:  # plain ascent on the mean
        mean = gradient(cross_entropy(task.model(inputs), targets), task.model)
        torch.testing.assert_close(found, -25 * cosine(0.3) * mean, rtol=1e-12, atol=1e-14)


def test_equal_losses_count_alike(network: Callable, make_task: Callable, whole: Callable) -> None:
    task = make_task(network())
    inputs, targets = whole(task.forget)
    alike = (inputs[:1].expand(4, -1), targets[:1].expand(4))
    mean = gradient(cross_entropy(task.model(alike[0]), alike[1]), task.model)
    torch.testing.assert_close(climbed(task, alike, exponent=2.0), -25 * mean, rtol=1e-12, atol=1e-14)


def test_a_sample_of_loss_zero_does_not_silence_the_others(make_task: Callable) -> None:
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.copy_(1e3 * torch.eye(3, 4))
        model.bias.zero_()
    inputs, targets = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1.0]]), torch.tensor([0, 0])
    found = climbed(make_task(model), (inputs, targets), strength=1.0)
    alone = gradient(cross_entropy(model(inputs[1:]), targets[1:]), model)
    share = math.log(3) ** -0.5 / (math.log(3) ** -0.5 + torch.finfo(torch.float64).eps ** -0.5)
    torch.testing.assert_close(found, -share * alone, rtol=1e-9, atol=0)


def test_its_gradient_is_cut_after_the_mask(network: Callable, make_task: Callable, whole: Callable) -> None:
    task = make_task(network())
    forget, random = whole(task.forget), torch.Generator().manual_seed(1)
    masks = [torch.randint(2, p.shape, generator=random).to(p) for p in task.model.parameters()]
    free = climbed(task, forget)
    task.model.zero_grad()
    masked = free * torch.cat([mask.reshape(-1) for mask in masks])
    assert masked.norm() > 0.01
    found = climbed(task, forget, masks, clip=0.01)
    torch.testing.assert_close(found, masked * 0.01 / masked.norm(), rtol=1e-3, atol=0)
    assert torch.equal(found == 0, masked == 0)


@pytest.mark.parametrize("threshold", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("batchnorm", [False, True])
def test_the_mask_compares_squared_gradients_of_batches(
    network: Callable, make_task: Callable, threshold: float, batchnorm: bool
) -> None:
    task = make_task(network(batchnorm=batchnorm))
    method, model = SFRon(batch_size=8, threshold=threshold), copy.deepcopy(task.model).eval()

    def importance(samples: object, name: str) -> Tensor:
        found, seen = 0, 0
        for inputs, targets in samples.epoch(8, task.generator(name)):
            found = found + len(targets) * gradient(cross_entropy(model(inputs), targets), model) ** 2
            seen += len(targets)
        return found / seen

    expected = importance(task.forget, "forget importance") >= threshold * importance(task.retain, "retain importance")
    found = torch.cat([mask.reshape(-1) for mask in method.masks(task)])
    assert 0 < expected.sum() < expected.numel()
    assert torch.equal(found, expected.double())
    assert task.model.training
    assert task.recorder.samples_processed == 26
    assert all(torch.equal(b, dict(model.named_buffers())[name]) for name, b in task.model.named_buffers())


@pytest.mark.parametrize("batchnorm", [False, True])
def test_steps_are_those_of_a_plain_loop(network: Callable, make_task: Callable, batchnorm: bool) -> None:
    task = make_task(network(batchnorm=batchnorm))
    options = {"batch_size": 4, "lr": 0.05, "weight_decay": 0.01, "threshold": 0.5, "strength": 4.0, "clip": 0.5}
    method, model = SFRon(epochs=2, every=3, **options), copy.deepcopy(task.model)
    masks = method.masks(replace(task, model=copy.deepcopy(model)))
    retain, forget = task.generator("retain"), task.forget.endless(4, task.generator("forget"))
    velocity: dict[str, Tensor] = {}
    done, total, climbs = 0, 2 * (5 + 2), 0

    def step(loss: Tensor, masks: list[Tensor] | None = None) -> None:
        nonlocal done
        model.zero_grad()
        loss.backward()
        grads = [p.grad * m for p, m in zip(model.parameters(), masks, strict=True)] if masks else None
        length = torch.cat([g.reshape(-1) for g in grads]).norm() if grads else 0
        for number, (name, p) in enumerate(model.named_parameters()):
            g = grads[number] * min(1, 0.5 / (length + 1e-6)) if grads else p.grad
            g = g + 0.01 * p.detach()
            velocity[name] = 0.9 * velocity[name] + g if name in velocity else g.clone()
            p.data -= 0.05 * 0.5 * (1 + math.cos(math.pi * done / total)) * velocity[name]
        done += 1

    for _ in range(2):
        for number, (x, y) in enumerate(task.retain.epoch(4, retain)):
            if number in (0, 3):
                x_f, y_f = next(forget)
                losses = cross_entropy(model(x_f), y_f, reduction="none")
                weights = losses.detach() ** -0.5
                anneal = 0.5 * (1 + math.cos(math.pi * done / total))
                step(-4 * anneal * (weights / weights.sum() * losses).sum(), masks)
                climbs += 1
            step(cross_entropy(model(x), y))
    assert (climbs, done) == (4, total)
    found = dict(method.unlearn(task).named_parameters())
    for name, p in model.named_parameters():
        torch.testing.assert_close(found[name], p, rtol=0, atol=1e-12)


def test_frozen_parameters_stay(network: Callable, make_task: Callable) -> None:
    model = network()
    model[0].requires_grad_(False)
    before = copy.deepcopy(model)
    SFRon(epochs=1, batch_size=8).unlearn(make_task(model))
    assert torch.equal(model[0].weight, before[0].weight)
    assert not torch.equal(model[2].weight, before[2].weight)


@pytest.mark.parametrize("variant", [{"every": 1}, {"every": 4, "exponent": 0.0, "threshold": 3.0}], ids=str)
def test_it_keeps_a_methods_promises(variant: dict[str, float]) -> None:
    assert [(promise, problem) for promise, problem in checks(SFRon, **variant) if problem is not None] == []
