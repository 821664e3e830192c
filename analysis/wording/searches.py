"""What figures of searches say in words."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from analysis.reading.frames import Frames, metrics_in
from analysis.reading.searches import COST
from analysis.wording.code_words import code_words
from analysis.wording.names import gap_words, method_words
from analysis.wording.words import also, joined, span_words
from sweep.store.columns import REFERENCES
from sweep.store.metrics import GAPS
from sweep.words import counted

OBJECTIVE_WORDS = {
    "average_gap": "average gap",
    "forget_gap": "forget-side gap",
    "retain_gap": "retain-side gap",
    COST: "time relative to Retrain",
}


def search_code_words(frames: Frames, tried: pd.DataFrame) -> str:
    """`code_words` of the trials of these suggestions, to append."""
    here = frames.searched[frames.searched["task_id"].isin(tried["task_id"])]
    return also(code_words(here[here["method"].isin([*tried["method"], *REFERENCES])]))


def states_words(tried: pd.DataFrame) -> str:
    """How many suggestions there are and how they ended."""
    counts = tried["state"].value_counts()
    others = [f"{counts[state]} {state}" for state in ("pruned", "failed", "unfinished") if state in counts]
    return counted(len(tried), "suggestion") + (f", {joined(others)}" if others else "")


def objective_words(name: str) -> str:
    """An objective, short."""
    return OBJECTIVE_WORDS.get(name, name)


def with_unit(name: str) -> str:
    """An objective and its unit."""
    return objective_words(name) + ("" if name == COST else " (percentage points)")


def meaning_words(frames: Frames, tried: pd.DataFrame, names: Iterable[str]) -> str:
    """Say which gaps each objective of these suggestions averages; empty for objectives that are no gaps."""
    metrics = metrics_in(frames.searched[frames.searched["task_id"].isin(tried["task_id"])])
    gaps = [name for name in dict.fromkeys(names) if name in GAPS]
    parts = [f"{objective_words(name)}: {gap_words(metrics, name, validation=True)}" for name in gaps]
    text = "; ".join(parts)
    return f" {text[0].upper()}{text[1:]}." if parts else ""


def search_seeds_words(tried: pd.DataFrame) -> str:
    """Over how many search seeds a suggestion's value is the mean."""
    span = span_words(tried["seeds"])
    return f"n = {span} search seed{'' if span == '1' else 's'}"


def study_labels(tried: pd.DataFrame) -> dict[str, str]:
    """Each study's name in words: its method's, with the sampler where a method has several studies, or the number."""
    studies = tried.drop_duplicates("study")[["study", "method", "sampler"]]
    words = studies["method"].map(method_words)
    sampled = words + " by " + studies["sampler"]
    numbered = words + " " + (studies.groupby("method").cumcount() + 1).astype(str)
    alone = ~words.duplicated(keep=False)
    chosen = words.where(alone, sampled.where(~sampled.duplicated(keep=False), numbered))
    return dict(zip(studies["study"], chosen, strict=True))
