"""Task vector: learn the forget set, and go the other way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from methods.descent import Descent, loss_gradients, trainable
from methods.method import Range, hyperparameter
from methods.task import Batch, Recorder, Task


@dataclass(frozen=True)
class TaskVector(Descent):
    """Fit the original to the forget set, to weights w_f, and subtract what that changed: w = w_0 - alpha (w_f - w_0).

    Worth using where no retain data can be had, and for its price: alpha can be chosen afterwards. With one direction
    it moves whatever the fit moved, not only what is particular to the forget set; `negmerge` keeps what several fits
    agree on, and with one model it is this method but for the order of samples.

    As no retain data is read, BatchNorm keeps the original's statistics. Its path is not recorded: it leads to w_f.

    MUSE fits language models for 10 epochs at lr 1e-5 and takes alpha 5; Ilharco et al. choose alpha on held-out data.
    """

    name: ClassVar[str] = "task-vector"
    source: ClassVar[str] = "Ilharco et al., Editing Models with Task Arithmetic, ICLR 2023"
    family: ClassVar[str] = "weight arithmetic"
    needs: ClassVar[str] = "forget"
    cost: ClassVar[str] = "epochs * n_f"

    epochs: int = hyperparameter(10, "passes over the forget set", search=Range(1, 20, log=True), ge=1)
    lr: float = hyperparameter(1e-3, "learning rate", search=Range(1e-5, 0.1, log=True), gt=0)
    batch_size: int = hyperparameter(32, "samples per forget batch", ge=1)
    alpha: float = hyperparameter(1.0, "what the change is multiplied by", search=Range(0.1, 10.0, log=True), ge=0)

    @property
    def uses(self) -> tuple[bool, bool]:
        return False, True

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        return loss_gradients(task, forget, "forget_loss")

    def unlearn(self, task: Task) -> nn.Module:
        start = [weight.detach().clone() for weight in trainable(task.model)]
        recorder = Recorder()
        model = self.descend(replace(task, recorder=recorder))
        task.recorder.count(recorder.samples_processed)
        with torch.no_grad():
            for weight, before in zip(trainable(model), start, strict=True):
                weight.copy_(before + self.alpha * (before - weight))
        return model
