"""Tasks whose forget sets are folds of one data set, taken together."""

from __future__ import annotations

import json
from collections.abc import Hashable

import pandas as pd

from analysis.wording.names import task_labels
from analysis.wording.words import joined
from sweep.store.content_ids import canonical_json


def whole_tasks(trials: pd.DataFrame) -> pd.Series:
    """What the trials of one task share, and those of all its folds where its forget set is a fold."""
    found = [*map(_without_fold, trials["config"], trials["task_id"])]
    return pd.Series(found, index=trials.index, dtype=object)


def _without_fold(config: str, task_id: str) -> str:
    parsed = json.loads(config)
    if "fold" not in parsed.get("forget", {}):
        return task_id
    parsed["forget"].pop("fold")
    return canonical_json({key: value for key, value in parsed.items() if key not in ("seed", "method")})


def folds(trials: pd.DataFrame) -> list[str]:
    """The ids of the tasks of some trials of one whole task, in the order of their folds."""
    first = trials.drop_duplicates("task_id")
    numbers = [json.loads(config).get("forget", {}).get("fold", 0) for config in first["config"]]
    return [task for _, task in sorted(zip(numbers, first["task_id"], strict=True))]


def whole_labels(trials: pd.DataFrame) -> dict[Hashable, str]:
    """For each task's id the whole task in words: the folds that these trials have are named together."""
    if trials.empty:
        return {}
    found: dict[Hashable, str] = {}
    for _, rows in trials.assign(label=task_labels(trials)).groupby(whole_tasks(trials), sort=False):
        order = folds(rows)
        label = str(rows.loc[rows["task_id"] == order[0], "label"].iloc[0])
        numbers = [json.loads(config).get("forget", {}).get("fold") for config in rows["config"].unique()]
        known = sorted({number for number in numbers if number is not None})
        if len(known) > 1:
            label = label.replace(f"fold {known[0]}", f"folds {joined([*map(str, known)])}")
        found |= dict.fromkeys(order, label)
    return found
