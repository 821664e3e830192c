"""Folders that earlier versions merged: a file per trial as it was written, and files that took in many.

    <trial_id>.parquet                              rows of one trial (in `suggestions`: <study>-<number>)
    merged-<generation>-<first>-<last>-<hex>.parquet    rows of many, whose names lie between first and last
    taken-<hex>-<trial_id>.parquet                  rows of one trial, on their way into a merged file

Where rows of the same name are in several files, those of the latest count: a file per trial is later than one taken,
that is later than merged ones, and of those the higher generation is later. Clocks decide nothing. Nothing writes such
files any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from sweep.store.parquet import FILE

MERGED = re.compile(r"merged-(\d{6})-(\w+)-(\w+)-[0-9a-f]{8}\.parquet")
TAKEN = re.compile(r"taken-[0-9a-f]{8}-(.+)\.parquet")
HIGHEST = 10**6
"""Above every generation of merged files."""


def earlier_files(names: Iterable[str]) -> list[str]:
    """Those of the files that are not a trial's own, the latest first."""
    levels = {name: level for name in names if (level := _level(name)) is not None}
    return sorted(levels, key=lambda name: (levels[name], name), reverse=True)


def may_hold(name: str, trial_id: str) -> bool:
    """Whether one of `earlier_files` may have rows of the trial."""
    merged, taken = MERGED.fullmatch(name), TAKEN.fullmatch(name)
    return merged[2] <= trial_id <= merged[3] if merged else taken is not None and taken[1] == trial_id


def latest(table: pa.Table, names: Iterable[str]) -> pa.Table:
    """The rows that count of those that lie in the files `names`, which the column `FILE` of `table` tells."""
    earlier = earlier_files(names)
    if not earlier:
        return table
    kept = [table.filter(pc.invert(pc.is_in(table[FILE], pa.array(earlier))))]
    for name in earlier:
        rows = table.filter(pc.equal(table[FILE], name))
        later = pa.chunked_array([chunk for part in kept for chunk in _row_names(part).chunks], pa.string())
        kept.append(rows.filter(pc.invert(pc.is_in(_row_names(rows), later))))
    return pa.concat_tables(kept)


def _level(name: str) -> int | None:
    if not name.startswith(("merged-", "taken-")):  # which is seen sooner than that a pattern fits
        return None
    merged = MERGED.fullmatch(name)
    return int(merged[1]) if merged else HIGHEST if TAKEN.fullmatch(name) else None


def _row_names(table: pa.Table) -> pa.ChunkedArray:
    """For each row the name of its trial's (or suggestion's) file, without the ending."""
    if "trial_id" in table.column_names:
        return table["trial_id"]
    return pc.binary_join_element_wise(table["study"], table["number"].cast(pa.string()), "-")
