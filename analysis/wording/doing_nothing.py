"""Whether unlearning comes closer to Retrain than the original does, which is what one has without it."""

from __future__ import annotations

import pandas as pd

from analysis.reading.selection import WITHIN_TASK, choices, ended_ok, is_reference, representatives
from analysis.statistics.intervals import Interval, mean_interval
from analysis.statistics.ranking import verdicts
from analysis.wording.ideal import reference_words


def original_level(trials: pd.DataFrame) -> Interval:
    """Original's average gap over the seeds (and tasks) of these trials; n = 0 where it was not run."""
    known = trials.dropna(subset=["original_gap"]).drop_duplicates(["task_id", "seed"])
    return mean_interval(known["original_gap"], "average_gap")


def doing_nothing(trials: pd.DataFrame, who: str = "no method") -> str:
    """Say in a sentence that no method among these trials has a lower average gap than Original; empty if one has.

    Every configuration counts, those of few seeds too, paired with Original by seed. Whether even the closest method
    differs from Original, in its configuration of lowest average gap, is decided by `verdicts`, with all configurations
    counted.

    Args:
        trials: of one task, as `read_frames` gives them.
        who: the methods in words, as the sentence's subject.
    """
    usable = _usable(trials)
    if usable.empty or (_above(usable).groupby([usable[name] for name in WITHIN_TASK]).mean() < 0).any():
        return ""
    rivals, beyond, comparisons = _beyond(trials)
    means = beyond.groupby(rivals["method"]).mean()
    clear = verdicts(beyond[rivals["method"] == means.idxmin()], comparisons) > 0
    level = original_level(rivals)
    closer = f"{who} has a lower mean gap to {reference_words(ended_ok(trials))} than doing nothing"
    told = "; even the closest is distinguishable from it" if clear else ""
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
    usable = _usable(trials)
    rivals = representatives(usable)
    return rivals, _above(rivals), int(choices(usable).sum())


def _usable(trials: pd.DataFrame) -> pd.DataFrame:
    ok = ended_ok(trials)
    return ok[~is_reference(ok)].dropna(subset=["average_gap", "original_gap"])


def _above(trials: pd.DataFrame) -> pd.Series:
    return trials["average_gap"] - trials["original_gap"]
