from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from methods import Samples, Task
from methods.blindspot import Blindspot, activations, attention
from methods.check import checks


@pytest.fixture
def deep() -> Callable[[int], nn.Sequential]:
    """(seed) -> a network of 4 inputs, hidden layers of 5 and 3, and an output."""

    def build(seed: int) -> nn.Sequential:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 1))

    return build


@pytest.fixture
def regression(make_task: Callable) -> Callable[..., Task]:
    """(model, blind, **arguments of make_task) -> a task in which a fresh network is the trained `blind`."""

    def build(model: nn.Module, blind: nn.Module, **arguments: object) -> Task:
        count = int(arguments.get("retain", 20)) + int(arguments.get("forget", 6))
        fields = {
            "targets": torch.randn(count, 1, generator=torch.Generator().manual_seed(4)),
            "classes": None,
            "criterion": mse_loss,
            "build": lambda stream="": blind,
        }
        return make_task(model, **fields | arguments)

    return build


@pytest.mark.parametrize("variant", [{"attention": 0.0}, {"blind_epochs": 3}], ids=str)
def test_its_variants_keep_their_promises(variant: dict[str, Any]) -> None:
    assert [(promise, problem) for promise, problem in checks(Blindspot, **variant) if problem is not None] == []


def by_hand(model: nn.Sequential, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The output for one sample [4] and what its hidden layers say."""
    hidden = [(model[0].weight @ x + model[0].bias).clamp(min=0)]
    hidden.append((model[2].weight @ hidden[0] + model[2].bias).clamp(min=0))
    return model[4].weight @ hidden[1] + model[4].bias, hidden


def unit(vector: Tensor) -> Tensor:
    """The vector with length 1; of a layer that is silent it is 0, and stays so."""
    return vector / (vector**2).sum().sqrt() if vector.any() else vector


def test_it_is_a_plain_loop_of_sgd(deep: Callable, regression: Callable) -> None:
    model, blind = deep(1), deep(2)
    task = regression(copy.deepcopy(model), copy.deepcopy(blind), forget=8)
    inputs, targets, strength = task.retain.inputs, task.retain.targets, 7.0
    retain, forget = task.generator("retain"), task.generator("forget")
    passes = (task.forget.index[torch.randperm(8, generator=forget)].split(4) for _ in range(99))
    beside = (batch for batches in passes for batch in batches)
    velocity = [torch.zeros_like(weight) for weight in model.parameters()]
    for _ in range(3):
        for rows in task.retain.index[torch.randperm(20, generator=retain)].split(4):
            loss = torch.zeros(1)
            for row in rows:
                loss = loss + 20 / 28 * (by_hand(model, inputs[row])[0] - targets[row]) ** 2 / 4
            for row in next(beside):
                (own, hidden), (known, others) = by_hand(model, inputs[row]), by_hand(blind, inputs[row])
                loss = loss + 8 / 28 * (own - known.detach()) ** 2 / 4
                for x, y in zip(hidden, others, strict=True):
                    apart = unit(x**2) - unit(y**2).detach()
                    loss = loss + 8 / 28 * strength * (apart**2).sum() / len(x) / 4
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            for weight, speed, gradient in zip(model.parameters(), velocity, gradients, strict=True):
                speed.mul_(0.7).add_(gradient + 0.01 * weight.detach())
                weight.data -= 0.02 * speed
    method = Blindspot(epochs=3, lr=0.02, momentum=0.7, weight_decay=0.01, batch_size=4, attention=strength)
    torch.testing.assert_close(method.unlearn(task).state_dict(), model.state_dict(), rtol=0, atol=1e-12)


def test_the_blind_network_is_a_fresh_one_that_is_trained_on_the_retain_set(
    deep: Callable, regression: Callable
) -> None:
    seen: dict[str, object] = {}
    blind = deep(2)
    before = copy.deepcopy(blind.state_dict())

    def build(stream: str = "") -> nn.Module:
        seen["built"] = stream
        return blind

    def fit(model: nn.Module, samples: Samples, **part: object) -> nn.Module:
        seen.update(model=model, samples=samples, **part)
        return model

    task = regression(deep(1), blind, build=build, fit=fit)
    Blindspot(epochs=2, blind_epochs=3).unlearn(task)
    expected = {"built": "blindspot", "model": blind, "samples": task.retain, "epochs": 3, "stream": "blindspot"}
    assert seen == expected
    assert all(torch.equal(value, before[name]) for name, value in blind.state_dict().items())


def test_batchnorm_sees_both_batches_and_the_blind_network_keeps_its_statistics(
    network: Callable, regression: Callable, whole: Callable
) -> None:
    model, blind = network(1, batchnorm=True, outputs=1), network(2, batchnorm=True, outputs=1)
    blind(torch.randn(30, 4, generator=torch.Generator().manual_seed(3)))
    task = regression(model, blind)
    retain, forget = whole(task.retain), whole(task.forget)
    (part,) = Blindspot(attention=5.0).passes(task)
    values = part.gradients(task, retain, forget, 0.0)
    outputs = copy.deepcopy(model).train()(torch.cat([retain[0], forget[0]]))
    hidden, others = model[:3](torch.cat([retain[0], forget[0]]))[20:].square(), blind.eval()[:3](forget[0]).square()
    apart = hidden / hidden.norm(dim=1, keepdim=True) - others / others.norm(dim=1, keepdim=True)
    torch.testing.assert_close(values["retain_loss"], mse_loss(outputs[:20], retain[1]), rtol=1e-12, atol=0)
    torch.testing.assert_close(values["forget_loss"], mse_loss(outputs[20:], blind(forget[0])), rtol=1e-12, atol=0)
    torch.testing.assert_close(values["attention_loss"], apart.square().mean(), rtol=1e-12, atol=0)


def test_attention_to_an_image_is_a_map_over_its_places() -> None:
    found = torch.randn(2, 3, 2, 4, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(2, 8)
    for sample in range(2):
        for place in range(8):
            expected[sample, place] = sum(found[sample, channel].flatten()[place] ** 2 for channel in range(3)) / 3
        expected[sample] /= sum(value**2 for value in expected[sample]) ** 0.5
    torch.testing.assert_close(attention(found), expected, rtol=1e-14, atol=0)


def test_attention_of_a_layer_that_is_silent_is_0_and_of_half_precision_is_float32() -> None:
    assert torch.equal(attention(torch.zeros(2, 3)), torch.zeros(2, 3))
    assert attention(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.float32


class Residual(nn.Module):
    """A block around a shortcut, whose rectifiers are no modules."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.shortcut = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, 1), nn.Conv2d(2, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))


def test_activations_are_what_goes_into_convolutions_and_the_average_pool() -> None:
    torch.manual_seed(0)
    block, stem, last = Residual(), nn.Conv2d(1, 2, 3), nn.Linear(3, 1)
    norm, shift = nn.BatchNorm2d(2), nn.ReLU(inplace=True)
    model = nn.Sequential(stem, norm, shift, block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
    images = torch.randn(2, 1, 6, 6)
    with activations(model) as found:
        model(images)
    after = torch.relu(copy.deepcopy(norm)(stem(images)))
    assert len(found) == 4  # the shortcut takes what the block's first layer takes
    for own, expected in zip(found, (images, after, torch.relu(block.first(after)), block(after)), strict=True):
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-12)
    model(images)
    assert len(found) == 4


def test_a_network_of_one_layer_has_nothing_hidden_to_compare(regression: Callable, whole: Callable) -> None:
    task = regression(nn.Linear(4, 1), nn.Linear(4, 1))
    (part,) = Blindspot().passes(task)
    assert part.gradients(task, whole(task.retain), whole(task.forget), 0.0)["attention_loss"] == 0


def test_a_learning_rate_of_0_and_frozen_parameters_leave_weights_bit_for_bit(
    deep: Callable, regression: Callable
) -> None:
    model = deep(1)
    before = copy.deepcopy(model)
    replace(Blindspot(), lr=0.0).unlearn(regression(model, deep(2)))
    assert all(torch.equal(w, v) for w, v in zip(model.parameters(), before.parameters(), strict=True))
    model[0].requires_grad_(False)
    Blindspot().unlearn(regression(model, deep(2)))
    assert torch.equal(model[0].weight, before[0].weight)
    assert not torch.equal(model[2].weight, before[2].weight)
