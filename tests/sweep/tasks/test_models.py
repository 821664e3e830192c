"""Networks by name: their shapes, and weights that only the seed decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sweep.errors import InputError
from sweep.spec.plugins import find_model
from sweep.tasks.classification import Classification, ImageOutline
from sweep.tasks.images import Images
from sweep.tasks.models import (
    initialised,
    load_state,
    resnet8,
    resnet18,
    small_cnn,
    stored_state,
    torchvision_builder,
    try_out,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize(("name", "size"), [("small-cnn", 8), ("resnet8", 32), ("resnet18", 32)])
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_take_small_images_to_one_logit_per_class(name, size, channels):
    network = find_model(name)(7, channels, width=4)
    assert network(torch.zeros(2, channels, size, size)).shape == (2, 7)


@pytest.mark.parametrize(
    ("builder", "millions"),
    [(small_cnn, 0.06), (resnet8, 0.3), (resnet18, 11.2)],
    ids=["small-cnn", "resnet8", "resnet18"],
)
def test_default_widths_have_the_weights_that_their_descriptions_say(builder, millions):
    count = sum(weight.numel() for weight in builder(10, 3).parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.1)


def test_torchvisions_networks_are_found_by_name():
    network = find_model("squeezenet1_1")(5, 3)
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


def test_torchvisions_networks_take_colour_only():
    with pytest.raises(ValueError, match="squeezenet1_1 takes images of 3 channels, not 1"):
        find_model("squeezenet1_1")(5, 1)


def test_our_resnet18_goes_before_torchvisions():
    assert find_model("resnet18") is resnet18


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="unknown model 'resnet15'; did you mean 'resnet"):
        find_model("resnet15")


def weights(seed: int) -> torch.Tensor:
    network = initialised(small_cnn, 10, 1, {"width": 4}, seed, CPU)()
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def test_weights_depend_on_the_seed_only():
    torch.manual_seed(1)
    one = weights(seed=0)
    torch.manual_seed(2)
    assert torch.equal(one, weights(seed=0))
    assert not torch.equal(one, weights(seed=1))


def test_every_call_builds_the_same_network_anew():
    build = initialised(small_cnn, 10, 1, {"width": 4}, 0, CPU)
    one, other = build(), build()
    assert one is not other
    assert torch.equal(one[0].weight, other[0].weight)
    assert one[0].weight.data_ptr() != other[0].weight.data_ptr()


def test_global_random_state_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    weights(seed=0)
    assert torch.equal(torch.rand(4), expected)


def test_global_random_state_of_gpus_is_left_alone_too(monkeypatch):
    """torch.manual_seed reaches every device; only a device that is there would show it otherwise."""
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("GPUs were seeded"))
    weights(seed=0)


def test_a_network_whose_state_has_versions_is_loaded_from_plain_data():
    build = initialised(torchvision_builder("mnasnet0_5"), 3, 3, {}, 0, CPU)
    state = {name: tensor + 1 for name, tensor in stored_state(build()).items()}
    network = build()
    load_state(network, state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_a_state_of_other_names_is_not_loaded():
    state = stored_state(small_cnn(3, 1, width=4))
    with pytest.raises(RuntimeError, match=r"Missing key.*0\.weight"):
        load_state(small_cnn(3, 1, width=4), {name: state[name] for name in state if name != "0.weight"})
    with pytest.raises(RuntimeError, match=r"Unexpected key.*surplus"):
        load_state(small_cnn(3, 1, width=4), state | {"surplus": torch.ones(1)})


def images_of(shape: tuple[int, ...]) -> ImageOutline:
    """The outline of such images, of three classes."""
    images, labels = np.zeros((3, *shape), np.uint8), np.arange(3)
    return Classification().outline(Images(images, labels, images, labels, classes=3))


class Noted(nn.Linear):
    def get_extra_state(self) -> dict[str, str]:
        return {"note": "no tensor"}


@pytest.mark.parametrize(
    ("builder", "options", "shape", "message"),
    [
        (torchvision_builder("googlenet"), {"aux_logits": True}, (3, 224, 224), "a GoogLeNetOutputs, not a tensor"),
        (lambda classes, channels: nn.Sequential(nn.Flatten(), Noted(12, classes)), {}, (3, 2, 2), "_extra_state"),
        (
            lambda classes, channels: nn.Sequential(nn.Flatten(), nn.Linear(12, 5)),
            {},
            (3, 2, 2),
            r"\(2, 5\) for .*\(2, 3\)",
        ),
    ],
    ids=["outputs", "state", "classes"],
)
def test_what_cannot_be_trained_or_stored_is_found_when_a_network_is_tried(builder, options, shape, message):
    with pytest.raises((TypeError, ValueError), match=message):
        try_out(builder, Classification(), images_of(shape), options, forward=True)


def test_convolutions_are_channels_last():
    network = initialised(small_cnn, 10, 3, {}, 0, CPU)()
    assert network[3].weight.is_contiguous(memory_format=torch.channels_last)
