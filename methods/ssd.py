"""Selective synaptic dampening: shrink the weights that matter more to the forget set than to all data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from methods.fisher import mean_over_gradients
from methods.method import Method, Range, hyperparameter
from methods.task import Samples, Task


@dataclass(frozen=True)
class SSD(Method):
    """Shrink each weight that is more important to the forget set than `alpha` times as important to all data.

        F_S = mean over x in S of (d loss(x) / d w)^2
        w <- min(lambda F_D / F_f, 1) w    where F_f > alpha F_D,    lambda = `dampening`

    D is the whole training set, retain and forget. Gradients are those of each sample's own loss with its true label,
    at w0, in evaluation mode and not augmented; BatchNorm's statistics stay as they are. No step is trained, and
    retain data is read once.

    Worth trying where time is short and the forget set differs much from the rest, as a class does; of random samples
    it forgets little before the rest suffers. Everything hangs on `alpha`. Since D contains the forget set, F_f is
    never more than n / n_f times F_D: from there on nothing changes, and the published default, 10, is for forgetting
    5 % and less. The share of the weights that was dampened is noted (`dampened`).

    Public code (selective-synaptic-dampening, src/ssd.py) squares the mean gradient of a batch, which is not the Fisher
    information and depends on the batch size: `fisher: batch` does so too, on retain batches and then forget batches,
    as there (where one batch may hold both).
    """

    name: ClassVar[str] = "ssd"
    source: ClassVar[str] = "Foster et al., AAAI 2024"
    family: ClassVar[str] = "dampening"
    cost: ClassVar[str] = "n"

    alpha: float = hyperparameter(
        2.0, "how many times as important a weight must be to be dampened", search=Range(1.0, 100.0, log=True), ge=0
    )
    dampening: float = hyperparameter(
        1.0, "lambda: the factor of F_D / F_f that a dampened weight is multiplied by", search=Range(0.05, 1.0), ge=0
    )
    fisher: Literal["example", "batch"] = hyperparameter(
        "example", "whose gradients are squared: each sample's, or the mean of each batch"
    )
    batch_size: int = hyperparameter(128, "samples per batch (fisher: batch)", when={"fisher": ("batch",)}, ge=1)

    def scalar(self, task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
        """What is differentiated: a mean over the batch."""
        return task.criterion(outputs, targets)

    def measure(self, gradient: Tensor) -> Tensor:
        """The importance that a gradient stands for, entry by entry."""
        return gradient.square()

    def unlearn(self, task: Task) -> nn.Module:
        model = task.model.eval()
        forget, retain = self.importance(task, task.forget), self.importance(task, task.retain)
        n_f, n_r = (self._gradients(samples) for samples in (task.forget, task.retain))
        dampened, count = torch.zeros((), device=task.forget.index.device), 0
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in forget:
                    everyone = (n_r * retain[name] + n_f * forget[name]) / (n_r + n_f)
                    chosen = forget[name] > self.alpha * everyone
                    factor = (self.dampening * everyone / forget[name]).clamp(max=1.0)
                    weight.mul_(torch.where(chosen, factor, 1.0))
                    dampened, count = dampened + chosen.sum(), count + weight.numel()
        task.recorder.note(dampened=dampened.item() / count)
        return model

    def importance(self, task: Task, samples: Samples) -> dict[str, Tensor]:
        """F_S of each trainable parameter, shaped like it."""
        task.recorder.count(len(samples))
        if self.fisher == "example":
            return mean_over_gradients(
                task.model, samples, lambda outputs, targets: self.scalar(task, outputs, targets), self.measure
            )
        weights = {name: weight for name, weight in task.model.named_parameters() if weight.requires_grad}
        total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        for inputs, targets in samples.in_order(self.batch_size):
            value = self.scalar(task, task.model(inputs), targets)
            gradients = torch.autograd.grad(value, list(weights.values()), allow_unused=True, materialize_grads=True)
            for name, gradient in zip(weights, gradients, strict=True):
                total[name] += self.measure(gradient)
        return {name: value / max(1, self._gradients(samples)) for name, value in total.items()}

    def _gradients(self, samples: Samples) -> int:
        """How many gradients F_S is a mean over."""
        return len(samples) if self.fisher == "example" else -(-len(samples) // self.batch_size)


@dataclass(frozen=True)
class LFSSD(SSD):
    """Loss-free SSD: dampen by how strongly weights move the outputs, for which no label is needed.

    As `SSD`, with F_S = mean over x in S of |d |z(x)|^2 / d w|, z the outputs: the absolute value, and no square.

    Worth trying where labels are missing or wrong. It needs the training set as `SSD` does: "loss-free" means free of
    labels, not of retain data. Its bound on `alpha` is the same.

    The authors' code (README of selective-synaptic-dampening) takes the absolute value of batch means: `fisher: batch`.
    """

    name: ClassVar[str] = "lfssd"
    source: ClassVar[str] = "Foster et al., ICLR 2024 Tiny Papers"

    def scalar(self, task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.flatten(1).square().sum(dim=1).mean()

    def measure(self, gradient: Tensor) -> Tensor:
        return gradient.abs()
