"""What the figures of an audit show: one task in which every seed forgets the same samples, and its closest methods."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.audit.cohort import Cohort, cohorts
from analysis.audit.tasks import whole_labels, whole_tasks
from analysis.reading.frames import Frames
from analysis.reading.selection import WITHIN_TASK, alike, ended_ok, is_reference, representatives
from analysis.wording.words import further_words
from sweep.store.columns import REFERENCES

MOST_METHODS = 8
NEEDS = "needs predictions of samples that every seed forgets, and Retrain: preset audit"


@dataclass(frozen=True)
class Shown:
    """Cohorts of one task.

    Attributes:
        methods: each method in its configuration of lowest average gap, the lowest gap first; at most `MOST_METHODS`.
        retrain: Retrain's own.
        original: Original's; None where there is none.
        usable: the trials of all methods of this task.
        left_out: how many methods of larger gaps are not shown.
        words: the task, with all folds that these cohorts are of.
    """

    methods: list[Cohort]
    retrain: Cohort
    original: Cohort | None
    usable: pd.DataFrame
    left_out: int
    words: str

    @property
    def fewer(self) -> str:
        """That methods are not shown, as a sentence to append; empty where all are."""
        return further_words(self.left_out)


def shown(frames: Frames, fewest: int) -> Shown | None:
    """What to show of the task with most such trials; None where none has so many seeds as `fewest`."""
    if not frames.directory:
        return None
    ok = ended_ok(frames.trials)
    ok = ok[(ok["n_predictions"] > 0) & ok["average_gap"].notna()]
    ok = ok.assign(whole=whole_tasks(ok))
    ok = ok[(ok["scenario"] != "random") | (ok["whole"] != ok["task_id"])]  # else each seed draws samples of its own
    rivals = ok[~is_reference(ok) & (ok["whole"].map(ok.groupby("whole")["seed"].nunique()) >= fewest)]
    for task in rivals.groupby("whole").size().sort_values(ascending=False).index:
        usable = rivals[rivals["whole"] == task]
        nearest = representatives(usable).groupby("method")["average_gap"].mean().sort_values().index
        chosen = representatives(usable[usable["method"].isin(nearest[:MOST_METHODS])])
        here = ok[ok["whole"] == task]
        wanted = here[alike(here, chosen, WITHIN_TASK) | here["method"].isin(REFERENCES)]
        found = {cohort.method: cohort for cohort in cohorts(frames.directory, wanted)}
        if "retrain" not in found or not all(cohort.crossed for cohort in found.values()):
            continue
        methods = [found[name] for name in nearest if name in found and len(found[name].seeds) >= fewest]
        if methods:
            words = whole_labels(here)[here["task_id"].iloc[0]]
            left_out = usable["method"].nunique() - len(methods)
            return Shown(methods, found["retrain"], found.get("original"), usable, left_out, words)
    return None
