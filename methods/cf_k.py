"""CF-k: fine-tune the last layers, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from torch import nn
from torch.nn.modules.conv import _ConvNd

from methods.finetune import FineTune
from methods.method import Range, hyperparameter
from methods.task import Task, Unsuitable


@dataclass(frozen=True)
class CFk(FineTune):
    """Fine-tune the last k layers on the retain set (catastrophically forget the last k), with the others frozen.

    A layer is a convolution or a linear layer, in the order of `modules()`, and k counts from the end; what stands
    behind the first of them, such as BatchNorm, is trained with it. With k of all layers this is `FineTune`. Running
    statistics of BatchNorm are estimated on the retain set in the frozen layers too.

    Worth trying where backward passes through the whole network are too expensive; what the frozen layers know of the
    forget set stays.

    Public code (Evaluating-Inexact-Unlearning, src/methods.py) trains for 62 epochs with warm restarts of the
    learning rate (0.1 to 0.005), a weight decay of 5e-5 and gradients clipped at a norm of 10; here, as for every
    method that fine-tunes, the learning rate is constant.
    """

    name: ClassVar[str] = "cf-k"
    version: ClassVar[int] = 1
    source: ClassVar[str] = "Goel et al., 2022 (arXiv:2201.06640)"

    k: int = hyperparameter(3, "layers that are trained, counted from the last", search=Range(1, 10), ge=1)

    def unlearn(self, task: Task) -> nn.Module:
        with only_last_layers(task.model, self.k):
            return self.descend(task)


@contextmanager
def only_last_layers(model: nn.Module, k: int) -> Iterator[list[nn.Parameter]]:
    """Train the last k convolutions and linear layers and what stands behind them; yields what is frozen meanwhile.

    All parameters are trained if there are no more than k such layers; those that were frozen before stay so.

    Raises:
        Unsuitable: there are no such layers, or nothing in the last k can be trained.
    """
    modules = list(model.modules())
    layers = [place for place, module in enumerate(modules) if isinstance(module, nn.Linear | _ConvNd)]
    if not layers:
        raise Unsuitable("the network has no convolution and no linear layer")
    last = modules[layers[-k] :] if k < len(layers) else modules
    kept = {id(weight) for module in last for weight in module.parameters(recurse=False)}
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    frozen = [weight for weight in model.parameters() if id(weight) not in kept]
    if all(id(weight) not in kept for weight in weights):
        raise Unsuitable(f"no parameter of the last {k} layers is trained")
    try:
        for weight in frozen:
            weight.requires_grad_(False)
        yield frozen
    finally:
        for weight in weights:
            weight.requires_grad_(True)
