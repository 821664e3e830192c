"""Bad Teacher: learn the forget set from a network that knows nothing, and the rest from the original."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from methods.descent import Descent, Pass, over_one_set
from methods.distillation import divergence, teacher
from methods.fisher import random_subset
from methods.method import Range, hyperparameter
from methods.task import Batch, Samples, Task


@dataclass(frozen=True)
class BadTeacher(Descent):
    """Imitate an untrained network on the forget set, and the original on a share of the retain set.

    On batches mixed from both, Adam minimises the mean over samples of KL(q || softmax(z / tau)), with
    q = softmax(z_bad / tau) for forget samples and q = softmax(z_0 / tau) for retain samples. The bad teacher is a
    network of the same kind with an initialisation of its own, in evaluation mode. Forgetting is fast and does not need
    all retain data, but aims at predictions of an untrained network, not at those of one that has not seen the samples.

    Public code averages the divergence over samples and classes, so that its gradient is smaller by the number of
    classes; to Adam that makes no difference except where a gradient is as small as its epsilon. The share of the
    retain set is drawn once, there as here.
    """

    name: ClassVar[str] = "bad-teacher"
    source: ClassVar[str] = "Chundawat et al., Can Bad Teaching Induce Forgetting?, AAAI 2023"
    kinds: ClassVar[tuple[str, ...]] = ("classification",)
    family: ClassVar[str] = "distillation"
    cost: ClassVar[str] = "epochs * (round(share * n_r) + n_f)"

    epochs: int = hyperparameter(1, "passes over the mixture", search=Range(1, 5), ge=1)
    lr: float = hyperparameter(1e-4, "learning rate", search=Range(1e-5, 1e-2, log=True), gt=0)
    momentum: float = hyperparameter(0.9, "decay of Adam's mean of gradients (beta 1)", ge=0, lt=1)
    weight_decay: float = hyperparameter(0.0, "L2 penalty on the weights, as Adam takes it", ge=0)
    batch_size: int = hyperparameter(256, "samples per batch of the mixture", ge=1)
    share: float = hyperparameter(0.3, "share of the retain set in the mixture", search=Range(0.1, 1.0), ge=0, le=1)
    temperature: float = hyperparameter(1.0, "tau, which all softmaxes divide their logits by", gt=0)

    def optimizer(self, task: Task, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        betas = float(self.momentum), 0.999  # a spec may say 0
        return torch.optim.Adam(parameters, lr=self.lr, betas=betas, weight_decay=self.weight_decay)

    def passes(self, task: Task) -> tuple[Pass, ...]:
        original, bad = teacher(task.model), teacher(task.build("bad teacher"))
        mixture, random = self._mixture(task), task.generator("mixture")

        def imitate(task: Task, mixed: Batch, progress: float) -> dict[str, Tensor]:
            inputs, forgotten = mixed
            with torch.no_grad():
                knowing, unknowing = task.outputs(original, inputs), task.outputs(bad, inputs)
            target = torch.where(forgotten.unsqueeze(1), unknowing, knowing)
            loss = divergence(task.outputs(task.model, inputs), target, self.temperature)
            loss.backward()
            task.recorder.count(len(inputs))
            return {"distillation_loss": loss}

        steps = mixture.steps(self.batch_size)
        return (over_one_set(steps, lambda: mixture.epoch(self.batch_size, random), imitate),)

    def _mixture(self, task: Task) -> Samples:
        """The forget set and a share of the retain set; a target says whether its sample is to be forgotten."""
        count = round(self.share * len(task.retain))
        retain = random_subset(task.retain, count, task.generator("retain share"))
        forgotten = torch.zeros(len(retain.targets), dtype=torch.bool, device=retain.targets.device)
        forgotten[task.forget.index] = True
        return replace(retain, index=torch.cat([retain.index, task.forget.index]), targets=forgotten)
