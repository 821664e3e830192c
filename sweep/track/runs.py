"""What a tracker is sent of a trial: its run, the points of its curves, and how it ended."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sweep.store.columns import MEASURED
from sweep.store.status import Row

FORGET = ("scenario", "forget_ratio", "forget_fold", "forget_class", "forget_class_name", "forget_rows")
SETTING = ("dataset", "model", "method", "seed", *FORGET)
"""Columns that, beside the hyperparameters, say what was run."""

CIRCUMSTANCES = ("trial_id", "study", "code_version", "device", "threads", "host")
"""Columns that say which trial it is, and where it runs."""

NOT_CURVES = ("trial_id", "epoch", "step", "seconds", "samples", "other")
"""Columns of `traces` that are not drawn as curves."""


@dataclass(frozen=True)
class TrialRun:
    """A trial as a tracker's run, as far as it is known when it starts.

    Attributes:
        key: the trial's id and when it started, so that a trial that is run again is another run.
        sweep, method, seed: as in its row.
        started: as `started_at` in its row.
        params: what is run (hyperparameters as `param.<name>`), and where; only columns with a value.
    """

    key: str
    sweep: str
    method: str
    seed: int
    started: datetime
    params: dict[str, Any]

    @property
    def name(self) -> str:
        """The run's name, which need not be unique."""
        return f"{self.method} seed {self.seed}"


@dataclass(frozen=True)
class Point:
    """A value of a curve: its name, epoch, seconds since unlearning began; `place`: which row of the trace has it."""

    place: int
    name: str
    epoch: int
    seconds: float
    value: float


@dataclass(frozen=True)
class Ending:
    """How a trial ended.

    Attributes:
        status: as in its row.
        finished: as `finished_at` in its row.
        metrics: metrics and cost; only those that are finite.
    """

    status: str
    finished: datetime
    metrics: dict[str, float]


def trial_run(row: Row) -> TrialRun:
    """The run that a row of `trials` becomes, or that a trial is while it runs."""
    params = {name: row[name] for name in (*SETTING, *CIRCUMSTANCES) if row[name] is not None}
    hyperparameters = {f"param.{name}": value for name, value in json.loads(row["params"]).items()}
    return TrialRun(
        key=f"{row['trial_id']}-{row['started_at']:%Y%m%dT%H%M%S}",
        sweep=row["sweep"],
        method=row["method"],
        seed=row["seed"],
        started=row["started_at"],
        params=params | {name: "null" if value is None else value for name, value in hyperparameters.items()},
    )


def ending(row: Row) -> Ending:
    """How the trial of a row of `trials` ended."""
    metrics = {name: float(row[name]) for name in MEASURED if _finite(row[name])}
    return Ending(row["status"], row["finished_at"], metrics)


def curves(traces: Sequence[Row]) -> Iterator[Point]:
    """The finite values of a trial's rows of `traces`."""
    for place, row in enumerate(traces):
        values = {name: value for name, value in row.items() if name not in NOT_CURVES}
        for name, value in (values | json.loads(row["other"] or "{}")).items():
            if _finite(value):
                yield Point(place, "trace/" + re.sub(r"\W", "_", name), row["epoch"], row["seconds"], float(value))


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
