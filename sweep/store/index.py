"""An index of rows that were read before, so that each of thousands of files is read once.

    DIR/.index/<folder>-<hex>.parquet   rows of many files of a folder, each with the name, size and time of its file
    DIR/.index/clock                    an empty file, written to see the time of the storage's clock

A reader adds the files that it read itself, if they are many and the index can be written. The index is disposable:
its files are checked as they are read; rows that it lacks or that do not fit are read from the folder; and no reader
waits for another. A file that was written again has another time or size, so its old rows are not used. A damaged
file, or one whose JSON cannot be parsed, never enters the index, so that every reader names it. Damage that comes
later and changes neither time nor size is not noticed: a file is checked only when it is first read.
"""

from __future__ import annotations

import uuid
from contextlib import suppress

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sweep.store.checksum import verify
from sweep.store.columns import FOLDERS
from sweep.store.directory import Directory
from sweep.store.json_columns import legible, with_objects
from sweep.store.merged_files import latest
from sweep.store.parquet import FILE, LARGE, Rows, no_rows, parquet_bytes, read_all, with_file

INDEX = ".index"
FORMAT = {b"unlearn-sweep index": b"2"}

MODIFIED, SIZE = ".modified", ".size"
"""Columns beside `FILE`: when the file was written, in nanoseconds by the storage's clock, and its bytes."""

FEWEST = 256
"""How many files a part of the index has at least: fewer are not worth one."""

MOST_PARTS = 8
"""When a folder has so many parts, the next writer makes them one."""

SETTLED = 5 * 10**9
"""Nanoseconds after which a file that is written again has another time even if the storage's clock is coarse."""


def read_folder(directory: Directory, folder: str, schema: pa.Schema) -> Rows:
    """The rows of a folder that count (`merged_files.latest`), and the files that are damaged.

    Rows are in the order of the names of their files, except for those that earlier versions merged.

    Args:
        schema: some of the folder's columns, in their order.
    """
    infos = {info.base_name: info for info in directory.files(folder)}
    known = pa.table(
        [list(infos), [info.mtime_ns for info in infos.values()], [info.size for info in infos.values()]],
        pa.schema([(FILE, pa.string()), (MODIFIED, pa.int64()), (SIZE, pa.int64())]),
    )
    index = Index(directory, folder)
    rows, left = index.rows(schema, known) if len(infos) >= FEWEST else (no_rows(with_file(schema)), known)
    clock = index.clock() if len(left) >= FEWEST else None
    paths = [infos[name].path for name in left[FILE].to_pylist()]
    columns = with_objects(schema, folder, FOLDERS[folder]) if clock is None else FOLDERS[folder]
    found = legible(folder, read_all(directory.filesystem, paths, columns))
    if clock is not None:
        index.add(found.table, left, clock, known)
    if len(rows):
        table = pa.concat_tables([rows, found.table.select(rows.column_names)])
        table = table.take(pc.sort_indices(pc.index_in(table[FILE], known[FILE])))
    else:
        table = found.table
    return Rows(latest(table, infos).select(schema.names), sorted(found.damaged))


class Index:
    """The part of the index that belongs to one folder."""

    def __init__(self, directory: Directory, folder: str) -> None:
        self._directory = directory
        self._folder = folder
        self._schema = (
            with_file(FOLDERS[folder]).append(pa.field(MODIFIED, pa.int64())).append(pa.field(SIZE, pa.int64()))
        )
        self._parts: list[str] = []
        self._useless = False

    def rows(self, schema: pa.Schema, known: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The indexed rows of the files `known`, in the schema's columns and `FILE`; and the files that have none."""
        try:
            names = self._directory.names(INDEX)
        except OSError:
            names = []
        self._parts = [f"{INDEX}/{name}" for name in names if name.startswith(f"{self._folder}-")]
        wanted, left = with_file(schema), known
        tables = [no_rows(wanted)]
        for part in self._parts:
            table = self._read(part, [*wanted.names, MODIFIED, SIZE], left)
            self._useless |= not len(table)
            left = left.filter(pc.invert(pc.is_in(left[FILE], table[FILE])))
            tables.append(table.select(wanted.names))
        return pa.concat_tables(tables), left

    def clock(self) -> int | None:
        """The time of the storage's clock, in nanoseconds; None if the index cannot be written."""
        try:
            self._directory.write(f"{INDEX}/clock", b"")
            time: int | None = self._directory.info(f"{INDEX}/clock").mtime_ns
        except OSError:
            return None
        return time

    def add(self, table: pa.Table, files: pa.Table, clock: int, known: pa.Table) -> None:
        """Add rows of `files`, which were read after `clock`, if the files were written well before it.

        If there are many parts, or one of no use, write all parts as one. Do nothing if the index cannot be written.
        """
        settled = files.filter(pc.less(files[MODIFIED], clock - SETTLED))
        place = pc.index_in(table[FILE], settled[FILE])
        table, place = table.filter(pc.is_valid(place)), place.drop_null()
        for name in (MODIFIED, SIZE):
            table = table.append_column(name, settled[name].take(place))
        if len(table[FILE].unique()) < FEWEST:
            return
        replaced = self._parts if self._useless or len(self._parts) >= MOST_PARTS else []
        tables, left = [table], known.filter(pc.invert(pc.is_in(known[FILE], settled[FILE])))
        for part in replaced:
            tables.append(self._read(part, self._schema.names, left))
            left = left.filter(pc.invert(pc.is_in(left[FILE], tables[-1][FILE])))
        content = parquet_bytes(pa.concat_tables(tables).replace_schema_metadata(FORMAT), LARGE)
        with suppress(OSError):
            self._directory.write(f"{INDEX}/{self._folder}-{uuid.uuid4().hex}.parquet", content)
            for part in replaced:
                self._directory.remove(part)

    def _read(self, part: str, columns: list[str], files: pa.Table) -> pa.Table:
        """The part's rows of those `files` that have not changed; none if the part is damaged or of another version."""
        nothing = no_rows(pa.schema([self._schema.field(name) for name in columns]))
        try:
            content = self._directory.read(part) or b""
            file = pq.ParquetFile(pa.BufferReader(content))
            schema = file.schema_arrow
            if not (verify(content) and schema.metadata == FORMAT and schema.equals(self._schema)):
                return nothing
            table = file.read(columns=columns).select(columns).cast(nothing.schema)
            table.validate(full=True)
        except (pa.ArrowException, OSError, ValueError):
            return nothing
        place = pc.index_in(table[FILE], files[FILE])
        same = [pc.equal(table[name], files[name].take(place)) for name in (MODIFIED, SIZE)]
        return table.filter(pc.and_(*same))
