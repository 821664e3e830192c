"""Fine-tuning on the retain set, hoping that the forget set fades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from methods.descent import Descent, loss_gradients
from methods.task import Batch, Task


@dataclass(frozen=True)
class FineTune(Descent):
    """Continue training from the original model on the retain set."""

    name: ClassVar[str] = "finetune"
    version: ClassVar[int] = 2
    source: ClassVar[str] = "Warnecke et al., NDSS 2023; Golatkar et al., CVPR 2020"
    family: ClassVar[str] = "fine-tuning"
    needs: ClassVar[str] = "retain"
    cost: ClassVar[str] = "epochs * n_r"

    @property
    def uses(self) -> tuple[bool, bool]:
        return True, False

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        return loss_gradients(task, retain, "retain_loss")
