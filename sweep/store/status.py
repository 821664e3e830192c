"""Rows of trials, and the ways in which a trial can end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
"""A row of `trials`, `traces` or `suggestions`, by column."""

ENDED = ("ok", "diverged", "failed")
"""The ways in which a trial ends that was run. A `pruned` row is of a trial that was not run."""


def ended(row: Row | None) -> bool:
    """Whether a trial was run and its row has what searches need: old ones of classes lack `validation_mia`."""
    if row is None or row["status"] not in ENDED:
        return False
    return row["status"] != "ok" or row.get("kind") is not None or row["validation_mia"] is not None
