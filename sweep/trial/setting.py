"""What the configuration of a trial names, ready on a device: its data, network, method and training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import nn

from methods import Method, Recorder, Samples, Task
from methods.task import Build, Fit
from sweep.spec.plugins import find_model
from sweep.tasks.device_data import DeviceData
from sweep.tasks.kind import Kind
from sweep.tasks.models import initialised
from sweep.tasks.splits import Split
from sweep.trial.training import autocast_context, train


@dataclass(frozen=True)
class Setting:
    """What a trial works with.

    Attributes:
        config: the trial's, parsed.
        kind: of task.
        method: with its hyperparameters.
        model: the network's name and options in a spec.
        data: on the device.
        forget_set: as `Splits.split` takes it.
        device: what the trial computes on.
    """

    config: dict[str, Any]
    kind: Kind
    method: Method
    model: dict[str, Any]
    data: DeviceData
    forget_set: dict[str, Any]
    device: torch.device

    @property
    def seed(self) -> int:
        """The trial's seed."""
        return int(self.config["seed"])

    @property
    def autocast(self) -> Callable[[], AbstractContextManager[object]]:
        """The context in which forward passes run."""
        return autocast_context(self.config["training"]["precision"], self.device)

    @cached_property
    def split(self) -> Split:
        """The parts of the training data."""
        return self.data.split(self.seed, self.forget_set)

    @property
    def training_set(self) -> Samples:
        """What the original is trained on."""
        return self.data.train(self.split.training)

    @cached_property
    def retain(self) -> Samples:
        """The retain set."""
        return self.data.train(self.split.retain)

    @cached_property
    def forget(self) -> Samples:
        """The forget set."""
        return self.data.train(self.split.forget)

    @property
    def build(self) -> Build:
        """Builds the network, freshly initialised."""
        options = dict(self.model)
        builder = find_model(options.pop("name"))
        return initialised(builder, self.data.outputs, self.data.inputs, options, self.seed, self.device)

    def untrained(self) -> nn.Module:
        """What is trained as the original, or its stored weights are loaded into."""
        if self.method.shapes_training is None:
            return self.build()
        return self.method.build_original(self.build, self.training_set).to(self.device)

    def task(self, model: nn.Module, recorder: Recorder) -> Task:
        """What the method is given; `model` is the original."""
        reference = self.split.reference
        return Task(
            model=model,
            retain=self.retain,
            forget=self.forget,
            classes=self.data.classes,
            seed=self.seed,
            build=self.build,
            fit=self.fit(recorder),
            criterion=self.kind.criterion,
            optimizer=self.kind.optimizer,
            autocast=self.autocast,
            recorder=recorder,
            reference=self.data.held_out(reference) if len(reference) else None,
        )

    def fit(self, recorder: Recorder) -> Fit:
        """The recipe of originals and of Retrain."""
        return partial(
            train,
            recipe=self.kind.training_keys(**self.config["training"]),
            seed=self.seed,
            criterion=self.kind.criterion,
            autocast=self.autocast,
            recorder=recorder,
        )
