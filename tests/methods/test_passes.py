"""Epochs of several parts, at learning rates that change, and where they end."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from methods import Descent, Pass, Task
from methods.descent import NOTHING, loss_gradients, over_one_set
from methods.finetune import FineTune
from methods.task import Batch


@dataclass(frozen=True)
class TwoParts(Descent):
    """In its first two epochs a pass over the forget set, then one over the retain set; at another rate each epoch."""

    name: ClassVar[str] = "two-parts"
    source: ClassVar[str] = "-"

    seen: list = field(default_factory=list, compare=False)

    def passes(self, task: Task) -> tuple[Pass, ...]:
        def step(task: Task, retain: Batch, forget: Batch, progress: float) -> dict[str, Tensor]:
            self.seen.append((len(retain[1]), len(forget[1]), round(progress, 6)))
            name, batch = ("retain_loss", retain) if len(retain[1]) else ("forget_loss", forget)
            loss = task.loss(task.model, batch)
            loss.backward()
            return {name: loss}

        forget = lambda: ((NOTHING, batch) for batch in task.forget.epoch(3, task.generator("forget")))  # noqa: E731
        retain = lambda: ((batch, NOTHING) for batch in task.retain.epoch(10, task.generator("retain")))  # noqa: E731
        return Pass(2, forget, step, range(1, 3)), Pass(2, retain, step)

    def optimizer(self, task: Task, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr)

    def rate(self, epoch: int, progress: float) -> float:
        return 1 / epoch


class TestPasses:
    def test_an_epoch_has_the_parts_that_name_it_in_their_order(self, network: Callable, make_task: Callable) -> None:
        method, task = TwoParts(epochs=3), make_task(network(), retain=20, forget=6)
        method.unlearn(task)
        sizes = [step[:2] for step in method.seen]
        assert sizes == [(0, 3), (0, 3), (10, 0), (10, 0)] * 2 + [(10, 0)] * 2
        assert [step[2] for step in method.seen] == [round(step / 10, 6) for step in range(10)]
        assert [row["step"] for row in task.recorder.rows] == [4, 8, 10]

    def test_a_part_over_one_set_has_its_batches_alone_in_its_own_epochs(
        self, network: Callable, make_task: Callable
    ) -> None:
        task, seen = make_task(network(), forget=6), []

        class Forgets(TwoParts):
            def passes(self, task: Task) -> tuple[Pass, ...]:
                def step(task: Task, batch: Batch, progress: float) -> dict[str, Tensor]:
                    seen.append((batch[1].tolist(), progress))
                    return loss_gradients(task, batch, "forget_loss")

                return (over_one_set(2, lambda: task.forget.in_order(3), step, range(2, 3)),)

        Forgets(epochs=3).unlearn(task)
        assert seen == [(batch[1].tolist(), step / 2) for step, batch in enumerate(task.forget.in_order(3))]
        assert [row["step"] for row in task.recorder.rows] == [0, 2, 2]

    def test_values_are_averaged_over_the_steps_that_have_them(self, network: Callable, make_task: Callable) -> None:
        losses = []

        def criterion(outputs: Tensor, targets: Tensor) -> Tensor:
            losses.append(cross_entropy(outputs, targets))
            return losses[-1]

        task = make_task(network(), retain=20, forget=6, criterion=criterion)
        TwoParts(epochs=1).unlearn(task)
        assert task.recorder.rows[0]["forget_loss"] == pytest.approx((losses[0] + losses[1]).item() / 2, rel=1e-12)
        assert task.recorder.rows[0]["retain_loss"] == pytest.approx((losses[2] + losses[3]).item() / 2, rel=1e-12)

    def test_the_rate_scales_the_learning_rate_of_its_own_optimizer(
        self, network: Callable, make_task: Callable
    ) -> None:
        task = make_task(network(), retain=20, forget=6)
        model = copy.deepcopy(task.model)
        TwoParts(epochs=3, lr=0.1).unlearn(task)
        for epoch in (1, 2, 3):
            batches = [*task.retain.epoch(10, task.generator("retain"))]
            if epoch < 3:
                batches = [*task.forget.epoch(3, task.generator("forget")), *batches]
            for batch in batches:
                gradients = torch.autograd.grad(task.loss(model, batch), list(model.parameters()))
                with torch.no_grad():
                    for weight, gradient in zip(model.parameters(), gradients, strict=True):
                        weight.sub_(0.1 / epoch * gradient)
        for ours, theirs in zip(task.model.parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)

    def test_the_steps_are_those_of_the_tasks_optimizer(self, network: Callable, make_task: Callable) -> None:
        def adamw(parameters: list[nn.Parameter], *, lr: float, momentum: float, weight_decay: float):
            return torch.optim.AdamW(parameters, lr=lr, betas=(momentum, 0.999), weight_decay=weight_decay)

        task = make_task(network(), optimizer=adamw)
        reference, random = copy.deepcopy(task.model), task.generator("retain")
        FineTune(epochs=2, lr=0.03, momentum=0.7, weight_decay=0.1, batch_size=8).unlearn(task)
        optimizer = adamw(list(reference.parameters()), lr=0.03, momentum=0.7, weight_decay=0.1)
        for _ in range(2):
            for inputs, targets in task.retain.epoch(8, random):
                optimizer.zero_grad()
                cross_entropy(reference(inputs), targets).backward()
                optimizer.step()
        torch.testing.assert_close(task.model.state_dict(), reference.state_dict(), rtol=0, atol=1e-14)

    def test_a_descent_can_be_ended_after_any_epoch(self, network: Callable, make_task: Callable) -> None:
        task, shorter = make_task(network(batchnorm=True)), make_task(network(batchnorm=True))
        asked = []
        FineTune(epochs=5).descend(task, lambda task, epoch: asked.append(epoch) or epoch == 2)
        FineTune(epochs=2).unlearn(shorter)
        assert asked == [1, 2]
        assert all(map(torch.equal, task.model.state_dict().values(), shorter.model.state_dict().values()))


def test_a_descent_needs_gradients_or_passes(network: Callable, make_task: Callable) -> None:
    with pytest.raises(NotImplementedError, match="Descent gives neither gradients nor passes"):
        Descent().unlearn(make_task(network()))
