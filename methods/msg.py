"""MSG: draw anew the kernel weights that tell retain and forget data least apart, and repair on the retain set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from methods.ct import kernels
from methods.descent import trainable
from methods.finetune import FineTune
from methods.fisher import random_subset
from methods.influence import mean_gradient
from methods.method import Range, hyperparameter
from methods.task import Batch, Task, Unsuitable


@dataclass(frozen=True)
class Redrawn(Task):
    """A task whose model has weights drawn anew.

    Attributes:
        factors: what the gradient of each kernel is multiplied by, shaped like it.
    """

    factors: dict[nn.Parameter, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class MSG(FineTune):
    """Draw anew the kernel weights of smallest |g|, g = grad L_r - grad L_f, then fine-tune on the retain set.

    g is taken at the original weights in evaluation mode, L_r over as many random retain samples as there are forget
    samples, both without augmentation. In every two-dimensional convolution the `share` of weights with the smallest
    |g| is drawn from its initialisation: normal with standard deviation sqrt(2 / fan out). Fine-tuning multiplies the
    gradients of the other kernel weights by `kept`, before momentum and weight decay; all other parameters learn as
    usual. The learning rate rises linearly to the middle epoch and falls again: with A = (epochs + 1) // 2 it is
    lr e / A in an epoch e <= A, then lr (epochs + 1 - e) / (epochs + 1 - A). With CT the most consistent of eighteen
    methods in Cadet et al. (EuroS&P 2025), whose public code is the source of rule and defaults.

    Public code sums the gradients of batch means, so that samples of a smaller last batch count more; scores in
    whichever mode the network is in; and also draws the biases of convolutions anew. Other libraries call other
    methods by this name.
    """

    name: ClassVar[str] = "msg"
    version: ClassVar[int] = 1
    source: ClassVar[str] = "NeurIPS 2023 Machine Unlearning competition, 2nd place; Cadet et al., EuroS&P 2025"
    family: ClassVar[str] = "perturbation, fine-tuning"
    needs: ClassVar[str] = "retain, forget"
    cost: ClassVar[str] = "min(n_r, n_f) + n_f + epochs * n_r"

    epochs: int = hyperparameter(5, "passes over the retain set", search=Range(1, 10, log=True), ge=1)
    lr: float = hyperparameter(1e-3, "learning rate of the middle epoch", search=Range(1e-4, 0.1, log=True), gt=0)
    share: float = hyperparameter(
        0.3, "share of each kernel's weights that is drawn anew", search=Range(0.05, 0.9), ge=0, le=1
    )
    kept: float = hyperparameter(0.1, "factor on the gradients of kernel weights that are kept", ge=0)

    def prepare(self, task: Task) -> Task:
        if not kernels(task.model):
            raise Unsuitable("msg draws convolution kernels anew: this network has none")
        if not len(task.forget):
            raise Unsuitable("msg compares the gradients of retain and forget samples: there is nothing to forget")
        random = task.generator("redrawn weights")
        factors = {}
        for kernel, score in self._scores(task).items():
            chosen = torch.zeros(kernel.numel(), dtype=torch.bool, device=kernel.device)
            chosen[score.flatten().topk(round(self.share * kernel.numel()), largest=False).indices] = True
            chosen = chosen.view(kernel.shape)
            fresh = torch.empty(kernel.shape, dtype=kernel.dtype)  # on the CPU: the same on every device
            nn.init.kaiming_normal_(fresh, mode="fan_out", nonlinearity="relu", generator=random)
            with torch.no_grad():
                kernel.copy_(torch.where(chosen, fresh.to(kernel.device), kernel))
            factors[kernel] = torch.full_like(kernel, self.kept, requires_grad=False).masked_fill_(chosen, 1.0)
        return Redrawn(**vars(task), factors=factors)

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        assert isinstance(task, Redrawn)
        values = super().gradients(task, retain, forget, progress)
        for kernel, factor in task.factors.items():
            if kernel.grad is not None:
                kernel.grad.mul_(factor)
        return values

    def rate(self, epoch: int, progress: float) -> float:
        middle = (self.epochs + 1) // 2
        return min(epoch / middle, (self.epochs + 1 - epoch) / (self.epochs + 1 - middle))

    def _scores(self, task: Task) -> dict[nn.Parameter, Tensor]:
        """|g| of every weight of each kernel, shaped like it."""
        model = task.model.eval()
        retain = random_subset(task.retain, len(task.forget), task.generator("scored samples"))
        score = (mean_gradient(task, model, retain) - mean_gradient(task, model, task.forget)).abs()
        weights = trainable(model)
        parts = dict(zip(weights, score.split([weight.numel() for weight in weights]), strict=True))
        return {kernel: parts[kernel].view(kernel.shape) for kernel in kernels(model)}
