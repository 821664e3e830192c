"""The labels that RandomLabel teaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn.functional import cross_entropy
from watched_samples import unreadable, watched

from methods import Task
from methods.randomlabel import RandomLabel, other_labels


class TestRandomLabels:
    def test_they_are_uniform_among_the_others(self) -> None:
        labels = torch.arange(10).repeat(3000)
        drawn = other_labels(labels, 10, torch.Generator().manual_seed(0))
        for label in range(10):
            counts = drawn[labels == label].bincount(minlength=10)
            assert counts[label] == 0
            others = torch.cat([counts[:label], counts[label + 1 :]])
            assert stats.chisquare(others.numpy()).pvalue > 1e-3

    def test_of_two_classes_there_is_one_other(self) -> None:
        labels = torch.tensor([0, 1, 1, 0])
        assert other_labels(labels, 2, torch.Generator()).tolist() == [1, 0, 0, 1]

    @pytest.fixture
    def taught(self, network: Callable, make_task: Callable) -> Callable:
        """(seed) -> the task, and the set of labels taught for each forget row over four epochs."""

        def run(seed: int = 0) -> tuple[Task, dict[int, set[int]]]:
            rows, labels = [], []

            def criterion(outputs: Tensor, targets: Tensor) -> Tensor:
                labels.append(targets.tolist())
                return cross_entropy(outputs, targets)

            task = make_task(network(), seed, forget=40, criterion=criterion)
            method = RandomLabel(epochs=4, batch_size=16, retain_weight=0.0)
            method.unlearn(replace(task, forget=watched(task.forget, rows), retain=unreadable(task.retain)))
            seen: dict[int, set[int]] = {}
            for row, label in zip(chain(*rows), chain(*labels), strict=True):
                seen.setdefault(row, set()).add(label)
            return task, seen

        return run

    def test_they_are_drawn_once_and_are_wrong(self, taught: Callable) -> None:
        task, seen = taught()
        assert set(seen) == set(task.forget.index.tolist())
        assert all(len(labels) == 1 for labels in seen.values())
        assert all(task.forget.targets[row].item() not in labels for row, labels in seen.items())

    def test_they_belong_to_the_seed(self, taught: Callable, network: Callable, make_task: Callable) -> None:
        assert taught(0)[1] == taught(0)[1]
        task = make_task(network(), forget=40)
        relabelled = [RandomLabel().prepare(replace(task, seed=seed)).forget for seed in (0, 1)]
        assert not torch.equal(*[forget.targets[forget.index] for forget in relabelled])

    def test_the_retain_set_and_the_caller_keep_theirs(self, network: Callable, make_task: Callable) -> None:
        task = make_task(network())
        before = task.forget.targets.clone()
        prepared = RandomLabel().prepare(task)
        assert torch.equal(task.forget.targets, before)
        assert torch.equal(prepared.retain.targets[prepared.retain.index], before[task.retain.index])
        assert torch.equal(prepared.forget.targets[task.retain.index], before[task.retain.index])
