"""Trials that run, as pages show them: in the list of the first page, and each on a page with its path so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from analysis.pages.charts import Chart
from analysis.pages.configuration import parameters
from analysis.pages.naming import named
from analysis.pages.trial import facts, path_charts, words
from sweep.store.running import Running
from sweep.store.status import Row

MOST_RUNNING = 50
"""Trials that the first page lists."""

NAMING = (
    *("trial_id", "task_id", "dataset", "model", "seed", "scenario", "forget_ratio", "forget_fold", "forget_class"),
    *("forget_class_name", "forget_rows", "n_forget", "method", "params", "config"),
)
"""The columns of `trials` that names are made of."""


@dataclass(frozen=True)
class Run:
    """A trial that runs.

    Attributes:
        row: as in `Site.trials`, without what is measured.
        traces: its rows of `traces` so far.
        epoch: the last one of these.
        started, told: when it started, and when it was last heard of, in words.
    """

    row: pd.Series
    traces: Sequence[Row]
    epoch: int
    started: str
    told: str

    @property
    def page(self) -> str:
        """The page that it has, and that it will have."""
        return str(self.row["trial_page"])

    @property
    def what(self) -> str:
        """Its method and what varies of it."""
        return words(self.row)

    @property
    def charts(self) -> list[Chart]:
        """Its path so far."""
        return path_charts(self.traces)


def runs(running: Sequence[Running], trials: pd.DataFrame) -> dict[str, Run]:
    """By the paths of their pages the trials that run: those without a row that is newer than their start.

    Args:
        trials: as `Site.trials`; what runs is called as it is there.
    """
    if not running:
        return {}
    ended = dict(zip(trials["trial_id"], trials["finished_at"], strict=True))
    still = [each for each in running if not (each.id in ended and ended[each.id] > each.row["started_at"])]
    told_apart = trials.drop_duplicates(["task_id", "method", "params"])
    known = told_apart[[name for name in NAMING if name in told_apart]].to_dict("records")
    rows = named(pd.DataFrame([*known, *({name: each.row[name] for name in NAMING} for each in still)]))
    found = [_run(each, rows.iloc[len(known) + place]) for place, each in enumerate(still)]
    return {run.page: run for run in sorted(found, key=lambda run: (run.row["task"], run.what, run.row["seed"]))}


def _run(running: Running, row: pd.Series) -> Run:
    epoch = max((point["epoch"] for point in running.traces), default=0)
    whole = pd.Series(dict(running.row) | row.to_dict())
    return Run(whole, running.traces, epoch, _time(running.row["started_at"]), _time(running.told))


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def running_values(run: Run, configuration: bool) -> Mapping[str, object]:
    """What the template of a trial that runs shows.

    Args:
        configuration: whether its configuration has a page.
    """
    return {
        "run": run,
        "trial": run.row,
        "what": run.what,
        "configuration": configuration,
        "facts": facts(run.row),
        "params": parameters(run.row["params"]),
    }
