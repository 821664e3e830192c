"""What searches did to the trials: which were tuned on, and which show what tuning gave."""

from __future__ import annotations

import pandas as pd

TUNED = " (tuned)"
UNCHANGED = " (tuned = untuned)"
"""Appended to a method's name: for trials that confirm a suggestion, and for those of one that was run anyway."""

CONFIGURATION = ["task_id", "method", "params"]


def set_apart(trials: pd.DataFrame, suggestions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trials that may be compared, and those that suggestions were judged by.

    A trial that was run for a search (it has a `study`) is judged by what it was chosen for, so it is in no comparison.
    One that confirms a suggestion is: under a name of its own, `TUNED`. One that does both, confirm a suggestion and
    belong to the sweep itself, is there twice, and so are trials of a suggestion that is also an untuned configuration:
    as themselves, and as `UNCHANGED`.

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
    return pd.concat([own, renamed], ignore_index=True), trials[searched]


def untuned_name(method: str) -> str:
    """A method's own name, without what says that it was tuned."""
    return method.removesuffix(TUNED).removesuffix(UNCHANGED)
