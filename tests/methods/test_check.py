"""`methods.check` finds what a method breaks: a broken method for each promise."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn

from methods import METHODS, Method, Task, Unsuitable, hyperparameter
from methods.check import checks, main
from methods.finetune import FineTune
from methods.task import Batch


@dataclass(frozen=True)
class Good(FineTune):
    """Fine-tuning under another name."""

    name: ClassVar[str] = "good"


@dataclass(frozen=True)
class Reads(Good):
    """Looks at the forget set, and does not say so."""

    def prepare(self, task: Task) -> Task:
        next(task.forget.in_order(4))
        return task


@dataclass(frozen=True)
class Miscounts(Good):
    """Counts what it does twice."""

    def gradients(self, task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
        task.recorder.count(len(retain[1]))
        return super().gradients(task, retain, forget, progress)


@dataclass(frozen=True)
class Random(Good):
    """Draws from torch's own generator."""

    def unlearn(self, task: Task) -> nn.Module:
        model = super().unlearn(task)
        with torch.no_grad():
            next(model.parameters()).add_(torch.randn(()))
        return model


@dataclass(frozen=True)
class Overwrites(Good):
    """Changes labels in place."""

    def prepare(self, task: Task) -> Task:
        task.retain.targets.zero_()
        return task


@dataclass(frozen=True)
class Shifts(Good):
    """Moves without a learning rate."""

    def unlearn(self, task: Task) -> nn.Module:
        model = super().unlearn(task)
        with torch.no_grad():
            next(model.parameters()).add_(1e-3)
        return model


@dataclass(frozen=True)
class Repeats(Good):
    """Trains twice, and records both as the first epochs."""

    cost: ClassVar[str] = "2 * epochs * n_r"

    def unlearn(self, task: Task) -> nn.Module:
        return super().unlearn(replace(task, model=super().unlearn(task)))


@dataclass(frozen=True)
class Forgetful(Good):
    """Forgets to return its model."""

    def unlearn(self, task: Task) -> nn.Module:
        super().unlearn(task)
        return None  # type: ignore[return-value]


@dataclass(frozen=True)
class Refuses(Good):
    """Refuses whatever it is given."""

    def unlearn(self, task: Task) -> nn.Module:
        raise Unsuitable("not today")


@dataclass(frozen=True)
class Elsewhere(Good):
    """Is for data that nobody has."""

    kinds: ClassVar[tuple[str, ...]] = ("smells",)


@dataclass(frozen=True)
class Undeclared(Good):
    """Has a hyperparameter that nobody explains."""

    extra: float = 1.0


@dataclass(frozen=True)
class OutOfBounds(Good):
    """Has a default that it does not allow."""

    extra: float = hyperparameter(1.0, "something", lt=1)


@dataclass(frozen=True)
class Chooses(Good):
    """Has a hyperparameter of each kind, and refuses two values that go together badly."""

    order: Literal["up", "down"] = hyperparameter("up", "which way")
    most: int | None = hyperparameter(None, "at most so many; null: all", ge=1)
    share: float = hyperparameter(0.5, "a share", gt=0, le=1)

    def check_hyperparameters(self) -> None:
        if self.order == "down" and self.share == 1:
            raise Unsuitable("order down needs a share below 1")


class Bare(Good):
    """Is no dataclass of its own."""


def broken(method: type[Method]) -> list[str]:
    return [f"{promise}: {problem}" for promise, problem in checks(method) if problem is not None]


def test_a_good_method_keeps_every_promise() -> None:
    assert broken(Good) == []


@pytest.mark.parametrize(
    ("method", "promise"),
    [
        (Reads, "it reads no other set than it says"),
        (Miscounts, "it counts its passes as it says"),
        (Random, "the same seed gives the same weights"),
        (Overwrites, "it leaves the data as they were"),
        (Shifts, "learning rates of 0 leave the weights"),
        (Repeats, "its path goes forward"),
        (Forgetful, "the model it returns has finite weights and one logit per class: it returns NoneType"),
        (Elsewhere, "it unlearns: there is no problem of the kinds that it is for, ('smells',)"),
        (Refuses, "it unlearns, or refuses in one line: it refuses every forget set: not today"),
        (Undeclared, "its hyperparameters have a meaning"),
        (OutOfBounds, "its hyperparameters have a meaning"),
        (Bare, "it is a frozen dataclass"),
    ],
)
def test_each_broken_promise_is_named(method: type[Method], promise: str) -> None:
    assert broken(method)[0].startswith(promise)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"share": 0.0}, "share: 0.0 is not above 0"),
        ({"share": 1.5}, "share: 1.5 is not at most 1"),
        ({"share": math.nan}, "share: nan is not a number"),
        ({"share": "half"}, "share: 'half' is not a number"),
        ({"share": None}, "share: None is not a number"),
        ({"share": True}, "share: True is not a number"),
        ({"most": 0}, "most: 0 is not at least 1"),
        ({"most": 2.5}, "most: 2.5 is not a whole number or null"),
        ({"momentum": 1}, "momentum: 1 is not below 1"),
        ({"order": "left"}, "order: 'left' is none of 'up', 'down'"),
        ({"sharre": 1}, "no hyperparameter sharre; it has batch_size, epochs, lr, momentum, most, order"),
        ({"order": "down", "share": 1}, "order down needs a share below 1"),
    ],
)
def test_hyperparameters_that_a_method_does_not_allow_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(Unsuitable) as refused:
        next(checks(Chooses, **given))
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("method", "given", "outputs"),
    [
        (Good, {}, "one logit per class"),
        (METHODS["blindspot"], {}, "one number per sample"),
        (METHODS["npo"], {}, "one logit per position and token of the vocabulary"),
        (METHODS["uam"], {"signal": "hidden"}, "one logit per position and token of the vocabulary"),
    ],
)
def test_a_method_is_checked_on_the_kind_of_task_that_it_and_its_hyperparameters_are_for(
    method: type[Method], given: dict[str, Any], outputs: str
) -> None:
    found = dict(checks(method, **given))
    assert f"the model it returns has finite weights and {outputs}" in found
    assert {promise: problem for promise, problem in found.items() if problem} == {}


def test_hyperparameters_that_a_method_allows_are_used() -> None:
    assert all(problem is None for _, problem in checks(Chooses, order="down", most=None, lr=1))
    assert "it counted 288, and epochs * n_r is 144" in [problem for _, problem in checks(Miscounts, epochs=3)]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("finetun",),
        (":",),
        ("my_methods.Mine",),
        ("nowhere:Good",),
        ("methods.check:Nothing",),
        ("uam", "roh=1"),
        ("uam", "rho=-1"),
        ("uam", "hessian=exactly"),
        ("rum", "inner=[no-such-method]"),
    ],
)
def test_the_command_refuses_in_one_line(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments]) == 2
    told = capsys.readouterr()
    assert (told.out, len(told.err.splitlines())) == ("", 1)


def test_the_command_checks_a_plugin(tmp_path: Path) -> None:
    plugin = "from test_check import Good, Miscounts"
    (tmp_path / "mine.py").write_text(f"import sys; sys.path.append({str(Path(__file__).parent)!r})\n{plugin}\n")

    def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
        root = str(Path(__file__).parents[2])
        command = [sys.executable, "-m", "methods.check", *arguments]
        environment = {"PYTHONPATH": root, "PATH": ""}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    good = ended("mine:Good", "lr=0.05")
    assert good.returncode == 0
    assert all(line.startswith("ok ") for line in good.stdout.splitlines())
    bad = ended("mine:Miscounts")
    assert bad.returncode == 1
    assert "BROKEN  it counts its passes as it says (`cost`): it counted 192, and epochs * n_r is 96" in bad.stdout
    refused = ended("mine:Good", "lr=-1")
    assert (refused.returncode, refused.stdout, len(refused.stderr.splitlines())) == (2, "", 1)
