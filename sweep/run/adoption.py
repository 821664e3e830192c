"""Rows that a search stored and a sweep has too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sweep.plan.trials import Trial
from sweep.store.results import Results


def adopt(results: Results, trials: Iterable[Trial], rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Make rows a sweep's own that a search stored: tables set apart what only a search asked for.

    Args:
        rows: by id, with the columns `status` and `study`.

    Raises:
        OSError: a row cannot be read or stored.
    """
    for trial in trials:
        known = rows.get(trial.id)
        if known is None or known["study"] is None or known["status"] == "pruned":
            continue
        row = results.trial(trial.id)
        if row is not None:
            results.write_row(row | {"study": None})
