"""Trials that a search ran first and a sweep asks for too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sweep.plan.trials import Trial
from sweep.store.results import Results


def adopt(results: Results, trials: Iterable[Trial], rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Clear `study` in the rows that a search stored for these trials, so that tables count them as the sweep's own.

    A trial that confirms a suggestion stays the search's: tables count it already, as tuned.

    Args:
        rows: stored rows by trial id, with the columns `status` and `study`.

    Raises:
        OSError: a row cannot be read or stored.
    """
    searched = {name for name, row in rows.items() if row["study"] is not None and row["status"] != "pruned"}
    asked = [trial.id for trial in trials if trial.id in searched]
    suggestions = results.suggestions().table.to_pylist() if asked else []
    confirming = {name for row in suggestions for name in row["confirm_trial_ids"] or ()}
    for trial_id in asked:
        if trial_id in confirming:
            continue
        row = results.trial(trial_id)
        if row is not None:
            results.write_row(row | {"study": None})
