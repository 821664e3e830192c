"""What a search minimises: distances to the same seed's Retrain on validation data, computed from rows of `trials`.

An objective is one of `metrics.GAPS`, or `cost`: the time of unlearning relative to Retrain's. None reads test data.
Plain Python, so that the analysis of searches can import it.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sweep.plan.code_version import method_version
from sweep.store.metrics import FARTHEST, averaged, distance, metrics_of
from sweep.store.status import Row, ended

WORST = FARTHEST
"""The objective of a diverged trial: no gap is larger, and no useful method costs a hundred times Retrain."""


State = Literal["complete", "pruned", "failed", "unfinished"]


@dataclass(frozen=True)
class Standing:
    """How far a suggestion has come, by the rows of its trials.

    Attributes:
        state: complete: every search seed has a value; failed: one failed; pruned: the pruner gave it up before its
            last seed; else unfinished.
        means: after each seed that ended, in order, the mean of each objective over the seeds so far.
    """

    state: State
    means: tuple[tuple[float, ...], ...]

    @property
    def values(self) -> tuple[float, ...] | None:
        """The objectives of a complete suggestion."""
        return self.means[-1] if self.state == "complete" else None


def seed_values(row: Row, retrain: Row, objectives: Sequence[str]) -> tuple[float, ...]:
    """The objectives of one trial that ended ok or diverged, measured against the Retrain of its seed.

    A gap is over the metrics that either has; what only one of them has counts as `WORST`.
    """
    if row["status"] != "ok":
        return (WORST,) * len(objectives)
    values = []
    for name in objectives:
        if name == "cost":
            values.append(row["unlearn_seconds"] / retrain["unlearn_seconds"])
        else:
            columns = [metric.twin or metric.column for metric in averaged(metrics_of(row.get("kind")), name)]
            both = [(value_of(row, column), value_of(retrain, column)) for column in columns]
            gaps = [
                WORST if value is None or reference is None else distance(value, reference)
                for value, reference in both
                if not (value is None and reference is None)
            ]
            values.append(sum(gaps) / len(gaps) if gaps else WORST)
    return tuple(values)


def value_of(row: Row, column: str) -> float | None:
    """A metric of a row of `trials`: of its own column, or of `other`; None where it was not measured."""
    value: float | None = row[column] if column in row else json.loads(row["other"] or "{}").get(column)
    return value


def running_means(values: Sequence[tuple[float, ...]]) -> tuple[tuple[float, ...], ...]:
    """The means of the objectives over the first seed, the first two seeds, and so on."""
    return tuple(
        tuple(sum(column) / count for column in zip(*values[:count], strict=True))
        for count in range(1, len(values) + 1)
    )


def standing(rows: Sequence[Row | None], retrain: Sequence[Row | None], objectives: Sequence[str]) -> Standing:
    """How far a suggestion has come. A trial that one study gave up counts as given up in every study that suggests it.

    Args:
        rows: for each search seed, in order, the row of its trial, if there is one.
        retrain: for each search seed the row of Retrain, if one ended ok. A trial that ended ok has no value without.
    """
    values = []
    for row, reference in zip(rows, retrain, strict=True):
        if row is None or not ended(row) or row["status"] == "failed" or (row["status"] == "ok" and reference is None):
            break
        values.append(seed_values(row, reference or {}, objectives))
    means = running_means(values)
    if any(row is not None and row["status"] == "failed" for row in rows):
        return Standing("failed", means)
    if len(means) == len(rows):
        return Standing("complete", means)
    pruned = any(row is not None and row["status"] == "pruned" and row["study"] is not None for row in rows)
    return Standing("pruned" if pruned else "unfinished", means)


def standings(
    suggestions: Sequence[Row], trials: Sequence[Row], objectives: Sequence[str] | None = None
) -> dict[tuple[str, int], Standing]:
    """How far every suggestion has come, by study and number, from the rows of a results directory.

    Where several versions of Retrain are stored, the newest counts.

    Args:
        objectives: computed in place of each suggestion's own.
    """
    rows = {row["trial_id"]: row for row in trials}
    references = [row for row in trials if row["method"] == "retrain" and row["status"] == "ok" and ended(row)]
    references.sort(key=lambda row: method_version(row["config"]))
    retrain = {(row["task_id"], row["seed"]): row for row in references}
    found = {}
    for suggestion in suggestions:
        study, number = suggestion["study"], suggestion["number"]
        ran = [rows.get(trial_id) for trial_id in suggestion["trial_ids"]]
        beside = [row and retrain.get((row["task_id"], row["seed"])) for row in ran]
        found[study, number] = standing(ran, beside, objectives or suggestion["objectives"])
    return found


def pareto_front(points: Mapping[int, Sequence[float]]) -> list[int]:
    """Keys, ascending, of the points that no other point dominates. Lower is better.

    A point dominates another if it is nowhere above it and somewhere below. Of equal points only the one with the
    smallest key is on the front.
    """
    front: list[int] = []
    for key in sorted(points, key=lambda key: (tuple(points[key]), key)):  # a point comes after all that dominate it
        if not any(all(map(operator.le, points[other], points[key])) for other in front):
            front.append(key)
    return sorted(front)
