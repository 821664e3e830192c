"""Parquet files with a checksum. Many small files are read as one table; a damaged one is named and left out.

Threads hardly help: reading a file of a few rows is a hundred short calls, which wait for the interpreter's lock. So
other processes read shares of thousands of files: python -m sweep.store.parquet takes a share as JSON and answers with
an Arrow stream.
"""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import zoneinfo  # noqa: F401  Arrow imports it when it first reads a time; interrupted, it says that it is missing
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs as pafs

from sweep.errors import first_line
from sweep.store.checksum import sealed, verify
from sweep.store.retry import steady

LARGE = {"compression": "zstd"}
SMALL = {"compression": "none", "use_dictionary": False, "write_statistics": False, "store_schema": False}
"""How to write a file of a few rows. With compression, dictionaries and statistics it would take about twice the space
and five times as long to read."""

READ_TOGETHER = 256
"""How many files' rows are copied into one table as they are read. Apart, Arrow needs 0.5 kB per column and file."""

SHARE = 2000
"""How many files make it worth while to start another process."""

REMOTE_READERS = 32
"""Threads that read from storage where reading is mostly waiting."""

DAMAGED = b"damaged"

FILE = ".file"
"""The column with the name of the file that a row was read from."""


@dataclass(frozen=True)
class Rows:
    """The rows of all files that could be read, and the files that could not ("path: why")."""

    table: pa.Table
    damaged: list[str]


def parquet_bytes(table: pa.Table, options: dict[str, Any] = SMALL) -> bytes:
    """The table as the bytes of a Parquet file with checksums."""
    sink = io.BytesIO()
    pq.write_table(table, sink, write_page_checksum=True, **options)
    return sealed(sink.getvalue())


def no_rows(schema: pa.Schema) -> pa.Table:
    """An empty table; `schema.empty_table()` would import pandas, which takes half a second."""
    return pa.Table.from_batches([], schema)


def read_all(filesystem: pafs.FileSystem, paths: list[str], schema: pa.Schema) -> Rows:
    """The rows of all files, in the order of `paths`, in the schema's columns and `FILE`."""
    if not isinstance(filesystem, pafs.LocalFileSystem):
        with ThreadPoolExecutor(REMOTE_READERS) as pool:
            parts = _parts(paths, max(1, min(READ_TOGETHER, len(paths) // REMOTE_READERS)))
            return _joined(pool.map(lambda part: _read_part(filesystem, part, schema), parts), schema)
    processes = min(os.cpu_count() or 1, len(paths) // SHARE)
    if processes < 2:
        return _read(filesystem, paths, schema)
    with ThreadPoolExecutor(processes) as pool:
        shares = _parts(paths, -(-len(paths) // processes))
        return _joined(pool.map(lambda share: _read_elsewhere(filesystem, share, schema), shares), schema)


def fetch(filesystem: pafs.FileSystem, path: str) -> bytes:
    """A file's content.

    Raises:
        OSError: it cannot be read; FileNotFoundError if it does not exist.
    """

    def read() -> bytes:
        with filesystem.open_input_file(path) as stream:
            return bytes(stream.read())

    return steady(read)


def read_parquet(content: bytes, schema: pa.Schema) -> pa.Table:
    """Rows of a Parquet file in the schema's columns; columns that an older file lacks are null.

    Raises:
        ArrowException, OSError: damaged, or not of this schema.
    """
    return _fitted(_decode(content, schema), schema)


def with_file(schema: pa.Schema) -> pa.Schema:
    """The schema and, last, the column `FILE`."""
    return schema.append(pa.field(FILE, pa.string()))


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table in the schema's columns.

    Raises:
        ArrowException: it is not of this schema.
    """
    present = set(table.column_names)
    missing = [field for field in schema if field.name not in present]
    if unfillable := [field.name for field in missing if not field.nullable]:
        raise pa.ArrowInvalid(f"columns {unfillable} are missing")
    for field in missing:
        table = table.append_column(field, pa.nulls(len(table), field.type))
    table = table.select(schema.names).cast(schema)
    table.validate(full=True)
    return table


def _decode(content: bytes, schema: pa.Schema) -> pa.Table:
    """The schema's columns; of a file without our checksum all columns, so that each is checked for damage."""
    whole = verify(content)
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=not whole, pre_buffer=False)
    return file.read(columns=schema.names if whole else None, use_threads=False)


def _read(filesystem: pafs.FileSystem, paths: list[str], schema: pa.Schema) -> Rows:
    return _joined((_read_part(filesystem, part, schema) for part in _parts(paths, READ_TOGETHER)), schema)


def _read_part(filesystem: pafs.FileSystem, paths: list[str], schema: pa.Schema) -> Rows:
    """Rows of some files: checked together if all are sound and have exactly this schema, else one by one."""
    names = [path.rpartition("/")[2] for path in paths]
    try:
        tables = [_decode(fetch(filesystem, path), schema) for path in paths]
        table = pa.concat_tables(tables).combine_chunks()
        table.validate(full=True)
        if table.schema.equals(schema):
            return Rows(_named(table.replace_schema_metadata(None), names, tables), [])
    except (pa.ArrowException, OSError, ValueError):
        pass
    found, damaged = [no_rows(with_file(schema))], []
    for path, name in zip(paths, names, strict=True):
        try:
            table = read_parquet(fetch(filesystem, path), schema)
            found.append(_named(table, [name], [table]))
        except FileNotFoundError:  # removed since it was listed
            continue
        except (pa.ArrowException, OSError, ValueError) as error:
            folder = path.split("/")[-2]
            damaged.append(f"{folder}/{name}: {first_line(error)}")
    return Rows(pa.concat_tables(found).combine_chunks(), damaged)


def _named(table: pa.Table, names: list[str], tables: list[pa.Table]) -> pa.Table:
    """The rows of `table`, which is all `tables` joined, with the name of the file that each of those was read from."""
    files = [name for name, part in zip(names, tables, strict=True) for _ in range(len(part))]
    return table.append_column(pa.field(FILE, pa.string()), pa.array(files, pa.string()))


def _read_elsewhere(filesystem: pafs.FileSystem, paths: list[str], schema: pa.Schema) -> Rows:
    """Let another process read the files; if it fails, read them here."""
    share = {"schema": base64.b64encode(schema.serialize()).decode(), "paths": paths}
    command = [sys.executable, "-P", "-m", __spec__.name]
    try:
        ended = subprocess.run(command, input=json.dumps(share).encode(), capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return _read(filesystem, paths, schema)
    table = pa.ipc.open_stream(ended.stdout).read_all()
    damaged = json.loads(table.schema.metadata[DAMAGED])
    return Rows(table.replace_schema_metadata(None), damaged)


def _parts(paths: list[str], size: int) -> list[list[str]]:
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def _joined(parts: Iterable[Rows], schema: pa.Schema) -> Rows:
    found = list(parts)
    table = pa.concat_tables([no_rows(with_file(schema)), *(rows.table for rows in found)])
    return Rows(table, [problem for rows in found for problem in rows.damaged])


def main() -> None:
    """Read the files that standard input names."""
    share = json.load(sys.stdin)
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(share["schema"])))
    rows = _read(pafs.LocalFileSystem(), share["paths"], schema)
    table = rows.table.replace_schema_metadata({DAMAGED: json.dumps(rows.damaged)})
    with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)


if __name__ == "__main__":
    main()
