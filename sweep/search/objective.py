"""What a search minimises, derived from rows of `trials`: distances to the same seed's Retrain on validation data.

Plain Python, for searches and for whoever reads their results. Test data has no part in any of it.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sweep.plan.code_version import method_version
from sweep.store.status import Row, ended

GAPS = {
    "average_gap": ("retain_accuracy", "forget_accuracy", "validation_accuracy", "validation_mia"),
    "forget_gap": ("forget_accuracy", "validation_mia"),
    "retain_gap": ("retain_accuracy", "validation_accuracy"),
}
"""Objectives that are mean distances to Retrain, in percentage points, and the metrics that they average."""

OBJECTIVES = (*GAPS, "cost")
"""`cost` is the time of unlearning relative to Retrain's."""

WORST = 100.0
"""What a diverged trial counts as: no gap is larger, and no method worth its name costs a hundred times Retrain."""


State = Literal["complete", "pruned", "failed", "unfinished"]


@dataclass(frozen=True)
class Standing:
    """How a suggestion stands, derived from the rows of its trials.

    Attributes:
        state: complete: every search seed has a value; failed: one failed; pruned: one was given up; else unfinished.
        means: after each seed that ended, in order, the mean of each objective over the seeds so far.
    """

    state: State
    means: tuple[tuple[float, ...], ...]

    @property
    def values(self) -> tuple[float, ...] | None:
        """The objectives of a complete suggestion."""
        return self.means[-1] if self.state == "complete" else None


def seed_values(row: Row, retrain: Row, objectives: Sequence[str]) -> tuple[float, ...]:
    """The objectives of one trial that ended ok or diverged, against its seed's Retrain."""
    if row["status"] != "ok":
        return (WORST,) * len(objectives)
    values = []
    for name in objectives:
        if name == "cost":
            values.append(row["unlearn_seconds"] / retrain["unlearn_seconds"])
        else:
            gaps = [abs(row[metric] - retrain[metric]) for metric in GAPS[name]]
            values.append(sum(gaps) / len(gaps))
    return tuple(values)


def running_means(values: Sequence[tuple[float, ...]]) -> tuple[tuple[float, ...], ...]:
    """For every prefix of a list of seeds' objectives, their means."""
    return tuple(
        tuple(sum(column) / count for column in zip(*values[:count], strict=True))
        for count in range(1, len(values) + 1)
    )


def standing(rows: Sequence[Row | None], retrain: Sequence[Row | None], objectives: Sequence[str]) -> Standing:
    """How a suggestion stands. What one study gave up, no other that suggests the same takes up when it goes on.

    Args:
        rows: for each search seed, in order, the row of its trial, if there is one.
        retrain: for each search seed the row of Retrain, if there is one that ended ok: only values need it.
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
    """How every suggestion stands, by study and number, from the rows of a results directory.

    Of several versions of Retrain the newest counts. `objectives`: instead of each suggestion's own.
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
    """Keys, ascending, of the points that no other dominates: is nowhere above, and somewhere below.

    Of equal points only the one with the smallest key is on the front.
    """
    front: list[int] = []
    for key in sorted(points, key=lambda key: (tuple(points[key]), key)):  # what dominates a point comes before it
        if not any(all(map(operator.le, points[other], points[key])) for other in front):
            front.append(key)
    return sorted(front)
