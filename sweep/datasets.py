"""Image-classification datasets as arrays in memory: embedded digits, torchvision's CIFARs, any Parquet set."""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from numpy.typing import NDArray
from pyarrow import fs as pafs

from sweep.errors import InputError, nearest
from sweep.location import open_location
from sweep.node_cache import local_copy
from sweep.storage import steady


@dataclass(frozen=True)
class Images:
    """A dataset in memory.

    Attributes:
        train_images, test_images: uint8 [N, C, H, W].
        train_labels, test_labels: int64 [N], in [0, classes).
        classes: number of classes.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: int


@dataclass(frozen=True)
class Outline:
    """What is looked at before anything is trained.

    Attributes:
        labels, test_labels: of the training and the test set, int64 [N], as `Images` has them.
        classes: number of classes.
        shape: C, H, W of an image.
    """

    labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]
    classes: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Dataset(ABC):
    """A source of images. Subclasses are frozen dataclasses whose fields are the options a spec may set.

    `crop` (pixels of padding for the random crop; 0: none) and `flip` are what a spec that says nothing gets.
    """

    crop: ClassVar[int] = 0
    flip: ClassVar[bool] = False
    located_by: ClassVar[tuple[str, ...]] = ()
    """Options that say where the data lies and not what it is: they are no part of a trial's identity."""

    @abstractmethod
    def load(self) -> Images:
        """Read everything.

        Raises:
            InputError: the data is missing or not as described.
        """

    def outline(self) -> Outline:
        """What `load` would give, without the images where that is cheaper. Raises what `load` raises."""
        images = self.load()
        return Outline(images.train_labels, images.test_labels, images.classes, images.train_images.shape[1:])

    def fingerprint(self) -> str | None:
        """A hash of the content, for datasets whose options do not determine it. Called once per plan.

        Raises:
            InputError: the data is missing.
        """
        return None


@dataclass(frozen=True)
class Digits(Dataset):
    """scikit-learn's digits: 1,797 grey images of 8 x 8, 10 classes, a fixed split of 1,437 to 360. No download."""

    def load(self) -> Images:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
        labels = digits.target.astype(np.int64)
        train, test = train_test_split(np.arange(len(labels)), test_size=360, random_state=0, stratify=labels)
        return Images(images[train], labels[train], images[test], labels[test], classes=10)


@dataclass(frozen=True)
class Cifar10(Dataset):
    """CIFAR-10 through torchvision: 60,000 colour images of 32 x 32, 10 classes."""

    crop: ClassVar[int] = 4
    flip: ClassVar[bool] = True
    located_by: ClassVar[tuple[str, ...]] = ("path", "download")
    torchvision_name: ClassVar[str] = "CIFAR10"

    path: str = field(default="data", metadata={"meaning": "torchvision's root directory"})
    download: bool = field(default=False, metadata={"meaning": "download what is missing"})

    def fingerprint(self) -> None:
        self._part(train=True)

    def load(self) -> Images:
        train, test = self._part(train=True), self._part(train=False)
        return Images(*train, *test, classes=len(np.unique(train[1])))

    def _part(self, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        import torchvision

        folder = Path(self.path)
        try:
            if self.download:
                folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".download.lock") if self.download else nullcontext():
                kind = getattr(torchvision.datasets, self.torchvision_name)
                part = kind(self.path, train=train, download=self.download)
        except (RuntimeError, OSError) as error:
            raise InputError(
                f"{self.torchvision_name} is not in '{self.path}' ({str(error).splitlines()[0]}); "
                "set dataset.path to torchvision's root, or dataset.download to true"
            ) from error
        images = np.ascontiguousarray(part.data.transpose(0, 3, 1, 2))
        return images, np.asarray(part.targets, dtype=np.int64)


@dataclass(frozen=True)
class Cifar100(Cifar10):
    """CIFAR-100 through torchvision: 60,000 colour images of 32 x 32, 100 classes."""

    torchvision_name: ClassVar[str] = "CIFAR100"


@dataclass(frozen=True)
class ParquetImages(Dataset):
    """Any image-classification set in the hubs' Parquet layout.

    A directory or URI with Parquet files whose name, or whose folder's name, starts with `train` and `test`
    (`train.parquet`, `data/train-00000-of-00002.parquet`, `test/0.parquet`). One column holds images as a struct with
    encoded `bytes`, one holds integer labels from 0.
    """

    crop: ClassVar[int] = 4
    flip: ClassVar[bool] = True
    located_by: ClassVar[tuple[str, ...]] = ("path",)

    path: str = field(metadata={"meaning": "directory or URI with train and test files"})
    image_column: str | None = field(default=None, metadata={"meaning": "the only struct with bytes if null"})
    label_column: str | None = field(default=None, metadata={"meaning": "the only integer column if null"})
    image_size: int | None = field(default=None, metadata={"meaning": "resize to this many pixels square"})
    grayscale: bool = field(default=False, metadata={"meaning": "one channel in place of three"})

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for split in ("train", "test"):
            for stream in self._open(split):
                with stream:
                    while block := stream.read(1 << 22):
                        digest.update(block)
            digest.update(split.encode())
        return digest.hexdigest()[:16]

    def load(self) -> Images:
        labels, test_labels, classes = self._checked_labels()
        return Images(self._images("train"), labels, self._images("test"), test_labels, classes)

    def outline(self) -> Outline:
        return Outline(*self._checked_labels(), next(self._decoded("train")).shape)

    def _checked_labels(self) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        labels, test_labels = self._labels("train"), self._labels("test")
        if not (len(labels) and len(test_labels)):
            raise InputError(f"'{self.path}' has no rows for '{'test' if len(labels) else 'train'}'")
        if min(labels.min(), test_labels.min()) < 0:
            raise InputError(f"'{self.path}': labels must count from 0 (negative ones mean unlabelled)")
        return labels, test_labels, int(max(labels.max(), test_labels.max())) + 1

    def _open(self, split: str) -> Iterator[pa.NativeFile]:
        filesystem, root = open_location(self.path)
        try:
            infos = steady(lambda: filesystem.get_file_info(pafs.FileSelector(root, recursive=True)))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(f"no directory '{self.path}'") from error
        files = [
            info
            for info in sorted(infos, key=lambda info: info.path)
            if info.is_file
            and info.path.endswith(".parquet")
            and _split_of(PurePosixPath(info.path).relative_to(root)) == split
        ]
        if not files:
            raise InputError(f"'{self.path}' has no Parquet file for '{split}'")
        for info in files:
            if isinstance(filesystem, pafs.LocalFileSystem):
                yield filesystem.open_input_file(info.path)
            else:
                yield pa.OSFile(str(local_copy(filesystem, self.path, info)))

    def _images(self, split: str) -> NDArray[np.uint8]:
        images = list(self._decoded(split))
        if len({image.shape for image in images}) != 1:
            raise InputError(f"'{self.path}': images of '{split}' differ in size; set dataset.image_size")
        return np.stack(images)

    def _decoded(self, split: str) -> Iterator[NDArray[np.uint8]]:
        for file in self._files(split):
            for batch in file.iter_batches(batch_size=1024, columns=[f"{self._image_column(file)}.bytes"]):
                yield from (self._decode(item.as_py()) for item in batch.column(0).field("bytes"))

    def _labels(self, split: str) -> NDArray[np.int64]:
        columns = [file.read([self._label_column(file)]).column(0) for file in self._files(split)]
        if any(column.null_count for column in columns):
            raise InputError(f"'{self.path}': labels of '{split}' are missing in places")
        return np.concatenate([column.to_numpy().astype(np.int64) for column in columns])

    def _files(self, split: str) -> Iterator[pq.ParquetFile]:
        for stream in self._open(split):
            try:
                yield pq.ParquetFile(stream)
            except pa.ArrowException as error:
                raise InputError(f"'{self.path}': a file of '{split}' is not Parquet: {error}") from error

    def _image_column(self, file: pq.ParquetFile) -> str:
        found = [
            item.name
            for item in file.schema_arrow
            if pa.types.is_struct(item.type) and item.type.get_field_index("bytes") >= 0
        ]
        return self._choose("image_column", self.image_column, found)

    def _label_column(self, file: pq.ParquetFile) -> str:
        found = [item.name for item in file.schema_arrow if pa.types.is_integer(item.type)]
        return self._choose("label_column", self.label_column, found)

    def _choose(self, option: str, chosen: str | None, candidates: list[str]) -> str:
        if chosen is None and len(candidates) == 1:
            return candidates[0]
        if chosen is None:
            raise InputError(
                f"'{self.path}' has {len(candidates)} candidates for dataset.{option}: {candidates}; set it"
            )
        if chosen not in candidates:
            raise InputError(f"'{self.path}' has no {option} '{chosen}'; {nearest(chosen, candidates)}")
        return chosen

    def _decode(self, encoded: bytes) -> NDArray[np.uint8]:
        from PIL import Image

        try:
            with Image.open(io.BytesIO(encoded)) as image:
                decoded = image.convert("L" if self.grayscale else "RGB")
        except OSError as error:
            raise InputError(f"'{self.path}': an image cannot be decoded: {error}") from error
        if self.image_size is not None and decoded.size != (self.image_size, self.image_size):
            decoded = decoded.resize((self.image_size, self.image_size), Image.Resampling.BILINEAR)
        array = np.asarray(decoded, dtype=np.uint8)
        return array[None] if self.grayscale else array.transpose(2, 0, 1)


def _split_of(path: PurePosixPath) -> str | None:
    """The split that a file's name says it belongs to; else the nearest folder's that says so."""
    return next((split for part in reversed(path.parts) for split in ("train", "test") if part.startswith(split)), None)


DATASETS: dict[str, type[Dataset]] = {
    "digits": Digits,
    "cifar10": Cifar10,
    "cifar100": Cifar100,
    "parquet": ParquetImages,
}
