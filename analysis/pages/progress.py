"""How far a sweep has come: what is stored, against what its spec asks for."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.pages.plan import Plan, Planned
from analysis.reading.frames import Frames
from sweep.search.objective import standings

STATES = ("ok", "diverged", "failed", "pruned")


@dataclass(frozen=True)
class Counts:
    """Trials of one method, or all: how many are planned, how many ended in each of `STATES`, how many are missing."""

    method: str
    planned: int
    ended: dict[str, int]

    @property
    def missing(self) -> int:
        """Those that run, or have not begun."""
        return self.planned - sum(self.ended.values())


@dataclass(frozen=True)
class StudyProgress:
    """A search of one method on one task: how many suggestions it has, and in which state; `of`: how many it will."""

    study: str
    suggestions: int
    of: int
    states: dict[str, int]


@dataclass(frozen=True)
class Progress:
    """How far a sweep has come.

    Attributes:
        all: every trial that is planned; where no plan is known, every trial there is.
        methods: the same by method, in the plan's order.
        unknown: why no plan is known; empty if it is.
        others: trials that are stored and not planned: of earlier specs, or of searches.
        studies: what searches suggested.
        last: when the last trial ended; empty if none did.
    """

    all: Counts
    methods: list[Counts]
    unknown: str
    others: int
    studies: list[StudyProgress]
    last: str


def progress(frames: Frames, plan: Plan) -> Progress:
    """Count what is stored, against a plan."""
    rows = [table[["trial_id", "method", "status", "finished_at"]] for table in (frames.trials, frames.searched)]
    stored = pd.concat([table for table in rows if len(table)] or rows[:1]).drop_duplicates("trial_id")
    planned = (
        dict(plan.trials) if isinstance(plan, Planned) else dict(zip(stored["trial_id"], stored["method"], strict=True))
    )
    inside = stored[stored["trial_id"].isin(list(planned))]
    inside = inside.assign(method=inside["trial_id"].map(planned))
    counted = inside.groupby(["method", "status"]).size().to_dict()
    sizes = pd.Series(list(planned.values()), dtype=object).value_counts().to_dict()
    methods = [
        Counts(method, sizes[method], {state: int(counted.get((method, state), 0)) for state in STATES})
        for method in dict.fromkeys(planned.values())
    ]
    total = Counts("all", len(planned), {state: sum(each.ended[state] for each in methods) for state in STATES})
    finished = stored["finished_at"].dropna()
    return Progress(
        total,
        methods,
        "" if isinstance(plan, Planned) else plan,
        len(stored) - len(inside),
        _studies(frames, plan.suggestions if isinstance(plan, Planned) else 0),
        f"{finished.max():%Y-%m-%d %H:%M:%S} UTC" if len(finished) else "",
    )


def _studies(frames: Frames, budget: int) -> list[StudyProgress]:
    suggestions = [{str(key): value for key, value in row.items()} for row in frames.suggestions.to_dict("records")]
    if not suggestions:
        return []
    tables = [table for table in (frames.trials, frames.searched) if len(table)]
    rows = pd.concat(tables).drop_duplicates("trial_id") if tables else frames.trials
    records = [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]
    stands = standings(suggestions, records)
    found: dict[str, dict[str, int]] = {}
    for (study, _), standing in stands.items():
        states = found.setdefault(study, {})
        states[standing.state] = states.get(standing.state, 0) + 1
    return [StudyProgress(study, sum(states.values()), budget, states) for study, states in found.items()]
