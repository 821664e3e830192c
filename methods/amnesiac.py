"""Amnesiac unlearning: take back what the batches with forget samples changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from methods.descent import trainable
from methods.finetune import FineTune
from methods.method import Range, hyperparameter
from methods.room import require_room
from methods.task import Batch, Build, Fit, Samples, Task, batch_bounds


class Logged(nn.Module):
    """A network, and what each batch of its training changed.

    Attributes:
        changes: for each trainable weight [...], what every batch changed over all epochs, [batches, ...].
        batch: the batch of each row of the data set, int64 [N]; -1 for rows that were not trained on.
    """

    def __init__(self, network: nn.Module, batches: int, rows: int) -> None:
        super().__init__()
        self.network = network
        logs = [torch.zeros(batches, *weight.shape).to(weight) for weight in trainable(network)]
        self.changes = nn.ParameterList(nn.Parameter(log, requires_grad=False) for log in logs)
        self.batch: Tensor
        self.register_buffer("batch", torch.full((rows,), -1))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.network(inputs)
        return outputs


@dataclass(frozen=True)
class Watched(Samples):
    """Samples whose batches have the same members in every epoch; logs what the step of each changes.

    Attributes:
        parts: the rows of each batch.
        model: whose weights are watched, and which holds the log.
    """

    parts: tuple[Tensor, ...] = ()
    model: Logged | None = None

    def steps(self, batch_size: int) -> int:
        return len(self.parts)

    def epoch(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        assert self.model is not None
        weights = trainable(self.model.network)
        for number in torch.randperm(len(self.parts), generator=generator).tolist():
            part = Samples(self.inputs, self.targets, self.parts[number], self.prepare, self.draw)
            before = [weight.detach().clone() for weight in weights]
            yield from part.epoch(len(part), generator)
            for change, weight, old in zip(self.model.changes, weights, before, strict=True):
                change[number] += weight.detach() - old


@dataclass(frozen=True)
class Amnesiac(FineTune):
    """Subtract from the original every update of a batch that held a forget sample, then fine-tune.

    With D_b what the steps on batch b changed in all epochs, and S_f the batches that hold a forget sample,

        w <- w0 - sum over b in S_f of D_b,

    followed by `epochs` of `finetune` to repair what else those steps had done (BatchNorm's statistics are the retain
    set's, see `Descent`). The original follows its usual recipe, but its batches keep their members: they are drawn
    once, and each epoch takes them in another order. So one update is kept per batch; n / `train_batch` of them, which
    is refused where it is too large.

    Worth using for few samples, or samples that lie in few batches: k random ones among m batches hit
    m (1 - (1 - 1/m)^k), and with all hit nothing but the initial weights is left. Later steps were taken from where the
    subtracted ones had led, so this is no retraining; only where gradients do not depend on the weights is it.
    On digits (40 epochs), three of 23 batches taken back left a retain accuracy of 22 %, and five epochs of repair
    brought 81.

    The authors' code logs the updates of each step whose batch held class 3, or, where it removes batches at random,
    the sum over epochs of every tenth of them, over batches that are shuffled anew; weights and biases only, as here.
    It leaves BatchNorm's statistics as they were. Adam at 1e-3 and batches of 64 are in its notebooks; numbers for 10 %
    random forgetting it has none. "Amnesiac" in the code of several later papers is relabelling, `randomlabel` here.
    """

    name: ClassVar[str] = "amnesiac"
    version: ClassVar[int] = 1
    source: ClassVar[str] = "Graves et al., Amnesiac Machine Learning, AAAI 2021"
    family: ClassVar[str] = "undoing updates"
    shapes_training: ClassVar[tuple[str, ...]] = ("train_batch",)

    epochs: int = hyperparameter(
        5, "passes over the retain set after the updates were taken back", search=Range(0, 5), ge=0
    )
    train_batch: int = hyperparameter(64, "samples per batch of the original's training", ge=1)

    def build_original(self, build: Build, train: Samples) -> nn.Module:
        network, batches = build(), train.steps(self.train_batch)
        require_room(network, batches + 1, f"a network's update for each of {batches} batches")
        return Logged(network, batches, len(train.inputs))

    def train_original(self, model: nn.Module, train: Samples, fit: Fit) -> nn.Module:
        assert isinstance(model, Logged)
        order = train.index[torch.randperm(len(train)).to(train.index.device)]
        parts = tuple(order[start:stop] for start, stop in batch_bounds(len(train), self.train_batch))
        for number, rows in enumerate(parts):
            model.batch[rows] = number
        fit(
            model.network,
            Watched(train.inputs, train.targets, train.index, train.prepare, train.draw, parts=parts, model=model),
        )
        return model.eval()

    @torch.no_grad()
    def prepare(self, task: Task) -> Task:
        model = task.model
        assert isinstance(model, Logged)
        hit = model.batch[task.forget.index].unique()
        for weight, change in zip(trainable(model.network), model.changes, strict=True):
            weight.sub_(change[hit].sum(dim=0))
        task.recorder.note(batches=len(model.changes[0]), batches_taken_back=len(hit))
        return replace(task, model=model.network)
