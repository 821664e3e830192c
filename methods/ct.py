"""CT: transpose the convolution kernels, and repair the network on the retain set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from methods.descent import trainable
from methods.finetune import FineTune
from methods.method import Range, hyperparameter
from methods.task import Task, Unsuitable


@dataclass(frozen=True)
class CT(FineTune):
    """Swap height and width in the kernel of every two-dimensional convolution, then fine-tune on the retain set.

    The network is then the original for transposed images (exactly so where padding, strides and pooling treat both
    axes alike), which damages what it knows of all images and erases nothing; retain data repair what they need. The
    learning rate follows half a cosine from epoch to epoch: in epoch e it is lr (1 + cos(pi (e - 1) / epochs)) / 2.
    Parameters that require no gradient stay as they are. Kernels that are not square do not fit after the swap: a
    network that has any is refused, as is one with none of more than one pixel. With MSG the most consistent of
    eighteen methods in Cadet et al. (EuroS&P 2025), whose public code is the source of rule and defaults.
    """

    name: ClassVar[str] = "ct"
    version: ClassVar[int] = 1
    source: ClassVar[str] = "NeurIPS 2023 Machine Unlearning competition, 5th place; Cadet et al., EuroS&P 2025"
    family: ClassVar[str] = "perturbation, fine-tuning"

    epochs: int = hyperparameter(3, "passes over the retain set", search=Range(1, 10, log=True), ge=1)
    lr: float = hyperparameter(1e-3, "learning rate of the first epoch", search=Range(1e-4, 0.1, log=True), gt=0)

    def prepare(self, task: Task) -> Task:
        swapped = [kernel for kernel in kernels(task.model) if kernel.shape[2:] != (1, 1)]
        if not swapped:
            raise Unsuitable("ct swaps the axes of convolution kernels: this network has none of more than one pixel")
        for kernel in swapped:
            height, width = kernel.shape[2:]
            if height != width:
                raise Unsuitable(
                    f"ct swaps the axes of convolution kernels: this network has one of {height} x {width}"
                )
        with torch.no_grad():
            for kernel in swapped:
                kernel.copy_(kernel.transpose(2, 3).clone())  # in place: the memory layout stays
        return task

    def rate(self, epoch: int, progress: float) -> float:
        return 0.5 * (1 + math.cos(math.pi * (epoch - 1) / self.epochs))


def kernels(model: nn.Module) -> list[nn.Parameter]:
    """The kernels of two-dimensional convolutions that require a gradient, [outputs, inputs, height, width] each."""
    found = {layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d)}
    return [parameter for parameter in trainable(model) if parameter in found]
