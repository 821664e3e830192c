"""Tiny problems in float64 that methods are tried on: a network, its training, and what it is to forget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from methods.descent import trainable
from methods.method import Method
from methods.task import Recorder, Samples, Task, derived_seed
from methods.tokens import IGNORED, answer_losses

RETAIN, FORGET, REFERENCE, EPOCHS, BATCH = 48, 16, 16, 2, 8
"""Of each problem: its sets have whole batches, so that costs are exact. `EPOCHS` are of the original's recipe."""

CLASSES = 4
FEATURES = 5
VOCABULARY, PROMPT, LENGTH = 9, 3, 6


@dataclass(frozen=True)
class Problem:
    """Images of 6 x 6 pixels in four classes, in float64, and a network with convolutions and BatchNorm.

    Attributes:
        forget_class: forget the samples of the last class, which are then no retain samples, and not any.
    """

    classes: ClassVar[int | None] = CLASSES
    outputs: ClassVar[tuple[int, ...]] = (CLASSES,)
    """The shape of what the network says of a sample."""
    said: ClassVar[str] = "one logit per class"
    """The same in words."""
    rate: ClassVar[float] = 0.05
    """The learning rate of the original's training."""

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
            return self.network().double()

    def network(self) -> nn.Module:
        """The network; its initial weights come from torch's own generator."""
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(6 * 16, CLASSES),
        )

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch."""
        return cross_entropy(outputs, targets)

    def optimizer(
        self, parameters: list[nn.Parameter], *, lr: float, momentum: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """What takes the steps."""
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)

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
        optimizer = self.optimizer(trainable(model), lr=self.rate, momentum=0.9, weight_decay=0.0)
        for _ in range(epochs(EPOCHS) if callable(epochs) else EPOCHS if epochs is None else epochs):
            for inputs, targets in samples.epoch(BATCH, random):
                optimizer.zero_grad()
                self.criterion(model(inputs), targets).backward()
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
            classes=self.classes,
            seed=self.seed,
            build=self.build,
            fit=partial(self.fit, recorder=recorder),
            criterion=self.criterion,
            optimizer=self.optimizer,
            recorder=recorder,
            reference=samples.subset(torch.arange(RETAIN + FORGET, RETAIN + FORGET + REFERENCE)),
        )


def normalised(images: Tensor, draws: Tensor | None = None) -> Tensor:
    """Raw images as the network takes them."""
    return (images.double() - 128) / 64


@dataclass(frozen=True)
class RegressionProblem(Problem):
    """Rows of `FEATURES` numbers, a noisy number to be learned of each, and a network of three linear layers."""

    classes: ClassVar[int | None] = None
    outputs: ClassVar[tuple[int, ...]] = (1,)
    said: ClassVar[str] = "one number per sample"

    def samples(self, prepare: Callable[[Tensor, Tensor | None], Tensor] | None = None) -> Samples:
        random = torch.Generator().manual_seed(7)
        count = RETAIN + FORGET + REFERENCE
        inputs = torch.randn(count, FEATURES, dtype=torch.float64, generator=random)
        noise = torch.randn(count, 1, dtype=torch.float64, generator=random)
        targets = inputs[:, :1] * inputs[:, 1:2] + 0.5 * noise
        return Samples(inputs, targets, torch.arange(count), prepare or (lambda numbers, draws: numbers))

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 1))

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return mse_loss(outputs, targets)


@dataclass(frozen=True)
class TokenProblem(Problem):
    """Sentences of `LENGTH` + 1 tokens, the answers random tokens to learn by heart, and a small causal network.

    A prompt has `PROMPT` tokens, an answer 1 to 4 of them, and the rest is padding.
    """

    classes: ClassVar[int | None] = None
    outputs: ClassVar[tuple[int, ...]] = (LENGTH, VOCABULARY)
    said: ClassVar[str] = "one logit per position and token of the vocabulary"
    rate: ClassVar[float] = 0.01

    def samples(self, prepare: Callable[[Tensor, Tensor | None], Tensor] | None = None) -> Samples:
        random = torch.Generator().manual_seed(7)
        count = RETAIN + FORGET + REFERENCE
        sentences = torch.randint(1, VOCABULARY, (count, LENGTH + 1), generator=random)
        answers = torch.arange(count) % 4 + 1
        sentences[torch.arange(LENGTH + 1) >= PROMPT + answers[:, None]] = 0
        targets = sentences[:, 1:].clone()
        targets[:, : PROMPT - 1] = IGNORED
        targets[targets == 0] = IGNORED
        return Samples(sentences[:, :-1], targets, torch.arange(count), prepare or (lambda tokens, draws: tokens))

    def network(self) -> nn.Module:
        return Causal(width=8, depth=3)

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return answer_losses(outputs, targets).mean()

    def optimizer(
        self, parameters: list[nn.Parameter], *, lr: float, momentum: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=lr, betas=(float(momentum), 0.999), weight_decay=weight_decay)


class Causal(nn.Module):
    """An embedding, blocks, and a linear layer: tokens [B, L] -> logits [B, L, V]."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.blocks = nn.ModuleList(Mixing(width) for _ in range(depth))
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.embedding(tokens)
        for block in self.blocks:
            hidden = block(hidden)
        logits: Tensor = self.head(hidden)
        return logits


class Mixing(nn.Module):
    """Adds to each position [B, L, width] what it and the mean of the positions up to it say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own, self.before = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        number = torch.arange(1, hidden.shape[1] + 1, device=hidden.device)[:, None]
        mixed: Tensor = hidden + (self.own(hidden) + self.before(hidden.cumsum(dim=1) / number)).tanh()
        return mixed


PROBLEMS = {
    "classification": (Problem(), Problem(forget_class=True)),
    "regression": (RegressionProblem(),),
    "language": (TokenProblem(),),
}
"""Of each kind of data set."""


def problems_for(method: type[Method]) -> list[tuple[Problem, ...]]:
    """The problems of each kind that a method is for, in its order. Its hyperparameters may leave it fewer of them."""
    return [PROBLEMS[kind] for kind in method.kinds or PROBLEMS if kind in PROBLEMS]
