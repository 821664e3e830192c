"""A dataset on the device, from which trials draw their samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from methods.task import Samples
from sweep.tasks.splits import Integers, Split, Splits


@dataclass(frozen=True)
class DeviceData:
    """A dataset ready for trials: limited, with its noise, on one device.

    Attributes:
        train_inputs, test_inputs: raw inputs, [N, ...].
        train_targets: the targets trained on, [N, ...].
        true_targets: the same samples' targets before noise, [N, ...].
        test_targets: [M, ...].
        splits: how the training set can be split.
        outputs, inputs: what a model's builder gets: classes and channels, for images.
        classes: number of classes; None where there are none.
        prepare, draw, bounds: as in `methods.task.Samples`.
    """

    train_inputs: Tensor
    train_targets: Tensor
    true_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    splits: Splits
    outputs: int
    inputs: int
    classes: int | None
    prepare: Callable[[Tensor, Tensor | None], Tensor]
    draw: Callable[[int, torch.Generator], Tensor] | None = None
    bounds: tuple[Tensor, Tensor] | None = None

    def split(self, seed: int, forget: dict[str, Any]) -> Split:
        """The parts of the training set for one seed and forget set; raises InputError as `Splits.split` does."""
        return self.splits.split(seed, forget)

    def train(self, rows: Integers) -> Samples:
        """Samples at `rows` of the limited training set, with the targets trained on."""
        index = torch.from_numpy(rows).to(self.train_inputs.device)
        return Samples(self.train_inputs, self.train_targets, index, self.prepare, self.draw, self.bounds)

    def held_out(self, rows: Integers) -> Samples:
        """Samples at `rows` of the limited training set, with their true targets and never augmented."""
        index = torch.from_numpy(rows).to(self.train_inputs.device)
        return Samples(self.train_inputs, self.true_targets, index, self.prepare, bounds=self.bounds)

    def test(self) -> Samples:
        """All test samples."""
        index = torch.arange(len(self.test_targets), device=self.test_inputs.device)
        return Samples(self.test_inputs, self.test_targets, index, self.prepare, bounds=self.bounds)
