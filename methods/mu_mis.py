"""MU-Mis: make the network as insensitive to forget samples as it is to samples it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from methods.derivatives import all_derivatives
from methods.descent import Descent, Pass, over_one_set, trainable
from methods.method import Range, hyperparameter
from methods.randomlabel import other_labels
from methods.task import Batch, Task, Unsuitable


@dataclass(frozen=True)
class MUMis(Descent):
    """Lower the sensitivity of each forget sample's own logit to the sample, and raise that of another class's.

    Minimises the mean over forget samples x of class c of

        |grad_x z_c(x)|^2 - |grad_x z_k(x)|^2,    k != c drawn anew each time,

    z being the logits: training on a sample raises the first and not the second. Ends after the epoch in which the
    second term, which falls at first, is above an earlier epoch's mean and at least `stop` times the first epoch's.

    Worth using to forget a class without retain data. What it reads is forget samples alone, so that BatchNorm
    normalises by the original's statistics, and only the end keeps it from harm: the objective has no minimum. Needs
    a classifier of real-valued inputs, and a network that can be differentiated twice.

    The rule is the paper's as its abstract and notes state it; learning rate, `stop` and BatchNorm's mode of the
    authors' code, which could not be had, are not known. Their values here are this project's, from forgetting class 3
    of digits.
    """

    name: ClassVar[str] = "mu-mis"
    source: ClassVar[str] = "Cheng et al., Suppressing Sample Contribution, ICLR 2026"
    kinds: ClassVar[tuple[str, ...]] = ("classification",)
    family: ClassVar[str] = "sensitivity"
    needs: ClassVar[str] = "forget"
    cost: ClassVar[str] = "<= 3 * epochs * n_f"

    epochs: int = hyperparameter(10, "most passes over the forget set", search=Range(1, 30, log=True), ge=1)
    lr: float = hyperparameter(1e-5, "learning rate", search=Range(1e-6, 1e-2, log=True), gt=0)
    stop: float = hyperparameter(
        3.0, "share of its first mean that the other class's sensitivity has at the end", search=Range(1, 10), ge=0
    )

    @property
    def uses(self) -> tuple[bool, bool]:
        return False, True

    def prepare(self, task: Task) -> Task:
        inputs, targets = next(task.forget.in_order(1))
        if not inputs.is_floating_point():
            raise Unsuitable("mu-mis differentiates by the inputs, and these are no real numbers")
        if targets.is_floating_point() or targets.dim() != 1:
            raise Unsuitable("mu-mis needs a classifier: a class per sample")
        return task

    def passes(self, task: Task) -> tuple[Pass, ...]:
        order, classes = task.generator("forget"), task.generator("other classes")

        def gradients(task: Task, forget: Batch, progress: float) -> dict[str, Tensor]:
            inputs, labels = forget
            own, other = sensitivities(task, inputs, labels, other_labels(labels, task.class_count, classes))
            loss = (own - other).mean()
            torch.autograd.backward(loss, inputs=trainable(task.model))
            task.recorder.count(3 * len(labels))
            return {"sensitivity_loss": loss, "own_sensitivity": own.mean(), "other_sensitivity": other.mean()}

        steps = task.forget.steps(self.batch_size)
        return (over_one_set(steps, lambda: task.forget.epoch(self.batch_size, order), gradients),)

    def unlearn(self, task: Task) -> nn.Module:
        return self.descend(task, ended=self.rose)

    def rose(self, task: Task, epoch: int) -> bool:
        """Whether the other class's sensitivity has passed its minimum and come to `stop` times its first mean."""
        *earlier, now = [row["other_sensitivity"] for row in task.recorder.rows[-epoch:]]
        return bool(earlier) and now > min(earlier) and now >= self.stop * earlier[0]


def sensitivities(task: Task, inputs: Tensor, *labels: Tensor) -> list[Tensor]:
    """For each of `labels` [B], the squared lengths [B] of the logits' derivatives by the inputs, differentiable."""
    inputs = inputs.detach().requires_grad_()
    with all_derivatives():
        logits = task.outputs(task.model, inputs)
        chosen = [logits.gather(1, label[:, None]).sum() for label in labels]
        found = [torch.autograd.grad(logit, inputs, create_graph=True)[0] for logit in chosen]
    return [gradient.flatten(1).square().sum(1) for gradient in found]
