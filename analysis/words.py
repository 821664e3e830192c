"""What figures say in words: methods, tasks, seeds, comparisons, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from analysis.intervals import Key, Ranking
from analysis.tuning import untuned_name

METHODS = {
    "original": "Original",
    "retrain": "Retrain",
    "finetune": "FineTune",
    "neggrad": "NegGrad",
    "randomlabel": "RandomLabel",
    "fisher": "Fisher",
    "influence": "Influence",
    "uam": "UAM",
}
FEW = 3
"""So many things are named one by one; of more only the number is given."""


def method_name(name: str) -> str:
    """A method as the field writes it, and whether it was tuned; one that is not built in by its whole name."""
    own = untuned_name(name)
    return METHODS.get(own, own) + name[len(own) :]


def method_words(name: str) -> str:
    """`method_name`, but of one that is not built in only the last part."""
    return method_name(name).rpartition(":")[2]


def task_words(trials: pd.DataFrame, task_id: str) -> str:
    """A task in words, and of how many among these trials it is one."""
    row = trials[trials["task_id"] == task_id].iloc[0]
    if row["scenario"] == "class":
        forgotten = f"{class_words(row)} forgotten"
    else:
        forgotten = f"forget ratio {100 * row['forget_ratio']:.3g} %"
    tasks = trials["task_id"].nunique()
    others = f" (one of {tasks} tasks here)" if tasks > 1 else ""
    return f"{row['dataset']}, {row['model']}, {forgotten}{others}"


def class_words(row: pd.Series) -> str:
    """The forgotten class of a trial, by its label in the dataset's source, and whether the row is of code that decided
    it by the labels trained on and tested on all classes.
    """
    text, forget = row.get("forget_class_name"), json.loads(row.get("config") or "{}").get("forget", {})
    former = " (by trained labels, TA on all classes)" if "class" in forget and "version" not in forget else ""
    return (f"class {text}" if isinstance(text, str) else f"class {row['forget_class']:.0f}") + former


def seeds_words(counts: Iterable[int]) -> str:
    """How many seeds the means are over."""
    numbers = sorted({int(count) for count in counts})
    if numbers == [1]:
        return "n = 1 seed, so no intervals"
    span = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    return f"Mean and 95 % interval over n = {span} seeds"


def joined(items: Sequence[str]) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def left_out_words(trials: pd.DataFrame) -> str:
    """The number of trials that did not end ok, to end a sentence with; empty if there is none."""
    counts = trials.loc[trials["status"] != "ok", "status"].value_counts().sort_index()
    if counts.empty:
        return ""
    plural = "s" if counts.sum() > 1 else ""
    return f"; {joined([f'{count} {status}' for status, count in counts.items()])} trial{plural} left out"


def ranking_words(ranking: Ranking, name: Callable[[Key], str]) -> str:
    """How the others compare to the best, to end a sentence with; `name` gives a key's words."""
    others = len(ranking.equals) + len(ranking.worse) + len(ranking.unjudged)
    if others == 0:
        return ""
    if len(ranking.unjudged) == others:
        return "; the others are not judged: too few seeds, or the same difference in each"
    if not ranking.equals:
        share = f"{len(ranking.worse)} of {others}" if ranking.unjudged else "all"
        return f"; {share} others are distinguishable from it"
    if len(ranking.equals) > FEW:
        return f"; {len(ranking.equals)} of {others} others are not distinguishable from it"
    verb = "is" if len(ranking.equals) == 1 else "are"
    unjudged = f", and {len(ranking.unjudged)} of {others} others not judged" if ranking.unjudged else ""
    return f"; {joined([name(key) for key in ranking.equals])} {verb} not distinguishable from it{unjudged}"


def number_words(value: float) -> str:
    """A hyperparameter's value, short."""
    return f"{value:.4g}"
