"""What a report opens with where seeds forget the same samples: are methods told from Retrain, sample by sample?"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.audit.distinguish import Distinguishability, OverForgotten, Remembered
from analysis.audit.printed import ENDS, cell, ordered, verdict
from analysis.audit.score import Score
from analysis.audit.table import NO_POWER, audit
from analysis.audit.tasks import whole_labels, whole_tasks
from analysis.audit.ulira import Area, OnePercent, OnePermille
from analysis.reading.selection import is_reference
from analysis.wording.names import display_labels
from analysis.wording.own_originals import own_originals
from analysis.wording.words import also
from sweep.words import counted

SCORES: tuple[Score, ...] = (Area(), OnePercent(), OnePermille(), Distinguishability(), Remembered(), OverForgotten())
BY = Area()
"""The score that orders methods and says which of them are told from Retrain."""


@dataclass(frozen=True)
class Opening:
    """An audit of one task.

    Attributes:
        task: in words.
        answer: a sentence.
        headers: the method, n, the average gap, and the scores' labels.
        rows: a cell for each header, and last whether the method is told from Retrain.
        meanings: what the columns are.
    """

    task: str
    answer: str
    headers: list[str]
    rows: list[list[str]]
    meanings: str


def openings(
    directory: str, trials: pd.DataFrame, unread: Callable[[str], None] = lambda trial_id: None
) -> list[Opening]:
    """An audit of each task in which seeds forget the same samples; none where there are too few seeds.

    Args:
        trials: as `read_frames` gives them.
        unread: as `cohorts` takes it.
    """
    if trials.empty:
        return []
    trials = trials.assign(whole=whole_tasks(trials))
    trials = trials[(trials["scenario"] != "random") | (trials["whole"] != trials["task_id"])]
    enough = trials.groupby("whole")["seed"].transform("nunique") >= BY.fewest
    trials = trials[enough & (trials["n_predictions"] > 0)]
    if trials.empty:
        return []
    found = audit(directory, trials, SCORES, by_memorisation=False, unread=unread)
    gaps = trials.groupby(["whole", "method", "params"])["average_gap"].mean()
    wholes = dict(zip(trials["task_id"], trials["whole"], strict=True))
    names = whole_labels(trials)
    made = []
    for task, rows in found.groupby("task_id", sort=False):
        scored = rows[rows["metric"] == BY.name].dropna(subset=["value"])
        if not scored["p"].notna().any():
            continue
        keys = zip([wholes[task]] * len(scored), scored["method"], scored["params"], strict=True)
        scored = scored.assign(label=display_labels(scored), gap=[gaps.get(key, float("nan")) for key in keys])
        own = own_originals(trials[trials["whole"] == wholes[task]])
        made.append(_opening(names[task], scored, rows, own))
    return made


def _opening(task: str, scored: pd.DataFrame, rows: pd.DataFrame, own: str) -> Opening:
    order = ordered(scored)
    values = {(row["method"], row["params"], row["metric"]): row for row in rows.to_dict("records")}
    known = [score for score in SCORES if rows.loc[rows["metric"] == score.name, "value"].notna().any()]
    tested = int(scored["p"].notna().sum())
    lines = []
    for row in order.to_dict("records"):
        each = (values[row["method"], row["params"], score.name] for score in known)
        numbers = [
            cell(one["value"], one["low"], one["high"], score.unit) for one, score in zip(each, known, strict=True)
        ]
        gap = "–" if pd.isna(row["gap"]) else f"{row['gap']:.1f}"
        lines.append([row["label"], str(row["originals"]), gap, *numbers, verdict(row, tested)])
    meanings = "; ".join(f"{score.label}: {score.words} ({score.unit})" for score in known)
    headers = ["Method", "n", "Average gap", *(score.label for score in known)]
    return Opening(task, f"{_answer(order, tested)}{also(own)}", headers, lines, f"{meanings}. {ENDS}")


def _answer(order: pd.DataFrame, tested: int) -> str:
    """Which methods are told from Retrain, and what the average gap would have said."""
    if NO_POWER in str(order["note"].iloc[0]):
        return "No power: the original itself is not told from Retrain."
    compared = order[~is_reference(order) & order["p"].notna()]
    if compared.empty:
        return ""
    told = [verdict(row, tested) != "not told from Retrain" for row in compared.to_dict("records")]
    first = compared.iloc[0].to_dict()
    sentence = f"Told from Retrain, sample by sample: {sum(told)} of {counted(len(told), 'method')}. "
    sentence += f"Closest is {_named(first, tested)}"
    by_gap = compared.sort_values("gap").iloc[0].to_dict()
    if by_gap["label"] != first["label"]:
        sentence += f"; of the lowest average gap is {_named(by_gap, tested)}"
    return f"{sentence}."


def _named(row: Mapping[Hashable, Any], tested: int) -> str:
    return f"{row['label']} ({BY.label} {row['value']:.1f}, {verdict(row, tested)}; average gap {row['gap']:.1f})"
