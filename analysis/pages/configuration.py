"""The page of a configuration: its trials, one line for each seed; and the page that lists all configurations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.failures import last_line
from analysis.reading.frames import kinds_of
from analysis.statistics.intervals import Interval, mean_interval
from analysis.wording.ideal import reference_words
from analysis.wording.names import metric_words
from analysis.wording.words import ended_words
from sweep.store.metrics import Metric, metrics_of, shown


@dataclass(frozen=True)
class Value:
    """A metric of one trial, and its distance to the reference of the same seed; NaN where there is none."""

    value: float
    gap: float


@dataclass(frozen=True)
class Line:
    """A trial in the table of its configuration."""

    trial_id: str
    page: str
    seed: int
    status: str
    error: str
    values: list[Value]
    average_gap: float
    seconds: float
    cost: float


@dataclass(frozen=True)
class Listed:
    """A configuration in the list of all."""

    task: str
    name: str
    setting: str
    page: str
    n: int
    ended: str
    average_gap: Interval
    searched: bool


def configuration_values(rows: pd.DataFrame) -> Mapping[str, object]:
    """What the template of a configuration shows.

    Args:
        rows: its trials, as `Site.trials`.
    """
    rows = rows.sort_values("seed")
    first = rows.iloc[0]
    metrics = measured(rows, str(kinds_of(rows).iloc[0]))
    ok = rows[rows["status"] == "ok"]
    means = {name: mean_interval(ok[name], name) for name in ("average_gap", "unlearn_seconds", "relative_seconds")}
    means |= {metric.column: mean_interval(ok[metric.column], metric.column) for metric in metrics}
    return {
        "name": first["name"],
        "setting": first["setting"],
        "task": first["task"],
        "searched": bool(first["searched"]),
        "params": parameters(first["params"]),
        "metrics": metrics,
        "meanings": metric_words(metrics),
        "to": reference_words(rows),
        "lines": [_line(row, metrics) for _, row in rows.iterrows()],
        "means": means,
        "reference": first["method"] == "retrain",
        "n": len(ok),
    }


def measured(rows: pd.DataFrame, kind: str) -> tuple[Metric, ...]:
    """The metrics that tables show and some of these trials have."""
    return tuple(each for each in shown(metrics_of(kind)) if each.column in rows and rows[each.column].notna().any())


def parameters(params: str) -> list[tuple[str, str]]:
    """Hyperparameters and their values, as a spec writes them."""
    parsed: dict[str, Any] = json.loads(params)
    return [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in parsed.items()]


def _line(row: pd.Series, metrics: tuple[Metric, ...]) -> Line:
    return Line(
        trial_id=row["trial_id"],
        page=row["trial_page"],
        seed=int(row["seed"]),
        status=row["status"],
        error=last_line(row["error"]),
        values=[Value(row[metric.column], row[f"gap.{metric.column}"]) for metric in metrics],
        average_gap=row["average_gap"],
        seconds=row["unlearn_seconds"],
        cost=row["relative_seconds"],
    )


def index_values(trials: pd.DataFrame) -> Mapping[str, object]:
    """What the list of all configurations shows, ordered by task and average gap.

    Args:
        trials: as `Site.trials`.
    """
    listed = []
    for page, rows in trials.groupby("page", sort=False):
        first, ok = rows.iloc[0], rows[rows["status"] == "ok"]
        gap = mean_interval(ok["average_gap"], "average_gap")
        named = (first["task"], first["name"], first["setting"])
        listed.append(Listed(*named, str(page), len(ok), ended_words(rows["status"]), gap, bool(first["searched"])))
    listed.sort(key=lambda each: (each.task, each.searched, not each.average_gap.n, each.average_gap.mean, each.name))
    tasks: dict[str, list[Listed]] = {}
    for each in listed:
        tasks.setdefault(each.task, []).append(each)
    return {"tasks": tasks}
