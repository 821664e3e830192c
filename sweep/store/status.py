"""Rows of trials, and how one can end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]


ENDED = ("ok", "diverged", "failed")
"""How a trial that was run ends. A `pruned` row is of one that was not."""


def ended(row: Row | None) -> bool:
    """Whether a trial was run to an end that says what a search asks; rows of older versions lack `validation_mia`."""
    return row is not None and row["status"] in ENDED and (row["status"] != "ok" or row["validation_mia"] is not None)
