"""Turns the label column of Parquet files into classes counted from 0, and finds that column."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sweep.errors import InputError, first_line, nearest
from sweep.tasks.images import Called, listed
from sweep.tasks.shards import Shard

FEW = 20
"""So many values are accepted as classes however few rows there are."""


@dataclass(frozen=True)
class Labels:
    """The labels of a training and a test split.

    Attributes:
        train, test: classes, int64 [N], in [0, number of values).
        called: the values in the column, sorted, and their names.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    called: Called


def read_labels(path: str, train: Sequence[Shard], test: Sequence[Shard], chosen: str | None) -> Labels:
    """The labels of a training and a test split: integers, or text, in sorted order.

    Args:
        path: the dataset's path, for messages.
        chosen: the name of the column; None: the only column that can hold labels.

    Raises:
        InputError: no column can hold labels, or several can; or the labels cannot be learned and tested.
    """
    column = _label_column(path, train, test) if chosen is None else chosen
    seen, tested = _column(train, column), _column(test, column)
    for split, labels in (("train", seen), ("test", tested)):
        if not len(labels):
            raise InputError(f"'{path}' has no rows for '{split}'")
        if labels.null_count:
            raise InputError(f"'{path}': labels of '{split}' are missing in places")
        if pa.types.is_integer(labels.type) and pc.min(labels).as_py() < 0:
            raise InputError(f"'{path}': labels must count from 0 (negative ones mean unlabelled)")
    if seen.type != tested.type:
        raise InputError(f"'{path}': column '{column}' holds {seen.type} for 'train' and {tested.type} for 'test'")
    values = sorted(pc.unique(seen).to_pylist())
    if why := _no_classes(values, tested, None if chosen else len(seen)):
        raise InputError(f"'{path}': column '{column}': {why}; name another in dataset.label_column")
    order = pa.array(values, seen.type)
    called = Called(tuple(values), _names(train[0], column, values))
    return Labels(_numbers(seen, order), _numbers(tested, order), called)


def _no_classes(values: list[int] | list[str], tested: pa.ChunkedArray, rows: int | None) -> str | None:
    """Why the values of a training set and those of a test set cannot be classes; None if they can be.

    Args:
        rows: how many rows the training set has; None: accept any number of values.
    """
    if rows is not None and len(values) > max(FEW, rows / 2):
        return f"{len(values)} values in {rows} rows are too many for classes"
    if unseen := sorted(set(pc.unique(tested).to_pylist()) - set(values)):
        return f"'train' never has {listed(tuple(unseen), most=5)}, which 'test' has"
    return f"all labels are {values[0]!r}" if len(values) == 1 else None


def _numbers(labels: pa.ChunkedArray, order: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.index_in(labels, value_set=order).to_numpy(), dtype=np.int64)


def _label_column(path: str, train: Sequence[Shard], test: Sequence[Shard]) -> str:
    """The only column that can hold labels.

    A column of integers can. A column of text can if its values are few and the same in both splits. If there is just
    one integer column and its name contains "label", it is preferred to text.
    """
    schema = train[0].parquet().schema_arrow
    integers: list[str] = [item.name for item in schema if _is_integer(item.type)]
    if len(integers) == 1 and "label" in integers[0].lower():
        return integers[0]
    text = [item.name for item in schema if _is_text(item.type) and _classes_as_text(item.name, train, test)]
    found: list[str] = [item.name for item in schema if item.name in (*integers, *text)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"'{path}' has {len(found)} candidates for dataset.label_column: {found}; set it")
    there = ", ".join(f"'{item.name}' ({item.type})" for item in schema)
    wanted = "integers, or text of a few values that 'train' and 'test' share"
    raise InputError(f"'{path}' has 0 candidates for dataset.label_column ({wanted}); its columns: {there}")


def _classes_as_text(column: str, train: Sequence[Shard], test: Sequence[Shard]) -> bool:
    for shard in (*train, *test):
        schema = shard.parquet().schema_arrow
        if column not in schema.names or not _is_text(schema.field(column).type):
            return False  # this column is no candidate, and that is no error
    seen, tested = _column(train, column), _column(test, column)
    return _no_classes(pc.unique(seen).to_pylist(), tested, len(seen)) is None


def _column(shards: Sequence[Shard], name: str) -> pa.ChunkedArray:
    """A column of all files: int64, or text.

    Raises:
        InputError: a file lacks the column, or it holds something else there.
    """
    chunks: list[pa.Array] = []
    for shard in shards:
        file = shard.parquet()
        names = [item.name for item in file.schema_arrow if _is_integer(item.type) or _is_text(item.type)]
        if name not in file.schema_arrow.names:
            raise InputError(f"'{shard.name}' has no label_column '{name}'; {nearest(name, names)}")
        found = file.schema_arrow.field(name).type
        if name not in names:
            held = "a struct" if pa.types.is_struct(found) else found
            raise InputError(f"'{shard.name}': column '{name}' holds {held}; labels are integers or text")
        wanted = pa.int64() if _is_integer(found) else pa.large_string()
        try:
            chunks += file.read([name]).column(0).cast(wanted).chunks
        except pa.ArrowException as error:
            raise InputError(f"'{shard.name}': column '{name}': {first_line(error)}") from error
        if chunks and chunks[0].type != wanted:
            raise InputError(f"'{shard.name}': column '{name}' holds {found}, and in other files {chunks[0].type}")
    return pa.chunked_array(chunks, None if chunks else pa.int64())


def _is_integer(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _names(shard: Shard, column: str, values: Sequence[int | str]) -> tuple[str, ...]:
    """The names that the metadata of dataset hubs gives to integer labels; empty if it does not name each."""
    try:
        described = json.loads((shard.parquet().schema_arrow.metadata or {})[b"huggingface"])
        names = described["info"]["features"][column]["names"]
        return tuple(str(names[value]) for value in values)
    except (KeyError, IndexError, TypeError, ValueError):
        return ()
