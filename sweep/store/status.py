"""Rows of trials: the ways in which a trial can end, and how much of its predictions is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
"""A row of `trials`, `traces` or `suggestions`, by column."""

ENDED = ("ok", "diverged", "failed")
"""The ways in which a trial ends that was run. A `pruned` row is of a trial that was not run."""


def ended(row: Row | None) -> bool:
    """Whether a trial was run, and its row has what searches read. An older row of classification may lack it."""
    if row is None or row["status"] not in ENDED:
        return False
    return row["status"] != "ok" or row.get("kind") is not None or row["validation_mia"] is not None


KEPT = {False: 0, "forget": 1, True: 2, "all": 3}
"""How much each value of a spec's `predictions` keeps."""


def kept(row: Row) -> int:
    """How much of a trial's predictions is kept, as in `KEPT`: in an older row, which does not say it, true."""
    return KEPT.get(row["kept_predictions"], KEPT[True]) if row["n_predictions"] else KEPT[False]
