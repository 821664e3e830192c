"""A folder of results that reads as one table: a file per trial as it was written, and files that took in many.

    <trial_id>.parquet                              rows of one trial (in `suggestions`: <study>-<number>)
    merged-<generation>-<first>-<last>-<hex>.parquet    rows of many, whose names lie between first and last
    taken-<hex>-<trial_id>.parquet                  rows of one trial, on their way into a merged file

Where rows of the same name are in several files, those of the latest count: a file per trial is later than one taken,
that is later than merged ones, and of those the higher generation is later. Clocks decide nothing.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs as pafs

from sweep.reading import Rows, no_rows, read_all
from sweep.storage import steady

MERGED = re.compile(r"merged-(\d{6})-(\w+)-(\w+)-[0-9a-f]{8}\.parquet")
TAKEN = re.compile(r"taken-[0-9a-f]{8}-(.+)\.parquet")


@dataclass(frozen=True)
class Merged:
    """What a merged file's name says of it."""

    generation: int
    first: str
    last: str


def merged_file(name: str) -> Merged | None:
    """What the name says, if it is a merged file's."""
    found = MERGED.fullmatch(name)
    return Merged(int(found[1]), found[2], found[3]) if found else None


def merged_name(generation: int, first: str, last: str) -> str:
    """A new file's name; generations end at 999999."""
    first, last = (re.sub(r"\W", "_", name) for name in (first, last))
    return f"merged-{generation:06}-{first}-{last}-{uuid.uuid4().hex[:8]}.parquet"


def taken_name(name: str) -> str:
    """A name for the file `name` that nothing else writes to."""
    return f"taken-{uuid.uuid4().hex[:8]}-{name}"


def layer(name: str) -> tuple[int, str]:
    """The file that has the higher one of two is later; files of one trial each, which are the latest, have `PLAIN`."""
    merged = merged_file(name)
    if merged is not None:
        return merged.generation, name
    return (10**6, name) if TAKEN.fullmatch(name) else PLAIN


PLAIN = (10**6 + 1, "")


def may_hold(name: str, trial_id: str) -> bool:
    """Whether the file `name`, which is not the trial's own, may have rows of the trial."""
    merged, taken = merged_file(name), TAKEN.fullmatch(name)
    return merged.first <= trial_id <= merged.last if merged else taken is not None and taken[1] == trial_id


def row_names(table: pa.Table) -> pa.ChunkedArray:
    """For each row the name of its trial's (or suggestion's) file, without the ending."""
    if "trial_id" in table.column_names:
        return table["trial_id"]
    return pc.binary_join_element_wise(table["study"], table["number"].cast(pa.string()), "-")


def list_folder(filesystem: pafs.FileSystem, folder: str, ending: str = ".parquet") -> list[pafs.FileInfo]:
    """The folder's files with that ending, ordered by name; none if there is no such folder."""
    try:
        found = filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    except FileNotFoundError:  # it was made between pyarrow's two looks at it
        return []
    files = (info for info in found if info.is_file and info.base_name.endswith(ending))
    return sorted((info for info in files if not info.base_name.startswith((".", "_"))), key=lambda info: info.path)


def read_folder(filesystem: pafs.FileSystem, folder: str, schema: pa.Schema) -> Rows:
    """The rows that count, in the schema's columns.

    Files may be merged meanwhile. A merged file is written before those that it took in are renamed and removed; so
    whatever a listing missed, or vanished before it was read, the next listing shows in a merged file or renamed.
    """
    layers: dict[tuple[int, str], list[Rows]] = {}
    known: set[str] = set()
    while True:
        fresh = [info for info in steady(lambda: list_folder(filesystem, folder)) if info.path not in known]
        if known and all(layer(info.base_name) == PLAIN for info in fresh):
            break
        by_layer: dict[tuple[int, str], list[str]] = {}
        for info in fresh:
            by_layer.setdefault(layer(info.base_name), []).append(info.path)
        for level, paths in by_layer.items():
            layers.setdefault(level, []).append(read_all(filesystem, paths, schema))
        known |= {info.path for info in fresh}
        if not fresh:
            break
    damaged = sorted(problem for parts in layers.values() for rows in parts for problem in rows.damaged)
    tables = [[rows.table for rows in layers[level]] for level in sorted(layers, reverse=True)]
    return Rows(latest([pa.concat_tables(parts) for parts in tables], schema), damaged)


def latest(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    """The rows of all tables, but for those whose name an earlier table of the list has."""
    kept = [no_rows(schema), *tables[:1]]
    for table in tables[1:]:
        seen = pa.chunked_array([chunk for part in kept for chunk in row_names(part).chunks], pa.string())
        kept.append(table.filter(pc.invert(pc.is_in(row_names(table), seen))))
    return pa.concat_tables(kept)
