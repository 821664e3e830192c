"""Decoded images as one array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from sweep.errors import InputError

DECODING = 1
"""Raise this when the same files give other pixels than before, so that no node uses its cache."""


def stacked(images: Iterable[NDArray[np.uint8]], counts: Mapping[str, int], path: str) -> NDArray[np.uint8]:
    """The images of all splits, one split after another: uint8 [N, C, H, W].

    Args:
        counts: how many images each split has, at least 1.
        path: the dataset's path, for messages.

    Raises:
        InputError: images differ in size, or all of a split are the same.
    """
    pixels: NDArray[np.uint8] | None = None
    for place, image in enumerate(images):
        if pixels is None:
            pixels = np.empty((sum(counts.values()), *image.shape), np.uint8)
        if image.shape != pixels.shape[1:]:
            raise InputError(f"'{path}': images differ in size; set dataset.image_size")
        pixels[place] = image
    assert pixels is not None
    first = 0
    for split, count in counts.items():
        part = pixels[first : first + count]
        first += count
        if count > 1 and all(np.array_equal(part[0], image) for image in part[1:]):
            raise InputError(f"'{path}': all {count} images of '{split}' are the same, to the last pixel")
    return pixels
