from __future__ import annotations

import copy

import pytest
import torch

from methods.problems import FORGET, TokenProblem
from methods.task_vector import TaskVector


@pytest.mark.parametrize("alpha", [0.0, 0.5, 3.0])
def test_it_goes_as_far_the_other_way(alpha: float) -> None:
    task, other = (TokenProblem().task(TaskVector()) for _ in range(2))
    start, problem = copy.deepcopy(other.model), TokenProblem()
    optimizer = problem.optimizer(list(other.model.parameters()), lr=0.01, momentum=0.9, weight_decay=0.1)
    random = other.generator("forget")
    for _ in range(2):
        for inputs, targets in other.forget.epoch(8, random):
            optimizer.zero_grad()
            problem.criterion(other.model(inputs), targets).backward()
            optimizer.step()
    method = TaskVector(epochs=2, lr=0.01, batch_size=8, weight_decay=0.1, alpha=alpha)
    for ours, w, fitted in zip(
        method.unlearn(task).parameters(), start.parameters(), other.model.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, (1 + alpha) * w - alpha * fitted, rtol=0, atol=1e-12)
    assert task.recorder.rows == []


def test_it_raises_the_forget_loss() -> None:
    task = TokenProblem().task(TaskVector())
    inputs, targets = next(task.forget.in_order(FORGET))
    before = task.loss(task.model, (inputs, targets)).item()
    assert task.loss(TaskVector(epochs=3).unlearn(task), (inputs, targets)).item() > before
