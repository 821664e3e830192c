"""A linear layer on features that no data shape, as the certified methods train it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from methods.task import Samples, Unsuitable

FEATURE_BATCH = 512
"""Samples whose features are computed at once."""

MOST_BYTES = 2**34
"""Memory that the features of a training set may take."""

LEVELS = 255
"""Steps between the lowest and the highest value of a raw image."""


class FrozenFeatures(nn.Module):
    """A linear layer, at first 0, on features that are never trained; all in float64.

    Args:
        body: gives features [B, n].
        bounds: of the inputs, as in `Samples`: between them lie the levels of raw images, here brought to [-1, 1].
            With None, inputs are taken as they are.
        inputs: some inputs [B, ...].
        outputs: number of outputs.
    """

    low: Tensor | None
    high: Tensor | None

    def __init__(self, body: nn.Module, bounds: tuple[Tensor, Tensor] | None, inputs: Tensor, outputs: int) -> None:
        super().__init__()
        self.body = body.double().requires_grad_(False).eval()
        low, high = (None, None) if bounds is None else bounds
        self.register_buffer("low", None if low is None else low.double())
        self.register_buffer("high", None if high is None else high.double())
        width = self.features(inputs).shape[1]
        self.head = nn.Linear(width, outputs, bias=False, dtype=torch.float64, device=inputs.device)
        nn.init.zeros_(self.head.weight)

    def train(self, mode: bool = True) -> FrozenFeatures:
        super().train(mode)
        self.body.eval()  # BatchNorm of an untrained network must not see the data
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.features(inputs))
        return outputs

    @torch.no_grad()
    def features(self, inputs: Tensor) -> Tensor:
        """Features of length 1, and a constant 1 after them: float64 [B, n + 1].

        Raises:
            Unsuitable: the body does not give a vector per sample.
        """
        inputs = inputs.double()
        if self.low is not None and self.high is not None:
            raw = (LEVELS * (inputs - self.low) / (self.high - self.low)).round()
            inputs = 2 * raw / LEVELS - 1
        found = self.body(inputs)
        if found.ndim != 2:
            raise Unsuitable("features must be vectors [B, n]: this network's last layer takes others")
        length = torch.linalg.vector_norm(found, dim=1, keepdim=True)
        found = found / length.clamp(min=torch.finfo(found.dtype).tiny)
        return torch.cat([found, torch.ones_like(found[:, :1])], dim=1)

    def features_of(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """Features [n, k] and targets [n, ...] of all samples, in order.

        Raises:
            Unsuitable: the features would take too much memory.
        """
        size = 8 * len(samples) * self.head.in_features
        if size > MOST_BYTES:
            raise Unsuitable(f"the features of all samples would need {size / 2**30:.0f} GiB")
        found = [self.features(inputs) for inputs, _ in samples.in_order(FEATURE_BATCH)]
        return torch.cat(found), samples.targets[samples.index]


def without_last_layer(network: nn.Module) -> nn.Module:
    """The network with its last linear layer replaced by the identity, in place.

    Raises:
        Unsuitable: it does not end in a linear layer.
    """
    layers = [(name, layer) for name, layer in network.named_modules() if any(True for _ in layer.parameters(False))]
    if not layers or not isinstance(layers[-1][1], nn.Linear) or not layers[-1][0]:
        raise Unsuitable("features: untrained needs a network whose last layer is linear")
    parent, _, name = layers[-1][0].rpartition(".")
    setattr(network.get_submodule(parent), name, nn.Identity())
    return network
