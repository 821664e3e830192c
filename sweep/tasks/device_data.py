"""A dataset on the device as uint8 tensors; batches are normalised, cropped and flipped there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from methods.task import Samples
from sweep.tasks.images import Called, Images, class_number
from sweep.tasks.splits import Drawing, Integers, Split, limited, noisy

IMAGES_AT_ONCE = 2048
"""Images whose values are counted at once: few, to need little memory."""


@dataclass(frozen=True)
class DeviceData:
    """A dataset ready for trials: limited, with its label noise, on one device.

    Attributes:
        train_inputs, test_inputs: uint8 [N, C, H, W].
        train_targets: the labels trained on, int64 [N].
        true_targets: the same samples' labels before label noise, int64 [N].
        test_targets: int64 [N].
        train_rows: rows of the dataset's own training data that `limit` kept, int64 [N].
        classes: number of classes.
        called: what the dataset's source calls the classes, as in `Images`.
        drawing: seed -> what it decides; keeps the last result, which other trials share.
        bounds, prepare, draw: as in `methods.task.Samples`; `draw` is None without augmentation.
    """

    train_inputs: Tensor
    train_targets: Tensor
    true_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    train_rows: Integers
    classes: int
    called: Called | None
    drawing: Callable[[int], Drawing]
    bounds: tuple[Tensor, Tensor]
    prepare: Callable[[Tensor, Tensor | None], Tensor]
    draw: Callable[[int, torch.Generator], Tensor] | None

    @property
    def channels(self) -> int:
        """Colour channels of an image."""
        return self.train_inputs.shape[1]

    def split(self, seed: int, forget: dict[str, Any]) -> Split:
        """The parts of the training set for one seed and forget set; raises InputError as `Drawing.split` does."""
        return self.drawing(seed).split(ratio=forget.get("ratio"), forget_class=self.forgotten_class(forget))

    def forgotten_class(self, forget: dict[str, Any]) -> int | None:
        """The class that is forgotten; None if no class is. Raises InputError as `class_number` does."""
        return class_number(forget["class"], self.called) if "class" in forget else None

    def train(self, rows: Integers) -> Samples:
        """Samples at `rows` of the limited training set, with the labels trained on."""
        index = torch.from_numpy(rows).to(self.train_inputs.device)
        return Samples(self.train_inputs, self.train_targets, index, self.prepare, self.draw, self.bounds)

    def held_out(self, rows: Integers) -> Samples:
        """Samples at `rows` of the limited training set, with their true labels and never augmented."""
        index = torch.from_numpy(rows).to(self.train_inputs.device)
        return Samples(self.train_inputs, self.true_targets, index, self.prepare, bounds=self.bounds)

    def test(self) -> Samples:
        """All test samples."""
        index = torch.arange(len(self.test_targets), device=self.test_inputs.device)
        return Samples(self.test_inputs, self.test_targets, index, self.prepare, bounds=self.bounds)


def to_device(images: Images, options: dict[str, Any], device: torch.device) -> DeviceData:
    """Limit, corrupt and move a dataset.

    Args:
        options: `limit`, `label_noise`, `validation`, `crop`, `flip` and, if it is there, `reference`, as in
            `DatasetSpec`.
    """
    rows = limited(images.train_labels, options["limit"])
    train_images = images.train_images[rows]
    true = images.train_labels[rows]
    trained = noisy(true, options["label_noise"], images.classes)
    mean, std = mean_and_spread(train_images)
    crop, flip = options["crop"], options["flip"]
    prepare = preparation(mean, [max(each, 1e-6) for each in std], crop, device)
    darkest = torch.zeros(1, len(mean), 1, 1, dtype=torch.uint8, device=device)
    shares = {"validation": options["validation"], "reference": options.get("reference", 0.0)}
    return DeviceData(
        torch.from_numpy(train_images).to(device),
        torch.from_numpy(trained).to(device),
        torch.from_numpy(true).to(device),
        torch.from_numpy(images.test_images).to(device),
        torch.from_numpy(images.test_labels).to(device),
        rows,
        images.classes,
        images.called,
        lru_cache(maxsize=1)(partial(Drawing, trained, true, **shares)),
        (prepare(darkest, None), prepare(darkest + 255, None)),
        prepare,
        augmentation(crop, flip) if crop or flip else None,
    )


def mean_and_spread(images: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of uint8 [N, C, H, W], from counts of each value."""
    counts = np.zeros((images.shape[1], 256), dtype=np.int64)
    for start in range(0, len(images), IMAGES_AT_ONCE):
        part = images[start : start + IMAGES_AT_ONCE]
        for channel in range(images.shape[1]):
            counts[channel] += np.bincount(part[:, channel].ravel(), minlength=256)
    total, values = counts.sum(axis=1), np.arange(256)
    mean = counts @ values / total
    spread = np.sqrt((counts * (values - mean[:, None]) ** 2).sum(axis=1) / total)
    return mean.tolist(), spread.tolist()


def augmentation(crop: int, flip: bool) -> Callable[[int, torch.Generator], Tensor]:
    """A function that draws for n images int64 [n, 3]: top and left of the crop in the padded image, and 1 to flip."""

    def draw(count: int, generator: torch.Generator) -> Tensor:
        corners = torch.randint(2 * crop + 1, (count, 2), generator=generator)
        flips = torch.randint(2, (count, 1), generator=generator) * int(flip)
        return torch.cat([corners, flips], dim=1)

    return draw


def preparation(
    mean: list[float], std: list[float], crop: int, device: torch.device
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """A function of uint8 [B, C, H, W] and draws [B, 3], if any: crops, flips; normalised float32, channels_last."""
    scale = (1 / torch.tensor(std, device=device)).view(1, -1, 1, 1)
    shift = (torch.tensor(mean, device=device)).view(1, -1, 1, 1)

    def prepare(images: Tensor, draws: Tensor | None) -> Tensor:
        if draws is not None:
            images = crop_and_flip(images, draws, crop)
        return ((images.float() - shift) * scale).contiguous(memory_format=torch.channels_last)

    return prepare


def crop_and_flip(images: Tensor, draws: Tensor, padding: int) -> Tensor:
    """Pad [B, C, H, W] by `padding` zeros on each side, cut [H, W] out at each image's drawn corner, flip if drawn."""
    height, width = images.shape[2:]
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    rows = draws[:, 0, None] + torch.arange(height, device=images.device)
    across = torch.arange(width, device=images.device).expand(len(images), -1)
    columns = draws[:, 1, None] + torch.where(draws[:, 2, None].bool(), across.flip(1), across)
    sample = torch.arange(len(images), device=images.device)[:, None, None]
    # Advanced indices around the channel slice put channels last: [B, H, W, C], the layout convolutions want.
    return padded.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
