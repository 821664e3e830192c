"""Unlearning-Aware Minimization (UAM)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from methods.blocks import hidden_states, state_distance, weights_of_states
from methods.derivatives import all_derivatives
from methods.descent import Descent, Gradients, Pass, trainable
from methods.distillation import teacher
from methods.method import Range, hyperparameter
from methods.task import Batch, Task, sent

Ascent = Literal["radius", "rise", "rosu"]
Hessian = Literal["none", "projection", "scalar", "exact"]
Loss = Callable[[], Tensor]


@dataclass(frozen=True)
class UAM(Descent):
    """Minimise the retain loss at the point near w where the forget loss is largest.

    With g = grad L_f(w), u = g / |g|, P_f = u u^T and v = grad L_r(w + d), the update is equation (15) of the paper as
    public text restates it,

        w <- w - eta (I - gamma P_f) v.

    gamma is the constant that the paper's derivation leaves to stand for the Hessian of the forget loss. A step changes
    the forget loss by -eta (1 - gamma) (v . g) to first order: gamma = 1 leaves it alone, a smaller one lets the
    descent on retain data lower it, a larger one raises it by as much as the two gradients agree.

    `ascent` chooses d: `radius`, d = rho u, the authors' code, is the maximiser of the linearised L_f within rho;
    `rise`, d = rho g / |g|^2, the paper, raises the linearised L_f by rho nats. The latter grows without bound as |g|
    goes to 0, so it is cut at `longest`; the trace column `capped` is the share of steps that were. `rosu`, d = rho q /
    |q| with q the part of g that is orthogonal to grad L_r(w), raises L_f as much as can be within rho without changing
    L_r to first order; it takes one more pass over the retain batch. It is ROSU's inner step as that paper's abstract
    states it (arXiv 2605.05871); its outer step is not known, and is UAM's here. No search draws it unless it is named.

    `hessian` chooses the direction, with H the Hessian of L_f at w and P = I - P_f:

    * `projection`: v - gamma (v . u) u, equation (15).
    * `none`: v, no Hessian term. What publicly released code computes: it accepts a gamma and does not use it.
    * `exact`: the gradient of w -> L_r(w + d(w)), with one Hessian-vector product (two more passes over the forget
      batch): v + (rho / |g|) H P v for `radius`, v + (rho / |g|^2) H (I - 2 P_f) v for `rise`. For `rosu` it is found
      by differentiating d, with two more passes over the retain batch too. The trace column `hessian_ratio` is the
      size of the second term over |v|.
    * `scalar`: v + gamma P v, this project's approximation of `exact` by a multiple of the identity for
      (rho / |g|) H; not the paper's rule. It is (1 + gamma) times `projection` with gamma / (1 + gamma).

    `signal: hidden`, for language models, puts the movement of hidden states in the place of both losses. With h the
    output of block `layer` and h_0 the original's, at the positions that predict an answer,

        L_f = mean |h + xi - h_0|^2 / H over the forget set,    L_r = mean |h - h_0|^2 / H over the retain set,

    H the number of entries of h, and xi normal noise of standard deviation `noise`, drawn anew in each step, without
    which L_f would have no gradient at w_0. This is what secondary sources say of the paper's language models, as is
    this: block 7 of Zephyr 7B, of which one matrix in each of blocks 5 to 7 learns, gamma 2, `ascent: rise`, rho 5e-5.
    Which weights learn is the model's to say. It needs a second copy of the network. An independent port forgot little
    with it; here, on a language model of 3 small blocks (gamma 2, radius 2, one seed), lr 1e-4 forgot nothing and 1e-3
    everything, with a fifth of the rest: try `signal: loss` first.

    BatchNorm: both passes normalise by their batch, the descent pass at w + d; running statistics are those of the
    retain set at the final w (see `Descent`).
    """

    name: ClassVar[str] = "uam"
    version: ClassVar[int] = 3
    source: ClassVar[str] = "Kim et al., Unlearning-Aware Minimization, NeurIPS 2025"
    family: ClassVar[str] = "min-max"
    came_later: ClassVar[tuple[str, ...]] = ("signal", "layer", "noise")
    cost: ClassVar[str] = 'epochs * n_r * (1 + (3 if hessian == "exact" else 1) * (2 if ascent == "rosu" else 1))'

    rho: float = hyperparameter(
        2.0,
        "length of the ascent step (ascent: radius), or the rise of the forget loss that it aims at (rise)",
        search=Range(0.1, 8.0, log=True),
        ge=0,
    )
    gamma: float = hyperparameter(
        1.7,
        "constant that stands for the Hessian (hessian: projection, scalar)",
        search=Range(0.0, 3.0),
        when={"hessian": ("projection", "scalar")},
        ge=0,
    )
    hessian: Hessian = hyperparameter("projection", "treatment of the Hessian term")
    ascent: Ascent = hyperparameter(
        "radius",
        "what rho measures: the step's length (rosu: across the retain gradient), or the rise of the forget loss",
        search=("radius", "rise"),
    )
    longest: float = hyperparameter(
        8.0, "length at which an ascent step is cut (ascent: rise)", when={"ascent": ("rise",)}, gt=0
    )
    rho_schedule: Literal["cosine", "constant"] = hyperparameter("cosine", "rho over the run: annealed to 0, or kept")

    signal: Literal["loss", "hidden"] = hyperparameter(
        "loss", "what is made worse and repaired: the losses, or a block's hidden states (language)", search=("loss",)
    )
    layer: int = hyperparameter(
        2, "block whose outputs are compared, counted from 0 (signal: hidden)", when={"signal": ("hidden",)}, ge=0
    )
    noise: float = hyperparameter(
        0.01, "deviation of the noise on forget states (signal: hidden)", when={"signal": ("hidden",)}, gt=0
    )

    def passes(self, task: Task) -> tuple[Pass, ...]:
        parts = super().passes(task)
        if self.signal == "loss":
            return parts
        gradients = self.gradients_of_states(task)
        return tuple(replace(part, gradients=gradients) for part in parts)

    def gradients_of_states(self, task: Task) -> Gradients:
        """The gradients of `signal: hidden`; called before the first step."""
        original, random = teacher(task.model), task.generator("uam noise")
        weights = weights_of_states(task, self.layer)  # no others: not even decay may move what lies behind

        def gradients(task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
            with torch.no_grad():
                before_f, before_r = (
                    hidden_states(task, original, inputs, self.layer) for inputs, _ in (forget, retain)
                )
            xi = self.noise * torch.randn(before_f.shape, generator=random, dtype=before_f.dtype)
            goal_f = before_f - sent(xi, before_f.device)

            def distance(batch: Batch, goal: Tensor) -> Tensor:
                return state_distance(hidden_states(task, task.model, batch[0], self.layer), goal, batch[1])

            forget_loss, retain_loss = (lambda: distance(forget, goal_f)), (lambda: distance(retain, before_r))
            return self.step(task, retain, forget, progress, forget_loss, retain_loss, weights)

        return gradients

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        forget_loss, retain_loss = (lambda: task.loss(task.model, forget)), (lambda: task.loss(task.model, retain))
        return self.step(task, retain, forget, progress, forget_loss, retain_loss, trainable(task.model))

    def step(
        self,
        task: Task,
        retain: Batch,
        forget: Batch,
        progress: float,
        forget_loss: Loss,
        retain_loss: Loss,
        weights: list[nn.Parameter],
    ) -> dict[str, Tensor]:
        """Leave UAM's direction for two losses of the batches in the weights' `.grad`; counts the passes."""
        rho = self.rho * (0.5 * (1 + math.cos(math.pi * progress)) if self.rho_schedule == "cosine" else 1.0)
        parameters: list[Tensor] = [*weights]

        def counted(loss: Loss, batch: Batch) -> Loss:
            def computed() -> Tensor:
                task.recorder.count(len(batch[1]))
                return loss()

            return computed

        direction, values = uam_direction(
            parameters,
            counted(forget_loss, forget),
            counted(retain_loss, retain),
            rho=rho,
            gamma=self.gamma,
            hessian=self.hessian,
            ascent=self.ascent,
            longest=self.longest,
        )
        if self.hessian == "exact":
            task.recorder.count(len(forget[1]))  # backward through the gradient: the second pass of the product
            if self.ascent == "rosu":
                task.recorder.count(len(retain[1]))
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
    ascent: Ascent = "radius",
    longest: float = math.inf,
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """UAM's update direction at the parameters' current values; see `UAM`.

    Works for any differentiable losses of any parameters. Takes no copy of the parameters: they are moved by d and
    moved back (to rounding). Nothing synchronises with the device. Where grad L_f is 0, or too small for its norm to
    be known in the parameters' precision (`smallest_norm`), it counts as 0: there is no ascent, and the direction is
    grad L_r (times 1 + gamma for `scalar`).

    Args:
        parameters: the tensors that the losses depend on, taken together as one vector.
        forget_loss, retain_loss: the mean loss of the batches, evaluated at the parameters' values at the time.

    Returns:
        The direction, shaped like `parameters`, and what was seen on the way: `forget_loss` at w, `retain_loss` at
        w + d, `gradient_cosine` = cos(grad L_f, v), for `rise` `capped` (1 if d was cut), and for `exact`
        `hessian_ratio` = |Hessian term| / |v|.
    """
    loss_f = forget_loss()
    g = _gradients(loss_f, parameters)
    norm_f = _norm(g)
    inverse = torch.where(norm_f > smallest_norm(norm_f.dtype), 1 / norm_f, 0.0)
    torch._foreach_mul_(g, inverse)
    climb = _orthogonal(g, _gradients(retain_loss(), parameters)) if ascent == "rosu" else g
    length = rho * inverse if ascent == "rise" else torch.full_like(inverse, rho)
    capped = length > longest if ascent == "rise" else torch.zeros_like(inverse, dtype=torch.bool)
    length = torch.where(capped, longest, length)
    with torch.no_grad():
        step = torch._foreach_mul(climb, length)
        torch._foreach_add_(parameters, step)
    loss_r = retain_loss()
    v = _gradients(loss_r, parameters)
    with torch.no_grad():
        torch._foreach_sub_(parameters, step)

    along = _dot(v, g)
    norm_v = _norm(v)
    values = {"forget_loss": loss_f.detach(), "retain_loss": loss_r.detach(), "gradient_cosine": along / norm_v}
    if ascent == "rise":
        values["capped"] = capped.to(norm_v.dtype)
    if hessian == "projection":
        torch._foreach_mul_(g, -gamma * along)
        torch._foreach_add_(v, g)
    elif hessian == "scalar":
        torch._foreach_mul_(g, -gamma * along)
        torch._foreach_mul_(v, 1 + gamma)
        torch._foreach_add_(v, g)
    elif hessian == "exact" and ascent == "rosu":
        term = _derivative_of_rosu(forget_loss, retain_loss, parameters, v)
        torch._foreach_mul_(term, length)
        values["hessian_ratio"] = _norm(term) / norm_v
        torch._foreach_add_(v, term)
    elif hessian == "exact":
        # d' = (length / |g|) H P where the length is fixed, and (length / |g|) H (I - 2 P_f) where it is rho / |g|.
        twice = 1 + ((ascent == "rise") & ~capped).to(along.dtype)
        torch._foreach_mul_(g, -twice * along)
        torch._foreach_add_(g, v)
        term = _hessian_vector_product(forget_loss, parameters, g)
        torch._foreach_mul_(term, length * inverse)
        values["hessian_ratio"] = _norm(term) / norm_v
        torch._foreach_add_(v, term)
    return v, values


def _orthogonal(vector: list[Tensor], to: list[Tensor]) -> list[Tensor]:
    """The direction of the part of a unit vector that is orthogonal to another; 0 where that is mostly rounding."""
    norm = _norm(to)
    inverse = torch.where(norm > smallest_norm(norm.dtype), 1 / norm, 0.0)
    along = _dot(vector, to) * inverse**2
    part = [one - along * other for one, other in zip(vector, to, strict=True)]
    length = _norm(part)
    inverse = torch.where(length > math.sqrt(torch.finfo(length.dtype).eps), 1 / length, 0.0)
    return [one * inverse for one in part]


def _derivative_of_rosu(
    forget_loss: Callable[[], Tensor], retain_loss: Callable[[], Tensor], parameters: list[Tensor], vector: list[Tensor]
) -> list[Tensor]:
    """The product of `vector` and the derivative of `rosu`'s unit vector by the parameters; 0 where there is none."""
    with all_derivatives():
        g = _gradients(forget_loss(), parameters, create_graph=True)
        r = _gradients(retain_loss(), parameters, create_graph=True)
        norm = _norm(g)
        climb = _orthogonal([part / norm for part in g], r)
        product = torch.autograd.grad(climb, parameters, vector, allow_unused=True, materialize_grads=True)
    return [part.nan_to_num(0.0, 0.0, 0.0) for part in product]


def smallest_norm(dtype: torch.dtype) -> float:
    """The norm below which squares of a vector's entries are lost to underflow: 9e-13 in float32."""
    return math.sqrt(torch.finfo(dtype).tiny) / torch.finfo(dtype).eps


def _gradients(loss: Tensor, parameters: list[Tensor], create_graph: bool = False) -> list[Tensor]:
    return list(
        torch.autograd.grad(loss, parameters, create_graph=create_graph, allow_unused=True, materialize_grads=True)
    )


def _hessian_vector_product(loss: Callable[[], Tensor], parameters: list[Tensor], vector: list[Tensor]) -> list[Tensor]:
    with all_derivatives():
        gradients = _gradients(loss(), parameters, create_graph=True)
    return list(torch.autograd.grad(gradients, parameters, vector, allow_unused=True, materialize_grads=True))


def _norm(tensors: list[Tensor]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
    return norm


def _dot(left: list[Tensor], right: list[Tensor]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()
