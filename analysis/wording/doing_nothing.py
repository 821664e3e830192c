"""Whether unlearning comes closer to Retrain than the original does, which is what one has without it."""

from __future__ import annotations

import pandas as pd

from analysis.reading.selection import choices, ended_ok, is_reference, representatives
from analysis.statistics.intervals import Interval, mean_interval
from analysis.statistics.ranking import verdicts
from analysis.wording.ideal import reference_words


def original_level(trials: pd.DataFrame) -> Interval:
    """Original's average gap over the seeds (and tasks) of these trials; n = 0 where it was not run."""
    known = trials.dropna(subset=["original_gap"]).drop_duplicates(["task_id", "seed"])
    return mean_interval(known["original_gap"], "average_gap")


def doing_nothing(trials: pd.DataFrame, who: str = "no method") -> str:
    """Say in a sentence that no method among these trials has a lower average gap than Original; empty if one has.

    Each method is judged in its configuration of lowest average gap, paired with Original by seed. Whether even the
    closest differs from Original is decided by `verdicts`, with all configurations counted.

    Args:
        trials: of one task, as `read_frames` gives them.
        who: the methods in words, as the sentence's subject.
    """
    rivals, beyond, comparisons = _beyond(trials)
    means = beyond.groupby(rivals["method"]).mean()
    if means.empty or (means < 0).any():
        return ""
    clear = verdicts(beyond[rivals["method"] == means.idxmin()], comparisons) > 0
    level = original_level(rivals)
    closer = f"{who} has a lower mean gap to {reference_words(ended_ok(trials))} than doing nothing"
    told = ", from which even the closest is distinguishable" if clear else ""
    return f"The original is at {level.mean:.1f}: at this setting {closer}{told}."


def told_from_nothing(trials: pd.DataFrame, method: str) -> bool:
    """Whether a method's average gap is distinguishable from Original's, judged as in `doing_nothing`."""
    rivals, beyond, comparisons = _beyond(trials)
    own = beyond[rivals["method"] == method]
    return bool(len(own) and verdicts(own, comparisons) != 0)


def _beyond(trials: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series, int]:
    """Each method's trials in its configuration of lowest average gap, how much higher than Original's of the same seed
    that gap is, and how many comparisons all configurations make.
    """
    ok = ended_ok(trials)
    usable = ok[~is_reference(ok)].dropna(subset=["average_gap", "original_gap"])
    rivals = representatives(usable)
    return rivals, rivals["average_gap"] - rivals["original_gap"], int(choices(usable).sum())
