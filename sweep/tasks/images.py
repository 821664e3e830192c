"""Datasets: images in memory, an outline for checks before anything is trained, and the base class of both's source."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sweep.errors import InputError, nearest


@dataclass(frozen=True)
class Called:
    """What a dataset's source calls the classes 0, 1, ...

    Attributes:
        values: the source's label of each class, sorted: all integers or all text.
        names: the source's names for these labels; empty if it has none.
    """

    values: tuple[int, ...] | tuple[str, ...]
    names: tuple[str, ...] = ()

    @property
    def renumbered(self) -> bool:
        """Whether the source's labels differ from the class numbers."""
        return self.values != tuple(range(len(self.values)))


@dataclass(frozen=True)
class Images:
    """A dataset in memory.

    Attributes:
        train_images, test_images: uint8 [N, C, H, W].
        train_labels, test_labels: int64 [N], in [0, classes).
        classes: number of classes.
        called: what the source calls the classes; None: by their numbers.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: int
    called: Called | None = None


@dataclass(frozen=True)
class Outline:
    """What checks read before anything is trained.

    Attributes:
        labels, test_labels: of the training and the test set, int64 [N], as in `Images`.
        classes: number of classes.
        shape: C, H, W of an image.
        called: as in `Images`.
        samples: a number for each training sample, int64 [N]; samples with equal image and label have equal numbers.
            None: unknown.
        remarks: what users of this dataset should know, one line each.
    """

    labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]
    classes: int
    shape: tuple[int, ...]
    called: Called | None = None
    samples: NDArray[np.int64] | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset(ABC):
    """A source of images. Subclasses are frozen dataclasses whose fields are the options a spec may set.

    `crop` (pixels of padding for the random crop; 0: none) and `flip` are the defaults of a spec's keys.
    """

    crop: ClassVar[int] = 0
    flip: ClassVar[bool] = False
    located_by: ClassVar[tuple[str, ...]] = ()
    """Options that say where the data lies, not what it is. They are no part of a trial's identity."""
    came_later: ClassVar[tuple[str, ...]] = ()
    """Options that enter a trial's identity only where they are not at their defaults, so that older ids stay."""

    @abstractmethod
    def load(self) -> Images:
        """Read the whole dataset.

        Raises:
            InputError: the data is missing or not as described.
        """

    def outline(self) -> Outline:
        """The outline of what `load` returns. Raises what `load` raises."""
        return outlined(self.load())

    def fingerprint(self) -> str | None:
        """A hash of the content if the options do not determine it; else None. Called once per plan.

        Raises:
            InputError: the data is missing.
        """
        return None


def outlined(images: Images) -> Outline:
    """The outline of a dataset in memory."""
    remarks = []
    called = images.called
    if called is not None and called.renumbered and isinstance(called.values[0], int):
        remarks.append(f"labels {listed(called.values)}: {images.classes} classes, renumbered from 0")
    numbers: dict[bytes, int] = {}
    samples = [numbers.setdefault(key, len(numbers)) for key in keys(images.train_images, images.train_labels)]
    again = sum(key in numbers for key in keys(images.test_images, images.test_labels))
    if again:
        among = f"{again} of {len(images.test_labels)} test samples"
        remarks.append(f"{among} have a copy in the training set (same image and label)")
    return Outline(
        images.train_labels,
        images.test_labels,
        images.classes,
        images.train_images.shape[1:],
        called,
        np.array(samples),
        tuple(remarks),
    )


def keys(images: NDArray[np.uint8], labels: NDArray[np.int64] | None = None) -> list[bytes]:
    """A hash of each image, and of its label if labels are given."""
    marks = [b""] * len(images) if labels is None else [str(label).encode() for label in labels.tolist()]
    return [hashlib.sha256(image.tobytes() + mark).digest() for image, mark in zip(images, marks, strict=True)]


def class_number(label: int | str, called: Called | None) -> int:
    """The number of the class that a source calls `label`.

    Raises:
        InputError: no class is called so.
    """
    values: tuple[int | str, ...] = () if called is None else called.values
    if called is None and isinstance(label, int):
        return label
    if label in values:
        return values.index(label)
    if called is not None and label in called.names:
        value = values[called.names.index(str(label))]
        raise InputError(f"forget: class '{label}' has the label {value} in the data; write that label")
    if not isinstance(label, str) and str(label) not in values:
        raise InputError(f"forget: class {label} is none of {listed(values)}")
    known = [str(value) for value in values]
    hint = nearest(str(label), known) if known else "classes are numbers here"
    kind = "text" if values and isinstance(values[0], str) else "integers"
    raise InputError(f"forget: class {label!r} is none of the labels, which are {kind}; {hint}")


def listed(values: tuple[int | str, ...], most: int = 10) -> str:
    """The first few labels, and how many more there are."""
    shown = ", ".join(map(repr, values[:most]))
    return f"{shown} and {len(values) - most} more" if len(values) > most else shown
