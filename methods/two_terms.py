"""Methods that minimise two terms: one by which a language model forgets, and one that keeps what else it knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from methods.descent import Descent, Pass
from methods.method import Range, hyperparameter
from methods.task import Batch, Task

Term = Callable[[Batch], Tensor]
"""What a batch adds to the objective at the task's model as it is: a scalar."""


@dataclass(frozen=True)
class TwoTerms(Descent):
    """Minimise a forget term + `alpha` times a retain term, which is the retain loss unless a subclass gives another.

    A subclass gives `forget_term`. With `alpha` 0 no retain data is read, and an epoch is a pass over the forget set.
    """

    kinds: ClassVar[tuple[str, ...]] = ("language",)
    cost: ClassVar[str] = "epochs * (2 * n_r if alpha else n_f)"

    epochs: int = hyperparameter(
        5, "passes over the retain set (over the forget set if alpha is 0)", search=Range(1, 20, log=True), ge=1
    )
    lr: float = hyperparameter(1e-3, "learning rate", search=Range(1e-5, 1e-2, log=True), gt=0)
    weight_decay: float = hyperparameter(0.0, "AdamW's decay", ge=0)
    batch_size: int = hyperparameter(32, "samples per retain batch and per forget batch", ge=1)
    alpha: float = hyperparameter(1.0, "weight of the retain term", search=Range(0.1, 10.0, log=True), ge=0)

    @property
    def uses(self) -> tuple[bool, bool]:
        return self.alpha > 0, True

    def forget_term(self, task: Task) -> Term:
        """The forget term; called once, before the first step: `task.model` is the original still."""
        raise NotImplementedError(f"{type(self).__name__} gives no forget_term")

    def retain_term(self, task: Task) -> Term:
        """The retain term, likewise."""
        return lambda batch: task.loss(task.model, batch)

    def passes(self, task: Task) -> tuple[Pass, ...]:
        forgetting = self.forget_term(task)
        keeping = self.retain_term(task) if self.alpha else None

        def gradients(task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
            values = {"forget_loss": forgetting(forget)}
            values["forget_loss"].backward()
            task.recorder.count(len(forget[1]))
            if keeping is not None:
                values["retain_loss"] = keeping(retain)
                (self.alpha * values["retain_loss"]).backward()
                task.recorder.count(len(retain[1]))
            return values

        return tuple(replace(part, gradients=gradients) for part in super().passes(task))
