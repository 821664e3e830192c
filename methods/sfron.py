"""SFR-on: weighted ascent on the weights that matter for the forget set, between steps of descent on retain data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from methods.descent import NOTHING, Descent, Pass, loss_gradients, trainable
from methods.method import Range, hyperparameter
from methods.task import Batch, Samples, Task


@dataclass(frozen=True)
class SFRon(Descent):
    """Descend on retain data; before every `every`-th of these steps, climb on forget data where it matters most.

    A forget step of the same optimiser follows, at the share t of all steps that are done,

        g = -a_t M * grad sum_i c_i l_i,    a_t = a (1 + cos(pi t)) / 2,    c_i = l_i^-lambda / sum_j l_j^-lambda,

    with l_i the losses of the batch's samples, and g shortened to the length `clip`: samples that are not forgotten yet
    count most. M is 1 for the weights with F_f >= threshold * F_r, else 0, F being the squared gradient of a batch's
    mean loss, averaged over the batches of a set (the paper's diagonal Fisher information; it depends on the batch
    size). Momentum and weight decay move weights outside M as well. The learning rate falls to 0 by a cosine.

    Worth using where fine-tuning alone forgets too little: the ascent ends before the descent does, which repairs.
    The ascent is strong: a, times lr, is what to tune.

    Public code counts 1500 steps of 128 samples, whatever the data, and so do the published defaults (a = 25, every
    5th step, lr 0.01); here steps are counted in epochs, and the count to `every` begins anew in each. It keeps an
    average of the weights whose factor in the released configuration makes it do nothing: there is none here. Its F
    weighs a smaller last batch as much as a whole one; here batches count by their samples. It lets a sample whose loss
    is 0, and that has no gradient, take all of c; here l_i is at least the precision of its type.
    """

    name: ClassVar[str] = "sfron"
    source: ClassVar[str] = "Huang et al., SFR-on, NeurIPS 2024"
    family: ClassVar[str] = "ascent"
    cost: ClassVar[str] = "n + epochs * (n_r + ceil(ceil(n_r / batch_size) / every) * min(batch_size, n_f))"

    epochs: int = hyperparameter(5, "passes over the retain set", search=Range(1, 20, log=True), ge=1)
    strength: float = hyperparameter(25.0, "weight a of the forget loss at first", search=Range(1, 100, log=True), ge=0)
    every: int = hyperparameter(5, "retain steps per forget step", search=Range(1, 20, log=True), ge=1)
    exponent: float = hyperparameter(
        0.5, "lambda: how much less a sample counts that is forgotten; 0 is the mean", search=Range(0, 2), ge=0
    )
    threshold: float = hyperparameter(
        1.0, "F_f / F_r from which a weight is moved by forget steps", search=Range(0.1, 10, log=True), ge=0
    )
    clip: float = hyperparameter(7.0, "longest gradient of a forget step", gt=0)

    def rate(self, epoch: int, progress: float) -> float:
        return cosine(progress)

    def passes(self, task: Task) -> tuple[Pass, ...]:
        masks = self.masks(task)
        retain_random = task.generator("retain")
        forget = task.forget.endless(self.batch_size, task.generator("forget"))

        def batches() -> Iterator[tuple[Batch, Batch]]:
            for number, batch in enumerate(task.retain.epoch(self.batch_size, retain_random)):
                if number % self.every == 0:
                    yield NOTHING, next(forget)
                yield batch, NOTHING

        def gradients(task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
            if len(retain[1]):
                return loss_gradients(task, retain, "retain_loss")
            return self.climb(task, forget, masks, progress)

        steps = task.retain.steps(self.batch_size)
        return (Pass(steps + math.ceil(steps / self.every), batches, gradients),)

    def climb(self, task: Task, forget: Batch, masks: list[Tensor], progress: float) -> dict[str, Tensor]:
        """Leave the gradient of a forget step in the parameters' `.grad`."""
        losses = task.sample_losses(task.model, forget)
        shares = losses.detach().clamp(min=torch.finfo(losses.dtype).eps) ** -self.exponent
        (-self.strength * cosine(progress) * (shares / shares.sum() * losses).sum()).backward()
        task.recorder.count(len(forget[1]))
        parameters = trainable(task.model)
        for parameter, mask in zip(parameters, masks, strict=True):
            if parameter.grad is not None:
                parameter.grad *= mask
        torch.nn.utils.clip_grad_norm_(parameters, self.clip)
        return {"forget_loss": losses.mean()}

    def masks(self, task: Task) -> list[Tensor]:
        """M, for each trainable parameter: 1 where forget steps may move it, else 0."""
        forget, retain = (
            self.squared_gradients(task, samples, task.generator(name))
            for samples, name in ((task.forget, "forget importance"), (task.retain, "retain importance"))
        )
        return [(f >= self.threshold * r).to(f.dtype) for f, r in zip(forget, retain, strict=True)]

    def squared_gradients(self, task: Task, samples: Samples, random: torch.Generator) -> list[Tensor]:
        """F of each trainable parameter, at the original's weights and in evaluation mode."""
        parameters = trainable(task.model.eval())
        total = [torch.zeros_like(parameter) for parameter in parameters]
        for batch in samples.epoch(self.batch_size, random):
            loss = task.loss(task.model, batch)
            found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
            for sum_, gradient in zip(total, found, strict=True):
                sum_ += gradient.square() * (len(batch[1]) / len(samples))
            task.recorder.count(len(batch[1]))
        task.model.train()
        return total


def cosine(progress: float) -> float:
    """From 1 to 0 by half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * progress))
