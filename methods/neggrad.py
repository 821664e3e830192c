"""NegGrad: gradient ascent on the forget set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from methods.descent import Descent, loss_gradients
from methods.method import Range, hyperparameter
from methods.task import Batch, Task


@dataclass(frozen=True)
class NegGrad(Descent):
    """Minimise -L_f; with `retain_weight` a > 0 (NegGrad+), a L_r - (1 - a) L_f.

    An epoch is a pass over the retain set; over the forget set where `retain_weight` is 0.
    """

    name: ClassVar[str] = "neggrad"
    version: ClassVar[int] = 3
    source: ClassVar[str] = "Golatkar et al., CVPR 2020; Kurmanji et al., NeurIPS 2023"
    family: ClassVar[str] = "ascent"
    cost: ClassVar[str] = "epochs * (2 * n_r if retain_weight else n_f)"

    retain_weight: float = hyperparameter(
        0.0, "weight a of the retain loss; 0 is plain ascent", search=Range(0.0, 0.999), ge=0, lt=1
    )

    @property
    def uses(self) -> tuple[bool, bool]:
        return self.retain_weight > 0, True

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        values: dict[str, Tensor] = {}
        if self.retain_weight > 0:
            values |= loss_gradients(task, retain, "retain_loss", self.retain_weight)
        return values | loss_gradients(task, forget, "forget_loss", self.retain_weight - 1)
