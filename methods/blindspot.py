"""Blindspot: on the forget set, imitate a network that was briefly trained without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AvgPoolNd

from methods.descent import Descent, Pass
from methods.distillation import teacher
from methods.method import Range, hyperparameter
from methods.task import Batch, Task


@dataclass(frozen=True)
class Blindspot(Descent):
    """On the forget set imitate a network that was briefly trained without it, and fit the retain set meanwhile.

    The blind network B is a fresh one, trained on the retain set for `blind_epochs`. From the original's weights on,

        minimise  n_r / n L_r + n_f / n (L(f(x_f), B(x_f)) + attention * sum_l mean (a_l(f) - a_l(B))^2),

    L the task's loss, and a_l a layer's attention to a forget sample (Zagoruyko & Komodakis, ICLR 2017): its squared
    activations, averaged over channels, as a vector over places that is divided by its length; the mean is over samples
    and places. In a network with convolutions, activations are what goes into each convolution and average pool: what
    leaves the activation functions, modules or not (pools that are no modules are passed over). In one without, they
    are what goes into each linear layer, each unit a place of its own. An epoch is a pass over the retain set, with a
    forget batch beside each retain batch; both pass through the network as one, so that BatchNorm sees both.

    Worth trying before `GaussianAmnesiac`: it aims at what the rest of the data says of a forgotten sample, as far as B
    knows, and not at noise. The longer B is trained, the closer to Retrain, and the dearer. Attention changed nothing
    in a perceptron of three hidden layers on 354 rows, weighted by 0 or by 50.

    Public code takes a pass of Adam (learning rate 1e-3; 5 passes for text) over batches mixed from all data, in which
    the shares of retain and forget samples are the weights: but for BatchNorm the same gradient in expectation. Here
    the task's optimizer takes the steps; on those rows Adam needed as many passes. L is the absolute error for images
    there and the squared one for text, as in training; B has 2 or 10 epochs of 100. Of a linear layer's activations
    public code averages all units into one number, which divided by itself is 1, so that the term is 0.
    """

    name: ClassVar[str] = "blindspot"
    source: ClassVar[str] = "Tarun et al., Deep Regression Unlearning, ICML 2023"
    kinds: ClassVar[tuple[str, ...]] = ("regression",)
    family: ClassVar[str] = "distillation"
    cost: ClassVar[str] = "(blind_epochs + 2 * epochs) * n_r"

    epochs: int = hyperparameter(30, "passes over the retain set", search=Range(1, 100, log=True), ge=1)
    lr: float = hyperparameter(0.02, "learning rate", search=Range(1e-3, 0.1, log=True), gt=0)
    blind_epochs: int = hyperparameter(
        10, "epochs of the blind network's training", search=Range(1, 50, log=True), ge=1
    )
    attention: float = hyperparameter(
        50.0, "weight of the difference in attention", search=Range(1, 500, log=True), ge=0
    )

    def passes(self, task: Task) -> tuple[Pass, ...]:
        blind = task.fit(task.build("blindspot"), task.retain, epochs=self.blind_epochs, stream="blindspot")
        (part,) = super().passes(task)
        return (replace(part, gradients=partial(self.imitate, teacher(blind))),)

    def imitate(self, blind: nn.Module, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        """`gradients`, given the blind network in evaluation mode."""
        share, count = len(task.forget) / (len(task.forget) + len(task.retain)), len(retain[1])
        with activations(task.model) as own:
            outputs = task.outputs(task.model, torch.cat([retain[0], forget[0]]))
        with torch.no_grad(), activations(blind) as others:
            known = task.outputs(blind, forget[0])
        retain_loss = task.criterion(outputs[:count], retain[1])
        forget_loss = task.criterion(outputs[count:], known)
        differences = [attention(x[count:]) - attention(y) for x, y in zip(own, others, strict=True)]
        apart = sum((each.square().mean() for each in differences), start=outputs.new_zeros(()))
        ((1 - share) * retain_loss + share * (forget_loss + self.attention * apart)).backward()
        task.recorder.count(len(retain[1]) + len(forget[1]))
        return {"retain_loss": retain_loss, "forget_loss": forget_loss, "attention_loss": apart}


@contextmanager
def activations(model: nn.Module) -> Iterator[list[Tensor]]:
    """The list fills with what goes into the layers that `Blindspot` names, in the order of the forward pass.

    What goes into several layers, as into a block and its shortcut, is there once.
    """
    found: list[Tensor] = []

    def keep(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if not any(inputs[0] is other for other in found):
            found.append(inputs[0])

    convolutional = any(isinstance(layer, _ConvNd) for layer in model.modules())
    kinds = (_ConvNd, _AvgPoolNd, _AdaptiveAvgPoolNd) if convolutional else (nn.Linear,)
    hooks = [layer.register_forward_pre_hook(keep) for layer in model.modules() if isinstance(layer, kinds)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def attention(found: Tensor) -> Tensor:
    """Where activations [B, C, ...] or [B, N] are large: their squares, averaged over channels, as unit vectors [B, n].

    Those of a linear layer [B, N] have no channels: each is a place of its own.
    """
    squares = found.to(torch.promote_types(found.dtype, torch.float32)).square()
    places = squares.mean(dim=1).flatten(1) if squares.ndim > 2 else squares
    return nn.functional.normalize(places, dim=1)
