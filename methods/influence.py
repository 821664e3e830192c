"""Influence functions: one Newton step towards what retraining would have found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vjp

from methods.derivatives import all_derivatives
from methods.descent import trainable
from methods.fisher import random_subset
from methods.method import Method, Range, hyperparameter
from methods.task import Batch, Samples, Task

CURVATURE_BATCH = 512
"""Samples whose curvature products are computed at once."""

Curvature = Literal["gauss-newton", "hessian"]
Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Influence(Method):
    """w = w0 + alpha (H_r + lambda I)^-1 grad(n_f / n_r L_f), solved by conjugate gradients.

    At a minimum of the loss on all training data the gradients of the two parts cancel, so that for alpha = 1 this is
    the Newton step on the retain loss: exact where that loss is quadratic. H_r is the Hessian of the retain loss, or
    its Gauss-Newton part, which is positive semidefinite for any network. All in evaluation mode, over whole sets
    and not batches. The trace keeps the system's relative residual (`residual`) per iteration.
    """

    name: ClassVar[str] = "influence"
    source: ClassVar[str] = "Koh & Liang, ICML 2017; Izzo et al., AISTATS 2021"
    family: ClassVar[str] = "second order"
    cost: ClassVar[str] = "<= n_f + 2 * iterations * (samples or n_r)"

    alpha: float = hyperparameter(1.0, "length of the step", search=Range(0.1, 100.0, log=True), ge=0)
    damping: float = hyperparameter(0.01, "lambda, added to the curvature", search=Range(1e-4, 1.0, log=True), ge=0)
    iterations: int = hyperparameter(20, "conjugate-gradient iterations at most", ge=1)
    tolerance: float = hyperparameter(1e-3, "relative residual at which the iteration ends", ge=0)
    curvature: Curvature = hyperparameter("gauss-newton", "matrix that stands for H_r")
    samples: int | None = hyperparameter(None, "retain samples that the curvature is computed on; all if null", ge=1)

    def unlearn(self, task: Task) -> nn.Module:
        model = task.model.eval()
        retain = random_subset(task.retain, self.samples, task.generator("influence samples"))
        gradient = mean_gradient(task, model, task.forget) * (len(task.forget) / len(task.retain))

        def damped(vector: Tensor) -> Tensor:
            return curvature_product(task, model, retain, vector, self.curvature) + self.damping * vector

        def record(iteration: int, residual: Tensor) -> None:
            task.recorder.record(epoch=0, step=iteration, residual=residual)

        step = conjugate_gradients(damped, gradient, self.iterations, self.tolerance, record)
        weights = trainable(model)
        with torch.no_grad():
            for weight, change in zip(weights, _unflatten(step, weights), strict=True):
                weight.add_(change, alpha=self.alpha)
        return model


def conjugate_gradients(
    product: Product,
    target: Tensor,
    iterations: int,
    tolerance: float,
    record: Callable[[int, Tensor], None] = lambda iteration, residual: None,
) -> Tensor:
    """Solve A x = b for a symmetric positive definite A (Hestenes & Stiefel, 1952), from x = 0.

    Args:
        product: x -> A x.
        target: b, [n].
        iterations: at most so many products.
        tolerance: stop where |b - A x| <= tolerance |b|.
        record: called with the iteration and the relative residual.

    A direction of curvature that is not positive (an indefinite Hessian) ends the iteration at the x reached.
    """
    solution = torch.zeros_like(target)
    residual = target.clone()
    direction = residual.clone()
    squared = residual @ residual
    scale = torch.linalg.vector_norm(target)
    if scale == 0:
        return solution
    for iteration in range(1, iterations + 1):
        image = product(direction)
        curvature = direction @ image
        if curvature <= 0:
            break
        length = squared / curvature
        solution += length * direction
        residual -= length * image
        squared, previous = residual @ residual, squared
        relative = squared.sqrt() / scale
        record(iteration, relative)
        if relative <= tolerance:
            break
        direction = residual + (squared / previous) * direction
    return solution


def mean_gradient(task: Task, model: nn.Module, samples: Samples) -> Tensor:
    """Gradient [n] of the mean loss over all of `samples`, parameters flattened and joined in order.

    Without autocast, as the curvature is: one system, in one precision.
    """
    weights = trainable(model)
    total = torch.zeros_like(_flatten(weights))
    for batch in samples.in_order(CURVATURE_BATCH):
        loss = task.criterion(model(batch[0]), batch[1])
        gradients = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
        total += _flatten(gradients) * len(batch[1])
    task.recorder.count(len(samples))
    return total / len(samples)


def curvature_product(task: Task, model: nn.Module, samples: Samples, vector: Tensor, curvature: Curvature) -> Tensor:
    """(Hessian or Gauss-Newton matrix of the mean loss over `samples`) times `vector` [n]; counts two passes each."""
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    weights = dict(zip(names, (weight.detach() for weight in trainable(model)), strict=True))
    tangent = dict(zip(names, _unflatten(vector, list(weights.values())), strict=True))
    product = hessian_product if curvature == "hessian" else gauss_newton_product
    total = torch.zeros_like(vector)
    for batch in samples.in_order(CURVATURE_BATCH):
        with all_derivatives():
            image = product(model, task.criterion, weights, tangent, batch)
        total += _flatten([image[name] for name in names]) * len(batch[1])
    task.recorder.count(2 * len(samples))
    return total / len(samples)


Criterion = Callable[[Tensor, Tensor], Tensor]


def hessian_product(
    model: nn.Module, criterion: Criterion, weights: dict[str, Tensor], tangent: dict[str, Tensor], batch: Batch
) -> dict[str, Tensor]:
    """Hessian of the batch's mean loss times `tangent`.

    Reverse over reverse differentiation: forward over reverse fails for torch's `mse_loss`.
    """
    inputs, targets = batch

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return criterion(functional_call(model, weights, (inputs,)), targets)

    image: dict[str, Tensor] = vjp(grad(loss), weights)[1](tangent)[0]
    return image


def gauss_newton_product(
    model: nn.Module, criterion: Criterion, weights: dict[str, Tensor], tangent: dict[str, Tensor], batch: Batch
) -> dict[str, Tensor]:
    """J^T (Hessian of the loss in the outputs) J times `tangent`, J the Jacobian of the batch's outputs."""
    inputs, targets = batch

    def forward(weights: dict[str, Tensor]) -> Tensor:
        outputs: Tensor = functional_call(model, weights, (inputs,))
        return outputs

    outputs, output_tangent = jvp(forward, (weights,), (tangent,))[:2]
    loss_gradient = grad(lambda outputs: criterion(outputs, targets))
    curved = vjp(loss_gradient, outputs)[1](output_tangent)[0]
    image: dict[str, Tensor] = vjp(forward, weights)[1](curved)[0]
    return image


def _flatten(tensors: list[Tensor] | list[nn.Parameter] | tuple[Tensor, ...]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def _unflatten(vector: Tensor, like: list[Tensor] | list[nn.Parameter]) -> list[Tensor]:
    parts = torch.split(vector, [tensor.numel() for tensor in like])
    return [part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]
