"""Random labels: teach wrong answers on the forget set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from methods.descent import Descent, loss_gradients
from methods.method import Range, hyperparameter
from methods.task import Batch, Task, sent


@dataclass(frozen=True)
class RandomLabel(Descent):
    """Relabel each forget sample once, uniformly among the other classes, and train on it together with retain data.

    Minimises a L_r + (1 - a) L_f', with L_f' the loss on the relabelled forget set and a = `retain_weight`. Both
    batches pass through the network as one: by themselves, the batches of a forgotten class would be learned under
    BatchNorm statistics of that class alone, which evaluation never has. Public code draws labels anew in each batch
    and may draw the true one; here they are drawn once and never are. With `retain_weight` 0 only the forget set is
    trained on, and an epoch is a pass over it.
    """

    name: ClassVar[str] = "randomlabel"
    version: ClassVar[int] = 3
    source: ClassVar[str] = "Golatkar et al., CVPR 2020; Graves et al., AAAI 2021"
    kinds: ClassVar[tuple[str, ...]] = ("classification",)
    family: ClassVar[str] = "relabelling"
    cost: ClassVar[str] = "epochs * (2 * n_r if retain_weight else n_f)"

    retain_weight: float = hyperparameter(0.5, "weight a of the retain loss", search=Range(0.0, 0.999), ge=0, lt=1)

    @property
    def uses(self) -> tuple[bool, bool]:
        return self.retain_weight > 0, True

    def prepare(self, task: Task) -> Task:
        labels = task.forget.targets[task.forget.index]
        wrong = other_labels(labels, task.class_count, task.generator("random labels"))
        return replace(task, forget=task.forget.with_targets(wrong))

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        if not self.uses[0]:
            return loss_gradients(task, forget, "forget_loss")
        retain_loss, forget_loss = task.losses(task.model, retain, forget)
        (self.retain_weight * retain_loss + (1 - self.retain_weight) * forget_loss).backward()
        task.recorder.count(len(retain[1]) + len(forget[1]))
        return {"retain_loss": retain_loss, "forget_loss": forget_loss}


def other_labels(labels: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    """For each label [n], one drawn uniformly from the other `classes` - 1."""
    drawn = sent(torch.randint(classes - 1, labels.shape, generator=generator), labels.device)
    return drawn + (drawn >= labels)
