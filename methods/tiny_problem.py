"""A forget request that takes moments to serve: what a method's contract is checked on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import Method, Recorder, Samples, Task, trainable
from methods.task import derived_seed

RETAIN, FORGET, REFERENCE, CLASSES, EPOCHS, BATCH = 48, 16, 16, 4, 2, 8
"""The sets have whole batches, so that costs are exact. `EPOCHS` are of the original's recipe."""


@dataclass(frozen=True)
class Problem:
    """Images of 6 x 6 pixels in four classes, in float64, and a network with convolutions and BatchNorm.

    Attributes:
        forget_class: forget the samples of the last class, which are then no retain samples, and not any.
    """

    forget_class: bool = False
    seed: int = 0

    def samples(self, prepare: Callable[[Tensor, Tensor | None], Tensor] | None = None) -> Samples:
        """All samples: first the retain set, then the forget set, then the reference."""
        random = torch.Generator().manual_seed(7)
        count = RETAIN + FORGET + REFERENCE
        labels = torch.arange(count) % CLASSES
        if self.forget_class:
            labels[:RETAIN] = torch.arange(RETAIN) % (CLASSES - 1)
            labels[RETAIN : RETAIN + FORGET] = CLASSES - 1
        patterns = torch.randint(0, 200, (CLASSES, 1, 6, 6), generator=random)
        images = patterns[labels] + torch.randint(0, 56, (count, 1, 6, 6), generator=random)
        ends = normalised(torch.tensor([0, 255], dtype=torch.uint8)).view(2, 1, 1, 1, 1).unbind()
        index = torch.arange(count)
        return Samples(images.to(torch.uint8), labels, index, prepare or normalised, bounds=(ends[0], ends[1]))

    def build(self, stream: str = "") -> nn.Module:
        """The network, freshly initialised."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(self.seed, f"initialisation/{stream}"))
            network = nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.Conv2d(4, 6, 3),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(6 * 16, CLASSES),
            )
        return network.double()

    def fit(
        self,
        model: nn.Module,
        samples: Samples,
        *,
        epochs: int | Callable[[int], int] | None = None,
        stream: str = "",
        recorder: Recorder | None = None,
    ) -> nn.Module:
        """The recipe of the original and of Retrain."""
        model.train()
        random = torch.Generator().manual_seed(derived_seed(self.seed, f"training/{stream}"))
        optimizer = torch.optim.SGD(trainable(model), lr=0.05, momentum=0.9)
        for _ in range(epochs(EPOCHS) if callable(epochs) else EPOCHS if epochs is None else epochs):
            for inputs, targets in samples.epoch(BATCH, random):
                optimizer.zero_grad()
                cross_entropy(model(inputs), targets).backward()
                optimizer.step()
                if recorder is not None:
                    recorder.count(len(targets))
        return model.eval()

    def task(self, method: Method) -> Task:
        """The forget request, its original trained."""
        samples, recorder = self.samples(), Recorder()
        train = samples.subset(torch.arange(RETAIN + FORGET))
        if method.shapes_training is None:
            model = self.fit(self.build(), train)
        else:
            torch.manual_seed(0)
            model = method.build_original(self.build, train)
            model = method.train_original(model, train, self.fit).eval()
        return Task(
            model=model,
            retain=train.subset(torch.arange(RETAIN)),
            forget=train.subset(torch.arange(RETAIN, RETAIN + FORGET)),
            classes=CLASSES,
            seed=self.seed,
            build=self.build,
            fit=partial(self.fit, recorder=recorder),
            recorder=recorder,
            reference=samples.subset(torch.arange(RETAIN + FORGET, RETAIN + FORGET + REFERENCE)),
        )


def normalised(images: Tensor, draws: Tensor | None = None) -> Tensor:
    """Raw images as the network takes them."""
    return (images.double() - 128) / 64
