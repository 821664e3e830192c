from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import methods
from methods import METHODS, Method, Samples, Task, hyperparameter
from methods.check import checks
from methods.descent import trainable


def fit(model: nn.Module, samples: Samples, **part: object) -> nn.Module:
    """A recipe: five epochs of SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    random = torch.Generator().manual_seed(1)
    for _ in range(5):
        for inputs, targets in samples.epoch(8, random):
            optimizer.zero_grad()
            cross_entropy(model(inputs), targets).backward()
            optimizer.step()
    return model


def unreadable(raw: Tensor, draws: Tensor | None) -> Tensor:
    raise AssertionError("these samples must not be read")


def equal(left: nn.Module, right: nn.Module) -> bool:
    other = right.state_dict()
    return all(torch.equal(value, other[key]) for key, value in left.state_dict().items())


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_built_in_method_keeps_its_promises(method: type[Method]) -> None:
    assert METHODS[method.name] is method
    assert method.family
    assert method.cost
    assert hash(method()) == hash(method())
    assert [(promise, problem) for promise, problem in checks(method) if problem is not None] == []


def test_methods_know_torch_and_nothing_of_sweeps() -> None:
    for path in Path(methods.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= {"torch", "methods", *sys.stdlib_module_names}, path.name


class Ensemble(nn.Module):
    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.stack([member(inputs).softmax(dim=1) for member in self.members]).mean(0).log()


@dataclass(frozen=True)
class Sharded(Method):
    """SISA with two shards by default: a row belongs to shard `row % shards`, and only shards touched are retrained."""

    name: ClassVar[str] = "sharded"
    source: ClassVar[str] = "Bourtoule et al., S&P 2021"
    shapes_training: ClassVar[tuple[str, ...]] = ("shards",)

    shards: int = hyperparameter(2, "parts that the training set is cut into", ge=1)

    def build_original(self, build: Callable[[], nn.Module], train: Samples) -> nn.Module:
        return Ensemble([build() for _ in range(self.shards)])

    def train_original(self, model: nn.Module, train: Samples, fit: Callable) -> nn.Module:
        for shard, member in enumerate(model.members):
            fit(member, self.shard(train, shard))
        return model

    def unlearn(self, task: Task) -> nn.Module:
        for shard in (task.forget.index % self.shards).unique().tolist():
            task.model.members[shard] = task.fit(task.build(), self.shard(task.retain, shard))
        return task.model

    def shard(self, samples: Samples, shard: int) -> Samples:
        return samples.subset((samples.index % self.shards == shard).nonzero()[:, 0])


class TestAMethodThatShapesTraining:
    @pytest.fixture
    def request_to_forget(self, network: Callable, make_task: Callable) -> Callable:
        """(rows) -> the trained ensemble, and a task to forget these rows of 40."""

        def build(*rows: int) -> tuple[nn.Module, Task]:
            task = make_task(None, retain=40, forget=0, build=network, fit=fit)
            train = replace(task.retain, index=torch.arange(40))
            method = Sharded()
            original = method.train_original(method.build_original(task.build, train), train, task.fit)
            kept = torch.tensor([row for row in range(40) if row not in rows])
            task = replace(task, retain=train.subset(kept), forget=train.subset(torch.tensor(rows)))
            return original, replace(task, model=copy.deepcopy(original))

        return build

    def test_its_original_is_one_network_per_shard(self, request_to_forget: Callable, network: Callable) -> None:
        original, task = request_to_forget(0)
        everything = replace(task.retain, index=torch.arange(40))
        for shard, member in enumerate(original.members):
            assert equal(member, fit(network(), replace(everything, index=torch.arange(shard, 40, 2))))
        assert not equal(*original.members)

    def test_only_shards_touched_are_retrained(self, request_to_forget: Callable, network: Callable) -> None:
        original, task = request_to_forget(1, 7, 11)
        fitted = []

        def watched_fit(model: nn.Module, samples: Samples) -> nn.Module:
            fitted.append(samples.index.tolist())
            return fit(model, samples)

        unlearned = Sharded().unlearn(replace(task, fit=watched_fit))
        remaining = [row for row in range(1, 40, 2) if row not in (1, 7, 11)]
        assert fitted == [remaining]
        assert equal(unlearned.members[0], original.members[0])
        assert equal(unlearned.members[1], fit(network(), replace(task.retain, index=torch.tensor(remaining))))
        assert not equal(unlearned.members[1], original.members[1])

    def test_its_ensemble_is_as_good_a_model_as_any(self, request_to_forget: Callable) -> None:
        _, task = request_to_forget(0, 1)
        model = Sharded().unlearn(task)
        inputs = task.retain.inputs
        mean = sum(member(inputs).softmax(dim=1) for member in model.members) / 2
        torch.testing.assert_close(model(inputs).exp(), mean)

    def test_its_original_can_be_stored_and_loaded(self, request_to_forget: Callable, network: Callable) -> None:
        original, task = request_to_forget(0)
        loaded = Sharded().build_original(network, task.retain)
        assert not equal(loaded, original)
        loaded.load_state_dict(original.state_dict())
        assert equal(loaded, original)


@dataclass(frozen=True)
class Ascent(Method):
    """Retain-free and without epochs: one step up the gradient of the whole forget set."""

    name: ClassVar[str] = "ascent"
    source: ClassVar[str] = "-"

    step: float = hyperparameter(0.5, "length of the step", gt=0)

    def unlearn(self, task: Task) -> nn.Module:
        (batch,) = task.forget.in_order(len(task.forget))
        gradients = torch.autograd.grad(task.loss(task.model, batch), trainable(task.model))
        with torch.no_grad():
            for weight, gradient in zip(trainable(task.model), gradients, strict=True):
                weight.add_(gradient, alpha=self.step)
        task.recorder.count(len(task.forget))
        return task.model.eval()


def test_a_method_may_do_without_retain_data_and_epochs(
    network: Callable, make_task: Callable, whole: Callable
) -> None:
    task = make_task(network())
    batch = whole(task.forget)
    before = task.loss(task.model, batch).item()
    model = Ascent().unlearn(replace(task, retain=replace(task.retain, prepare=unreadable)))
    assert task.loss(model, batch).item() > before
    assert task.recorder.samples_processed == 6
    assert Ascent.shapes_training is None


def test_a_method_without_unlearn_is_refused() -> None:
    class Nothing(Method):
        pass

    with pytest.raises(TypeError, match="unlearn"):
        Nothing()
