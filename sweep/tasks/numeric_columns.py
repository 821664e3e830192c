"""Columns of numbers in Parquet files."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sweep.errors import InputError, nearest
from sweep.tasks.shards import Shard


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
