"""Which trials are run: those without a row that says how they ended, and those that are to be run again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sweep.plan import Trial
from sweep.versions import is_current


@dataclass(frozen=True)
class Again:
    """What is run again though it has a row.

    Attributes:
        refresh: what another code version wrote.
        failed: what failed.
    """

    refresh: bool = False
    failed: bool = False

    def wants(self, trial: Trial, row: Mapping[str, Any]) -> bool:
        """Whether a trial is run again that has this row."""
        if self.refresh and not is_current(trial, row["code_version"], row["original_version"]):
            return True
        return self.failed and row["status"] == "failed"


NOTHING = Again()


def pending(trials: Iterable[Trial], rows: Mapping[str, Mapping[str, Any]], again: Again) -> list[Trial]:
    """The trials that are to be run. `rows`, by id, have the columns that `Again.wants` reads."""

    def done(trial: Trial) -> bool:
        row = rows.get(trial.id)
        return row is not None and row["status"] != "pruned" and not again.wants(trial, row)  # a pruned one: nobody ran

    return [trial for trial in trials if not done(trial)]
