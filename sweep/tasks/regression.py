"""Regression: numeric targets, squared error, mean absolute error in percent of the targets' standard deviation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from methods import Samples
from methods.task import derived_seed
from sweep.errors import InputError
from sweep.store.metrics import KINDS
from sweep.tasks.arrays import require_array, require_images, require_pairs
from sweep.tasks.device_data import DeviceData
from sweep.tasks.evaluation import Floats, Predictions, judged, judged_forget, predict_parts
from sweep.tasks.image_tensors import image_tensors
from sweep.tasks.kind import DatasetSpec, Evaluation, Kind, Outline, numbered
from sweep.tasks.splits import Split
from sweep.tasks.value_splits import ValueSplits, in_range, value_splits
from sweep.words import counted


@dataclass(frozen=True)
class Measured:
    """A dataset of inputs and a number for each, in memory.

    Attributes:
        train_inputs, test_inputs: numbers, float64 [N, F], or images, uint8 [N, C, H, W].
        train_targets, test_targets: in their own unit, float64 [N].

    Raises:
        InputError: an array is not as described, or the parts do not fit together.
    """

    train_inputs: NDArray[Any]
    train_targets: NDArray[np.float64]
    test_inputs: NDArray[Any]
    test_targets: NDArray[np.float64]

    def __post_init__(self) -> None:
        parts = {"train": (self.train_inputs, self.train_targets), "test": (self.test_inputs, self.test_targets)}
        for part, (inputs, targets) in parts.items():
            if getattr(inputs, "ndim", 0) == 4:
                require_images(f"{part}_inputs", inputs)
            else:
                require_array(f"{part}_inputs", inputs, np.float64, "N, F")
            require_array(f"{part}_targets", targets, np.float64, "N")
            if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
                raise InputError(f"{part}: an input or target is not finite")
        require_pairs(parts)

    @property
    def images(self) -> bool:
        """Whether the inputs are images."""
        return self.train_inputs.ndim == 4


class MeasuredSpec(DatasetSpec):
    """Which data with a number for each sample, and how it is corrupted, limited and augmented."""

    target_noise: float = Field(0.0, ge=0, description="normal noise on training targets, in their standard deviations")
    crop: int | None = Field(None, ge=0, description="of images: pixels of padding for the random crop; null: as usual")
    flip: bool | None = Field(None, description="of images: random horizontal flips; null: as usual for the dataset")


@dataclass(frozen=True)
class MeasuredOutline(Outline):
    """The outline of a dataset with a number for each sample.

    Attributes:
        targets, test_targets: as in `Measured`.
        shape: of one sample's inputs.
    """

    targets: NDArray[np.float64]
    test_targets: NDArray[np.float64]
    shape: tuple[int, ...]


class Regression(Kind):
    """Inputs, and a number for each sample.

    Networks see targets less the training targets' mean, in units of their standard deviation, and give [B, 1].
    """

    name = "regression"
    metrics = KINDS["regression"]
    dataset_keys = MeasuredSpec
    scenarios = ("random", "range", "rows")

    def outline(self, data: Measured) -> MeasuredOutline:
        shape = data.train_inputs.shape[1:]
        pairs = zip(data.train_inputs, data.train_targets, strict=True)
        return MeasuredOutline(
            outputs=1,
            inputs=shape[0],
            noun="image" if data.images else "row",
            size=" x ".join(map(str, shape)) if data.images else counted(shape[0], "number"),
            samples=numbered(hashlib.sha256(row.tobytes() + target.tobytes()).digest() for row, target in pairs),
            remarks=(),
            targets=data.train_targets,
            test_targets=data.test_targets,
            shape=shape,
        )

    def splits(self, outline: MeasuredOutline, options: Mapping[str, Any]) -> ValueSplits:
        if outline.noun != "image" and (options["crop"] or options["flip"]):
            raise InputError("dataset.crop and dataset.flip are for images; these samples are rows of numbers")
        return value_splits(outline.targets, outline.test_targets, options)

    def examples(self, outline: MeasuredOutline, count: int) -> Samples:
        index = torch.arange(count)
        return Samples(torch.zeros(count, *outline.shape), torch.zeros(count, 1), index, unchanged)

    def on_device(self, data: Measured, options: Mapping[str, Any], device: torch.device) -> DeviceData:
        splits = value_splits(data.train_targets, data.test_targets, options)
        mean, deviation = splits.targets.mean(), spread(splits.targets)
        true, test = (_column((targets - mean) / deviation) for targets in (splits.targets, data.test_targets))
        noise = np.random.default_rng(derived_seed(0, "target noise")).standard_normal(len(true))
        trained = true + float(options["target_noise"]) * _column(noise)
        targets = (each.float().to(device) for each in (trained, true, test))
        if data.images:
            crop, flip = options["crop"] or 0, bool(options["flip"])
            images = image_tensors(data.train_inputs, data.test_inputs, splits.rows, crop, flip, device)
            inputs, prepare, draw, bounds = (images.train, images.test), images.prepare, images.draw, images.bounds
        else:
            train_inputs, test_inputs = standardised(data.train_inputs[splits.rows], data.test_inputs)
            inputs, prepare, draw, bounds = (train_inputs.to(device), test_inputs.to(device)), unchanged, None, None
        first, second, third = targets
        return DeviceData(
            inputs[0], first, second, inputs[1], third, splits, 1, inputs[0].shape[1], None, prepare, draw, bounds
        )

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.mse_loss(outputs, targets)

    def evaluate(
        self, model: nn.Module, data: DeviceData, split: Split, forget: dict[str, Any], seed: int
    ) -> Evaluation:
        assert isinstance(data.splits, ValueSplits)
        parts = predict_parts(model, data, split)
        outside = ~in_range(data.splits.test_targets, forget)
        tested = _where(parts.test, outside), _where(parts.test, ~outside)
        chosen = ~in_range(data.splits.targets[split.validation], forget)
        validated = None if parts.validation is None else _where(parts.validation, chosen)
        return Evaluation(*judged(data, forget, parts, tested, validated, seed, "error", error, losses))

    def evaluate_forget(
        self, model: nn.Module, data: DeviceData, split: Split, forget: dict[str, Any], seed: int
    ) -> Evaluation:
        return Evaluation(*judged_forget(model, data, split, "error", error))


def error(part: Predictions) -> float:
    """Mean absolute error, in percent of the training targets' standard deviation."""
    return 100 * (part.outputs - part.targets).abs().double().mean().item()


def losses(part: Predictions) -> Floats:
    """The squared error of each sample, [n]."""
    found: Floats = (part.outputs - part.targets).double().square()[:, 0].numpy()
    return found


def standardised(train: NDArray[np.float64], test: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    """Columns [N, F] less the training rows' mean, in units of their standard deviation, as float32."""
    mean, deviation = train.mean(axis=0), spread(train)
    first, second = (torch.from_numpy((rows - mean) / deviation).float() for rows in (train, test))
    return first, second


def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The standard deviation along the first axis; 1 where all values are equal."""
    deviation: NDArray[np.float64] = np.asarray(values.std(axis=0))
    return np.where(deviation > 0, deviation, 1.0)


def unchanged(raw: Tensor, draws: Tensor | None) -> Tensor:
    """Inputs as they are."""
    return raw


def _column(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float64))[:, None]


def _where(part: Predictions, chosen: NDArray[np.bool_]) -> Predictions:
    return part.subset(torch.from_numpy(np.flatnonzero(chosen)))
