"""The results directory: the only state of a sweep. pyarrow only; neither torch nor ray.

    DIR/spec.yaml, environment.json
    DIR/models/<id>.safetensors          originals
    DIR/trials/<trial_id>.parquet        one row per trial
    DIR/traces/<trial_id>.parquet        a row per epoch
    DIR/predictions/<trial_id>.parquet   a row per sample
    DIR/suggestions/<study>-<number>.parquet   one row per configuration that a search suggested
    DIR/tracked/<tracker>/<trial>-<time>   an empty file per run that was sent to an experiment tracker

A trial exists if and only if its row does, and the row is written last. Every file appears whole or not at all, and is
checked when it is read. `compact` merges files, and so does a run that has thousands of them (sweep/merging.py);
sweep/folders.py says how they are named and read then.
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs as pafs

from sweep.columns import FOLDERS, PREDICTIONS, SUGGESTIONS, TRACES, TRIALS
from sweep.errors import InputError
from sweep.folders import PLAIN, layer, list_folder, may_hold, merged_file, read_folder, taken_name
from sweep.location import open_location
from sweep.reading import Rows, fetch, fetch_start, no_rows, read_parquet
from sweep.sealing import sealed
from sweep.storage import steady


class Results:
    """A results directory, local or a URI that `pyarrow.fs` opens."""

    def __init__(self, location: str) -> None:
        """Raises InputError if the URI cannot be opened. Creates nothing."""
        self.location = location
        self._fs, self._root = open_location(location)

    @property
    def local(self) -> bool:
        """Whether it lies on a file system of the machine's, mounts included: there files can be renamed."""
        return isinstance(self._fs, pafs.LocalFileSystem)

    @property
    def path(self) -> str:
        """Where it lies in its file system."""
        return self._root

    def exists(self, folder: str = "") -> bool:
        """Whether the directory is there, or a folder in it."""
        place = self._inside(folder).rstrip("/")
        return bool(steady(lambda: self._fs.get_file_info(place)).type == pafs.FileType.Directory)

    def write(self, path: str, content: bytes) -> None:
        """Write a file whole or not at all; `path` is relative to the directory.

        Raises:
            OSError: it cannot be stored.
        """
        target = self._inside(path)
        steady(lambda: self._write(target, content))

    def read(self, path: str) -> bytes | None:
        """A file's content; None if there is no such file.

        Raises:
            OSError: there is one, and it cannot be read.
        """
        try:
            return fetch(self._fs, self._inside(path))
        except FileNotFoundError:
            return None

    def read_start(self, path: str, count: int) -> tuple[bytes, int] | None:
        """A file's first bytes, at most `count`, and its size in bytes; None if there is no such file.

        Raises:
            OSError: there is one, and it cannot be read.
        """
        try:
            return fetch_start(self._fs, self._inside(path), count)
        except FileNotFoundError:
            return None

    def size(self, path: str) -> int | None:
        """A file's size in bytes; None if there is no such file."""
        place = self._inside(path)
        info = steady(lambda: self._fs.get_file_info(place))
        return info.size if info.is_file else None

    def write_trial(
        self,
        row: dict[str, Any],
        traces: Sequence[dict[str, Any]] = (),
        predictions: pa.Table | None = None,
    ) -> None:
        """Store a trial: its traces and predictions first, its row last, which says how many they are.

        Raises:
            OSError: it cannot be stored.
        """
        trial_id = row["trial_id"]
        row = row | {"n_traces": len(traces), "n_predictions": 0 if predictions is None else len(predictions)}
        if traces:
            self.write(f"traces/{trial_id}.parquet", parquet_bytes(pa.Table.from_pylist(list(traces), schema=TRACES)))
        if predictions is not None:
            self.write(f"predictions/{trial_id}.parquet", parquet_bytes(predictions.cast(PREDICTIONS), LARGE))
        self.write_row(row)

    def write_row(self, row: dict[str, Any]) -> None:
        """Store a trial's row, beside the traces and predictions that it has.

        Raises:
            OSError: it cannot be stored.
        """
        self.write(f"trials/{row['trial_id']}.parquet", parquet_bytes(pa.Table.from_pylist([row], schema=TRIALS)))

    def write_suggestion(self, row: dict[str, Any]) -> None:
        """Store a row of `suggestions`; it replaces one of the same study and number.

        Raises:
            OSError: it cannot be stored.
        """
        table = pa.Table.from_pylist([row], schema=SUGGESTIONS)
        self.write(f"suggestions/{row['study']}-{row['number']}.parquet", parquet_bytes(table))

    def trial(self, trial_id: str, everywhere: bool = True) -> dict[str, Any] | None:
        """The row of one trial; None if there is none that can be read.

        With `everywhere` false it is not looked for in files that hold many trials.
        """
        own = f"{trial_id}.parquet"
        table = self._of_trial("trials", trial_id) if everywhere else self._rows_of("trials", own, trial_id)
        rows: list[dict[str, Any]] = [] if table is None else table.to_pylist()
        return rows[-1] if rows else None

    def trials(self, columns: Collection[str] = TRIALS.names) -> Rows:
        """Every row of `trials`; where several files have a trial's, that of the latest file (sweep/folders.py).

        Few `columns` are read in a third of the time. `trial_id` and `finished_at` are always among them.
        """
        wanted = {"trial_id", "finished_at", *columns}
        trials = self._read_folder("trials", pa.schema([field for field in TRIALS if field.name in wanted]))
        if trials.table.num_rows == len(trials.table["trial_id"].unique()):
            return trials
        ordered = trials.table.sort_by([("trial_id", "ascending"), ("finished_at", "ascending")])
        ids = ordered["trial_id"].to_pylist()
        last = [row for row, trial_id in enumerate(ids) if row + 1 == len(ids) or ids[row + 1] != trial_id]
        return Rows(ordered.take(last), trials.damaged)

    def traces(self, trials: pa.Table | None = None) -> Rows:
        """Every readable row of `traces`, but for those of a run before the one that `trials` has.

        `trials`: that table with its column `n_traces`, where it was read before.
        """
        found = self._read_folder("traces", TRACES)
        trials = self.trials(["n_traces"]).table if trials is None else trials
        without = trials.filter(pc.equal(trials["n_traces"], 0))["trial_id"]
        return Rows(found.table.filter(pc.invert(pc.is_in(found.table["trial_id"], without))), found.damaged)

    def suggestions(self) -> Rows:
        """Every readable row of `suggestions`, ordered by study and number."""
        found = self._read_folder("suggestions", SUGGESTIONS)
        return Rows(found.table.sort_by([("study", "ascending"), ("number", "ascending")]), found.damaged)

    def predictions(self, trial_id: str) -> pa.Table | None:
        """The predictions of one trial; None if there are none that can be read."""
        return self._of_last_run("predictions", trial_id)

    def trace(self, trial_id: str) -> list[dict[str, Any]]:
        """The rows of `traces` of one trial that can be read."""
        table = self._of_last_run("traces", trial_id)
        return [] if table is None else table.to_pylist()

    def names(self, folder: str) -> list[str]:
        """The names of all files of a folder; none if there is no such folder."""
        place = self._inside(folder)
        return [info.base_name for info in steady(lambda: list_folder(self._fs, place, ending=""))]

    def _inside(self, path: str) -> str:
        """The absolute path of a file of the directory; names that lead out of it are refused."""
        if path.startswith("/") or ".." in path.split("/"):
            raise InputError(f"'{path}' is not inside the results directory")
        return f"{self._root}/{path}"

    def files(self, folder: str) -> list[pafs.FileInfo]:
        """The Parquet files of a folder."""
        return steady(lambda: list_folder(self._fs, f"{self._root}/{folder}"))

    def remove_unchanged(self, info: pafs.FileInfo) -> None:
        """Remove a file that `files` listed, unless it was written again since.

        On a local file system that is certain: the file is renamed first, so that what is looked at is what is removed.
        Elsewhere a file that is written between the look and the removal, a few milliseconds, is lost.

        Raises:
            OSError: it cannot be removed.
        """
        path = info.path
        if self.local and layer(info.base_name) == PLAIN:
            path = f"{path.rpartition('/')[0]}/{taken_name(info.base_name)}"
            with suppress(FileNotFoundError):
                os.rename(info.path, path)
        found = steady(lambda: self._fs.get_file_info(path))
        if found.is_file and (found.mtime_ns, found.size) == (info.mtime_ns, info.size):
            with suppress(FileNotFoundError):
                steady(lambda: self._fs.delete_file(path))

    def remove(self, path: str) -> None:
        """Remove a file if it is there.

        Raises:
            OSError: it cannot be removed.
        """
        with suppress(FileNotFoundError):
            steady(lambda: self._fs.delete_file(self._inside(path)))

    def _write(self, target: str, content: bytes) -> None:
        if self.local:
            _replace(Path(target), content)
            return
        if self._fs.type_name not in OBJECT_STORES:
            self._fs.create_dir(target.rpartition("/")[0], recursive=True)
        with self._fs.open_output_stream(target) as stream:  # object stores publish on close
            stream.write(content)

    def _of_last_run(self, folder: str, trial_id: str) -> pa.Table | None:
        row = self.trial(trial_id)
        return None if row is not None and row[f"n_{folder}"] == 0 else self._of_trial(folder, trial_id)

    def _of_trial(self, folder: str, trial_id: str) -> pa.Table | None:
        table = self._rows_of(folder, f"{trial_id}.parquet", trial_id)
        return self._elsewhere(folder, trial_id) if table is None else table

    def _elsewhere(self, folder: str, trial_id: str) -> pa.Table | None:
        """A trial's rows in the latest file that holds them among those that hold many."""
        known: set[str] = set()
        while True:  # as `read_folder` does: what vanishes is in a merged file that the next listing shows
            others = {info.base_name for info in self.files(folder) if may_hold(info.base_name, trial_id)} - known
            if not others:
                return None
            for name in sorted(others, key=layer, reverse=True):
                table = self._rows_of(folder, name, trial_id)
                if table is not None and len(table):
                    return table
            known |= others

    def _rows_of(self, folder: str, name: str, trial_id: str) -> pa.Table | None:
        content, schema = self.read(f"{folder}/{name}"), FOLDERS[folder]
        if content is None:
            return None
        try:
            if merged_file(name):  # of many trials: the other columns only if this one is among them
                ids = read_parquet(content, pa.schema([schema.field("trial_id")]))
                if not pc.any(pc.equal(ids["trial_id"], trial_id)).as_py():
                    return no_rows(schema)
            table = read_parquet(content, schema)
        except (pa.ArrowException, OSError):
            return None
        return table.filter(pc.equal(table["trial_id"], trial_id))

    def _read_folder(self, folder: str, schema: pa.Schema) -> Rows:
        return read_folder(self._fs, f"{self._root}/{folder}", schema)


def existing_results(location: str) -> Results:
    """The results directory at `location`.

    Raises:
        InputError: there is no directory, or nothing in it says that it holds results.
    """
    results = Results(location)
    if not results.exists():
        raise InputError(f"{location}: no such results directory")
    if not (results.exists("trials") or results.size("spec.yaml") is not None):
        raise InputError(f"{location}: not a results directory: it has neither spec.yaml nor trials/")
    return results


OBJECT_STORES = ("s3", "gcs")
"""File systems that need no folder before a file."""

LARGE = {"compression": "zstd"}
SMALL = {"compression": "none", "use_dictionary": False, "write_statistics": False, "store_schema": False}
"""How to write a file of a few rows: compressed and with dictionaries and statistics per column it takes about twice
the space and five times as long to read."""


def parquet_bytes(table: pa.Table, options: dict[str, Any] = SMALL) -> bytes:
    """The table as a Parquet file with checksums."""
    sink = io.BytesIO()
    pq.write_table(table, sink, write_page_checksum=True, **options)
    return sealed(sink.getvalue())


def _replace(target: Path, content: bytes) -> None:
    """Write beside the target, flush to disk, rename over it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
