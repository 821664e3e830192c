"""Certified removal from a linear classifier on features that never saw the data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods.frozen_features import FrozenFeatures, without_last_layer
from methods.influence import Product, conjugate_gradients
from methods.method import Method, Range, hyperparameter
from methods.privacy import concentrated_rho, gaussian_sigma
from methods.task import Build, Diverged, Fit, Recorder, Samples, Task, Unsuitable

ROUNDING = 1e-12
"""By how much a step may raise the loss: what summing in float64 may get wrong."""


@dataclass(frozen=True)
class CertifiedHead(Method):
    """Train a linear layer on frozen features, minimise again without the forget set, and add noise.

    With phi(x) features of length 1 and a constant 1 appended, the layer W minimises

        F_S(W) = mean over S of cross-entropy(W phi(x), y) + l2 / 2 |W|^2

    over the training set, until |grad F| <= tolerance. Unlearning starts there and minimises over the retain set by
    Newton's method, its steps solved by conjugate gradients, until |grad F_r| <= tolerance. F_r is l2-strongly convex,
    so that whatever the start was, W ends within tolerance / l2 of the one minimum: two ends are at most
    2 tolerance / l2 apart, and noise for that distance makes the result (epsilon, delta)-indistinguishable from the
    same procedure without the forget set, `from_scratch`. This holds for forget sets of any size, and for request after
    request, if the weights before the noise are kept secret. `notes` has the certificate and what it rests on.

    Worth using where a proof is needed, or to show what one costs: it classifies as a linear model does, so it is to
    be compared with its own retraining (`from_scratch`), not with Retrain. The features are pixels or the outputs of
    the untrained network's last layer but one, BatchNorm as it was built. Images are taken back to their raw values,
    because the mean and spread that they are normalised by depend on the forget set. No augmentation.

    Source: Guo et al. certify one Newton step, for a perturbed objective; that a small gradient bounds the distance is
    the stopping rule of Neel et al. A measured gradient takes the place of their constants and of their bounds of the
    step's error. Guo's public code uses features of a network trained on other data, perturbs the objective and not
    the result, counts no optimiser's error, and inverts the Hessian in float32. It also takes a sample out of its Gram
    matrix once per class, so that its bound becomes too small.
    """

    name: ClassVar[str] = "certified-head"
    source: ClassVar[str] = "after Guo et al., ICML 2020; Neel et al., ALT 2021; Balle & Wang, ICML 2018"
    kinds: ClassVar[tuple[str, ...]] = ("classification",)
    family: ClassVar[str] = "certified"
    needs: ClassVar[str] = "retain"
    cost: ClassVar[str] = "<= (1 + steps * (1 + 2 * iterations)) * n_r"
    shapes_training: ClassVar[tuple[str, ...]] = ("features", "l2", "tolerance", "steps", "iterations")

    features: Literal["pixels", "untrained"] = hyperparameter("pixels", "features, which no data shape")
    l2: float = hyperparameter(1e-3, "L2 penalty, its strong convexity", search=Range(1e-5, 0.1, log=True), gt=0)
    tolerance: float = hyperparameter(
        1e-6, "norm of the gradient at which training and unlearning end", search=Range(1e-10, 1e-4, log=True), gt=0
    )
    epsilon: float = hyperparameter(1.0, "epsilon of the certificate: chosen, not searched", gt=0, le=100)
    delta: float = hyperparameter(1e-5, "delta of the certificate", gt=0, lt=1)
    mechanism: Literal["gaussian", "zcdp"] = hyperparameter("gaussian", "analysis of the noise: exact, or by zCDP")
    steps: int = hyperparameter(100, "Newton steps at most", ge=1)
    iterations: int = hyperparameter(200, "conjugate-gradient iterations of a step at most", ge=1)
    from_scratch: bool = hyperparameter(False, "start from 0 and not from the original: its own retraining")

    @property
    def sensitivity(self) -> float:
        """The most that the weights before the noise may differ by, in L2."""
        return 2 * self.tolerance / self.l2

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise on each weight."""
        if self.mechanism == "zcdp":
            return self.sensitivity / math.sqrt(2 * concentrated_rho(self.epsilon, self.delta))
        return gaussian_sigma(self.sensitivity, self.epsilon, self.delta)

    def build_original(self, build: Build, train: Samples) -> nn.Module:
        network = build().eval()
        inputs = next(train.in_order(1))[0]
        with torch.no_grad():
            outputs = network(inputs)
        if outputs.ndim != 2 or train.targets.is_floating_point():
            raise Unsuitable("certified-head needs a classifier: logits [B, classes] and integer labels")
        body = nn.Flatten() if self.features == "pixels" else without_last_layer(network)
        return FrozenFeatures(body, train.bounds, inputs, outputs.shape[1])

    def train_original(self, model: nn.Module, train: Samples, fit: Fit) -> nn.Module:
        self.minimise(model, train, Recorder())
        return model.eval()

    def unlearn(self, task: Task) -> nn.Module:
        model = task.model.eval()
        assert isinstance(model, FrozenFeatures)
        if self.from_scratch:
            nn.init.zeros_(model.head.weight)
        norm = self.minimise(model, task.retain, task.recorder)
        random = task.generator("noise from scratch" if self.from_scratch else "noise")
        noise = torch.randn(model.head.weight.shape, generator=random, dtype=torch.float64)
        with torch.no_grad():
            model.head.weight.add_(noise.to(model.head.weight.device), alpha=self.sigma)
        task.recorder.note(sigma=self.sigma, sensitivity=self.sensitivity, gradient_norm=norm)
        if not self.from_scratch:
            task.recorder.note(epsilon=self.epsilon, delta=self.delta, certificate=self.certificate)
        return model

    def minimise(self, model: nn.Module, samples: Samples, recorder: Recorder) -> float:
        """Minimise over `samples` from the head's weights; returns the norm of the gradient there.

        Raises:
            Diverged: the gradient is still larger than `tolerance`.
            Unsuitable: the features would take too much memory.
        """
        assert isinstance(model, FrozenFeatures)
        weight = model.head.weight.detach()
        found, labels = model.features_of(samples)
        objective = SoftmaxRegression(found, labels, len(weight), self.l2, recorder.count)

        def record(step: int, loss: Tensor, norm: Tensor) -> None:
            recorder.record(epoch=0, step=step, retain_loss=loss, gradient_norm=norm)

        end, norm = newton(objective, weight.flatten(), self.tolerance, self.steps, self.iterations, record)
        weight.copy_(end.view_as(weight))
        return norm

    @property
    def certificate(self) -> str:
        """What the result is like, and under which assumptions."""
        source = "pixels" if self.features == "pixels" else "outputs of an untrained network"
        return (
            "Indistinguishable from the same linear layer trained without the forget set, provided that the features "
            f"({source}) do not depend on the data; the forget set and all labels are chosen without seeing the noise; "
            "one noisy result is released, and the weights before the noise and the seed stay secret; and arithmetic "
            "counts as exact"
        )


class Objective(Protocol):
    """A strongly convex function of a vector [n]."""

    def loss(self, weight: Tensor) -> Tensor:
        """Its value, a scalar."""

    def gradient(self, weight: Tensor) -> Tensor:
        """Its gradient [n]."""

    def curvature(self, weight: Tensor) -> Product:
        """Multiplies a vector [n] by its Hessian."""


@dataclass(frozen=True)
class SoftmaxRegression:
    """F(W) = mean cross-entropy(W phi, y) + l2 / 2 |W|^2, for W [classes, n] as a vector.

    Attributes:
        features: phi, [samples, n].
        labels: y, int64 [samples].
        classes, l2: as above.
        count: is told of passes: one per sample for a gradient, two for a product with the Hessian.
    """

    features: Tensor
    labels: Tensor
    classes: int
    l2: float
    count: Callable[[int], None] = lambda samples: None

    def loss(self, weight: Tensor) -> Tensor:
        return cross_entropy(self._logits(weight), self.labels) + self.l2 / 2 * (weight @ weight)

    def gradient(self, weight: Tensor) -> Tensor:
        self.count(len(self.labels))
        error = self._logits(weight).softmax(dim=1)
        error[torch.arange(len(error), device=error.device), self.labels] -= 1
        return self._back(error) + self.l2 * weight

    def curvature(self, weight: Tensor) -> Product:
        probability = self._logits(weight).softmax(dim=1)

        def product(vector: Tensor) -> Tensor:
            self.count(2 * len(self.labels))
            change = probability * self._logits(vector)
            change -= probability * change.sum(dim=1, keepdim=True)
            return self._back(change) + self.l2 * vector

        return product

    def _logits(self, weight: Tensor) -> Tensor:
        return self.features @ weight.view(self.classes, -1).T

    def _back(self, change: Tensor) -> Tensor:
        return (change.T @ self.features).flatten() / len(self.labels)


def newton(
    objective: Objective,
    start: Tensor,
    tolerance: float,
    steps: int,
    iterations: int,
    record: Callable[[int, Tensor, Tensor], None] = lambda step, loss, norm: None,
) -> tuple[Tensor, float]:
    """Minimise by Newton's method, steps solved by conjugate gradients and halved until they lower the loss.

    Args:
        start: where to start, [n]; returned as it is if the gradient is small enough there.
        tolerance: norm of the gradient at which to end.
        steps, iterations: at most so many steps, and iterations in each.
        record: called after each step with their number, the loss and the gradient's norm.

    Returns:
        The end [n] and the norm of the gradient there.

    Raises:
        Diverged: the gradient is still larger.
    """
    weight = start
    for step in range(steps + 1):
        loss, gradient = objective.loss(weight), objective.gradient(weight)
        norm = torch.linalg.vector_norm(gradient)
        if step:
            record(step, loss, norm)
        if norm <= tolerance:
            return weight, norm.item()
        if step == steps:
            break
        accuracy = min(0.5, math.sqrt(norm.item()))  # the steps converge faster than linearly
        direction = conjugate_gradients(objective.curvature(weight), -gradient, iterations, accuracy)
        slope, length = gradient @ direction, 1.0
        while length > 1e-9 and objective.loss(weight + length * direction) > loss + 1e-4 * length * slope + ROUNDING:
            length /= 2
        weight = weight + length * direction
    raise Diverged(f"the gradient's norm is still {norm:.1e} after {steps} Newton steps, more than {tolerance:.1e}")
