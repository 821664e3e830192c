"""Gaussian-Amnesiac: teach targets drawn from a Gaussian on the forget set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from methods.descent import Descent
from methods.method import Range, hyperparameter
from methods.task import Batch, Task


@dataclass(frozen=True)
class GaussianAmnesiac(Descent):
    """Give each forget sample a target drawn once from N(mean, sd) of the training targets, and fine-tune on all data.

    Minimises (n_r L_r + n_f L_f') / n, with L_f' the loss on the forget set with its drawn targets: the loss on all n
    training samples. An epoch is a pass over the retain set, with a forget batch beside each retain batch, weighted by
    n_r / n and n_f / n; both pass through the network as one, so that BatchNorm sees both.

    Worth trying as the simplest method that is made for regression: `RandomLabel` with numbers. It forgets by learning
    noise by heart, so that forget errors go on growing past Retrain's, which predicts what similar samples say.

    Public code takes a pass of Adam (learning rate 1e-3; 5 passes for text) over batches mixed from all data, in which
    the shares of retain and forget samples are the weights: but for BatchNorm the same gradient in expectation. Here
    the task's optimizer takes the steps; on 354 rows Adam needed as many passes.
    """

    name: ClassVar[str] = "gaussian-amnesiac"
    source: ClassVar[str] = "Tarun et al., Deep Regression Unlearning, ICML 2023"
    kinds: ClassVar[tuple[str, ...]] = ("regression",)
    family: ClassVar[str] = "relabelling"
    cost: ClassVar[str] = "2 * epochs * n_r"

    lr: float = hyperparameter(0.02, "learning rate", search=Range(1e-3, 0.1, log=True), gt=0)

    def prepare(self, task: Task) -> Task:
        known = torch.cat([part.targets[part.index] for part in (task.retain, task.forget)])
        forget = task.forget.targets[task.forget.index]
        noise = torch.randn(forget.shape, generator=task.generator("gaussian targets"), dtype=forget.dtype)
        drawn = known.mean(dim=0) + known.std(dim=0) * noise.to(forget.device)
        return replace(task, forget=task.forget.with_targets(drawn))

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        share = len(task.forget) / (len(task.forget) + len(task.retain))
        retain_loss, forget_loss = task.losses(task.model, retain, forget)
        ((1 - share) * retain_loss + share * forget_loss).backward()
        task.recorder.count(len(retain[1]) + len(forget[1]))
        return {"retain_loss": retain_loss, "forget_loss": forget_loss}
