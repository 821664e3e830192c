"""UNSIR: impair the network with noise that stands for the forgotten classes, then repair it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from methods.amun import extended
from methods.descent import Descent, Pass, loss_gradients, over_one_set
from methods.method import Method, Range, hyperparameter
from methods.task import Batch, Samples, Task, Unsuitable


@dataclass(frozen=True)
class UNSIR(Method):
    """Forget classes without looking at their samples: train on noise labelled as these, and then on retain samples.

    Forgotten is a class most of whose samples are in the forget set: with label noise not all need be.

    For each forgotten class c a batch of B inputs N is sought on which the frozen network, in evaluation mode, is most
    wrong,

        minimise  -L(z(N), c) + penalty * mean_b |N_b|^2    by Adam, from standard normal noise in network inputs.

    *Impair*: an epoch of Adam on `copies` of each batch, labelled c, among at most `per_class` retain samples of each
    class: it overwrites what the network took for c. *Repair*: an epoch on the same retain samples. Made for whole
    classes, and fast, as it needs few retain samples; not for samples at random.

    Public code makes the noise with the network in training mode, so that BatchNorm normalises by noise and learns its
    statistics; labels all noise as class 0 whatever is forgotten; trains on the first few inputs of each batch alone,
    as many as an image has channels, so that its 20 copies are 60 samples; and takes the first samples of each class
    in place of random ones.
    """

    name: ClassVar[str] = "unsir"
    source: ClassVar[str] = "Tarun et al., Fast Yet Effective Machine Unlearning, TNNLS 2023"
    kinds: ClassVar[tuple[str, ...]] = ("classification",)
    family: ClassVar[str] = "noise"
    needs: ClassVar[str] = "retain"
    cost: ClassVar[str] = (
        "<= classes * batch_size * (steps + copies * impair_epochs)"
        " + (impair_epochs + repair_epochs) * min(n_r, classes * per_class)"
    )

    steps: int = hyperparameter(40, "steps of the noise", ge=0)
    noise_lr: float = hyperparameter(0.1, "learning rate of the noise", ge=0)
    penalty: float = hyperparameter(0.1, "weight of the noise's mean squared length", ge=0)
    copies: int = hyperparameter(20, "times that the noise is seen in an epoch", search=Range(1, 80, log=True), ge=0)
    per_class: int = hyperparameter(1000, "retain samples of each class at most", ge=1)
    impair_epochs: int = hyperparameter(1, "epochs on noise and retain samples", ge=1)
    impair_lr: float = hyperparameter(0.02, "learning rate on them", search=Range(1e-4, 0.05, log=True), gt=0)
    repair_epochs: int = hyperparameter(1, "epochs on the retain samples alone", search=Range(1, 10), ge=1)
    repair_lr: float = hyperparameter(0.01, "learning rate on them", search=Range(1e-4, 0.05, log=True), gt=0)
    batch_size: int = hyperparameter(256, "samples per batch, and noise inputs per class", ge=2)

    def unlearn(self, task: Task) -> nn.Module:
        counts = [part.targets[part.index].bincount(minlength=task.class_count) for part in (task.forget, task.retain)]
        forgotten = (counts[0] > counts[1]).nonzero()[:, 0]
        if len(task.forget) and not len(forgotten):
            raise Unsuitable("unsir forgets classes, and of no class are most samples in the forget set")
        retain, count = self.few_of_each_class(task), self.batch_size
        noisy = extended(retain, self.noise(task, forgotten), forgotten.repeat_interleave(count))
        rows = torch.arange(len(noisy))
        noisy = noisy.subset(torch.cat([rows[: len(retain)], rows[len(retain) :].repeat(self.copies)]))
        random = task.generator("retain")
        _Epochs(self.impair_epochs, self.impair_lr, batch_size=count, samples=noisy, random=random).unlearn(task)
        task.recorder.next_part()
        repair = _Epochs(self.repair_epochs, self.repair_lr, batch_size=count, samples=retain, random=random)
        return repair.unlearn(task)

    def few_of_each_class(self, task: Task) -> Samples:
        """Random retain samples, `per_class` of each class or all that there are."""
        order = torch.randperm(len(task.retain), generator=task.generator("unsir samples"))
        labels = task.retain.targets[task.retain.index].cpu()[order]
        return task.retain.subset(torch.cat([order[labels == label][: self.per_class] for label in labels.unique()]))

    def noise(self, task: Task, forgotten: Tensor) -> Tensor:
        """Network inputs, `batch_size` for each class of `forgotten` in turn. The model is left as it is."""
        model, random = task.model.eval(), task.generator("unsir noise")
        example, _ = next(task.retain.in_order(1))
        if not example.is_floating_point():
            raise Unsuitable(f"unsir makes inputs out of noise, and cannot make any of type {example.dtype}")
        shape, found = (self.batch_size, *example.shape[1:]), [example[:0]]
        for label in forgotten:
            noise = torch.randn(shape, generator=random, dtype=example.dtype).to(example.device).requires_grad_()
            optimizer = torch.optim.Adam([noise], lr=self.noise_lr)
            for _ in range(self.steps):
                error = task.loss(model, (noise, label.expand(self.batch_size)))
                loss = self.penalty * noise.square().sum() / self.batch_size - error
                (noise.grad,) = torch.autograd.grad(loss, [noise])
                optimizer.step()
                task.recorder.count(self.batch_size)
            found.append(noise.detach())
        return torch.cat(found)


@dataclass(frozen=True)
class _Epochs(Descent):
    """Epochs of Adam, begun anew, over samples of its own."""

    samples: Samples = field(kw_only=True)
    random: torch.Generator = field(kw_only=True)

    def passes(self, task: Task) -> tuple[Pass, ...]:
        def learn(task: Task, batch: Batch, progress: float) -> dict[str, Tensor]:
            return loss_gradients(task, batch, "loss")

        steps = self.samples.steps(self.batch_size)
        return (over_one_set(steps, lambda: self.samples.epoch(self.batch_size, self.random), learn),)

    def optimizer(self, task: Task, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, lr=self.lr)
