from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from methods import Samples, Task, Unsuitable
from methods.ct import CT


@pytest.fixture
def convolutional() -> nn.Module:
    """A network with strides, groups, 1 x 1 kernels and BatchNorm, whose padding and pooling treat both axes alike."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=2),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


@pytest.fixture
def images(make_task: Callable) -> Callable:
    """(model, retain) -> a task on random images of 2 x 8 x 8."""

    def build(model: nn.Module, retain: int = 13) -> Task:
        random = torch.Generator().manual_seed(1)
        inputs = torch.randn(retain, 2, 8, 8, generator=random)
        targets = torch.randint(3, (retain,), generator=random)
        samples = Samples(inputs, targets, torch.arange(retain), lambda raw, draws: raw)
        return replace(make_task(model, seed=2), retain=samples)

    return build


def test_the_network_becomes_the_original_for_transposed_images(convolutional: nn.Module, images: Callable) -> None:
    inputs = images(convolutional).retain.inputs
    convolutional(inputs)
    convolutional.eval()
    before = convolutional(inputs)
    CT().prepare(images(convolutional))
    torch.testing.assert_close(convolutional(inputs.transpose(2, 3)), before, rtol=0, atol=1e-14)
    assert (convolutional(inputs) - before).abs().max() > 1e-3


def test_only_kernels_change_and_transposing_twice_changes_nothing(convolutional: nn.Module, images: Callable) -> None:
    before = copy.deepcopy(convolutional.state_dict())
    CT().prepare(images(convolutional))
    changed = {name for name, value in convolutional.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"0.weight", "3.weight"}
    CT().prepare(images(convolutional))
    assert all(torch.equal(value, before[name]) for name, value in convolutional.state_dict().items())


def test_the_memory_layout_stays(convolutional: nn.Module, images: Callable) -> None:
    convolutional.to(memory_format=torch.channels_last)
    strides = [weight.stride() for weight in convolutional.parameters()]
    CT().prepare(images(convolutional))
    assert [weight.stride() for weight in convolutional.parameters()] == strides


def test_a_kernel_that_two_layers_share_is_transposed_once(convolutional: nn.Module, images: Callable) -> None:
    model = nn.Sequential(convolutional[3], copy.deepcopy(convolutional[3]))
    model[1].weight = model[0].weight
    before = model[0].weight.detach().clone()
    CT().prepare(images(model))
    assert torch.equal(model[0].weight, before.transpose(2, 3))


@pytest.mark.parametrize("epochs", [1, 3])
def test_then_it_fine_tunes_with_a_cosine_from_epoch_to_epoch(
    convolutional: nn.Module, images: Callable, epochs: int
) -> None:
    task = images(convolutional)
    model = copy.deepcopy(convolutional).train()
    for layer in (model[0], model[3]):
        layer.weight.data = torch.stack([torch.stack([plane.T for plane in unit]) for unit in layer.weight.data])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    random = task.generator("retain")
    for _ in range(epochs):
        for inputs, targets in task.retain.epoch(5, random):
            optimizer.zero_grad()
            cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        scheduler.step()
    torch.optim.swa_utils.update_bn([x for x, _ in task.retain.epoch(5, task.generator("batchnorm"))], model)
    unlearned = CT(epochs=epochs, lr=0.1, weight_decay=0.01, batch_size=5).unlearn(task)
    torch.testing.assert_close(unlearned.state_dict(), model.state_dict(), rtol=0, atol=1e-12)


def test_frozen_kernels_stay(convolutional: nn.Module, images: Callable) -> None:
    convolutional[0].requires_grad_(False)
    before = copy.deepcopy(convolutional)
    CT(epochs=1, lr=0.1).unlearn(images(convolutional))
    assert torch.equal(convolutional[0].weight, before[0].weight)
    assert not torch.equal(convolutional[3].weight, before[3].weight)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Linear(4, 3), "none of more than one pixel"),
        (nn.Conv2d(2, 3, 1), "none of more than one pixel"),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.Conv2d(3, 3, (1, 7))), "has one of 1 x 7"),
    ],
    ids=["linear", "1x1", "1x7"],
)
def test_networks_without_square_kernels_are_refused_untouched(
    images: Callable, layer: nn.Module, message: str
) -> None:
    before = copy.deepcopy(layer.state_dict())
    with pytest.raises(Unsuitable, match=message):
        CT().unlearn(images(layer))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
