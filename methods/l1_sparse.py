"""Fine-tuning under an L1 penalty: sparser weights have less room for what only the forget set needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from methods.descent import Pass, trainable
from methods.finetune import FineTune
from methods.method import Range, hyperparameter
from methods.task import Batch, Task


@dataclass(frozen=True)
class L1Sparse(FineTune):
    """Fine-tune on the retain set under an L1 penalty that shrinks from epoch to epoch.

    Epoch e of E minimises L_r + gamma_e |w|_1, with |w|_1 over all trainable parameters, biases and BatchNorm's too,
    and gamma_e = gamma max(0, 1 - (e - 1) / (E - `unpenalised`)): of the paper's three schedules (constant, growing,
    shrinking) the best. Its gradient is taken as grad L_r + gamma_e sign(w), sign(0) = 0.

    Worth trying wherever fine-tuning alone keeps too much of the forget set and retain data is at hand: it costs the
    same. Too large a gamma shows in the retain accuracy first.

    The paper's "sparsity-aware unlearning"; its other half, pruning before training, is not part of this method. Public
    code (Unlearn-Sparse, unlearn/FT.py) takes the same steps, and leaves gamma for 10 % of CIFAR-10 to the user. Where
    no epoch is penalised (`unpenalised` = E), there is no penalty here; there it is gamma throughout.
    """

    name: ClassVar[str] = "l1-sparse"
    version: ClassVar[int] = 1
    source: ClassVar[str] = "Jia et al., NeurIPS 2023"

    gamma: float = hyperparameter(
        5e-4, "weight of the L1 penalty in the first epoch", search=Range(1e-6, 1e-2, log=True), ge=0
    )
    unpenalised: int = hyperparameter(0, "last epochs that have no penalty", ge=0)

    def passes(self, task: Task) -> tuple[Pass, ...]:
        (part,) = super().passes(task)
        return tuple(self._penalised(part, epoch) for epoch in range(1, self.epochs + 1))

    def strength(self, epoch: int) -> float:
        """gamma_e; epochs are counted from 1."""
        penalised = self.epochs - self.unpenalised
        return self.gamma * (1 - (epoch - 1) / penalised) if epoch <= penalised else 0.0

    def _penalised(self, part: Pass, epoch: int) -> Pass:
        strength = self.strength(epoch)

        def gradients(task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
            values = part.gradients(task, retain, forget, progress)
            pairs = [(weight.detach(), weight.grad) for weight in trainable(task.model) if weight.grad is not None]
            signs = torch._foreach_sign([weight for weight, _ in pairs])
            torch._foreach_add_([gradient for _, gradient in pairs], signs, alpha=strength)
            return values

        return replace(part, gradients=gradients, epochs=(epoch,))
