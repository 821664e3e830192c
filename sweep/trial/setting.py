"""What the configuration of a trial names, ready on a device: its data, network, method and training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import nn

from methods import Method, Recorder, Samples
from methods.task import Build, Fit
from sweep.spec.plugins import find_kind, find_method, find_model
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
        model: the network's name and options in a spec.
        data: on the device.
        forget_set: as `Splits.split` takes it.
        device: what the trial computes on.
    """

    config: dict[str, Any]
    model: dict[str, Any]
    data: DeviceData
    forget_set: dict[str, Any]
    device: torch.device

    @cached_property
    def kind(self) -> Kind:
        """The kind of task."""
        return find_kind(self.config["dataset"]["name"])

    @cached_property
    def method(self) -> Method:
        """The method with its hyperparameters."""
        method = self.config["method"]
        return find_method(method["name"])(**method["params"])

    @property
    def seed(self) -> int:
        """The trial's seed."""
        seed: int = self.config["seed"]
        return seed

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
