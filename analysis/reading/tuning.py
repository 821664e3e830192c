"""Separate the trials that searches were judged by from those that may be compared."""

from __future__ import annotations

import pandas as pd

from analysis.reading.selection import WITHIN_TASK, alike
from sweep.store.columns import REFERENCES

TUNED = " (tuned)"
UNCHANGED = " (tuned = untuned)"
"""What follows a method's name where a trial confirms a suggestion; the latter if the sweep ran the same untuned."""

CONFIGURATION = ["task_id", *WITHIN_TASK]
"""The columns that trials share which differ in their seed only."""


def set_apart(trials: pd.DataFrame, suggestions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the trials that may be compared, and those that suggestions were judged by or against.

    * A trial that ran for a search (it has a `study`) is not compared: it was chosen by its own result.
    * A trial that confirms a suggestion is compared, with `TUNED` after its method's name.
    * If the sweep itself ran that configuration too, the confirming trials have `UNCHANGED` after the name instead; a
      trial that is the sweep's own as well stands there twice, under either name.
    * Retrain and Original on a search's seeds are compared only if a compared method has these seeds too, or if no
      method is compared: else their row in a table would be over more seeds than the others.

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
    suffix = pd.Series(TUNED, index=tuned.index).mask(alike(tuned, own, CONFIGURATION), UNCHANGED)
    renamed = tuned.assign(method=tuned["method"] + suffix)
    compared = pd.concat([own, renamed], ignore_index=True)
    judges = _judges(compared, trials[searched])
    return compared[~judges].reset_index(drop=True), pd.concat([trials[searched], compared[judges]])


def _judges(compared: pd.DataFrame, searched: pd.DataFrame) -> pd.Series:
    """Mark Retrain and Original on a search's seeds, if the task's methods are compared on other seeds only."""
    methods = compared[~compared["method"].isin(REFERENCES)]
    beside, asked = (alike(compared, others, ["task_id", "seed"]) for others in (methods, searched))
    return compared["method"].isin(REFERENCES) & compared["task_id"].isin(methods["task_id"]) & asked & ~beside


def untuned_name(method: str) -> str:
    """A method's own name, without what says that it was tuned."""
    return method.removesuffix(TUNED).removesuffix(UNCHANGED)
