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
from pyarrow import fs

from sweep.errors import InputError
from sweep.store.columns import FOLDERS, ROWS
from sweep.store.data_card import CARD, data_card
from sweep.store.directory import Directory
from sweep.store.index import read_folder
from sweep.store.location import local_path
from sweep.store.merged_files import earlier_files
from sweep.store.parquet import LARGE, Rows, read_all
from sweep.store.results import Results

TOGETHER = 32 * 2**20
"""How many bytes of files with predictions are in memory at once, unless one file has more."""


@dataclass(frozen=True)
class Exported:
    """A folder's file, its rows, and the files that could not be read ("path: why"). Without rows there is no file."""

    path: Path
    rows: int
    damaged: list[str]


def export(results: Results, out: str) -> list[Exported]:
    """Write the rows that count of each folder to `out`/<folder>.parquet, and README.md, which describes them.

    All files appear at the end, whole, README.md last.

    Raises:
        InputError: `out` is not a local folder, or one of the files exists, which export does not replace.
        OSError: results cannot be read, or a file cannot be stored.
    """
    folder = _checked(results, out)
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
        card = folder / CARD
        temporary = card.with_name(f".{CARD}.{uuid.uuid4().hex}")
        stack.callback(temporary.unlink, missing_ok=True)
        temporary.write_text(data_card(results, {each.path.stem: each.rows for each in done if each.rows}), "utf-8")
        written.append((temporary, card))
        for temporary, path in written:
            temporary.replace(path)
    return done


def _checked(results: Results, out: str) -> Path:
    """The folder `out`. Raises InputError if nothing can be written there, or nothing may."""
    folder = local_path(out)
    if folder is None:
        raise InputError(f"{out}: export writes to a local folder, not to a URI")
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(f"{out}: is not a folder")
    if results.holds(Directory(out)):
        raise InputError(f"{out}: a file there would be among the results; name a folder outside {results.location}")
    for name in (*(f"{name}.parquet" for name in FOLDERS), CARD):
        if os.path.lexists(folder / name):
            raise InputError(f"{out}/{name}: exists; export replaces no file: remove it or name another folder")
    return folder


def _parts(results: Results, folder: str) -> Iterator[Rows]:
    whole = {
        "trials": results.trials,
        "traces": results.traces,
        "suggestions": results.suggestions,
        "relearned": results.relearned,
    }
    if folder in whole:
        yield whole[folder]()
    elif folder == "predictions":
        yield from _predictions(results)
    elif folder == "rows":
        yield read_folder(results, "rows", ROWS)
    else:
        yield from _relearned_predictions(results)


def _predictions(results: Results) -> Iterator[Rows]:
    """The rows of `predictions` that count, some files at a time."""
    trials = results.trials(["n_predictions"]).table
    others = pc.unique(trials.filter(pc.equal(trials["n_predictions"], 0))["trial_id"])
    infos = {info.base_name: info for info in results.files("predictions")}
    earlier = earlier_files(infos)
    later = [infos[name] for name in sorted(infos.keys() - earlier)]
    for group in [*_groups(later), *([infos[name]] for name in earlier)]:
        rows = _read(results, group, "predictions")
        yield Rows(rows.table.filter(pc.invert(pc.is_in(rows.table["trial_id"], others))), rows.damaged)
        if earlier:
            others = pa.concat_arrays([others, pc.unique(rows.table["trial_id"])])


def _relearned_predictions(results: Results) -> Iterator[Rows]:
    """The rows of `relearned_predictions` that count, some files at a time."""
    points = results.relearned().table.select(["trial_id", "relearning_id", "n_predictions"]).to_pylist()
    wanted = {f"{row['trial_id']}-{row['relearning_id']}.parquet" for row in points if row["n_predictions"]}
    files = [info for info in results.files("relearned_predictions") if info.base_name in wanted]
    for group in _groups(files):
        yield _read(results, group, "relearned_predictions")


def _groups(files: list[fs.FileInfo]) -> list[list[fs.FileInfo]]:
    """The files in order, in groups that are small enough to be in memory at once."""
    groups: list[list[fs.FileInfo]] = [[]]
    size = 0
    for info in files:
        if size >= TOGETHER:
            groups.append([])
            size = 0
        groups[-1].append(info)
        size += info.size
    return groups


def _read(results: Results, files: list[fs.FileInfo], folder: str) -> Rows:
    rows = read_all(results.filesystem, [info.path for info in files], FOLDERS[folder])
    return Rows(rows.table.select(FOLDERS[folder].names), rows.damaged)


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
