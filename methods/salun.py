"""SalUn: random labels, learned by the weights that matter to the forget set and by no others."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from methods.descent import BatchGradients, Gradients, Pass, loss_gradients, over_one_set, trainable
from methods.influence import mean_gradient
from methods.method import Range, hyperparameter
from methods.randomlabel import RandomLabel
from methods.task import Batch, Task


@dataclass(frozen=True)
class SalUn(RandomLabel):
    """Random labels, in a step of which only the weights move that the forget loss depends on most.

    Those are the share `ratio` of all trainable weights, ranked together, with the largest |grad L_f(w0)|: the gradient
    of the whole forget set, not augmented, in evaluation mode. The others keep their values to the bit: neither
    gradients nor weight decay reach them. What is learned depends on `scheme`:

    * joint: `RandomLabel`'s step, a L_r + (1 - a) L_f' with labels drawn once and never true.
    * authors: per epoch a pass over the forget set, each sample with a label drawn anew from all classes (it may be
      the true one), then a pass over the retain set; both with the full learning rate.

    Worth trying wherever random labels are: the mask limits what they damage. With `ratio` 1 it is `RandomLabel`.

    Public code (Unlearn-Saliency, generate_mask.py and unlearn/RL.py) ranks the gradient of augmented batches, in which
    the samples of a last, smaller batch count more. Until February 2026 its weight decay moved the other weights too,
    as it did for every published number. For CIFAR-100 it shuffles relabelled and retain samples into one pass, which
    is not offered here.
    """

    name: ClassVar[str] = "salun"
    version: ClassVar[int] = 1
    source: ClassVar[str] = "Fan et al., ICLR 2024"
    cost: ClassVar[str] = 'n_f + epochs * (n_r + n_f if scheme == "authors" else 2 * n_r if retain_weight else n_f)'

    retain_weight: float = hyperparameter(
        0.5,
        "weight a of the retain loss (scheme: joint)",
        search=Range(0.0, 0.999),
        when={"scheme": ("joint",)},
        ge=0,
        lt=1,
    )
    ratio: float = hyperparameter(0.5, "share of the weights that may move", search=Range(0.05, 1.0), gt=0, le=1)
    scheme: Literal["joint", "authors"] = hyperparameter(
        "joint", "both losses in each step, labels drawn once; or one set after the other, labels drawn in each epoch"
    )

    @property
    def uses(self) -> tuple[bool, bool]:
        return self.scheme == "authors" or self.retain_weight > 0, True

    def prepare(self, task: Task) -> Task:
        """Nothing: the mask needs the true labels, so that `passes` gives the new ones."""
        return task

    def optimizer(self, task: Task, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum)  # `_masked` adds the weight decay

    def passes(self, task: Task) -> tuple[Pass, ...]:
        masks = saliency_masks(task, self.ratio)
        parts = self._in_turn(task) if self.scheme == "authors" else super().passes(super().prepare(task))
        return tuple(replace(part, gradients=self._masked(part.gradients, masks)) for part in parts)

    def _in_turn(self, task: Task) -> tuple[Pass, ...]:
        size, random = self.batch_size, {name: task.generator(name) for name in ("retain", "forget", "random labels")}

        def relabelled() -> Iterator[Batch]:
            drawn = torch.randint(task.class_count, (len(task.forget),), generator=random["random labels"])
            return task.forget.with_targets(drawn).epoch(size, random["forget"])

        def retained() -> Iterator[Batch]:
            return task.retain.epoch(size, random["retain"])

        def learn(name: str) -> BatchGradients:
            return lambda task, batch, progress: loss_gradients(task, batch, name)

        return (
            over_one_set(task.forget.steps(size), relabelled, learn("forget_loss")),
            over_one_set(task.retain.steps(size), retained, learn("retain_loss")),
        )

    def _masked(self, gradients: Gradients, masks: list[Tensor]) -> Gradients:
        """Weight decay and mask after what `gradients` leaves: m * (g + decay * w)."""

        def masked(task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
            values, weights = gradients(task, retain, forget, progress), trainable(task.model)
            moved = [(w.detach(), w.grad, mask) for w, mask in zip(weights, masks, strict=True) if w.grad is not None]
            found = [gradient for _, gradient, _ in moved]
            torch._foreach_add_(found, [weight for weight, _, _ in moved], alpha=self.weight_decay)
            torch._foreach_mul_(found, [mask for _, _, mask in moved])
            return values

        return masked


def saliency_masks(task: Task, ratio: float) -> list[Tensor]:
    """For each trainable parameter 1 where it is among the share `ratio` with the largest forget gradient, else 0.

    Of equal gradients, such as the zeros of dead units, the first in the order of the parameters count as larger.
    """
    weights = trainable(task.model)
    gradient = mean_gradient(task, copy.deepcopy(task.model).eval(), task.forget)
    ranked = torch.argsort(gradient.abs(), descending=True, stable=True)
    mask = torch.zeros_like(gradient).index_fill_(0, ranked[: round(ratio * len(ranked))], 1.0)
    parts = mask.split([weight.numel() for weight in weights])
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]
