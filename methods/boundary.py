"""Boundary unlearning: move the decision boundary over the forget set."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from methods.descent import Descent, loss_gradients
from methods.method import Range, hyperparameter
from methods.task import Batch, Samples, Task, Unsuitable


@dataclass(frozen=True)
class Boundary(Descent):
    """What both have in common: they train on the forget set alone, on labels that are made once."""

    source: ClassVar[str] = "Chen et al., Boundary Unlearning, CVPR 2023"
    kinds: ClassVar[tuple[str, ...]] = ("classification",)
    family: ClassVar[str] = "relabelling"
    needs: ClassVar[str] = "forget"

    epochs: int = hyperparameter(10, "passes over the forget set", search=Range(1, 20, log=True), ge=1)
    lr: float = hyperparameter(1e-5, "learning rate", search=Range(1e-6, 1e-2, log=True), gt=0)
    weight_decay: float = hyperparameter(0.0, "L2 penalty on the weights", ge=0)
    batch_size: int = hyperparameter(64, "samples per forget batch", ge=1)

    @property
    def uses(self) -> tuple[bool, bool]:
        return False, True

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        return loss_gradients(task, forget, "forget_loss")


@dataclass(frozen=True)
class BoundaryShrink(Boundary):
    """Teach each forget sample the class on the other side of the nearest decision boundary.

    One signed-gradient step at the original network crosses that boundary, or nearly so, and training on the sample
    with the class found there, t(x), pulls the boundary back over it:

        x' = clip(x + epsilon * range * sign(grad_x CE(x, y; w0))),    t(x) = argmax_{k != y} z_k(x'; w0).

    `range` is that of the pixels, per channel as the network takes them, and `clip` keeps x' within it. Inputs that
    are no images have no such range: there epsilon is in their own units, and nothing is clipped. The targets are
    found once, without augmentation. Fast, and uses no retain sample; made for forgetting a class.

    Public code lets t(x) be the label itself where the step does not get across, so that these samples are learned
    again (`target: any`); rounds x' to whole pixel values; and normalises by forget batches, whose statistics it keeps
    (see `Descent`). Ports that step in normalised inputs use another epsilon. Its two extras, a penalty on curvature
    and weights of samples, are not here.
    """

    name: ClassVar[str] = "boundary-shrink"
    cost: ClassVar[str] = "(epochs + 1) * n_f"

    epsilon: float = hyperparameter(
        0.1, "step in each pixel, as a share of the pixels' range", search=Range(0.01, 0.3, log=True), ge=0
    )
    target: Literal["other", "any"] = hyperparameter(
        "other", "class that is taught: the likeliest at x' among the others, or among all"
    )

    def prepare(self, task: Task) -> Task:
        model, found = task.model.eval(), []
        for inputs, labels in task.forget.in_order(self.batch_size):
            _, gradient = outward(model, inputs, labels)
            task.recorder.count(len(labels))
            step = self.epsilon * pixel_range(task.forget) * gradient.sign()
            with torch.no_grad():
                logits = model(clipped(task.forget, inputs + step))
            found.append((others(logits, labels) if self.target == "other" else logits).argmax(1))
        return replace(task, forget=task.forget.with_targets(torch.cat(found)))


@dataclass(frozen=True)
class BoundaryExpand(Boundary):
    """Teach the forget set a class of its own, and then drop that class.

    The last linear layer gets one output more, with a fresh row of weights; the whole network is trained to give it
    for every forget sample, and then it is taken off again. Forget samples are left to whichever class comes second.
    While it is there it is an output in training mode only: a probe on the way sees the network without it. Fast, and
    uses no retain sample; made for forgetting a class.

    Public code normalises by forget batches, whose statistics it keeps (see `Descent`). Ports leave the output in
    place, where it takes what it won from every class: forget accuracy is then lower than the network has earned.
    """

    name: ClassVar[str] = "boundary-expand"
    cost: ClassVar[str] = "epochs * n_f"

    def prepare(self, task: Task) -> Task:
        added = torch.full_like(task.forget.targets[task.forget.index], task.class_count)
        return replace(task, forget=task.forget.with_targets(added))

    def unlearn(self, task: Task) -> nn.Module:
        head = classifier(task.model, task.class_count)
        output = nn.Linear(head.in_features, 1, bias=head.bias is not None).to(head.weight)
        scale = math.sqrt(2 / (head.in_features + task.class_count + 1))  # Glorot's, as in public code
        drawn = torch.randn(1, head.in_features, generator=task.generator("boundary output"), dtype=head.weight.dtype)
        with torch.no_grad():
            output.weight.copy_(scale * drawn)
            if output.bias is not None:
                output.bias.zero_()
        head.add_module("added", output)
        hook = head.register_forward_hook(_with_added)
        _refuse_other_outputs(task, head)
        model = self.descend(task)
        hook.remove()
        del head.added
        return model


def _with_added(head: nn.Module, inputs: tuple[Any, ...], logits: Tensor) -> Tensor:
    return torch.cat([logits, head.get_submodule("added")(*inputs)], dim=-1) if head.training else logits


def _refuse_other_outputs(task: Task, head: nn.Module) -> None:
    """Raise Unsuitable if the logits are not what the head gives."""
    task.model.eval()
    head.train()
    inputs, _ = next(task.forget.in_order(1))
    try:
        with torch.no_grad():
            fits = task.model(inputs).shape == (1, task.class_count + 1)
    except RuntimeError:  # of a layer after the head
        fits = False
    if not fits:
        raise Unsuitable("boundary-expand needs a network whose outputs are those of its last linear layer")


def classifier(model: nn.Module, classes: int) -> nn.Linear:
    """The last linear layer that has an output for each class; raises Unsuitable if there is none."""
    heads = [part for part in model.modules() if isinstance(part, nn.Linear) and part.out_features == classes]
    if not heads:
        raise Unsuitable(f"the network has no linear layer of {classes} outputs, one for each class")
    return heads[-1]


def outward(model: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The classes [B] predicted for inputs [B, ...], and the directions, shaped like these, that raise their loss.

    A direction is a positive multiple of the gradient of the cross-entropy, log(1 + e^m) with m = log sum_{k != y}
    e^{z_k} - z_y: it is the gradient of m, which does not vanish where the network is certain. It is computed in the
    inputs' precision, without autocast: where a boundary lies depends on small differences.

    Raises:
        Unsuitable: the inputs are no real numbers, so that there are no directions.
    """
    if not inputs.is_floating_point():
        raise Unsuitable(f"inputs of type {inputs.dtype} have no gradient")
    inputs = inputs.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(inputs)
        margin = others(logits, labels).logsumexp(1) - logits.gather(1, labels[:, None])[:, 0]
        (gradient,) = torch.autograd.grad(margin.sum(), inputs)
    return logits.argmax(1), gradient


def others(logits: Tensor, labels: Tensor) -> Tensor:
    """The logits [B, K], minus infinity for the labels [B]."""
    return logits.scatter(1, labels[:, None], -math.inf)


def pixel_range(samples: Samples) -> Tensor | float:
    """The length of the pixels' range in network inputs, per channel; 1 for inputs that are no images."""
    return 1.0 if samples.bounds is None else samples.bounds[1] - samples.bounds[0]


def clipped(samples: Samples, inputs: Tensor) -> Tensor:
    """Network inputs moved into the range of pixels; unchanged if they are no images."""
    return inputs if samples.bounds is None else inputs.clamp(*samples.bounds)
