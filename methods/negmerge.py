"""NegMerge: learn the forget set in several ways, and go against what they have in common."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from methods.descent import Descent, loss_gradients, trainable
from methods.method import Range, hyperparameter
from methods.task import Batch, Recorder, Task, derived_seed


@dataclass(frozen=True)
class NegMerge(Descent):
    """Fine-tune copies of the original on the forget set, and subtract what all of them agree on.

    With t_1, ..., t_k the changes of weights ("task vectors") of `models` fine-tunings, of different learning rates and
    orders of samples,

        w = w0 - scale * mean_j t_j where t_1, ..., t_k have the same sign, and w = w0 elsewhere.

    The learning rates go in equal ratios from lr / spread to lr * spread. The share of weights on whose sign all agree
    is noted as `agreeing`.

    Worth using where retain data cannot be had and no single fine-tuning can be picked by its result. With one model it
    is the negation of a task vector (Ilharco et al., ICLR 2023). As no retain data is read, BatchNorm normalises by the
    original's statistics, in fine-tuning and in the end.

    The authors' code was to be had for CLIP only (30 fine-tunings of other learning rates and augmentations, scale
    picked on validation data between 0 and 1); it merges and negates running statistics like weights, which can make
    variances negative. The range of learning rates and all defaults here are this project's.
    """

    name: ClassVar[str] = "negmerge"
    source: ClassVar[str] = "Kim et al., NegMerge, ICML 2025"
    family: ClassVar[str] = "weight arithmetic"
    needs: ClassVar[str] = "forget"
    cost: ClassVar[str] = "models * epochs * n_f"

    epochs: int = hyperparameter(10, "passes of each model over the forget set", search=Range(1, 20, log=True), ge=1)
    models: int = hyperparameter(5, "fine-tuned models", search=Range(2, 10), ge=1)
    spread: float = hyperparameter(3.0, "largest learning rate over lr, and lr over the smallest", ge=1)
    scale: float = hyperparameter(1.0, "what the merged change is multiplied by", search=Range(0.1, 10, log=True), ge=0)

    @property
    def uses(self) -> tuple[bool, bool]:
        return False, True

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        return loss_gradients(task, forget, "forget_loss")

    def unlearn(self, task: Task) -> nn.Module:
        weights = trainable(task.model)
        total, signs = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
        for number in range(self.models):
            position = 2 * number / (self.models - 1) - 1 if self.models > 1 else 0.0
            method = replace(self, lr=self.lr * self.spread**position)
            seed, recorder = derived_seed(task.seed, f"negmerge/{number}"), Recorder()
            tuned = method.descend(replace(task, model=copy.deepcopy(task.model), seed=seed, recorder=recorder))
            task.recorder.count(recorder.samples_processed)
            with torch.no_grad():
                changes = [after - before for after, before in zip(trainable(tuned), weights, strict=True)]
                torch._foreach_add_(total, changes)
                torch._foreach_add_(signs, [change.sign() for change in changes])
        agreed = [sign.abs() == self.models for sign in signs]
        with torch.no_grad():
            for weight, change, mask in zip(weights, total, agreed, strict=True):
                weight.sub_(change * mask, alpha=self.scale / self.models)
        task.recorder.note(agreeing=torch.cat([mask.reshape(-1) for mask in agreed]).double().mean().item())
        return task.model.eval()
