"""Rows already read, so that thousands of files are read once.

    DIR/.index/<folder>-<hex>.parquet   rows of many files of a folder, each with the name, size and time of its file
    DIR/.index/clock                    an empty file, whose time says what the storage's clock says

Whoever reads many files that are not in the index, and can write, adds them. The index is disposable: each of its
files is whole and checked, what is not there or does not fit is read from the folder, and nobody waits for anybody. A
file that was written again has another time or size. One that is damaged is never in the index, so that it is named at
every reading; one that is damaged after its rows are in the index, at the same time and size, is not noticed: a file's
checksum is verified once, when it is first read.
"""

from __future__ import annotations

import uuid

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sweep.store.checksum import verify
from sweep.store.columns import FOLDERS
from sweep.store.directory import Directory
from sweep.store.merged_files import latest
from sweep.store.parquet import FILE, LARGE, Rows, no_rows, parquet_bytes, read_all, with_file

INDEX = ".index"
FORMAT = {b"unlearn-sweep index": b"1"}

MODIFIED, SIZE = ".modified", ".size"
"""Columns beside `FILE`: when the file was written, in nanoseconds by the storage's clock, and its bytes."""

FEWEST = 256
"""Files that are worth a part of the index."""

MOST_PARTS = 8
"""Parts of a folder, which then become one."""

SETTLED = 5 * 10**9
"""Nanoseconds after which a file that is written again gets another time, however coarse the storage's clock is."""


def read_folder(directory: Directory, folder: str, schema: pa.Schema) -> Rows:
    """The rows of a folder that count, in the schema's columns: some of the folder's, in their order.

    Rows are in the order of the names of their files, as far as earlier versions did not merge these.
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
    found = read_all(directory.filesystem, paths, schema if clock is None else FOLDERS[folder])
    if clock is not None:
        index.add(found.table, left, clock, known)
    if len(rows):
        table = pa.concat_tables([rows, found.table.select(rows.column_names)])
        table = table.take(pc.sort_indices(pc.index_in(table[FILE], known[FILE])))
    else:
        table = found.table
    return Rows(latest(table, infos).select(schema.names), sorted(found.damaged))


class Index:
    """What the index holds of a folder."""

    def __init__(self, directory: Directory, folder: str) -> None:
        self._directory = directory
        self._folder = folder
        self._schema = (
            with_file(FOLDERS[folder]).append(pa.field(MODIFIED, pa.int64())).append(pa.field(SIZE, pa.int64()))
        )
        self._parts: list[str] = []
        self._useless = False

    def rows(self, schema: pa.Schema, known: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Rows of the files `known`, in the schema's columns and `FILE`; and those of the files that have none here."""
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
        """What the storage's clock says, in nanoseconds, or said a moment ago; None if the index cannot be written."""
        try:
            self._directory.write(f"{INDEX}/clock", b"")
            time: int | None = self._directory.info(f"{INDEX}/clock").mtime_ns
        except OSError:
            return None
        return time

    def add(self, table: pa.Table, files: pa.Table, clock: int, known: pa.Table) -> None:
        """Add the rows of `files` that were read after `clock`: of those files that were listed well before it.

        Where there are many parts, or one that nothing is found in, all become one. If it cannot be written, it is not.
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
        try:
            self._directory.write(f"{INDEX}/{self._folder}-{uuid.uuid4().hex}.parquet", content)
            for part in replaced:
                self._directory.remove(part)
        except OSError:
            pass

    def _read(self, part: str, columns: list[str], files: pa.Table) -> pa.Table:
        """Rows of those of the `files` that are as they were; none if the part is damaged or of another version."""
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
