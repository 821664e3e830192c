"""Small networks and forget requests in float64, built anew for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from methods import Samples, Task

FEATURES, HIDDEN, CLASSES = 4, 5, 3


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def network() -> Callable[..., nn.Module]:
    """(seed, batchnorm, activation, outputs) -> a network of 4 inputs in training mode."""

    def build(
        seed: int = 0,
        batchnorm: bool = False,
        activation: type[nn.Module] = nn.Tanh,
        outputs: int = CLASSES,
        hidden: int = HIDDEN,
    ) -> nn.Sequential:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            norm = [nn.BatchNorm1d(hidden)] if batchnorm else []
            return nn.Sequential(nn.Linear(FEATURES, hidden), *norm, activation(), nn.Linear(hidden, outputs))

    return build


@pytest.fixture
def make_task() -> Callable[..., Task]:
    """(model, seed, retain, forget, targets, **fields of Task) -> a task on Gaussian inputs."""

    def build(
        model: nn.Module,
        seed: int = 0,
        retain: int = 20,
        forget: int = 6,
        targets: Tensor | None = None,
        dtype: torch.dtype = torch.float64,
        **fields: object,
    ) -> Task:
        random = torch.Generator().manual_seed(1000 + seed)
        count = retain + forget
        inputs = torch.randn(count, FEATURES, generator=random).to(dtype)
        if targets is None:
            targets = torch.randint(CLASSES, (count,), generator=random)
        everything = Samples(inputs, targets, torch.randperm(count, generator=random), lambda raw, draws: raw)

        def untrained(stream: str = "") -> nn.Module:
            raise AssertionError("this method needs no fresh network")

        return Task(
            **{
                "model": model,
                "retain": everything.subset(torch.arange(retain)),
                "forget": everything.subset(torch.arange(retain, count)),
                "classes": CLASSES,
                "seed": seed,
                "build": untrained,
                "fit": lambda model, samples, **part: model,
            }
            | fields
        )

    return build


@pytest.fixture
def whole() -> Callable[[Samples], tuple[Tensor, Tensor]]:
    """All of a subset as one batch."""
    return lambda samples: (samples.inputs[samples.index], samples.targets[samples.index])
