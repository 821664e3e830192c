"""Unlearning-Aware Minimization (UAM)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from methods.attention import plain_attention
from methods.descent import Descent, trainable
from methods.method import Range, hyperparameter
from methods.task import Batch, Task

Hessian = Literal["none", "scalar", "exact"]


@dataclass(frozen=True)
class UAM(Descent):
    """Minimise the retain loss at the point, within radius rho, where the forget loss is largest.

        min over w of  L_r(w + d(w)),    d(w) = argmax over |d| <= rho of L_f(w + d)

    To first order d = rho g, with g = grad L_f(w) / |grad L_f(w)|. Write v = grad L_r at w + d, P = I - g g^T, and H
    for the Hessian of L_f at w. The derivative of d with respect to w is (rho / |grad L_f|) P H; by the chain rule

        grad_w L_r(w + d(w)) = v + (rho / |grad L_f|) H P v

    `hessian` says what becomes of the second term: `none` drops it, `scalar` (the method) replaces
    (rho / |grad L_f|) H by gamma times the identity, v + gamma P v, and `exact` computes it by a Hessian-vector product
    (two more passes over the forget batch). So gamma is the constant that stands for the Hessian of the forget loss,
    scaled by rho / |grad L_f|; the trace column `hessian_ratio` of an `exact` run says how large that is. Publicly
    released code accepts a gamma and leaves it unused.

    BatchNorm: both passes normalise by their batch, the descent pass at w + d; running statistics are those of the
    retain set at the final w (see `Descent`).
    """

    name: ClassVar[str] = "uam"
    version: ClassVar[int] = 2
    source: ClassVar[str] = "Kim et al., Unlearning-Aware Minimization, NeurIPS 2025"

    rho: float = hyperparameter(2.0, "radius of the ascent step", search=Range(0.1, 8.0, log=True), ge=0)
    gamma: float = hyperparameter(
        1.7,
        "constant that stands for the Hessian (hessian: scalar)",
        search=Range(0.0, 4.0),
        when={"hessian": ("scalar",)},
        ge=0,
    )
    hessian: Hessian = hyperparameter("scalar", "treatment of the Hessian term")
    rho_schedule: Literal["cosine", "constant"] = hyperparameter("cosine", "rho over the run: annealed to 0, or kept")

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        rho = self.rho * (0.5 * (1 + math.cos(math.pi * progress)) if self.rho_schedule == "cosine" else 1.0)
        parameters: list[Tensor] = [*trainable(task.model)]

        def forget_loss() -> Tensor:
            task.recorder.count(len(forget[1]))
            return task.loss(task.model, forget)

        def retain_loss() -> Tensor:
            task.recorder.count(len(retain[1]))
            return task.loss(task.model, retain)

        direction, values = uam_direction(
            parameters, forget_loss, retain_loss, rho=rho, gamma=self.gamma, hessian=self.hessian
        )
        if self.hessian == "exact":
            task.recorder.count(len(forget[1]))  # backward through the gradient: the second pass of H P v
        for parameter, gradient in zip(parameters, direction, strict=True):
            parameter.grad = gradient
        return values


def uam_direction(
    parameters: list[Tensor],
    forget_loss: Callable[[], Tensor],
    retain_loss: Callable[[], Tensor],
    *,
    rho: float,
    gamma: float,
    hessian: Hessian,
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """UAM's update direction at the parameters' current values; see `UAM`.

    Works for any differentiable losses of any parameters. Takes no copy of the parameters: they are moved by
    rho g and moved back (to rounding). Nothing synchronises with the device. Where grad L_f is 0, so is g: the
    direction is then grad L_r, or (1 + gamma) times it for `scalar`.

    Args:
        parameters: the tensors that the losses depend on, taken together as one vector.
        forget_loss, retain_loss: the mean loss of the batches, evaluated at the parameters' values at the time.

    Returns:
        The direction, shaped like `parameters`, and what was seen on the way: `forget_loss` at w, `retain_loss` at
        w + d, `gradient_cosine` = cos(grad L_f, v), and, for `exact`, `hessian_ratio` = |Hessian term| / |v|.
    """
    loss_f = forget_loss()
    g = _gradients(loss_f, parameters)
    norm_f = _norm(g)
    torch._foreach_mul_(g, torch.where(norm_f > 0, 1 / norm_f, torch.zeros_like(norm_f)))
    with torch.no_grad():
        torch._foreach_add_(parameters, g, alpha=rho)
    loss_r = retain_loss()
    v = _gradients(loss_r, parameters)
    with torch.no_grad():
        torch._foreach_sub_(parameters, g, alpha=rho)

    along = _dot(v, g)
    norm_v = _norm(v)
    values = {"forget_loss": loss_f.detach(), "retain_loss": loss_r.detach(), "gradient_cosine": along / norm_v}
    if hessian == "scalar":
        torch._foreach_mul_(g, -gamma * along)
        torch._foreach_mul_(v, 1 + gamma)
        torch._foreach_add_(v, g)
    elif hessian == "exact":
        torch._foreach_mul_(g, -along)
        torch._foreach_add_(g, v)  # P v
        term = _hessian_vector_product(forget_loss, parameters, g)
        torch._foreach_mul_(term, torch.where(norm_f > 0, rho / norm_f, torch.zeros_like(norm_f)))
        values["hessian_ratio"] = _norm(term) / norm_v
        torch._foreach_add_(v, term)
    return v, values


def _gradients(loss: Tensor, parameters: list[Tensor], create_graph: bool = False) -> list[Tensor]:
    return list(
        torch.autograd.grad(loss, parameters, create_graph=create_graph, allow_unused=True, materialize_grads=True)
    )


def _hessian_vector_product(loss: Callable[[], Tensor], parameters: list[Tensor], vector: list[Tensor]) -> list[Tensor]:
    with plain_attention():
        gradients = _gradients(loss(), parameters, create_graph=True)
    return list(torch.autograd.grad(gradients, parameters, vector, allow_unused=True, materialize_grads=True))


def _norm(tensors: list[Tensor]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
    return norm


def _dot(left: list[Tensor], right: list[Tensor]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()
