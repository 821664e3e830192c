"""What a folder of image files is like: its splits, and the sizes and colours of its images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from sweep.errors import InputError
from sweep.tasks.image_folder import pictures_of

LOOKED_AT = 50
"""Training images whose sizes and colours stand for those of all."""

SIDE = 64
"""Pixels to which images are resized that differ in size or are larger."""


def image_folder_options(folder: Path, splits: Sequence[str]) -> dict[str, Any]:
    """The options with which the data set `folder` reads a folder, but for its path.

    Args:
        splits: names that the folder of test images may have, the best first.

    Raises:
        InputError: it has no such folders, or an image cannot be read.
    """
    split = next((name for name in splits if (folder / name).is_dir()), None)
    if split is None or not (folder / "train").is_dir():
        raise InputError(f"'{folder}' has no folders train and test with a folder of images for each class in them")
    options: dict[str, Any] = {"name": "folder"} | ({} if split == splits[0] else {"test_split": split})
    sizes, modes = set(), set()
    for picture in pictures_of(str(folder), "train")[:LOOKED_AT]:
        try:
            with Image.open(picture.place) as image:
                sizes.add(image.size)
                modes.add(image.mode)
        except (OSError, Image.DecompressionBombError) as error:
            raise InputError(f"'{picture.place}': it is no image that Pillow can read") from error
    if len(sizes) > 1 or max(map(max, sizes)) > SIDE:
        options["image_size"] = SIDE
    return options | ({"grayscale": True} if modes == {"L"} else {})
