"""The built-in datasets: embedded digits, torchvision's CIFARs, any set of image files, any Parquet set."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from sweep.errors import InputError, first_line
from sweep.tasks.dataset import Dataset
from sweep.tasks.image_folder import ImageFolder
from sweep.tasks.images import Images
from sweep.tasks.language.invented_people import InventedPeople
from sweep.tasks.language.python_manual import PythonManual
from sweep.tasks.language.text_files import TextFiles
from sweep.tasks.parquet_images import ParquetImages
from sweep.tasks.tables import Diabetes, RatedImages, Table

__all__ = ["DATASETS", "Cifar10", "Cifar100", "Dataset", "Digits", "ImageFolder", "Images", "ParquetImages"]


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
                f"{self.torchvision_name} is not in '{self.path}' ({first_line(error)}); "
                "set dataset.path to torchvision's root, or dataset.download to true"
            ) from error
        images = np.ascontiguousarray(part.data.transpose(0, 3, 1, 2))
        return images, np.asarray(part.targets, dtype=np.int64)


@dataclass(frozen=True)
class Cifar100(Cifar10):
    """CIFAR-100 through torchvision: 60,000 colour images of 32 x 32, 100 classes."""

    torchvision_name: ClassVar[str] = "CIFAR100"


DATASETS: dict[str, type[Dataset]] = {
    "digits": Digits,
    "cifar10": Cifar10,
    "cifar100": Cifar100,
    "parquet": ParquetImages,
    "folder": ImageFolder,
    "diabetes": Diabetes,
    "table": Table,
    "rated-images": RatedImages,
    "invented-people": InventedPeople,
    "python-manual": PythonManual,
    "text": TextFiles,
}
