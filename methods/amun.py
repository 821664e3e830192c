"""Adversarial machine unlearning (AMUN)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from methods.boundary import clipped, outward, pixel_range
from methods.descent import Descent, loss_gradients
from methods.method import Range, hyperparameter
from methods.task import Batch, Samples, Task, Unsuitable


@dataclass(frozen=True)
class AMUN(Descent):
    """Fine-tune on adversarial examples of the forget set, each with the wrong class that the original gives it.

    D_A holds (x', class predicted for x') for each forget sample x, with x' the nearest input of another class that
    steps along the loss gradient find (`attack`). Training on D_A beside D lowers the confidence on
    the forget samples towards that of samples never seen, and disturbs the network little: it already holds these
    predictions. Made for random forget sets; its examples alone cost up to 50 passes of a forget sample for each
    doubling. D_A is made once, at the original, and not augmented; the rest is augmented as in training.

    The distance is Euclidean, in units of the pixels' range as if it were [0, 1], whatever normalisation the network
    has, and x' keeps to that range. Inputs that are no images have no such range: their distance is in their own units.
    A forget sample whose class does not change within radius * 2^doublings has no example; the row's note
    `adversarial_examples` says how many there are. Public code searches without end there, attacks networks that take
    pixels unnormalised, and searches along the gradient of the loss itself, which is 0 in float32 where the network is
    certain. Its `amun` is `beside: retain and forget`, its `advonly` is `beside: retain`.

    Without retain samples BatchNorm normalises by the original's statistics, as in every method that draws none.
    """

    name: ClassVar[str] = "amun"
    source: ClassVar[str] = "Ebrahimpour-Boroojeny et al., ICML 2025"
    kinds: ClassVar[tuple[str, ...]] = ("classification",)
    family: ClassVar[str] = "adversarial"
    cost: ClassVar[str] = "<= (doublings + 1) * steps * n_f + epochs * (n + n_f)"

    epochs: int = hyperparameter(10, "passes over all samples trained on", search=Range(1, 20, log=True), ge=1)
    lr: float = hyperparameter(0.01, "learning rate", search=Range(1e-5, 0.1, log=True), gt=0)
    decay_every: int = hyperparameter(10, "epochs after which the learning rate is divided by 10, repeatedly", ge=1)
    batch_size: int = hyperparameter(128, "samples per batch", ge=1)
    beside: Literal["retain and forget", "retain", "forget", "nothing"] = hyperparameter(
        "retain and forget", "sets that are trained on beside the adversarial examples, with their labels"
    )
    radius: float = hyperparameter(0.04, "Euclidean distance at which the search begins, in pixel ranges", gt=0)
    steps: int = hyperparameter(50, "steps of a tenth of the radius, before it is doubled", ge=1)
    doublings: int = hyperparameter(10, "times that the radius is doubled at most", ge=0)

    @property
    def uses(self) -> tuple[bool, bool]:
        return True, False

    @property
    def batchnorm(self) -> Literal["batch", "frozen"]:
        return "batch" if "retain" in self.beside else "frozen"

    def prepare(self, task: Task) -> Task:
        found = [self.attack(task, *batch) for batch in task.forget.in_order(self.batch_size)]
        sets = {"retain": task.retain.index, "forget": task.forget.index}
        beside = [sets[name] for name in self.beside.split(" and ") if name in sets]
        samples = replace(task.forget, index=torch.cat([*beside, task.forget.index[:0]]))
        if found:
            inputs, classes = (torch.cat(parts) for parts in zip(*found, strict=True))
            samples = extended(samples, inputs, classes)
            task.recorder.note(adversarial_examples=len(classes))
        if not len(samples):
            raise Unsuitable("amun found no adversarial example, and trains on nothing beside them")
        return replace(task, retain=samples)

    def rate(self, epoch: int, progress: float) -> float:
        return 0.1 ** ((epoch - 1) // self.decay_every)

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        return loss_gradients(task, retain, "loss")

    @torch.no_grad()
    def attack(self, task: Task, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Adversarial examples of forget samples, inputs [m, ...] of the network, and the classes predicted [m].

        Steps of a tenth of the radius along the normalised loss gradient, each followed by a projection onto the ball
        of the radius about the sample and onto the range of pixels. A sample is done as soon as its class is wrong,
        which it may be before the first step; for those that are left after `steps` the radius doubles, and the search
        goes on from where it is.
        """
        model, span = task.model.eval(), pixel_range(task.forget)
        points, classes = inputs.clone(), labels.clone()
        rows = torch.arange(len(labels), device=labels.device)  # those that are still classified as labelled
        for radius in (self.radius * 2**doubling for doubling in range(self.doublings + 1)):
            for _ in range(self.steps):
                if len(rows) == 0:
                    return points, classes
                task.recorder.count(len(rows))
                classes[rows], gradient = outward(model, points[rows], labels[rows])
                held = classes[rows] == labels[rows]
                rows, slope = rows[held], gradient[held] * span
                offset = (points[rows] - inputs[rows]) / span + radius / 10 * slope / _length(slope)
                offset *= (radius / _length(offset)).clamp(max=1)
                points[rows] = clipped(task.forget, inputs[rows] + span * offset)
        classes[rows] = model(points[rows]).argmax(1)
        found = classes != labels
        return points[found], classes[found]


def _length(vectors: Tensor) -> Tensor:
    """The Euclidean norms of vectors [B, ...], [B, 1, ...], none of them 0."""
    norms: Tensor = torch.linalg.vector_norm(vectors, dim=tuple(range(1, vectors.dim())), keepdim=True)
    return norms.clamp(min=torch.finfo(norms.dtype).tiny)


def extended(samples: Samples, inputs: Tensor, targets: Tensor) -> Samples:
    """`samples`, and after them others: network inputs [m, ...], which are never augmented, and targets [m].

    What the new set calls its raw inputs are numbers of rows: of the data set first, then of `inputs`.
    """
    if len(targets) == 0:
        return samples
    count = len(samples.inputs)
    rows = torch.arange(count + len(targets), device=samples.index.device)

    def prepare(rows: Tensor, draws: Tensor | None) -> Tensor:
        own = samples.prepare(samples.inputs[rows.clamp(max=count - 1)], draws)
        is_own = (rows < count).view(-1, *[1] * (own.dim() - 1))
        return torch.where(is_own, own, inputs[(rows - count).clamp(min=0)].to(own))

    return replace(
        samples,
        inputs=rows,
        targets=torch.cat([samples.targets, targets]),
        index=torch.cat([samples.index, rows[count:]]),
        prepare=prepare,
    )
