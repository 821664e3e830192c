"""What searches did to the trials: which were tuned on, and which show what tuning gave."""

from __future__ import annotations

import pandas as pd

from sweep.columns import REFERENCES

TUNED = " (tuned)"
UNCHANGED = " (tuned = untuned)"
"""Appended to a method's name: for trials that confirm a suggestion, and for those of one that was run anyway."""

CONFIGURATION = ["task_id", "method", "params"]


def set_apart(trials: pd.DataFrame, suggestions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trials that may be compared, and those that suggestions were judged by or against.

    A trial that was run for a search (it has a `study`) is judged by what it was chosen for, so it is in no comparison.
    One that confirms a suggestion is: under a name of its own, `TUNED`. One that does both, confirm a suggestion and
    belong to the sweep itself, is there twice, and so are trials of a suggestion that is also an untuned configuration:
    as themselves, and as `UNCHANGED`. Retrain (and Original) on the seeds of a search is compared only where a method
    is that is compared too, or no method is at all: else its row in a table would be over more seeds than the others.

    Args:
        trials: rows of `trials`.
        suggestions: rows of `suggestions`.
    """
    searched = trials["trial_id"].isin(suggestions["trial_ids"].explode().dropna())
    confirming = trials["trial_id"].isin(suggestions["confirm_trial_ids"].explode().dropna())
    if not (searched.any() or confirming.any()):
        return trials, trials[searched]
    own = trials[trials["study"].isna() | ~(searched | confirming)]
    tuned = trials[confirming]
    unchanged = pd.MultiIndex.from_frame(tuned[CONFIGURATION]).isin(pd.MultiIndex.from_frame(own[CONFIGURATION]))
    suffix = pd.Series(TUNED, index=tuned.index).mask(unchanged, UNCHANGED)
    renamed = tuned.assign(method=tuned["method"] + suffix)
    compared = pd.concat([own, renamed], ignore_index=True)
    judges = _judges(compared, trials[searched])
    return compared[~judges].reset_index(drop=True), pd.concat([trials[searched], compared[judges]])


def _judges(compared: pd.DataFrame, searched: pd.DataFrame) -> pd.Series:
    """Which are references on seeds of a search, of tasks in which methods are compared on other seeds."""
    seeds = pd.MultiIndex.from_frame(compared[["task_id", "seed"]])
    methods = compared[~compared["method"].isin(REFERENCES)]
    beside = seeds.isin(pd.MultiIndex.from_frame(methods[["task_id", "seed"]]))
    asked = seeds.isin(pd.MultiIndex.from_frame(searched[["task_id", "seed"]]))
    return compared["method"].isin(REFERENCES) & compared["task_id"].isin(methods["task_id"]) & asked & ~beside


def untuned_name(method: str) -> str:
    """A method's own name, without what says that it was tuned."""
    return method.removesuffix(TUNED).removesuffix(UNCHANGED)
