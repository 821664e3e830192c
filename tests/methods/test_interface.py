from __future__ import annotations

import ast
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
from methods import METHODS, Method, Samples, Task, Unsuitable, hyperparameter
from methods.check import checks
from methods.descent import trainable
from methods.randomlabel import RandomLabel


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


ANY_KIND = [name for name, method in METHODS.items() if method.kinds is None]
NEEDS_MORE = {"ct": "kernels", "msg": "kernels", "rum": "needs classes"}


@pytest.mark.parametrize("kind", ["language", "regression"])
@pytest.mark.parametrize("name", ANY_KIND)
def test_a_method_for_any_kind_keeps_its_promises_on_other_kinds_too(name: str, kind: str) -> None:
    """Except those that say what they need beside: kernels, or another method's classes."""
    method = METHODS[name]
    narrowed = dataclass(frozen=True)(type("Narrowed", (method,), {"kinds": (kind,), "__doc__": method.__doc__}))
    broken = [problem for _, problem in checks(narrowed) if problem is not None]
    assert all(NEEDS_MORE[name] in problem for problem in broken) if name in NEEDS_MORE else broken == []


def test_methods_know_torch_and_nothing_of_sweeps() -> None:
    for path in Path(methods.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= {"torch", "methods", *sys.stdlib_module_names}, path.name


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


def test_without_classes_a_method_that_needs_them_says_so(network: Callable, make_task: Callable) -> None:
    task = make_task(network(), classes=None)
    with pytest.raises(Unsuitable, match="the method needs classes, and these targets are none"):
        RandomLabel().unlearn(task)
    assert make_task(network()).class_count == 3


def test_a_method_without_unlearn_is_refused() -> None:
    class Nothing(Method):
        pass

    with pytest.raises(TypeError, match="unlearn"):
        Nothing()
