"""Many small files of a results directory into few, beside whatever else reads and writes it.

Nothing is removed before the rows it holds are in a merged file, and what is later is removed later. So being killed at
any point leaves rows in two files at worst, of which readers count the later one, and the next compaction removes the
other. Of two that merge at once, one could write a row that it read before it was stored again, and the other the row
that replaced it, in files of one generation; so one waits for the other.

A run has its rows merged by a process of its own: python -m sweep.compaction DIR.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock
from pyarrow import fs as pafs

from sweep.columns import FOLDERS
from sweep.folders import PLAIN, TAKEN, latest, layer, merged_file, merged_name, row_names
from sweep.reading import read_parquet
from sweep.results import LARGE, Results, parquet_bytes

TOGETHER = 64 * 2**20
"""Bytes of files that become one."""

ROWS = ("trials", "traces")
"""The folders that a run has merged: those with a small file for each trial."""


@dataclass(frozen=True)
class Compacted:
    """What became of a folder: how many files it had and has, and those that were left as they are, and why."""

    folder: str
    before: int
    after: int
    left: list[str]


def compact(results: Results, folders: Iterable[str] = FOLDERS) -> list[Compacted]:
    """Merge the files of each folder. On storage that is no file system, nothing else may do so meanwhile.

    Raises:
        OSError: a merged file cannot be stored, or a file not removed; no row is lost.
    """
    with _alone(results):
        return [_compact_folder(results, folder) for folder in folders]


@contextmanager
def _alone(results: Results) -> Iterator[None]:
    """Wait until nothing else merges files of the directory, and keep others waiting; being killed lets them go on."""
    if not results.local or not results.exists():
        yield
        return
    with FileLock(Path(results.path) / ".merging"):
        yield


def _compact_folder(results: Results, folder: str) -> Compacted:
    listed = results.files(folder)
    merged = [info for info in listed if merged_file(info.base_name)]
    taken = [info for info in listed if TAKEN.fullmatch(info.base_name)]
    plain = [info for info in listed if layer(info.base_name) == PLAIN]
    earlier = sorted([*_recent(merged), *taken], key=lambda info: layer(info.base_name), reverse=True)
    generation = max((layer(info.base_name)[0] for info in merged), default=0) + 1
    left: list[str] = []
    batches = _batches(plain) if len(plain) + len(earlier) > 1 else []
    for number, batch in enumerate(batches):
        tables = _read(results, folder, batch, left)
        older = {} if number else _read(results, folder, earlier, left)
        again = pa.array([info.base_name.removesuffix(".parquet") for info in tables], pa.string())
        rest = latest(list(older.values()), FOLDERS[folder])
        rest = rest.filter(pc.invert(pc.is_in(row_names(rest), again)))
        _merge(results, folder, generation + number, [*tables.values(), rest], [*older, *tables])
    return Compacted(folder, len(listed), len(results.files(folder)) if batches else len(listed), left)


def _recent(merged: list[pafs.FileInfo]) -> list[pafs.FileInfo]:
    """The files of the last generations, as many as are worth writing again."""
    found: list[pafs.FileInfo] = []
    for generation in sorted({layer(info.base_name)[0] for info in merged}, reverse=True):
        files = [info for info in merged if layer(info.base_name)[0] == generation]
        if sum(info.size for info in [*found, *files]) > TOGETHER:
            break
        found += files
    return found


def _batches(files: list[pafs.FileInfo]) -> list[list[pafs.FileInfo]]:
    """The files in their order, in groups of `TOGETHER` bytes; one empty group if there are none."""
    groups: list[list[pafs.FileInfo]] = [[]]
    size = 0
    for info in files:
        if size >= TOGETHER:
            groups.append([])
            size = 0
        groups[-1].append(info)
        size += info.size
    return groups


def _read(results: Results, folder: str, files: list[pafs.FileInfo], left: list[str]) -> dict[pafs.FileInfo, pa.Table]:
    """The tables of the files that may be merged; why others may not is added to `left`."""
    tables = {}
    for info in files:
        name = info.base_name
        content = results.read(f"{folder}/{name}")
        if content is None:
            continue
        try:
            table = read_parquet(content, FOLDERS[folder])
            others = set(pq.read_schema(pa.BufferReader(content)).names) - set(FOLDERS[folder].names)
        except (pa.ArrowException, OSError, ValueError) as error:
            left.append(f"{folder}/{name}: {(str(error) or type(error).__name__).splitlines()[0]}")
            continue
        if others:
            left.append(f"{folder}/{name}: has the columns {', '.join(sorted(others))} besides")
        elif layer(name) == PLAIN and row_names(table).unique().to_pylist() != [name.removesuffix(".parquet")]:
            left.append(f"{folder}/{name}: holds rows of other names")
        else:
            tables[info] = table
    return tables


def _merge(
    results: Results, folder: str, generation: int, tables: list[pa.Table], sources: list[pafs.FileInfo]
) -> None:
    """Write the tables' rows into one file, then remove the files that they come from."""
    table = pa.concat_tables(tables)
    if len(sources) < 2 or not len(table):
        return
    names = row_names(table)
    table = table.take(pc.sort_indices(names))
    found = pc.min_max(names).as_py()
    name = merged_name(generation, found["min"], found["max"])
    results.write(f"{folder}/{name}", parquet_bytes(table, LARGE))
    for info in sorted(sources, key=lambda info: layer(info.base_name)):
        results.remove_unchanged(info)


def main() -> None:
    """Merge the rows of the directory that is named, at the priority of Ray's workers: at a lower one it never ends."""
    os.nice(15)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as an exception, which removes a file half written
    compact(Results(sys.argv[1]), ROWS)


if __name__ == "__main__":
    main()
