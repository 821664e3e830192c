"""No unlearning: the original model as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from methods.method import Method
from methods.task import Task


@dataclass(frozen=True)
class Original(Method):
    """The original model, untouched: where every other method starts from."""

    name: ClassVar[str] = "original"
    source: ClassVar[str] = "-"
    family: ClassVar[str] = "reference"
    needs: ClassVar[str] = "nothing"
    cost: ClassVar[str] = "0"

    def unlearn(self, task: Task) -> nn.Module:
        return task.model
