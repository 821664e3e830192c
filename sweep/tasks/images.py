"""Images with class labels in memory, and what their source calls the classes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.errors import InputError, nearest
from sweep.tasks.arrays import require_array, require_images, require_pairs
from sweep.tasks.kind import numbered


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

    Raises:
        InputError: an array is not as described, or the parts do not fit together.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: int
    called: Called | None = None

    def __post_init__(self) -> None:
        parts = {"train": (self.train_images, self.train_labels), "test": (self.test_images, self.test_labels)}
        for part, (images, labels) in parts.items():
            require_images(f"{part}_images", images)
            require_array(f"{part}_labels", labels, np.int64, "N")
            if len(labels) and not 0 <= labels.min() <= labels.max() < self.classes:
                told = f"{labels.min()} to {labels.max()}"
                raise InputError(f"{part}_labels: they are {told}, not from 0 to below {self.classes}, as classes says")
        require_pairs(parts)


def copies(images: Images) -> tuple[NDArray[np.int64], int]:
    """A number for each training sample, int64 [N], equal for equal image and label; and how many test samples have a
    copy in the training set.
    """
    samples = keys(images.train_images, images.train_labels)
    known = set(samples)
    return numbered(samples), sum(key in known for key in keys(images.test_images, images.test_labels))


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
