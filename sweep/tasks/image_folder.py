"""Image-classification sets as folders of image files, one folder a class."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ClassVar

import numpy as np
import PIL
from numpy.typing import NDArray
from pyarrow import fs as pafs

from sweep.errors import InputError
from sweep.store.content_ids import canonical_json, content_id
from sweep.store.location import open_location
from sweep.store.retry import steady
from sweep.tasks.dataset import Dataset
from sweep.tasks.images import Called, Images
from sweep.tasks.node_cache import kept_array
from sweep.tasks.pixels import DECODING, Background, Unusable, decode, stacked
from sweep.tasks.sections import Name

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
"""Ends of the names of files that count as images, in small or capital letters."""


@dataclass(frozen=True)
class Picture:
    """An image file: its path below the split's folder, whose first part is its class; its full path in a file system,
    and the file system.
    """

    path: PurePosixPath
    place: str
    filesystem: pafs.FileSystem

    @property
    def label(self) -> str:
        """The name of its class."""
        return self.path.parts[0]

    def read(self) -> bytes:
        """Its bytes."""
        with self.filesystem.open_input_stream(self.place) as stream:
            content: bytes = stream.read()
        return content


@dataclass(frozen=True)
class ImageFolder(Dataset):
    """Image files in folders, `train/<class>/*` and `test/<class>/*`, as torchvision's ImageFolder has them.

    A directory or URI. The classes are the names of the folders in sorted order; files deeper inside them count too.
    """

    crop: ClassVar[int] = 4
    flip: ClassVar[bool] = True
    located_by: ClassVar[tuple[str, ...]] = ("path",)

    path: str = field(metadata={"meaning": "directory or URI with a folder of training and one of test images"})
    image_size: int | None = field(default=None, metadata={"meaning": "resize to this many pixels square"})
    grayscale: bool = field(default=False, metadata={"meaning": "one channel in place of three"})
    background: Background = field(default="white", metadata={"meaning": "what is seen through transparent pixels"})
    train_split: Name = field(default="train", metadata={"meaning": "the folder of training images"})
    test_split: Name = field(default="test", metadata={"meaning": "the folder of test images"})

    def fingerprint(self) -> str:
        return _content_of(*self._pictures())

    def load(self) -> Images:
        train, test = self._pictures()
        classes = sorted({picture.label for picture in train})
        if unseen := sorted({picture.label for picture in test} - set(classes)):
            raise InputError(f"'{self.path}/{self.train_split}' has no class '{unseen[0]}', which the test images have")
        if len(classes) < 2:
            raise InputError(f"'{self.path}/{self.train_split}' has one class, '{classes[0]}'; a folder is a class")
        numbers = [np.array([classes.index(each.label) for each in part], dtype=np.int64) for part in (train, test)]
        pixels = self._kept_pixels(train, test)
        first, rest = pixels[: len(train)], pixels[len(train) :]
        return Images(first, numbers[0], rest, numbers[1], len(classes), Called(tuple(classes)))

    def _kept_pixels(self, train: list[Picture], test: list[Picture]) -> NDArray[np.uint8]:
        """All images, decoded once a node."""
        options = [DECODING, PIL.__version__, self.image_size, self.grayscale, self.background]
        key = content_id(_content_of(train, test) + canonical_json(options))
        counts = {self.train_split: len(train), self.test_split: len(test)}
        return kept_array(f"images-{key}", lambda: stacked(self._decoded([*train, *test]), counts, self.path))

    def _decoded(self, pictures: Sequence[Picture]) -> Iterator[NDArray[np.uint8]]:
        for picture in pictures:
            try:
                yield decode(picture.read(), "L" if self.grayscale else "RGB", self.background, self.image_size)
            except Unusable as error:
                raise InputError(f"'{picture.place}': {error}") from error

    def _pictures(self) -> tuple[list[Picture], list[Picture]]:
        if self.train_split == self.test_split:
            raise InputError(f"train_split and test_split are both '{self.train_split}'")
        return pictures_of(self.path, self.train_split), pictures_of(self.path, self.test_split)


def pictures_of(location: str, split: str) -> list[Picture]:
    """The images of a split, sorted by their paths.

    Raises:
        InputError: there is no such folder, or it has no images in folders.
    """
    filesystem, root = open_location(location)
    folder = f"{root}/{split}"
    try:
        infos = steady(lambda: filesystem.get_file_info(pafs.FileSelector(folder, recursive=True)))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"no directory '{location}/{split}'; it has a folder for each class") from error
    found = [
        Picture(PurePosixPath(info.path).relative_to(folder), info.path, filesystem)
        for info in infos
        if info.is_file and info.path.lower().endswith(SUFFIXES)
    ]
    found = sorted((each for each in found if _counts(each.path)), key=lambda each: each.path)
    if not found:
        raise InputError(f"'{location}/{split}' has no images in folders; write {split}/CLASS/IMAGE.png")
    return found


def _counts(path: PurePosixPath) -> bool:
    """Whether a file lies in the folder of a class, and is not hidden as what editors and systems leave there."""
    return len(path.parts) > 1 and not any(part.startswith(".") for part in path.parts)


def _content_of(train: Sequence[Picture], test: Sequence[Picture]) -> str:
    """16 hexadecimal digits of a hash of the images' classes and contents, in their order."""
    digest = hashlib.sha256()
    for split, pictures in ((b"train", train), (b"test", test)):
        for picture in pictures:
            content = picture.read()
            digest.update(f"{picture.label}/{len(content)}/".encode() + content)
        digest.update(split)
    return digest.hexdigest()[:16]
