"""Certified unlearning of any network: clip its weights, then noisy steps on the retain set, then fine-tuning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import torch
from torch import Tensor

from methods.descent import PROBE_BATCHES, trainable
from methods.finetune import FineTune
from methods.method import Range, hyperparameter
from methods.privacy import concentrated_rho
from methods.task import Task, Unsuitable, sent


@dataclass(frozen=True)
class NoisyFineTune(FineTune):
    """Shrink all weights into a small ball, take noisy steps on the retain set, and fine-tune on it.

    With clip(v, c) = v min(1, c / |v|) over all trainable weights as one vector,

        w <- clip(w0, start_clip),
        w <- (1 - eta lambda) w - eta clip(grad L_r(w), gradient_clip) + N(0, sigma^2 I),   noise_steps times,

    eta = `noise_lr` and lambda = `noise_decay`, on batches of the retain set; then `epochs` of `finetune`, its rate
    rising over the first 30 % of the steps and falling to 0. These are free: what they are given no longer tells more
    of the forget set than sigma allows. sigma is the least with which the Renyi divergence of every order a, between
    this and the same procedure started from any model trained without the forget set, is at most a R
    (`least_sigma`); R is the largest with R + 2 sqrt(R ln(1/delta)) <= epsilon. Nothing is assumed of the loss.

    Worth using where a certificate for a whole network is asked for, and to see what it costs. At epsilon 1 and delta
    1e-5 the noise on every single weight is 10 times as large as what is left of the norm of the whole original: in
    effect this trains again, from noise of the size that clips and rates choose, and the original saves nothing.

    Source: the gradient clipping of Koloskova et al. (privacy amplification by iteration); the bound is derived in
    `least_sigma`, and two chains that are pushed apart attain it. Their code takes the divergence at every order for R,
    where its steps have a R: for R = 1 and delta = 1e-5 it reports an epsilon of 1.0, and its own conversion of a R
    gives 7.1. Without decay its sigma is too small by a factor of sqrt(2). It sets the number of steps from the other
    constants; here `noise_steps` is free.
    """

    name: ClassVar[str] = "noisy-finetune"
    version: ClassVar[int] = 1
    source: ClassVar[str] = "after Koloskova et al., ICML 2025; Feldman et al., FOCS 2018"
    family: ClassVar[str] = "certified"
    cost: ClassVar[str] = "noise_steps * batch_size + epochs * n_r"

    epochs: int = hyperparameter(20, "passes over the retain set after the noise", search=Range(1, 50, log=True), ge=0)
    lr: float = hyperparameter(0.1, "peak learning rate after the noise", search=Range(1e-3, 0.5, log=True), gt=0)
    epsilon: float = hyperparameter(1.0, "epsilon of the certificate: chosen, not searched", gt=0)
    delta: float = hyperparameter(1e-5, "delta of the certificate", gt=0, lt=1)
    start_clip: float = hyperparameter(
        0.01, "norm that the original's weights are cut to", search=Range(1e-3, 10.0, log=True), gt=0
    )
    gradient_clip: float = hyperparameter(
        1.0, "norm that a noisy step's gradient is cut to", search=Range(0.1, 100.0, log=True), gt=0
    )
    noise_steps: int = hyperparameter(10, "steps with noise", search=Range(1, 1000, log=True), ge=1)
    noise_lr: float = hyperparameter(1e-3, "learning rate of these", search=Range(1e-4, 0.1, log=True), gt=0)
    noise_decay: float = hyperparameter(10.0, "L2 penalty in these", search=Range(0.0, 100.0), ge=0)

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise that a step adds to each weight."""
        shrink = 1 - self.noise_lr * self.noise_decay
        push = 2 * self.noise_lr * self.gradient_clip
        rho = concentrated_rho(self.epsilon, self.delta)
        return least_sigma(2 * self.start_clip, push, shrink, self.noise_steps, rho)

    def prepare(self, task: Task) -> Task:
        if self.noise_lr * self.noise_decay > 1:
            raise Unsuitable("noisy-finetune needs noise_lr * noise_decay of at most 1")
        self.take_noisy_steps(task, self.sigma)
        task.recorder.note(epsilon=self.epsilon, delta=self.delta, sigma=self.sigma, certificate=CERTIFICATE)
        return task

    def take_noisy_steps(self, task: Task, sigma: float) -> None:
        """Clip the model's weights, and take the steps with noise of this standard deviation."""
        model = task.model.train()
        weights = trainable(model)
        values: list[Tensor] = [weight.detach() for weight in weights]
        batches = task.retain.endless(self.batch_size, task.generator("retain"))
        random = task.generator("noise")
        clip(values, self.start_clip)
        total = torch.zeros((), device=task.retain.index.device)
        for batch in islice(batches, self.noise_steps):
            loss = task.loss(model, batch)
            gradients = list(torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True))
            task.recorder.count(len(batch[1]))
            clip(gradients, self.gradient_clip)
            torch._foreach_mul_(values, 1 - self.noise_lr * self.noise_decay)
            torch._foreach_add_(values, gradients, alpha=-self.noise_lr)
            torch._foreach_add_(values, noise_like(values, random), alpha=sigma)
            total = total + loss.detach()
        task.recorder.record(
            epoch=1,
            step=self.noise_steps,
            model=model if self.epochs else None,
            settle=lambda: self.settle(model, task.retain, task, PROBE_BATCHES),
            retain_loss=total / self.noise_steps,
        )
        task.recorder.next_part()

    def rate(self, epoch: int, progress: float) -> float:
        return min(0.04 + 0.96 * progress / 0.3, (1 - progress) / 0.7)


CERTIFICATE = (
    "Indistinguishable from the same procedure started from any model trained without the forget set, provided that "
    "the retain set's batches and the inputs' normalisation do not depend on the forget set; no weights but the "
    "trainable ones come from the original; one result is released, and the original and the seed stay secret; and "
    "arithmetic counts as exact"
)
"""What the result is like, and under which assumptions."""


def least_sigma(start: float, push: float, shrink: float, steps: int, rho: float) -> float:
    """Noise with which the ends of two noisy chains have a Renyi divergence of at most a rho, at every order a > 1.

    A step multiplies the distance of two chains by at most `shrink` and adds at most `push`; the noise may take away a
    part s_t of what is between them, at the price of a s_t^2 / (2 sigma^2) (Feldman et al.'s reductions of shifted
    divergence, the one by contraction with `push` added to the shift). For the distance to end at 0,

        sum_t shrink^(steps - t) s_t = shrink^steps start + push sum_{k < steps} shrink^k,

    and of all such s the sum of squares is least where s_t is proportional to shrink^(steps - t).

    Args:
        start: the most that the chains are apart at first.
    """
    powers = [shrink**k for k in range(steps)]
    distance = shrink**steps * start + push * math.fsum(powers)
    return distance / math.sqrt(2 * rho * math.fsum(power**2 for power in powers))


def clip(tensors: list[Tensor], most: float) -> None:
    """Scale the tensors in place, so that together they have at most this norm."""
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
    torch._foreach_mul_(tensors, (most / norm).clamp(max=1.0))


def noise_like(tensors: list[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Standard normal numbers from a CPU generator, shaped like the tensors."""
    count = sum(tensor.numel() for tensor in tensors)
    drawn = torch.randn(count, generator=generator, dtype=tensors[0].dtype)
    parts = sent(drawn, tensors[0].device).split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]
