"""Classification of images: labels, cross-entropy, accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from methods import Samples
from sweep.store.metrics import CLASSIFICATION, KINDS
from sweep.tasks.class_splits import ClassSplits, class_splits
from sweep.tasks.device_data import DeviceData
from sweep.tasks.evaluation import accuracy, apart, confidence, judged, judged_forget, predict_parts
from sweep.tasks.image_tensors import image_tensors
from sweep.tasks.images import Called, Images, copies, listed
from sweep.tasks.kind import DatasetSpec, Evaluation, Kind, Outline
from sweep.tasks.splits import Integers, Split
from sweep.words import counted


class ImageSpec(DatasetSpec):
    """Which images, and how they are corrupted, limited and augmented; further keys are the dataset's own options."""

    label_noise: float = Field(0.0, ge=0, le=1, description="share of training labels drawn anew over all classes")
    crop: int | None = Field(None, ge=0, description="pixels of padding for the random crop; 0: none; null: as usual")
    flip: bool | None = Field(None, description="random horizontal flips; null: as usual for the dataset")


@dataclass(frozen=True)
class ImageOutline(Outline):
    """The outline of images with class labels.

    Attributes:
        labels, test_labels: of the training and the test set, int64 [N], as in `Images`.
        shape: C, H, W of an image.
        called: as in `Images`.
    """

    labels: Integers
    test_labels: Integers
    shape: tuple[int, ...]
    called: Called | None


class Classification(Kind):
    """Images [N, C, H, W] and one of a number of classes for each."""

    name = CLASSIFICATION
    metrics = KINDS[CLASSIFICATION]
    dataset_keys = ImageSpec
    scenarios = ("random", "class", "rows")

    def outline(self, data: Images) -> ImageOutline:
        remarks = []
        called = data.called
        if called is not None and called.renumbered and isinstance(called.values[0], int):
            remarks.append(f"labels {listed(called.values)}: {data.classes} classes, renumbered from 0")
        samples, again = copies(data)
        if again:
            among = f"{again} of {counted(len(data.test_labels), 'test sample')}"
            remarks.append(f"the training set has copies (same image and label) of {among}")
        shape = data.train_images.shape[1:]
        return ImageOutline(
            outputs=data.classes,
            inputs=shape[0],
            noun="image",
            size=" x ".join(map(str, shape)),
            samples=samples,
            remarks=tuple(remarks),
            labels=data.train_labels,
            test_labels=data.test_labels,
            shape=shape,
            called=called,
        )

    def splits(self, outline: ImageOutline, options: Mapping[str, Any]) -> ClassSplits:
        return class_splits(outline.labels, outline.test_labels, outline.outputs, outline.called, options)

    def examples(self, outline: ImageOutline, count: int) -> Samples:
        labels = torch.arange(count) % outline.outputs
        return Samples(torch.zeros(count, *outline.shape), labels, torch.arange(count), lambda raw, draws: raw)

    def on_device(self, data: Images, options: Mapping[str, Any], device: torch.device) -> DeviceData:
        splits = class_splits(data.train_labels, data.test_labels, data.classes, data.called, options)
        images = image_tensors(
            data.train_images, data.test_images, splits.rows, options["crop"], options["flip"], device
        )

        def moved(labels: NDArray[Any]) -> Tensor:
            return torch.from_numpy(labels).to(device)

        return DeviceData(
            images.train,
            moved(splits.trained),
            moved(splits.true),
            images.test,
            moved(data.test_labels),
            splits,
            outputs=data.classes,
            inputs=images.train.shape[1],
            classes=data.classes,
            prepare=images.prepare,
            draw=images.draw,
            bounds=images.bounds,
        )

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs, targets)

    def probe(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {"accuracy": 100 * (outputs.argmax(dim=1) == targets).float().mean()}

    def evaluate(
        self, model: nn.Module, data: DeviceData, split: Split, forget: dict[str, Any], seed: int
    ) -> Evaluation:
        assert isinstance(data.splits, ClassSplits)
        parts = predict_parts(model, data, split)
        label = data.splits.forgotten_class(forget)
        validated = None if parts.validation is None else apart(parts.validation, label)[0]
        tested, unit = apart(parts.test, label), "accuracy"
        return Evaluation(*judged(data, forget, parts, tested, validated, seed, unit, accuracy, confidence))

    def evaluate_forget(
        self, model: nn.Module, data: DeviceData, split: Split, forget: dict[str, Any], seed: int
    ) -> Evaluation:
        return Evaluation(*judged_forget(model, data, split, "accuracy", accuracy))
