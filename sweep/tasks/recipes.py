"""How originals and Retrain are trained."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from sweep.tasks.sections import Section


class Recipe(Section):
    """What all recipes of originals and of Retrain have."""

    epochs: int = Field(ge=0, description="passes over the training data")
    lr: float = Field(gt=0, description="(peak) learning rate")
    batch_size: int = Field(64, ge=1, description="samples per step")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty on the weights")
    schedule: Literal["cosine", "one-cycle", "constant"] = Field("cosine", description="learning rate per step")
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = Field(
        "auto", description="of forward passes; auto: bfloat16 on GPUs that have it, else float32; tf32: on GPUs"
    )

    @abstractmethod
    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer of a training."""

    def scheduler(self, optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
        """The learning rate per step: a cosine down to 0, one cycle with its peak at 30 % of the steps, or constant."""
        schedulers = torch.optim.lr_scheduler
        if self.schedule == "cosine":
            return schedulers.CosineAnnealingLR(optimizer, T_max=steps)
        if self.schedule == "one-cycle":
            return schedulers.OneCycleLR(optimizer, max_lr=self.lr, total_steps=steps + 1, cycle_momentum=False)
        return schedulers.ConstantLR(optimizer, factor=1.0)

    def limit_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Change gradients before a step."""


class TrainingSpec(Recipe):
    """The recipe of originals and of Retrain: SGD."""

    epochs: int = Field(40, ge=1, description="passes over the training data")
    lr: float = Field(0.1, gt=0, description="(peak) learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD momentum")
    nesterov: bool = Field(True, description="Nesterov momentum")

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> TrainingSpec:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )
