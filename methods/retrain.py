"""Retrain: training again without the forget set, the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from methods.method import Method
from methods.task import Task


@dataclass(frozen=True)
class Retrain(Method):
    """Train from scratch on the retain set with the original's recipe. The reference; there is nothing to tune."""

    name: ClassVar[str] = "retrain"
    source: ClassVar[str] = "-"
    family: ClassVar[str] = "reference"
    needs: ClassVar[str] = "retain"
    cost: ClassVar[str] = "training_epochs * n_r"
    needs_original: ClassVar[bool] = False

    def unlearn(self, task: Task) -> nn.Module:
        return task.fit(task.build(), task.retain)
