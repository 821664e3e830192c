"""Trials that run: `DIR/running/<trial_id>.json` says of each how far it is, until its row is stored.

Its worker writes it anew every few seconds, and removes it. A file that a killed worker left lies there until the trial
runs again; it counts for nothing where the trial has a row that is newer than its start. JSON as Python writes it, in
which NaN and Infinity are numbers.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from sweep.store.columns import TRACES, TRIALS
from sweep.store.directory import Directory
from sweep.store.json_columns import legible
from sweep.store.parquet import FILE, Rows
from sweep.store.status import Row

FOLDER = "running"

KNOWN = [field.name for field in TRIALS if not field.nullable and field.name != "status"] + ["started_at"]
POINT = [field.name for field in TRACES if not field.nullable]
"""Columns of `trials` that have a value from a trial's start on, and those of `traces` that always have one."""


@dataclass(frozen=True, eq=False)
class Running:
    """A trial that runs, or ran until its worker was killed.

    Attributes:
        row: its row of `trials` as far as that is known at its start; the other columns are None.
        traces: its rows of `traces` so far, in their order.
        told: when its worker wrote this, by that worker's clock.
    """

    row: Row
    traces: Sequence[Row]
    told: datetime

    @property
    def id(self) -> str:
        """The trial's id."""
        return str(self.row["trial_id"])


def running_path(trial_id: str) -> str:
    """Where a results directory has the file of a trial that runs."""
    return f"{FOLDER}/{trial_id}.json"


def write_running(results: Directory, row: Row, traces: Sequence[Row], now: datetime) -> None:
    """Say of a trial how far it is; `row` and `traces` may leave out columns that have no value.

    Raises:
        OSError: it cannot be stored.
    """
    content = {"told": now, "row": row, "traces": traces}
    results.write(running_path(row["trial_id"]), json.dumps(content, default=datetime.isoformat).encode())


class RunningFiles:
    """The trials that run, of one results directory. A file is read again only where it was written again."""

    def __init__(self, results: Directory) -> None:
        self._results = results
        self._read: dict[str, tuple[tuple[int, int], Running | None]] = {}

    def trials(self, wanted: Collection[str] | None = None) -> list[Running]:
        """What can be read, ordered by the trials' ids; of a file that was not written again the same object.

        Args:
            wanted: ids of trials; None: all.

        Raises:
            OSError: their list cannot be read.
        """
        paths = None if wanted is None else {running_path(trial_id) for trial_id in wanted}
        found: dict[str, tuple[tuple[int, int], Running | None]] = {}
        for info in self._results.files(FOLDER, ".json"):
            path, written = f"{FOLDER}/{info.base_name}", (info.mtime_ns, info.size)
            if paths is None or path in paths:
                before = self._read.get(path)
                found[path] = before if before and before[0] == written else (written, self._parsed(path))
        self._read = found
        return [running for _, running in found.values() if running is not None]

    def _parsed(self, path: str) -> Running | None:
        content = None
        with suppress(OSError):  # another user's, perhaps
            content = self._results.read(path)
        try:
            stored = json.loads(content or b"")
            started = datetime.fromisoformat(stored["row"]["started_at"])
            table = pa.Table.from_pylist([stored["row"] | {"started_at": started}], schema=TRIALS)
            table = legible("trials", Rows(table.append_column(FILE, pa.array([path])), [])).table
            [row] = table.select(TRIALS.names).to_pylist()
            traces = pa.Table.from_pylist(stored["traces"], schema=TRACES).to_pylist()
            told = datetime.fromisoformat(stored["told"])
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, pa.ArrowException):
            return None  # nothing follows from it, and its worker writes another one soon
        named = running_path(row["trial_id"]) == path
        return Running(row, traces, told) if named and _complete([row], KNOWN) and _complete(traces, POINT) else None


def _complete(rows: Sequence[Row], columns: Sequence[str]) -> bool:
    return all(row[name] is not None for row in rows for name in columns)
