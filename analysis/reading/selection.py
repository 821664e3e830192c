"""Which trials a figure shows: those that ended ok, of one task, in one setting, in one configuration per method."""

from __future__ import annotations

import json

import pandas as pd

from sweep.search.objective import pareto_front
from sweep.store.columns import REFERENCES

WITHIN_TASK = ["method", "params"]
"""The columns that trials of one task share which differ in their seed only; of any task, `tuning.CONFIGURATION`."""

ANOTHER_SEED = "retrain, another seed"
"""What tables call Retrain where its gaps are to Retrain of the next seed: no method, but the floor of all gaps."""


def ended_ok(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials that ended ok."""
    return trials[trials["status"] == "ok"]


def fullest_task(trials: pd.DataFrame) -> str:
    """The task with most of these trials."""
    return str(trials.groupby("task_id").size().idxmax())


def alike(rows: pd.DataFrame, others: pd.DataFrame, columns: list[str]) -> pd.Series:
    """Mark rows that agree with one of the others in these columns."""
    found = pd.MultiIndex.from_frame(rows[columns]).isin(pd.MultiIndex.from_frame(others[columns].drop_duplicates()))
    return pd.Series(found, index=rows.index)


def parameter(trials: pd.DataFrame, name: str) -> pd.Series:
    """A hyperparameter's values; missing where a trial has none of that name."""
    column = f"param.{name}"
    return trials[column] if column in trials else pd.Series(None, index=trials.index, dtype=object)


def numeric_parameter(trials: pd.DataFrame, name: str) -> pd.Series:
    """A hyperparameter's values as numbers; missing where it is none."""
    return pd.to_numeric(parameter(trials, name), errors="coerce").astype(float)


def own_reference(trials: pd.DataFrame) -> pd.Series:
    """Mark trials of a method that trained anew on the retain set alone, in the method's own way (`from_scratch`)."""
    return parameter(trials, "from_scratch").eq(True).astype(bool)


def is_reference(trials: pd.DataFrame) -> pd.Series:
    """Mark what methods are compared with and never are themselves: Original, Retrain, and methods' own references."""
    return trials["method"].isin(REFERENCES) | own_reference(trials)


def setting_without(trials: pd.DataFrame, names: set[str]) -> pd.Series:
    """Each trial's hyperparameters but those named, as JSON: trials that share it differ only in these."""
    settings = {
        text: json.dumps({key: value for key, value in json.loads(text).items() if key not in names}, sort_keys=True)
        for text in trials["params"].unique()
    }
    return trials["params"].map(settings).astype(object)


def representatives(ok: pd.DataFrame) -> pd.DataFrame:
    """Keep of every method the configuration with the lowest mean average gap.

    A method's own reference (`own_reference`) is a candidate only where the method has nothing else.
    A configuration with fewer than half as many seeds as the method's fullest is not a candidate. A method without any
    gap keeps the configuration with most trials.
    """
    order = ["method", "mean", "size"]
    ordered = _candidates(ok).sort_values(order, ascending=[True, True, False], na_position="last")
    chosen = ordered.drop_duplicates("method")[WITHIN_TASK]
    return ok[alike(ok, chosen, WITHIN_TASK)]


def choices(ok: pd.DataFrame) -> pd.Series:
    """Count, by method (the index), the configurations among which `representatives` chooses."""
    return _candidates(ok).groupby("method").size()


def _candidates(ok: pd.DataFrame) -> pd.DataFrame:
    own = own_reference(ok)
    ok = ok[~own | own.groupby(ok["method"]).transform("all")]
    grouped = ok.groupby(WITHIN_TASK)["average_gap"].agg(["mean", "size"]).reset_index()
    return grouped[2 * grouped["size"] >= grouped.groupby("method")["size"].transform("max")]


def drawn_or_lost(trials: pd.DataFrame, drawn: pd.DataFrame) -> pd.DataFrame:
    """All trials, however they ended, of the configurations drawn, and of methods that could not be drawn at all."""
    trials = trials[trials["task_id"].isin(drawn["task_id"])]
    return trials[alike(trials, drawn, WITHIN_TASK) | ~trials["method"].isin(drawn["method"])]


def references_first(methods: pd.Series) -> pd.Series:
    """What to sort by, so that references come before all methods, `ANOTHER_SEED` under Retrain."""
    first = [*REFERENCES]
    first.insert(first.index("retrain") + 1, ANOTHER_SEED)
    return methods.map({name: place for place, name in enumerate(first)}).fillna(len(first))


def on_front(points: pd.DataFrame) -> pd.Series:
    """Whether each row is on the Pareto front of all rows: `pareto_front`, low values being good."""
    front = pareto_front(dict(zip(points.index, points.to_numpy(dtype=float).tolist(), strict=True)))
    return pd.Series(points.index.isin(front), index=points.index)
