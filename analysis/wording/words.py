"""What tables and figures say in words: numbers, lists, seeds, comparisons, and what was left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from analysis.statistics.ranking import Key, Ranking
from sweep.words import counted

FEW = 3
"""Up to so many things are named one by one; of more, only the number is given."""


def span_words(counts: Iterable[int]) -> str:
    """The smallest and the largest of some counts: 2 to 5; of equal ones the only one."""
    numbers = {int(count) for count in counts}
    return " to ".join(map(str, sorted({min(numbers), max(numbers)})))


def seeds_words(counts: Iterable[int]) -> str:
    """How many seeds the means are over."""
    span = span_words(counts)
    return "n = 1 seed, so no intervals" if span == "1" else f"Mean and 95 % interval over n = {span} seeds"


def choice_words(trials: pd.DataFrame) -> str:
    """That of several configurations one is shown, as a sentence to start with; empty if no method has several."""
    several = (trials.groupby("method")["params"].nunique() > 1).any()
    return "Each method in its configuration of lowest average gap. " if several else ""


def joined(items: Sequence[str]) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def few(items: Sequence[str]) -> str:
    """The first `FEW` of these, and how many more there are."""
    return joined([*items[:FEW], *([f"{len(items) - FEW} more"] if len(items) > FEW else [])])


def ended_words(statuses: pd.Series) -> str:
    """How many of these trials ended otherwise than ok, and how; empty if none did."""
    return ", ".join(f"{count} {status}" for status, count in statuses[statuses != "ok"].value_counts().items())


def further_words(count: int) -> str:
    """That so many methods are not drawn, as a sentence to append; empty for none."""
    which = counted(
        count, "further method, of a larger average gap, is", "further methods, of larger average gaps, are"
    )
    return f" {which} not drawn." if count else ""


def left_out_words(trials: pd.DataFrame) -> str:
    """The number of trials that did not end ok, to end a sentence with; empty if there is none."""
    counts = trials.loc[trials["status"] != "ok", "status"].value_counts().sort_index()
    if counts.empty:
        return ""
    noun = "trial" if counts.sum() == 1 else "trials"
    return f"; {joined([f'{count} {status}' for status, count in counts.items()])} {noun} left out"


def ranking_words(ranking: Ranking, name: Callable[[Key], str]) -> str:
    """How the others compare to the best, to end a sentence with; `name` gives a key's words."""
    others = len(ranking.equals) + len(ranking.worse) + len(ranking.unjudged)
    if others == 0:
        return ""
    if len(ranking.unjudged) == others:
        verb = "other is" if others == 1 else "others are"
        return f"; the {verb} not judged: too few seeds, or the same difference in each"
    if not ranking.equals:
        if ranking.unjudged:
            return f"; distinguishable from it: {len(ranking.worse)} of {others} others"
        return f"; {'the other is' if others == 1 else 'all others are'} distinguishable from it"
    if len(ranking.equals) > FEW:
        return f"; {len(ranking.equals)} of {others} others are not distinguishable from it"
    verb = "is" if len(ranking.equals) == 1 else "are"
    unjudged = f", and {len(ranking.unjudged)} of {others} others not judged" if ranking.unjudged else ""
    return f"; {joined([name(key) for key in ranking.equals])} {verb} not distinguishable from it{unjudged}"


def by_numbers(text: str) -> str:
    """What to sort texts by, so that `5 %` comes before `10 %`."""
    return re.sub(r"\d+(\.\d+)?", lambda found: f"{float(found[0]):030.9f}", text)


def number_words(value: float) -> str:
    """A hyperparameter's value, short."""
    return f"{value:.4g}"


def also(sentence: str) -> str:
    """A sentence to append to others, if there is one."""
    return f" {sentence}" if sentence else ""
