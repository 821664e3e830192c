"""LoTUS: learn the original's predictions, softened on forget samples until it knows them no better than new ones."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from methods.descent import PROBE_BATCHES, Descent, Pass, over_one_set
from methods.method import Range, hyperparameter
from methods.task import Batch, Samples, Task, Unsuitable, sent

STEEPEST = 88.0
"""The exponent of the highest temperature that a number of 32 bits can be."""

MARGIN = 0.01
"""How far forget accuracy may be below the accuracy aimed at before the method ends."""


@dataclass(frozen=True)
class LoTUS(Descent):
    """Distil the original into itself, with targets on forget samples whose temperature follows their accuracy.

    An epoch is a pass over the forget set and `share` of the retain set, mixed. The loss is the cross-entropy with
    targets that are drawn anew in each step, from the original's logits z and standard Gumbel noise G: of a forget
    sample

        softmax((z + G) / tau),    tau = exp(alpha (A_f - A)),

    and of a retain sample the class of the largest z + G, which is a draw from softmax(z). A_f is the accuracy on the
    forget set before the epoch and A the original's on held-out samples (`task.reference`), which is what a network
    that never saw the forget set would have on it: the more is known beyond that, the flatter the targets. Forget
    samples of a class that no retain sample has would all be wrong, so that A is multiplied by the share of the others.
    The method ends before an epoch with A_f < A - `MARGIN`.

    Worth using for random forget sets, with held-out samples. Needs a classifier.

    Public code rounds accuracies to 2 decimals, so that tau moves in jumps; sets A to 0 where a class is forgotten
    (what the rule above comes to); and measures by BatchNorm's averages over mixed batches, where here statistics are
    those of the retain set. Published: 10 epochs of AdamW at 1e-4, batches of 128, alpha 8 for CIFAR-10 and 2 for
    CIFAR-100.
    """

    name: ClassVar[str] = "lotus"
    source: ClassVar[str] = "Spartalis et al., LoTUS, CVPR 2025"
    kinds: ClassVar[tuple[str, ...]] = ("classification",)
    family: ClassVar[str] = "distillation"
    cost: ClassVar[str] = "<= epochs * (round(share * n_r) + n_f)"

    epochs: int = hyperparameter(10, "most passes over the mixed samples", search=Range(1, 20, log=True), ge=1)
    lr: float = hyperparameter(1e-4, "learning rate of AdamW", search=Range(1e-5, 1e-2, log=True), gt=0)
    momentum: float = hyperparameter(0.9, "decay rate of AdamW's mean gradient", ge=0, lt=1)
    weight_decay: float = hyperparameter(5e-4, "weight decay of AdamW", ge=0)
    alpha: float = hyperparameter(8.0, "steepness of the temperature", search=Range(1, 32, log=True), ge=0)
    share: float = hyperparameter(0.3, "share of the retain set that is learned", search=Range(0.1, 1), ge=0, le=1)

    @property
    def needs_reference(self) -> bool:
        return True

    def optimizer(self, task: Task, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        betas = (float(self.momentum), 0.999)  # a spec may say 0
        return torch.optim.AdamW(parameters, lr=self.lr, betas=betas, weight_decay=self.weight_decay)

    def prepare(self, task: Task) -> Task:
        if task.reference is None:
            raise Unsuitable("lotus needs held-out samples: set dataset.reference")
        if task.forget.targets.is_floating_point() or task.forget.targets.dim() != 1:
            raise Unsuitable("lotus needs a classifier: a class per sample")
        return task

    def passes(self, task: Task) -> tuple[Pass, ...]:
        teacher, aim = copy.deepcopy(task.model).eval(), target_accuracy(task)
        mixed, order, noise = self.mixed(task), task.generator("forget"), task.generator("gumbel")
        temperature, begun = 1.0, False

        def batches() -> Iterator[Batch]:
            nonlocal temperature, begun
            if begun:  # before its first step the running statistics are the original's
                self.settle(task.model, task.retain, task, PROBE_BATCHES)
            begun = True
            gap = accuracy(task, task.forget) - aim
            temperature = math.exp(min(self.alpha * gap, STEEPEST))
            if gap >= -MARGIN:
                yield from mixed.epoch(self.batch_size, order)

        def gradients(task: Task, batch: Batch, progress: float) -> dict[str, Tensor]:
            inputs, forgotten = batch
            with torch.no_grad():
                targets = distillation_targets(task.outputs(teacher, inputs), forgotten, temperature, noise)
            loss = -(targets * task.outputs(task.model, inputs).log_softmax(dim=1)).sum(dim=1).mean()
            loss.backward()
            task.recorder.count(len(inputs))
            return {"distillation_loss": loss, "temperature": torch.full_like(loss.detach(), temperature)}

        return (over_one_set(mixed.steps(self.batch_size), batches, gradients),)

    def mixed(self, task: Task) -> Samples:
        """The forget set and a share of the retain set; the targets say which is which: 1 is forgotten."""
        count = len(task.retain)
        drawn = torch.randperm(count, generator=task.generator("retain share"))[: round(self.share * count)]
        kept, forgotten = task.retain.subset(drawn).index, task.forget.index
        flags = torch.cat([torch.zeros_like(kept), torch.ones_like(forgotten)])
        return replace(task.retain, index=torch.cat([kept, forgotten])).with_targets(flags)

    def unlearn(self, task: Task) -> nn.Module:
        return self.descend(task, ended=lambda task, epoch: "distillation_loss" not in task.recorder.rows[-1])


def distillation_targets(logits: Tensor, forgotten: Tensor, temperature: float, noise: torch.Generator) -> Tensor:
    """Targets [B, C] from the original's logits [B, C]; `forgotten` [B] is 1 for forget samples.

    Args:
        noise: a generator of the CPU's.
    """
    gumbel = -torch.empty(logits.shape, dtype=logits.dtype).exponential_(generator=noise).log()
    noisy = logits + sent(gumbel, logits.device)
    hard = torch.zeros_like(noisy).scatter(1, noisy.argmax(dim=1, keepdim=True), 1.0)
    return torch.where(forgotten[:, None] == 1, (noisy / temperature).softmax(dim=1), hard)


def target_accuracy(task: Task) -> float:
    """The forget accuracy that is aimed at: the original's on held-out samples, and 0 for classes not retained."""
    assert task.reference is not None
    forget, retain = (samples.targets[samples.index] for samples in (task.forget, task.retain))
    retained = torch.zeros(task.class_count, device=retain.device).index_fill(0, retain, 1.0)
    return retained[forget].mean().item() * accuracy(task, task.reference)


@torch.no_grad()
def accuracy(task: Task, samples: Samples) -> float:
    """The share of samples that the model is right about, in evaluation mode; it is left in training mode."""
    task.model.eval()
    right = torch.zeros((), device=samples.index.device)
    for inputs, targets in samples.in_order(256):
        with task.autocast():
            right += (task.model(inputs).argmax(dim=1) == targets).sum()
    task.model.train()
    return right.item() / len(samples)
