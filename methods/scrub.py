"""SCRUB: a student that leaves its teacher on the forget set and keeps to it on the retain set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from methods.descent import Descent, Pass, over_one_set
from methods.distillation import divergence, teacher
from methods.method import Range, hyperparameter
from methods.task import Batch, Samples, Task, Unsuitable

EVALUATION_BATCH = 256
"""Samples whose predictions are computed at once for an error."""


@dataclass(frozen=True)
class Scrub(Descent):
    """Move away from the original's predictions on the forget set, and stay close to them on the retain set.

    With z_0 the original's logits (the teacher, in evaluation mode), z the model's, and
    D_T = T^2 mean_x KL(softmax(z_0 / T) || softmax(z / T)), an epoch is

    1. in the first `msteps` epochs: a pass over the forget set that raises D_T,
    2. a pass over the retain set that lowers alpha D_T + gamma L_r.

    One optimizer takes all steps. At the start student and teacher agree, so that D_T is at its minimum and its
    gradient 0: without dropout and BatchNorm the first pass hardly moves the weights.

    `rewind` (SCRUB+R) is for requests where a forget error as high as possible would itself give the forget set away.
    It keeps the weights after each epoch (in the host's memory: `epochs` copies of the network) and returns those whose
    forget error is nearest to the error of the last ones on held-out samples (`dataset.reference`), whose classes are
    weighted as in the forget set. Of equally near ones the earliest is taken. The held-out labels are true: where
    training labels are noisy, a model that has forgotten errs more on the forget set than this reference says.

    In public code the learning rate falls to a tenth at given epochs; here it is constant. Public SCRUB+R may choose
    the original itself, of which it has stored no state, and takes all held-out samples of the forget set's classes
    with equal weight. A port counts epochs from 0, and so has one more pass over the forget set. Ports that add both
    gradients in one step are another method. Defaults: `lr` is that of a port for random forgetting on CIFAR-10
    (RUM, Zhao et al., NeurIPS 2024), all else the authors' for membership inference.
    """

    name: ClassVar[str] = "scrub"
    source: ClassVar[str] = "Kurmanji et al., Towards Unbounded Machine Unlearning, NeurIPS 2023"
    kinds: ClassVar[tuple[str, ...]] = ("classification",)
    family: ClassVar[str] = "distillation"
    cost: ClassVar[str] = "epochs * n_r + min(msteps, epochs) * n_f"

    epochs: int = hyperparameter(5, "passes over the retain set", search=Range(2, 10, log=True), ge=1)
    lr: float = hyperparameter(5e-3, "learning rate", search=Range(1e-4, 5e-2, log=True), gt=0)
    batch_size: int = hyperparameter(64, "samples per retain batch", ge=1)
    forget_batch_size: int = hyperparameter(64, "samples per forget batch", search=Range(32, 512, log=True), ge=2)
    msteps: int = hyperparameter(3, "epochs that begin with a pass over the forget set", search=Range(0, 10), ge=0)
    alpha: float = hyperparameter(
        0.5, "weight of the divergence on retain data", search=Range(1e-3, 1.0, log=True), ge=0
    )
    gamma: float = hyperparameter(1.0, "weight of the retain loss", gt=0)
    temperature: float = hyperparameter(4.0, "T, which both softmaxes divide their logits by", gt=0)
    rewind: bool = hyperparameter(False, "return the epoch whose forget error fits held-out samples (SCRUB+R)")

    @property
    def needs_reference(self) -> bool:
        return self.rewind

    def passes(self, task: Task) -> tuple[Pass, ...]:
        original = teacher(task.model)
        retain_random, forget_random = task.generator("retain"), task.generator("forget")

        def distance(student: Tensor, inputs: Tensor) -> Tensor:
            with torch.no_grad():
                target = task.outputs(original, inputs)
            return self.temperature**2 * divergence(student, target, self.temperature)

        def leave(task: Task, forget: Batch, progress: float) -> dict[str, Tensor]:
            inputs, targets = forget
            apart = distance(task.outputs(task.model, inputs), inputs)
            (-apart).backward()
            task.recorder.count(len(targets))
            return {"forget_divergence": apart}

        def keep(task: Task, retain: Batch, progress: float) -> dict[str, Tensor]:
            inputs, targets = retain
            student = task.outputs(task.model, inputs)
            values = {"retain_loss": task.criterion(student, targets)}
            total = self.gamma * values["retain_loss"]
            if self.alpha:
                values["retain_divergence"] = distance(student, inputs)
                total = total + self.alpha * values["retain_divergence"]
            total.backward()
            task.recorder.count(len(targets))
            return values

        size, forget_size, leaving = self.batch_size, self.forget_batch_size, range(1, self.msteps + 1)
        keeping = over_one_set(task.retain.steps(size), lambda: task.retain.epoch(size, retain_random), keep)
        if not len(task.forget):
            return (keeping,)
        steps = task.forget.steps(forget_size)
        return over_one_set(steps, lambda: task.forget.epoch(forget_size, forget_random), leave, leaving), keeping

    def unlearn(self, task: Task) -> nn.Module:
        return self._rewound(task) if self.rewind else self.descend(task)

    def _rewound(self, task: Task) -> nn.Module:
        if task.reference is None:
            raise Unsuitable("scrub with rewind reads held-out samples: set dataset.reference, as in 0.1")
        forgotten, held_out = (class_counts(part, task.class_count) for part in (task.forget, task.reference))
        if not (forgotten * held_out).any():
            raise Unsuitable("scrub with rewind finds none of the forget set's classes among the held-out samples")
        same = torch.ones_like(forgotten)
        errors: list[float] = []
        states: list[list[Tensor]] = []

        def remember(task: Task, epoch: int) -> bool:
            self.settle(task.model, task.retain, task)
            errors.append(weighted_error(task, task.forget, same))
            states.append([tensor.detach().to("cpu", copy=True) for tensor in _tensors(task.model)])
            task.model.train()
            return False

        model = self.descend(task, remember)
        wanted = weighted_error(task, task.reference, forgotten / held_out.clamp(min=1))
        nearest = min(range(len(errors)), key=lambda index: abs(errors[index] - wanted))
        with torch.no_grad():
            for tensor, state in zip(_tensors(model), states[nearest], strict=True):
                tensor.copy_(state)
        task.recorder.note(rewound_to_epoch=nearest + 1, forget_error=errors[nearest], reference_error=wanted)
        return model


def class_counts(samples: Samples, classes: int) -> Tensor:
    """How many samples there are of each class, float64 [classes], on the CPU."""
    return torch.bincount(samples.targets[samples.index].cpu(), minlength=classes).double()


@torch.no_grad()
def weighted_error(task: Task, samples: Samples, weights: Tensor) -> float:
    """The share of samples that `task.model` gets wrong in evaluation mode, those of class k weighted by `weights`[k].

    Leaves the model in evaluation mode.
    """
    model = task.model.eval()
    weights = weights.to(samples.index.device)
    sums = torch.zeros(2, dtype=weights.dtype, device=weights.device)
    for inputs, targets in samples.in_order(EVALUATION_BATCH):
        wrong = task.outputs(model, inputs).argmax(dim=1) != targets
        sums += torch.stack([(weights[targets] * wrong).sum(), weights[targets].sum()])
    wrong_weight, weight = sums.tolist()
    return float(wrong_weight / weight)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
