"""Lists of rows that are to be forgotten: read from a user's file, and kept in the results directory.

DIR/rows/<id>.parquet   a row per sample; the id is a hash of the list, whatever file it came from
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs as pafs

from sweep.errors import InputError, first_line
from sweep.store.columns import ROWS
from sweep.store.content_ids import canonical_json, content_id
from sweep.store.directory import Directory
from sweep.store.index import read_folder
from sweep.store.location import absolute_location, open_location
from sweep.store.parquet import LARGE, parquet_bytes, read_parquet

COLUMN = "sample_id"


@dataclass(frozen=True, eq=False)
class RowList:
    """Rows of a dataset's own training data.

    Attributes:
        rows: counted from 0, ascending, each once, int64 [n].
        source: the file that they were read from, as an absolute path or URI.
    """

    rows: NDArray[np.int64]
    source: str

    @cached_property
    def id(self) -> str:
        """A hash of the rows."""
        return content_id(canonical_json(self.rows.tolist()))


def row_list_path(list_id: str) -> str:
    """Where a results directory has a list."""
    return f"rows/{list_id}.parquet"


def read_row_list(location: str) -> RowList | None:
    """The rows in the column `sample_id` of a CSV, Parquet or JSON Lines file; None if there is no such file.

    A row may be there more than once.

    Raises:
        InputError: the file cannot be read, lacks the column or has it twice, is empty, or has anything there but
            integers.
    """
    filesystem, path = open_location(location)
    ending = path.rpartition(".")[2].lower()
    if ending not in READERS:
        raise InputError(f"'{location}' is none of .{', .'.join(READERS)}")
    try:
        table = READERS[ending](filesystem, path)
        names = table.column_names
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{location}' cannot be read: {first_line(error)}") from error
    if COLUMN not in names:
        raise InputError(f"'{location}' has no column {COLUMN}, but {', '.join(names) or 'none'}")
    if names.count(COLUMN) > 1:
        raise InputError(f"'{location}' has several columns {COLUMN}")
    column = table[COLUMN]
    if not len(column):
        raise InputError(f"'{location}' has no rows")
    if column.null_count or not pa.types.is_integer(column.type):
        what = f"{column.null_count} without a value" if column.null_count else f"of type {column.type}"
        raise InputError(f"'{location}': {COLUMN} must be integers, rows of the training data from 0; it is {what}")
    try:
        return RowList(np.unique(column.cast(pa.int64()).to_numpy()), absolute_location(location))
    except pa.ArrowException as error:
        raise InputError(f"'{location}': {COLUMN}: {first_line(error)}") from error


def write_row_list(results: Directory, listed: RowList) -> None:
    """Store a list, unless it is there and came from the same file.

    Raises:
        OSError: it cannot be stored.
    """
    content = results.read(row_list_path(listed.id))
    if content is not None and _from(content) == listed.source:
        return
    columns = [pa.repeat(listed.id, len(listed.rows)), listed.rows, pa.repeat(listed.source, len(listed.rows))]
    results.write(row_list_path(listed.id), parquet_bytes(pa.table(columns, schema=ROWS), LARGE))


def stored_row_list(results: Directory, list_id: str) -> NDArray[np.int64]:
    """The rows of a stored list.

    Raises:
        OSError: it is missing or damaged.
    """
    path = f"{results.location}/{row_list_path(list_id)}"
    content = results.read(row_list_path(list_id))
    if content is None:
        raise FileNotFoundError(f"{path}: missing, and with it which rows are forgotten")
    try:
        found = RowList(read_parquet(content, ROWS)[COLUMN].to_numpy(), "")
    except (pa.ArrowException, ValueError) as error:
        raise OSError(f"{path}: {first_line(error)}") from error
    if found.id != list_id:
        raise OSError(f"{path}: its rows are not those that its name stands for")
    return found.rows


def row_list_from(results: Directory, location: str) -> RowList | None:
    """The stored list that was read from a file which is no longer there; None if there is none.

    Raises:
        InputError: there are several, because the file had other rows before.
        OSError: it cannot be read.
    """
    source = absolute_location(location)
    table = read_folder(results, "rows", ROWS).table
    names = pc.unique(table.filter(pc.equal(table["source"], source))["forget_rows"]).to_pylist()
    if len(names) > 1:
        places = " or ".join(f"{results.location}/{row_list_path(name)}" for name in sorted(names))
        raise InputError(f"no file '{location}', and several lists were read from it before: name {places}")
    return RowList(stored_row_list(results, names[0]), source) if names else None


def _from(content: bytes) -> str | None:
    """The source of a stored list; None where that cannot be read."""
    try:
        return str(read_parquet(content, ROWS)["source"][0])
    except (pa.ArrowException, OSError, IndexError):
        return None


def _csv(filesystem: pafs.FileSystem, path: str) -> pa.Table:
    from pyarrow import csv

    with filesystem.open_input_stream(path, compression=None) as stream:
        return csv.read_csv(stream)


def _json_lines(filesystem: pafs.FileSystem, path: str) -> pa.Table:
    from pyarrow import json

    with filesystem.open_input_stream(path, compression=None) as stream:
        return json.read_json(stream)


def _parquet(filesystem: pafs.FileSystem, path: str) -> pa.Table:
    with filesystem.open_input_file(path) as file:
        parquet = pq.ParquetFile(file)
        names = parquet.schema_arrow.names
        return parquet.read(columns=[COLUMN]) if COLUMN in names else parquet.schema_arrow.empty_table()


READERS: dict[str, Callable[[pafs.FileSystem, str], pa.Table]] = {
    "csv": _csv,
    "parquet": _parquet,
    "jsonl": _json_lines,
}
