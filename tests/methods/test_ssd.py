from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from methods import Samples, Task
from methods.check import checks
from methods.ssd import LFSSD, SSD

VARIANTS = [SSD(), LFSSD(), SSD(fisher="batch", batch_size=3), LFSSD(fisher="batch", batch_size=3)]


def plain_importance(method: SSD, model: nn.Module, samples: Samples, criterion: Callable) -> list[Tensor]:
    """Mean over batches, or over samples, of |d |z|^2| or of squared loss gradients."""
    size = 1 if method.fisher == "example" else method.batch_size
    batches = list(samples.in_order(size))
    total = [torch.zeros_like(weight) for weight in model.parameters()]
    for inputs, targets in batches:
        outputs = model(inputs)
        free = isinstance(method, LFSSD)
        value = sum(z @ z for z in outputs) / len(outputs) if free else criterion(outputs, targets)
        for sum_, gradient in zip(total, torch.autograd.grad(value, list(model.parameters())), strict=True):
            sum_ += (gradient.abs() if free else gradient**2) / len(batches)
    return total


def test_of_a_linear_classifier_it_is_known_in_closed_form(make_task: Callable, whole: Callable) -> None:
    task = make_task(nn.Linear(4, 3))
    inputs, targets = whole(task.retain)
    error = task.model(inputs).softmax(dim=1) - one_hot(targets, 3)
    found = SSD().importance(task, task.retain)
    expected = {"weight": torch.einsum("bk,bj->kj", error**2, inputs**2) / 20, "bias": (error**2).mean(0)}
    torch.testing.assert_close(found, {name: value.detach() for name, value in expected.items()}, rtol=1e-12, atol=0)
    found, outputs = LFSSD().importance(task, task.retain), task.model(inputs).detach()
    expected = {
        "weight": torch.einsum("bk,bj->kj", 2 * outputs.abs(), inputs.abs()) / 20,
        "bias": 2 * outputs.abs().mean(0),
    }
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("loss", ["classes", "numbers"])
@pytest.mark.parametrize("method", VARIANTS)
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_dampened_as_by_a_plain_loop(
    network: Callable, make_task: Callable, seed: int, method: SSD, loss: str
) -> None:
    numbers = torch.randn(27, 3, generator=torch.Generator().manual_seed(seed))
    fields = {"targets": numbers, "criterion": mse_loss} if loss == "numbers" else {}
    task = make_task(network(seed, batchnorm=True), seed, retain=20, forget=7, **fields)
    task.model[1].running_mean.add_(0.3)
    before = copy.deepcopy(task.model).eval()
    f = plain_importance(method, before, task.forget, task.criterion)
    r = plain_importance(method, before, task.retain, task.criterion)
    n_r, n_f = (20, 7) if method.fisher == "example" else (7, 3)
    after = replace(method, alpha=1.1, dampening=0.7).unlearn(task)
    count = 0
    for w, moved, on_forget, on_retain in zip(before.parameters(), after.parameters(), f, r, strict=True):
        everyone = (n_r * on_retain + n_f * on_forget) / (n_r + n_f)
        for was, now, small, large in zip(
            *(x.flatten().tolist() for x in (w, moved, on_forget, everyone)), strict=True
        ):
            chosen = small > 1.1 * large
            count += chosen
            assert now == pytest.approx(was * min(0.7 * large / small, 1.0) if chosen else was, rel=1e-9)
    assert 0 < count < 53
    assert task.recorder.notes["dampened"] == pytest.approx(count / 53)
    assert task.recorder.samples_processed == 27
    assert all(torch.equal(a, b) for a, b in zip(after.buffers(), before.buffers(), strict=True))
    assert not after.training


def unchanged(method: SSD, task: Task) -> bool:
    before = copy.deepcopy(task.model.state_dict())
    after = method.unlearn(task).state_dict()
    return all(torch.equal(value, before[name]) for name, value in after.items())


@pytest.mark.parametrize("method", VARIANTS)
class TestNothingChanges:
    def test_where_no_weight_is_important_enough(self, network: Callable, make_task: Callable, method: SSD) -> None:
        assert unchanged(replace(method, alpha=math.inf), make_task(network(batchnorm=True)))

    def test_from_an_alpha_of_n_over_n_f_on(self, network: Callable, make_task: Callable, method: SSD) -> None:
        shape = {"retain": 24, "forget": 6}
        assert unchanged(replace(method, alpha=5.0 + 1e-9), make_task(network(), **shape))
        ratios = [make_task(network(), **shape) for _ in range(2)]
        assert not unchanged(replace(method, alpha=1.0), ratios[0])

    def test_if_nothing_is_to_be_forgotten(self, network: Callable, make_task: Callable, method: SSD) -> None:
        assert unchanged(replace(method, alpha=0.0), make_task(network(), forget=0))


@pytest.mark.parametrize("method", VARIANTS)
def test_if_everything_is_forgotten_each_weight_is_multiplied_by_lambda(
    network: Callable, make_task: Callable, method: SSD
) -> None:
    task = make_task(network(), retain=0)
    task.forget.inputs[:, 0] = 0.0  # weights without importance
    before = copy.deepcopy(task.model)
    after = replace(method, alpha=0.9, dampening=0.25).unlearn(task)
    assert torch.equal(after[0].weight[:, 0], before[0].weight[:, 0])
    torch.testing.assert_close(after[0].weight[:, 1:], 0.25 * before[0].weight[:, 1:], rtol=1e-14, atol=0)
    torch.testing.assert_close(after[2].weight, 0.25 * before[2].weight, rtol=1e-14, atol=0)


@pytest.mark.parametrize("method", VARIANTS)
def test_weights_only_shrink(network: Callable, make_task: Callable, method: SSD) -> None:
    task = make_task(network())
    before = copy.deepcopy(task.model)
    after = replace(method, alpha=0.1, dampening=1.5).unlearn(task)
    pairs = list(zip(before.parameters(), after.parameters(), strict=True))
    assert all((moved.abs() <= weight.abs()).all() for weight, moved in pairs)
    assert any((moved.abs() < weight.abs()).any() for weight, moved in pairs)


@pytest.mark.parametrize("method", VARIANTS)
def test_frozen_weights_stay(network: Callable, make_task: Callable, method: SSD) -> None:
    model = network()
    model[0].requires_grad_(False)
    before = copy.deepcopy(model)
    after = replace(method, alpha=0.0, dampening=0.1).unlearn(make_task(model))
    assert torch.equal(after[0].weight, before[0].weight)
    assert not torch.equal(after[2].weight, before[2].weight)


@pytest.mark.parametrize("free", [False, True])
def test_only_the_loss_needs_labels(network: Callable, make_task: Callable, free: bool) -> None:
    def criterion(outputs: Tensor, targets: Tensor) -> Tensor:
        asked.append(True)
        return cross_entropy(outputs, targets)

    asked: list[bool] = []
    (LFSSD() if free else SSD()).unlearn(make_task(network(), criterion=criterion))
    assert bool(asked) is not free


@pytest.mark.parametrize("kind", [SSD, LFSSD])
def test_it_keeps_a_methods_promises(kind: type[SSD]) -> None:
    problems = [(promise, problem) for promise, problem in checks(kind, fisher="batch", alpha=1.1) if problem]
    assert problems == []
