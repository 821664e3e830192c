"""Trials that a search ran first and a sweep asks for too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sweep.plan.trials import Trial
from sweep.store.results import Results


def adopt(results: Results, trials: Iterable[Trial], rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Clear `study` in the rows that a search stored for these trials, so that tables count them as the sweep's own.

    Args:
        rows: stored rows by trial id, with the columns `status` and `study`.

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
