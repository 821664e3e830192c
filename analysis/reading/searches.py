"""What searches suggested and how it ended, as a table that the figures of searches share."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from analysis.reading.frames import Frames
from analysis.reading.selection import fullest_task
from sweep.search.objective import seed_values, standings
from sweep.store.columns import REFERENCES
from sweep.store.metrics import GAPS
from sweep.store.status import Row, ended

COST = "cost"


def outcomes(frames: Frames) -> pd.DataFrame:
    """One row per suggestion, ordered by study and number.

    Returns:
        `study`, `method`, `task_id`, `number`, `sampler`, `objectives`; `params` and `space`, parsed; and:
        `seeds`: how many search seeds it has;
        `state`: complete, pruned, failed or unfinished;
        `values`: the mean of each objective over the seeds; None unless complete;
        `value`: the first of them; NaN unless complete;
        `cost`: time relative to Retrain's; NaN unless complete and all of its trials ended ok;
        `seconds`: what its trials took from start to end, evaluation included. A trial that several suggestions of a
        study share counts at the first of them.
    """
    searched = _records(frames.searched)
    rows = {row["trial_id"]: row for row in searched}
    trials = [*searched, *_records(_references(frames, "retrain"))]
    suggestions = [{str(key): value for key, value in row.items()} for row in frames.suggestions.to_dict("records")]
    stands, costs = standings(suggestions, trials), standings(suggestions, trials, [COST])
    found = []
    counted: set[tuple[str, str]] = set()
    for suggestion in suggestions:
        new = [trial_id for trial_id in suggestion["trial_ids"] if (suggestion["study"], trial_id) not in counted]
        counted.update((suggestion["study"], trial_id) for trial_id in new)
        key = (suggestion["study"], suggestion["number"])
        values, ran = stands[key].values, [rows.get(trial_id) for trial_id in suggestion["trial_ids"]]
        cost = costs[key].values if all(row and row["status"] == "ok" for row in ran) else None
        found.append(
            {key: suggestion[key] for key in ("study", "method", "task_id", "number", "sampler")}
            | {key: json.loads(suggestion[key]) for key in ("params", "space")}
            | {"objectives": tuple(suggestion["objectives"]), "seeds": len(ran)}
            | {"state": stands[key].state, "values": values}
            | {"value": np.nan if values is None else values[0]}
            | {"cost": np.nan if cost is None else cost[0]}
            | {"seconds": sum(_seconds(rows[trial_id]) for trial_id in new if trial_id in rows)}
        )
    return pd.DataFrame(found)


def original_value(frames: Frames, tried: pd.DataFrame) -> float:
    """The first objective's value of Original on the seeds of these suggestions; NaN where it was not run on them."""
    objective, task = str(tried["objective"].iloc[0]), str(tried["task_id"].iloc[0])
    here = frames.searched[(frames.searched["task_id"] == task) & frames.searched["method"].isin(tried["method"])]
    rows = {name: _by_seed(_references(frames, name), task) for name in REFERENCES}
    both = [(rows["original"].get(seed), rows["retrain"].get(seed)) for seed in here["seed"].unique().tolist()]
    values = [
        seed_values(row, retrain, [objective])[0] for row, retrain in both if row is not None and retrain is not None
    ]
    return float(np.mean(values)) if objective in GAPS and values and len(values) == len(both) else float("nan")


def _references(frames: Frames, name: str) -> pd.DataFrame:
    """The trials of Retrain or Original, whether they are in a comparison or not."""
    found = [trials[trials["method"] == name] for trials in (frames.trials, frames.searched)]
    return pd.concat([rows for rows in found if len(rows)] or found[:1])


def _by_seed(trials: pd.DataFrame, task: str) -> dict[int, Row]:
    rows = _records(trials[(trials["task_id"] == task) & (trials["status"] == "ok")])
    return {row["seed"]: row for row in rows if ended(row)}


def fullest_search(frames: Frames) -> pd.DataFrame | None:
    """`outcomes` on the task and first objective with most suggestions that are complete; None if none is."""
    tried = outcomes(frames)
    if tried.empty or not (tried["state"] == "complete").any():
        return None
    tried["objective"] = tried["objectives"].str[0]
    complete = tried[tried["state"] == "complete"]
    task = fullest_task(complete)
    objective = complete.loc[complete["task_id"] == task, "objective"].mode().iloc[0]
    here = (tried["task_id"] == task) & (tried["objective"] == objective)
    chosen: pd.DataFrame = tried[here & tried["study"].isin(complete["study"].unique())].reset_index(drop=True)
    return chosen


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with None for what is missing."""
    plain = rows.astype(object).where(rows.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def _seconds(row: Row) -> float:
    if row["started_at"] is None or row["finished_at"] is None:
        return float(row["unlearn_seconds"] or 0.0)
    return float((row["finished_at"] - row["started_at"]).total_seconds())
