"""Methods that walk: epochs of steps along a gradient that each method defines."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import torch
from torch import Tensor, nn

from methods.method import Method, Range, hyperparameter
from methods.task import Batch, Samples, Task

PROBE_BATCHES = 8
"""Retain batches that BatchNorm's running statistics are estimated on before a probe on the way."""

SETTLING_SAMPLES = 2048
"""Retain samples that they are estimated on at the end, in whole batches: benchmarks/results/settling.md says why."""


Gradients = Callable[[Task, Batch, Batch, float], dict[str, Tensor]]
"""What `Descent.gradients` is."""

BatchGradients = Callable[[Task, Batch, float], dict[str, Tensor]]
"""The same for a step that has one batch."""

NOTHING: Batch = (torch.empty(0), torch.empty(0))
"""Stands for the batch of a set that is not drawn from."""

EVERY = range(1, sys.maxsize)
"""All epochs."""


@dataclass(frozen=True)
class Pass:
    """A part of an epoch: a step for each of its pairs of a retain and a forget batch.

    Attributes:
        steps: how many pairs `batches` yields.
        batches: called in each epoch that has this part, when its turn comes.
        gradients: what a step follows.
        epochs: the epochs that have this part, counted from 1.
    """

    steps: int
    batches: Callable[[], Iterable[tuple[Batch, Batch]]]
    gradients: Gradients
    epochs: Container[int] = EVERY


def over_one_set(
    steps: int,
    batches: Callable[[], Iterable[Batch]],
    gradients: BatchGradients,
    epochs: Container[int] = EVERY,
) -> Pass:
    """A part of an epoch whose steps each have one batch and nothing beside it: a `Pass` but for that."""
    return Pass(
        steps,
        lambda: ((batch, NOTHING) for batch in batches()),
        lambda task, batch, _, progress: gradients(task, batch, progress),
        epochs,
    )


@dataclass(frozen=True)
class Descent(Method):
    """Epochs of steps of the task's optimizer (SGD, for classes) with a constant learning rate.

    A subclass gives `gradients`. An epoch is one pass over the retain set, with forget batches drawn beside it from a
    cycled loader; where `uses` says that retain data is not used, it is one pass over the forget set.
    Retain and forget batches come from the generators `retain` and `forget`: of one seed, every method sees the same.
    Methods whose epochs have several parts, or other batches, give `passes` in place of `gradients`; one with another
    optimizer, or a learning rate that changes, gives `optimizer` or `rate`.

    BatchNorm: what is judged is the network that the steps computed with, and its running statistics never learn from
    forget batches or from perturbed weights (`UAM`). A method that draws retain batches normalises by its batches, so
    its statistics are estimated anew at the end, at the final weights, on the retain set: on all of it, or on the first
    `SETTLING_SAMPLES` of an order that depends on the seed only, so that every method is judged by the same samples (a
    probe on the way estimates them likewise, on a few batches). One that draws none knows no statistics but the
    original's: its steps normalise by them and leave them as they are, as do methods without steps, which compute in
    evaluation mode. Public code lets the steps normalise by forget batches and evaluates with the running averages of
    those: forgetting class 3 of digits, plain NegGrad (one epoch at 0.03) then has an FA of 3, 5 or 88 with the
    averages, the original's statistics or the retain set's at the same weights, so that FA measures the choice and not
    the method.
    """

    epochs: int = hyperparameter(10, "passes over the retain set", search=Range(1, 20, log=True), ge=1)
    lr: float = hyperparameter(0.01, "learning rate", search=Range(1e-4, 0.1, log=True), gt=0)
    momentum: float = hyperparameter(0.9, "momentum of SGD; AdamW's beta 1", ge=0, lt=1)
    weight_decay: float = hyperparameter(5e-4, "L2 penalty on the weights; AdamW's decay", ge=0)
    batch_size: int = hyperparameter(64, "samples per retain batch and per forget batch", ge=1)

    @property
    def uses(self) -> tuple[bool, bool]:
        """Whether batches of the retain set, and of the forget set, are drawn."""
        return True, True

    @property
    def batchnorm(self) -> Literal["batch", "frozen"]:
        """What BatchNorm normalises by in a step: its batch, or the original's running statistics."""
        return "batch" if self.uses[0] else "frozen"

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        """Leave the update direction in the parameters' `.grad`.

        A batch that `uses` does not ask for is empty. `progress` is the share of all steps that are done, in [0, 1).
        Returns scalars to record, averaged over the epoch. Passes are counted with `task.recorder.count`.
        """
        raise NotImplementedError(f"{type(self).__name__} gives neither gradients nor passes")

    def prepare(self, task: Task) -> Task:
        """Change the task once, before the first step (new labels, for instance)."""
        return task

    def passes(self, task: Task) -> tuple[Pass, ...]:
        """The parts of an epoch, in order. Called once, on what `prepare` returned, the model in training mode."""
        use_retain, use_forget = self.uses
        retain_random, forget_random = task.generator("retain"), task.generator("forget")
        forget = task.forget.endless(self.batch_size, forget_random)

        def batches() -> Iterator[tuple[Batch, Batch]]:
            if use_retain:
                for batch in task.retain.epoch(self.batch_size, retain_random):
                    yield batch, next(forget) if use_forget else NOTHING
            else:
                for batch in task.forget.epoch(self.batch_size, forget_random):
                    yield NOTHING, batch

        return (Pass((task.retain if use_retain else task.forget).steps(self.batch_size), batches, self.gradients),)

    def optimizer(self, task: Task, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """The one optimizer of all steps: the task's."""
        return task.optimizer(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def rate(self, epoch: int, progress: float) -> float:
        """The factor of the learning rate in a step; epochs are counted from 1."""
        return 1.0

    def unlearn(self, task: Task) -> nn.Module:
        return self.descend(task)

    def descend(self, task: Task, ended: Callable[[Task, int], bool] = lambda task, epoch: False) -> nn.Module:
        """Run the epochs. After each, `ended` is called with the prepared task and the epoch; True ends the descent."""
        retain = task.retain  # before `prepare`, which may put other samples there
        task = self.prepare(task)
        model = task.model.train()
        if self.batchnorm == "frozen":
            for layer in batchnorm_layers(model):
                layer.eval()
        optimizer = self.optimizer(task, trainable(model))
        passes = self.passes(task)
        total = sum(part.steps for epoch in range(1, self.epochs + 1) for part in passes if epoch in part.epochs)
        step = 0
        for epoch in range(1, self.epochs + 1):
            sums: dict[str, Tensor] = {}
            counts: Counter[str] = Counter()
            for part in (part for part in passes if epoch in part.epochs):
                for batches in part.batches():
                    for group in optimizer.param_groups:
                        group["lr"] = self.lr * self.rate(epoch, step / total)
                    optimizer.zero_grad(set_to_none=True)
                    values = part.gradients(task, *batches, step / total)
                    optimizer.step()
                    sums = {**sums, **{key: sums.get(key, 0.0) + value.detach() for key, value in values.items()}}
                    counts.update(values.keys())
                    step += 1
            task.recorder.record(
                epoch=epoch,
                step=step,
                model=model if epoch < self.epochs else None,
                settle=lambda: self.settle(model, retain, task, PROBE_BATCHES),
                **{key: value / counts[key] for key, value in sums.items()},
            )
            if ended(task, epoch):
                break
        self.settle(model, retain, task)
        return model.eval()

    def settle(self, model: nn.Module, retain: Samples, task: Task, most: int | None = None) -> None:
        """Estimate running statistics on at most so many batches of the retain set; None: on `SETTLING_SAMPLES`."""
        if self.batchnorm == "batch":
            batches = retain.epoch(self.batch_size, task.generator("batchnorm"))
            most = -(-SETTLING_SAMPLES // self.batch_size) if most is None else most
            with task.autocast():
                estimate_running_statistics(model, (inputs for inputs, _ in islice(batches, most)))


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that require a gradient."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def batchnorm_layers(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The BatchNorm layers that keep running statistics."""
    every = (layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm))
    return [layer for layer in every if layer.track_running_stats]


@torch.no_grad()
def estimate_running_statistics(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set BatchNorm's running statistics to their mean over `batches` of inputs.

    As `torch.optim.swa_utils.update_bn` does, to the bit, but without reading a count from the device in every layer;
    and every other layer is in evaluation mode, so that dropout neither changes what BatchNorm sees nor draws random
    numbers. A model that has such layers is left in training mode; another does not see the batches.
    """
    layers = batchnorm_layers(model)
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.train()
    for count, inputs in enumerate(batches, start=1):
        for layer in layers:
            layer.momentum = 1 / count
        model(inputs)
    model.train()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def loss_gradients(task: Task, batch: Batch, name: str, factor: float = 1.0) -> dict[str, Tensor]:
    """Backward of `factor` times the mean loss of a batch, which is returned under `name`; its passes are counted."""
    loss = task.loss(task.model, batch)
    (factor * loss).backward()
    task.recorder.count(len(batch[1]))
    return {name: loss}
