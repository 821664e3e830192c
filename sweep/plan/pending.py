"""Which trials are to be run: those without a row of how they ended, and those that are to be run again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sweep.plan.trials import Trial
from sweep.plan.versions import is_current, other_versions
from sweep.spec.sweep_spec import Spec
from sweep.store.status import KEPT, kept
from sweep.tasks.kind import Wanted
from sweep.words import counted, them


@dataclass(frozen=True)
class Again:
    """Which trials are run again though they have a row.

    Attributes:
        refresh: those that another code version computed.
        failed: those that failed.
        predictions: with `refresh` also those that kept fewer predictions than these.
        unrelearned: when those finished that were not relearned as the spec asks, by id.
    """

    refresh: bool = False
    failed: bool = False
    predictions: Wanted = False
    unrelearned: Mapping[str, datetime | None] = field(default_factory=dict)

    def wants(self, trial: Trial, row: Mapping[str, Any]) -> bool:
        """Whether to run a trial again that has this row."""
        if self.refresh and not is_current(trial, row["code_version"], row["original_version"]):
            return True
        if self.refresh and self.predictions and _kept_fewer(row, self.predictions):
            return True
        if trial.id in self.unrelearned and self.unrelearned[trial.id] == row["finished_at"]:
            return True
        return self.failed and row["status"] == "failed"


NOTHING = Again()


def with_fewer_predictions(
    trials: Iterable[Trial], left: Iterable[Trial], rows: Mapping[str, Mapping[str, Any]], wanted: Wanted
) -> list[str]:
    """How many of the trials that need not be run kept fewer predictions than are wanted: one line, or none."""
    unrun = {trial.id for trial in left}
    done = {trial.id for trial in trials if trial.id in rows} - unrun
    count = sum(_kept_fewer(rows[name], wanted) for name in done)
    if not count:
        return []
    asked = "true" if wanted is True else wanted
    which = f"{counted(count, 'trial')} done before kept fewer predictions than {asked}"
    return [f"{which}; --refresh repeats {them(count)}"]


def _kept_fewer(row: Mapping[str, Any], wanted: Wanted) -> bool:
    return row["status"] == "ok" and kept(row) < KEPT[wanted]


def untouched(
    left: Iterable[str], before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]
) -> set[str]:
    """Those of the ids in `left` whose rows are the same as before, or still missing. Compares `finished_at`."""
    nothing: Mapping[str, Any] = {}
    ends = ((name, [rows.get(name, nothing).get("finished_at") for rows in (before, now)]) for name in left)
    return {name for name, (then, at_last) in ends if then == at_last}


def of_other_code(
    spec: Spec, trials: Iterable[Trial], left: Iterable[Trial], rows: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """How many of the trials that need not be run other code computed, a line each (`other_versions`)."""
    ours = (spec.dataset.name, spec.model.name)
    unrun = {trial.id for trial in left}
    done = ((trial.method, rows[trial.id]) for trial in trials if trial.id in rows and trial.id not in unrun)
    return other_versions(((*ours, method), row["code_version"], row["original_version"]) for method, row in done)


def pending(trials: Iterable[Trial], rows: Mapping[str, Mapping[str, Any]], again: Again) -> list[Trial]:
    """The trials that are to be run.

    Args:
        rows: stored rows by trial id, with the columns that `Again.wants` reads.
    """

    def done(trial: Trial) -> bool:
        row = rows.get(trial.id)
        return row is not None and row["status"] != "pruned" and not again.wants(trial, row)  # pruned: it was not run

    return [trial for trial in trials if not done(trial)]
