"""Images on the device as uint8 tensors; batches are normalised, cropped and flipped there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.tasks.splits import Integers

IMAGES_AT_ONCE = 2048
"""Images whose values are counted at once: few, to need little memory."""


@dataclass(frozen=True)
class ImageTensors:
    """Images ready to be drawn from.

    Attributes:
        train, test: uint8 [N, C, H, W].
        prepare, draw, bounds: as in `methods.task.Samples`; `draw` is None without augmentation.
    """

    train: Tensor
    test: Tensor
    prepare: Callable[[Tensor, Tensor | None], Tensor]
    draw: Callable[[int, torch.Generator], Tensor] | None
    bounds: tuple[Tensor, Tensor]


def image_tensors(
    train: NDArray[np.uint8], test: NDArray[np.uint8], rows: Integers, crop: int, flip: bool, device: torch.device
) -> ImageTensors:
    """Move the training images at `rows` and all test images, uint8 [N, C, H, W], to the device.

    Normalisation is by the training images' mean and standard deviation per channel.
    """
    chosen = train[rows]
    mean, std = mean_and_spread(chosen)
    prepare = preparation(mean, [max(each, 1e-6) for each in std], crop, device)
    darkest = torch.zeros(1, len(mean), 1, 1, dtype=torch.uint8, device=device)
    return ImageTensors(
        torch.from_numpy(chosen).to(device),
        torch.from_numpy(test).to(device),
        prepare,
        augmentation(crop, flip) if crop or flip else None,
        (prepare(darkest, None), prepare(darkest + 255, None)),
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
