"""Reads folders in which earlier versions merged files: beside a file per trial they have files of many trials.

    <trial_id>.parquet                              rows of one trial (in `suggestions`: <study>-<number>)
    merged-<generation>-<first>-<last>-<hex>.parquet    rows of many, whose names lie between first and last
    taken-<hex>-<trial_id>.parquet                  rows of one trial, on their way into a merged file

Where several files have rows of one trial (or suggestion), those of the latest file count. A file per trial is later
than a taken one, which is later than merged ones; of these a higher generation is later. Clocks decide nothing. This
version writes no merged and no taken files.
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
"""More than any generation of merged files."""


def earlier_files(names: Iterable[str]) -> list[str]:
    """The merged and taken files among these names, the latest first."""
    levels = {name: level for name in names if (level := _level(name)) is not None}
    return sorted(levels, key=lambda name: (levels[name], name), reverse=True)


def may_hold(name: str, trial_id: str) -> bool:
    """Whether a merged or taken file may have rows of the trial."""
    merged, taken = MERGED.fullmatch(name), TAKEN.fullmatch(name)
    return merged[2] <= trial_id <= merged[3] if merged else taken is not None and taken[1] == trial_id


def latest(table: pa.Table, names: Iterable[str]) -> pa.Table:
    """The rows of `table` that count, where the column `FILE` says in which of the files `names` each row lies."""
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
    if not name.startswith(("merged-", "taken-")):  # faster than two patterns
        return None
    merged = MERGED.fullmatch(name)
    return int(merged[1]) if merged else HIGHEST if TAKEN.fullmatch(name) else None


def _row_names(table: pa.Table) -> pa.ChunkedArray:
    """For each row the name, without its ending, of the file that its trial (or suggestion) has."""
    if "trial_id" in table.column_names:
        return table["trial_id"]
    return pc.binary_join_element_wise(table["study"], table["number"].cast(pa.string()), "-")
