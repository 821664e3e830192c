"""Image classifiers: small networks with CIFAR stems, and torchvision's by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Concatenate

import torch
from pydantic import Field
from torch import Tensor, nn

from methods import Diverged, Method, Task, Unsuitable
from methods.task import Build, derived_seed
from sweep.tasks.kind import Kind, Outline
from sweep.tasks.language.pretrained import check_pretrained, model_fingerprint, pretrained
from sweep.tasks.language.tiny_llama import tiny_llama
from sweep.tasks.sections import Count

ModelBuilder = Callable[Concatenate[int, int, ...], nn.Module]
"""(classes, channels, **options) -> a freshly initialised network, [B, channels, H, W] -> logits [B, classes]."""


Depth = Annotated[int, Field(ge=0)]
"""Hidden layers."""


def small_cnn(classes: int, channels: int, *, width: Count = 32) -> nn.Module:
    """Three 3 x 3 convolutions with BatchNorm (width, 2 width, 2 width), a global average, one linear layer."""

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

    return nn.Sequential(
        *block(channels, width),
        *block(width, 2 * width),
        nn.MaxPool2d(2),
        *block(2 * width, 2 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, classes),
    )


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut (He et al., CVPR 2016); a 1 x 1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


def resnet(classes: int, channels: int, *, blocks: tuple[int, ...], width: int) -> nn.Module:
    """A ResNet with a CIFAR stem (3 x 3, stride 1, no pooling); stage i: blocks[i] blocks of width * 2**i channels."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]
    inputs = width
    for stage, count in enumerate(blocks):
        outputs = width * 2**stage
        for block in range(count):
            layers.append(BasicBlock(inputs, outputs, stride=2 if stage > 0 and block == 0 else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def resnet8(classes: int, channels: int, *, width: Count = 32) -> nn.Module:
    """ResNet-8 for 32 x 32 images: three stages of one block; 0.3 M weights at width 32."""
    return resnet(classes, channels, blocks=(1, 1, 1), width=width)


def resnet18(classes: int, channels: int, *, width: Count = 64) -> nn.Module:
    """ResNet-18 with a CIFAR stem, as unlearning papers use it on CIFAR: 11.2 M weights."""
    return resnet(classes, channels, blocks=(2, 2, 2, 2), width=width)


def mlp(outputs: int, inputs: int, *, width: Count = 128, depth: Depth = 3) -> nn.Module:
    """`depth` hidden layers of `width` units with ReLU, for rows of numbers [B, inputs]."""
    sizes = [inputs, *[width] * depth]
    layers = [layer for size in pairwise(sizes) for layer in (nn.Linear(*size), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))


@dataclass(frozen=True)
class Files:
    """A builder of networks that lie in files with their weights.

    Attributes:
        build: a `ModelBuilder`.
        located_by: options that say where the files lie, not what is in them. They are no part of a trial's identity.
        fingerprint: of these options, a hash of the files. Raises InputError where they are missing.
        check: as `build`, but builds nothing. Raises InputError where `build` would.
    """

    build: ModelBuilder
    located_by: tuple[str, ...]
    fingerprint: Callable[..., str]
    check: Callable[..., None]

    def __call__(self, outputs: int, inputs: int, **options: Any) -> nn.Module:
        return self.build(outputs, inputs, **options)


MODELS: dict[str, ModelBuilder] = {
    "small-cnn": small_cnn,
    "resnet8": resnet8,
    "resnet18": resnet18,
    "mlp": mlp,
    "tiny-llama": tiny_llama,
    "hf": Files(pretrained, ("path", "download"), model_fingerprint, check_pretrained),
}


@cache
def torchvision_names() -> tuple[str, ...]:
    """Names of torchvision's classifiers; those that this project has under the same name are left out."""
    import torchvision

    return tuple(name for name in torchvision.models.list_models(module=torchvision.models) if name not in MODELS)


def torchvision_builder(name: str) -> ModelBuilder:
    """A builder of torchvision's classifier `name` without weights; options go to torchvision."""

    def build(classes: int, channels: int, **options: Any) -> nn.Module:
        import torchvision

        if channels != 3:
            raise ValueError(f"torchvision's {name} takes images of 3 channels, not {channels}")
        if name in ("googlenet", "inception_v3"):
            options = {"aux_logits": False, "init_weights": True} | options
        network: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes, **options)
        return network

    return build


def initialised(
    builder: ModelBuilder, outputs: int, inputs: int, options: dict[str, Any], seed: int, device: torch.device
) -> Build:
    """Builds the network with the weights that `seed` and a stream give; global random state is left alone.

    4-d weights are laid out channels_last, the layout in which convolutions are fastest on CPUs and GPUs alike.
    """

    def build(stream: str = "") -> nn.Module:
        with torch.random.fork_rng(devices=[]):  # networks are built on the CPU: no other generator is touched
            torch.default_generator.manual_seed(
                derived_seed(seed, f"initialisation/{stream}" if stream else "initialisation")
            )
            network: nn.Module = builder(outputs, inputs, **options)
        return network.to(device).to(memory_format=torch.channels_last)

    return build


def stored_state(network: nn.Module) -> dict[str, Tensor]:
    """The network's state dict as plain data, on the CPU.

    Raises:
        TypeError: it holds something that is no tensor, which cannot be stored.
    """
    state = {}
    for name, value in network.state_dict().items():
        if not isinstance(value, Tensor):
            raise TypeError(f"its state dict has a {type(value).__name__}, '{name}': only tensors can be stored")
        state[name] = value.cpu()
    return state


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """The tensors of the network's state dict, on the CPU."""
    return {name: value.cpu() for name, value in network.state_dict().items() if isinstance(value, Tensor)}


def load_state(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Give the network what `stored_state` took from one that was built likewise.

    A state dict of torch's also says of which version each module's part is. Plain data does not, and some modules
    take what has no version for old (torchvision's MNASNet); so the network's own state dict brings the versions.

    Raises:
        RuntimeError: names or shapes differ.
    """
    versioned = network.state_dict()
    versioned.clear()
    versioned.update(state)
    network.load_state_dict(versioned)


def try_out(builder: ModelBuilder, kind: Kind, outline: Outline, options: dict[str, Any], forward: bool) -> nn.Module:
    """Build the network, load what would be stored of it, and with `forward` compute the loss of two samples.

    Raises what that raises. On the CPU: a network on torch's `meta` device loads torch's compiler, which takes longer.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = builder(outline.outputs, outline.inputs, **options)
        load_state(network, stored_state(network))
        if forward:
            inputs, targets = next(kind.examples(outline, 2).in_order(2))
            outputs = network.train()(inputs)
            _require_outputs(outputs, (2, outline.outputs))
            kind.criterion(outputs, targets)
    return network


def _require_outputs(outputs: object, shape: tuple[int, int]) -> None:
    if not isinstance(outputs, Tensor):
        raise TypeError(f"it gives a {type(outputs).__name__}, not a tensor of logits, while it is trained")
    if (outputs.shape[0], outputs.shape[-1]) != shape:
        raise ValueError(f"it gives outputs of {tuple(outputs.shape)} for logits of {shape}")


FEW = 3
"""Samples of a set that is tried for a larger one: batches of it have any size that a larger one's have."""


def try_on_few(network: nn.Module, kind: Kind, outline: Outline, method: Method, retain: int, forget: int) -> None:
    """Let a method unlearn, on sets as small as these or of `FEW` samples.

    Raises what that raises: BatchNorm cannot train on one value per channel.
    """
    retain, forget = min(retain, FEW), min(forget, FEW)
    samples = kind.examples(outline, retain + forget)
    task = Task(
        model=network if method.shapes_training is None else method.build_original(lambda stream="": network, samples),
        retain=samples.subset(torch.arange(retain)),
        forget=samples.subset(torch.arange(retain, retain + forget)),
        classes=outline.outputs,
        seed=0,
        build=lambda stream="": network,
        fit=lambda model, samples, *, epochs=None, stream="": model,
        criterion=kind.criterion,
        optimizer=kind.optimizer,
    )
    with torch.random.fork_rng(devices=[]), suppress(Diverged, Unsuitable):
        method.unlearn(task)
