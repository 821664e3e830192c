"""Writes each folder of a results directory as one Parquet file, for sharing and for other programs."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sweep.errors import InputError
from sweep.store.columns import FOLDERS, PREDICTIONS, ROWS
from sweep.store.index import read_folder
from sweep.store.merged_files import earlier_files
from sweep.store.parquet import LARGE, Rows, read_all
from sweep.store.results import Results

TOGETHER = 32 * 2**20
"""How many bytes of files of `predictions` are in memory at once, unless one file has more."""


@dataclass(frozen=True)
class Exported:
    """A folder's file, its rows, and the files that could not be read ("path: why"). Without rows there is no file."""

    path: Path
    rows: int
    damaged: list[str]


def export(results: Results, out: str) -> list[Exported]:
    """Write the rows that count of each folder to `out`/<folder>.parquet. All files appear at the end, whole.

    Raises:
        InputError: `out` is not a local folder, or one of the files exists, which export does not replace.
        OSError: results cannot be read, or a file cannot be stored.
    """
    folder = Path(out).expanduser()
    _check(results, out, folder)
    folder.mkdir(parents=True, exist_ok=True)
    done, written = [], []
    with ExitStack() as stack:
        for name in FOLDERS:
            path = folder / f"{name}.parquet"
            temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            stack.callback(temporary.unlink, missing_ok=True)
            rows, damaged = _write(temporary, FOLDERS[name], _parts(results, name))
            done.append(Exported(path, rows, damaged))
            if rows:
                written.append((temporary, path))
        for temporary, path in written:
            temporary.replace(path)
    return done


def _check(results: Results, out: str, folder: Path) -> None:
    if "://" in out:
        raise InputError(f"{out}: export writes to a local folder, not to a URI")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{out}: is not a folder")
    inside = "://" not in results.location and folder.resolve().parent == Path(results.location).resolve()
    if inside and folder.name in FOLDERS:
        raise InputError(f"{out}: a file there would be read as results; name a folder outside {results.location}")
    for name in FOLDERS:
        if (folder / f"{name}.parquet").exists():
            raise InputError(f"{out}/{name}.parquet: exists; export replaces no file: remove it or name another folder")


def _parts(results: Results, folder: str) -> Iterator[Rows]:
    if folder == "predictions":
        yield from _predictions(results)
    elif folder == "rows":
        yield read_folder(results, "rows", ROWS)
    else:
        yield {"trials": results.trials, "traces": results.traces, "suggestions": results.suggestions}[folder]()


def _predictions(results: Results) -> Iterator[Rows]:
    """The rows of `predictions` that count, some files at a time."""
    trials = results.trials(["n_predictions"]).table
    others = pc.unique(trials.filter(pc.equal(trials["n_predictions"], 0))["trial_id"])
    infos = {info.base_name: info for info in results.files("predictions")}
    earlier = earlier_files(infos)
    groups: list[list[str]] = [[]]
    size = 0
    for name in sorted(infos.keys() - earlier):
        if size >= TOGETHER:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += infos[name].size
    for names in [*groups, *([name] for name in earlier)]:
        rows = read_all(results.filesystem, [infos[name].path for name in names], PREDICTIONS)
        table = rows.table.select(PREDICTIONS.names)
        yield Rows(table.filter(pc.invert(pc.is_in(table["trial_id"], others))), rows.damaged)
        if earlier:
            others = pa.concat_arrays([others, pc.unique(table["trial_id"])])


def _write(path: Path, schema: pa.Schema, parts: Iterator[Rows]) -> tuple[int, list[str]]:
    """Write rows as they come; return how many there were, and the damaged files."""
    count, damaged = 0, []
    with path.open("wb") as stream:
        with pq.ParquetWriter(stream, schema, **LARGE) as writer:
            for rows in parts:
                if len(rows.table):
                    writer.write_table(rows.table)
                count += len(rows.table)
                damaged += rows.damaged
        stream.flush()
        os.fsync(stream.fileno())
    return count, damaged
