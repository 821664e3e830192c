"""Methods, a dataset and models as somebody else would write them, named `plugin_examples:Name` in a spec."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from methods import FineTune, Method, Samples, Task, Unsuitable, hyperparameter
from methods.task import Fit
from sweep.tasks.datasets import Dataset, Images


@dataclass(frozen=True)
class Raises(Method):
    """Raises in each of its first `times` runs."""

    name: ClassVar[str] = "raises"
    source: ClassVar[str] = "-"
    attempts: ClassVar[list[int]] = []

    times: int = hyperparameter(1000, "runs that raise", ge=0)

    def unlearn(self, task: Task) -> nn.Module:
        self.attempts.append(task.seed)
        if len(self.attempts) <= self.times:
            raise RuntimeError("no luck")
        return task.model


@dataclass(frozen=True)
class NanLoss(Method):
    """Records a loss that is not a number; the weights stay finite."""

    name: ClassVar[str] = "nan-loss"
    source: ClassVar[str] = "-"

    def unlearn(self, task: Task) -> nn.Module:
        task.recorder.record(epoch=1, step=1, forget_loss=1.0)
        task.recorder.record(epoch=2, step=2, forget_loss=float("nan"))
        return task.model


@dataclass(frozen=True)
class Filled(Method):
    """Sets the last layer's weights and biases to 10 ** `exponent`."""

    name: ClassVar[str] = "filled"
    source: ClassVar[str] = "-"

    exponent: float = hyperparameter(0.0, "of the weights; those of float32 end at 38.53")

    def unlearn(self, task: Task) -> nn.Module:
        last = [layer for layer in task.model.modules() if isinstance(layer, nn.Linear)][-1]
        with torch.no_grad():
            for parameter in last.parameters():
                parameter.copy_(torch.tensor(10.0**self.exponent, dtype=torch.float64))
        return task.model


@dataclass(frozen=True)
class Jittered(Method):
    """Adds noise from torch's global generator to the weights."""

    name: ClassVar[str] = "jittered"
    source: ClassVar[str] = "-"

    def unlearn(self, task: Task) -> nn.Module:
        with torch.no_grad():
            for parameter in task.model.parameters():
                parameter.add_(torch.randn_like(parameter))
        return task.model


@dataclass(frozen=True)
class Refuses(Method):
    """Refuses every request."""

    name: ClassVar[str] = "refuses"
    source: ClassVar[str] = "-"

    def unlearn(self, task: Task) -> nn.Module:
        raise Unsuitable("refuses: 12.5 GiB are needed, and 1 GiB is the most")


@dataclass(frozen=True)
class Notes(Method):
    """Notes how many reference samples there are."""

    name: ClassVar[str] = "notes"
    source: ClassVar[str] = "-"

    def unlearn(self, task: Task) -> nn.Module:
        task.recorder.note(reference=0 if task.reference is None else len(task.reference), epsilon=1.5)
        return task.model


@dataclass(frozen=True)
class Traced(Method):
    """Records known and unknown values, and a cosine that is not a number."""

    name: ClassVar[str] = "traced"
    source: ClassVar[str] = "-"

    def unlearn(self, task: Task) -> nn.Module:
        task.recorder.count(7)
        task.recorder.record(epoch=1, step=3, gradient_cosine=0.0, surprise=2.5)
        task.recorder.record(epoch=2, step=6, gradient_cosine=float("nan"))
        return task.model


class Ensemble(nn.Module):
    """The mean of its members' logits, and how often each was fitted."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("fits", torch.zeros(len(members), dtype=torch.int64))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.stack([member(inputs) for member in self.members]).mean(dim=0)


@dataclass(frozen=True)
class Sharded(Method):
    """SISA without slices: row r of the training set is in shard r % shards; retrains the shards that forget."""

    name: ClassVar[str] = "sharded"
    source: ClassVar[str] = "Bourtoule et al., IEEE S&P 2021"
    shapes_training: ClassVar[tuple[str, ...]] = ("shards",)

    shards: int = hyperparameter(3, "parts of the training set, each with a network of its own", ge=1)
    rounds: int = hyperparameter(1, "of no effect on the original", ge=1)

    def build_original(self, build: Callable[[], nn.Module], train: Samples) -> nn.Module:
        return Ensemble([build() for _ in range(self.shards)])

    def train_original(self, model: nn.Module, train: Samples, fit: Fit) -> nn.Module:
        assert isinstance(model, Ensemble)
        for shard in range(self.shards):
            self._fit_shard(model, shard, train, fit)
        return model.eval()

    def unlearn(self, task: Task) -> nn.Module:
        assert isinstance(task.model, Ensemble)
        for shard in (task.forget.index % self.shards).unique().tolist():
            task.model.members[shard] = task.build()
            self._fit_shard(task.model, shard, task.retain, task.fit)
        return task.model.eval()

    def _fit_shard(self, model: Ensemble, shard: int, samples: Samples, fit: Fit) -> None:
        fit(model.members[shard], samples.subset((samples.index % self.shards == shard).nonzero()[:, 0]))
        model.fits[shard] += 1


@dataclass(frozen=True)
class Stripes(Dataset):
    """Images of 4 x 4 whose class is the row that is lit; test images are of the first `test_classes` only."""

    count: int = 40
    test_classes: int = 4

    def load(self) -> Images:
        labels = np.arange(self.count) % 4
        images = np.zeros((self.count, 1, 4, 4), dtype=np.uint8)
        images[np.arange(self.count), 0, labels] = 255
        tested = np.flatnonzero(labels < self.test_classes)[:12]
        return Images(images, labels, images[tested], labels[tested], classes=4)


class TiedNetwork(nn.Module):
    """Two layers that share one matrix."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first = nn.LazyLinear(classes)
        self.second = nn.Linear(classes, classes)
        self.third = nn.Linear(classes, classes)
        self.third.weight = self.second.weight

    def forward(self, inputs: Tensor) -> Tensor:
        return self.third(self.second(self.first(inputs.flatten(1))))


def tied(classes: int, channels: int) -> nn.Module:
    """A network with tied weights for digits."""
    network = TiedNetwork(classes)
    network(torch.zeros(1, channels, 8, 8))
    return network


def forgetful(classes: int, channels: int) -> nn.Module:
    """A network with dropout beside BatchNorm."""
    hidden = nn.Sequential(nn.Flatten(), nn.Linear(channels * 64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3))
    return nn.Sequential(hidden, nn.Linear(16, classes))


def exploding(classes: int, channels: int) -> nn.Module:
    """A network whose first loss is not a number."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(channels * 64, classes))
    nn.init.constant_(network[1].bias, float("nan"))
    return network


NOT_A_METHOD = 3


class Undecorated(Jittered):
    """No dataclass of its own: what looks like a hyperparameter is none."""

    strength: float = hyperparameter(1.0, "of the noise")


@dataclass(frozen=True)
class Unfinished(Method):
    """Does not say how it unlearns."""

    strength: float = hyperparameter(1.0, "of nothing")


@dataclass(frozen=True)
class Hangs(Method):
    """Never ends, and catches every exception."""

    name: ClassVar[str] = "hangs"
    source: ClassVar[str] = "-"

    def unlearn(self, task: Task) -> nn.Module:
        while True:
            try:
                time.sleep(60)
            except Exception:
                continue


@dataclass(frozen=True)
class Exhausts(Method):
    """Finds no memory on its first attempt."""

    name: ClassVar[str] = "exhausts"
    source: ClassVar[str] = "-"
    attempts: ClassVar[list[int]] = []

    host: bool = hyperparameter(False, "whether on the host")

    def unlearn(self, task: Task) -> nn.Module:
        self.attempts.append(task.seed)
        if len(self.attempts) > 1:
            return task.model
        raise MemoryError if self.host else torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


@dataclass(frozen=True)
class Zipped(FineTune):
    """A hyperparameter with a name that specs use."""

    name = "zipped"

    zip: int = hyperparameter(1, "a word of specs")
