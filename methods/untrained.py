"""No training at all: the network as it was built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from methods.method import Method
from methods.task import Task


@dataclass(frozen=True)
class Untrained(Method):
    """The network with the initial weights that the seed's original and Retrain started from: it knows nothing.

    A reference for scores of what a model still knows, such as ZRF. It is in no ranking.
    """

    name: ClassVar[str] = "untrained"
    source: ClassVar[str] = "-"
    family: ClassVar[str] = "reference"
    needs: ClassVar[str] = "nothing"
    cost: ClassVar[str] = "0"
    needs_original: ClassVar[bool] = False

    def unlearn(self, task: Task) -> nn.Module:
        return task.build()
