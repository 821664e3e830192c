"""Datasets with a number for each sample: embedded diabetes, any Parquet set of numeric columns, or of images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sweep.errors import InputError, nearest
from sweep.tasks.dataset import Dataset
from sweep.tasks.parquet_images import ParquetImages, content_of
from sweep.tasks.regression import Measured
from sweep.tasks.sections import Name
from sweep.tasks.shards import Shard, find_both


@dataclass(frozen=True)
class Diabetes(Dataset):
    """scikit-learn's diabetes: 10 numbers of each of 442 patients, and how the disease progressed in a year.

    A fixed split of 354 to 88. No download.
    """

    kind = "regression"

    def load(self) -> Measured:
        from sklearn.datasets import load_diabetes
        from sklearn.model_selection import train_test_split

        patients = load_diabetes()
        train, test = train_test_split(np.arange(len(patients.target)), test_size=88, random_state=0)
        inputs, targets = patients.data, patients.target.astype(np.float64)
        return Measured(inputs[train], targets[train], inputs[test], targets[test])


@dataclass(frozen=True)
class Table(Dataset):
    """Any set of rows of numbers, in Parquet files, one column of which is to be predicted.

    A directory or URI with Parquet files whose name, or whose folder's name, starts with `train` and `test`.
    """

    kind = "regression"
    located_by: ClassVar[tuple[str, ...]] = ("path",)

    path: str = field(metadata={"meaning": "directory or URI with train and test files"})
    target: Name = field(metadata={"meaning": "the column that is predicted"})
    features: list[str] | None = field(
        default=None, metadata={"meaning": "columns that it is predicted from; null: all other numeric ones"}
    )
    train_split: Name = field(default="train", metadata={"meaning": "how names of files with training data start"})
    test_split: Name = field(default="test", metadata={"meaning": "how names of files with test data start"})

    def fingerprint(self) -> str:
        data = self.load()
        digest = hashlib.sha256()
        for part in (data.train_inputs, data.train_targets, data.test_inputs, data.test_targets):
            digest.update(repr(part.shape).encode() + part.tobytes())
        return digest.hexdigest()[:16]

    def load(self) -> Measured:
        train, test = find_both(self.path, self.train_split, self.test_split)
        names = self._features(train[0])
        (inputs, targets), (test_inputs, test_targets) = (self._read(part, names) for part in (train, test))
        if len(targets) and (targets == targets[0]).all():
            raise InputError(f"'{self.path}': all targets are {targets[0]:g}")
        return Measured(inputs, targets, test_inputs, test_targets)

    def _features(self, shard: Shard) -> list[str]:
        numeric = numeric_columns(shard)
        if self.target not in numeric:
            raise InputError(f"'{shard.name}' has no numeric column '{self.target}'; {nearest(self.target, numeric)}")
        names = [name for name in numeric if name != self.target] if self.features is None else self.features
        for name in names:
            if name == self.target or name not in numeric:
                what = "is the target" if name == self.target else f"is no numeric column; {nearest(name, numeric)}"
                raise InputError(f"features: '{name}' {what}")
        if not names:
            raise InputError(f"'{shard.name}' has no numeric column beside '{self.target}'")
        return names

    def _read(self, shards: Sequence[Shard], names: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The columns `names` of all files, [N, F], and the target, [N]."""
        columns = [np.concatenate([numbers(shard, name) for shard in shards]) for name in [*names, self.target]]
        if not len(columns[-1]):
            raise InputError(f"'{self.path}': '{shards[0].name}' has no row")
        return np.column_stack(columns[:-1]), columns[-1]


@dataclass(frozen=True)
class RatedImages(ParquetImages):
    """Images with a number for each, in the hubs' Parquet layout; files as for `ParquetImages`."""

    kind = "regression"

    label_column: str | None = field(default=None, metadata={"meaning": "the number; the only numeric one if null"})

    def fingerprint(self) -> str:
        return content_of(*self._shards())

    def load(self) -> Measured:  # type: ignore[override]
        train, test = self._shards()
        name = self.label_column or self._number(train[0])
        first, second = (np.concatenate([numbers(shard, name) for shard in part]) for part in (train, test))
        pixels = self._kept_pixels(train, test)
        return Measured(pixels[: len(first)], first, pixels[len(first) :], second)

    def _number(self, shard: Shard) -> str:
        found = numeric_columns(shard)
        if len(found) != 1:
            raise InputError(f"'{shard.name}' has {len(found)} candidates for dataset.label_column: {found}; set it")
        return found[0]


def numeric_columns(shard: Shard) -> list[str]:
    """The names of a file's columns of integers, floats or decimals, in their order."""
    return [item.name for item in shard.parquet().schema_arrow if _is_numeric(item.type)]


def numbers(shard: Shard, name: str) -> NDArray[np.float64]:
    """A column of a file, float64 [N].

    Raises:
        InputError: the file has no such column, or not numbers alone.
    """
    file = shard.parquet()
    if name not in file.schema_arrow.names:
        raise InputError(f"'{shard.name}' has no column '{name}'; {nearest(name, numeric_columns(shard))}")
    held = file.schema_arrow.field(name).type
    if not _is_numeric(held):
        raise InputError(f"'{shard.name}': column '{name}' holds {held}, not numbers")
    values: NDArray[np.float64] = file.read([name]).column(0).cast(pa.float64()).to_numpy()
    if unknown := int((~np.isfinite(values)).sum()):
        raise InputError(f"'{shard.name}': column '{name}' has {unknown} missing or infinite values")
    return values


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
