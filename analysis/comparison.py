"""The comparison of methods with 95 % intervals, one table per task, short enough for a page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.reading.code_versions import averaged_versions
from analysis.reading.frames import metrics_in, with_another_seed
from analysis.reading.selection import (
    ANOTHER_SEED,
    WITHIN_TASK,
    choices,
    ended_ok,
    is_reference,
    references_first,
    representatives,
)
from analysis.reading.tuning import CONFIGURATION
from analysis.statistics.intervals import Interval, mean_intervals
from analysis.statistics.jackknife import circle_interval
from analysis.statistics.ranking import pairs, rank
from analysis.wording.code_words import code_words
from analysis.wording.doing_nothing import doing_nothing, original_level, told_from_nothing
from analysis.wording.finding import tells
from analysis.wording.floor import floor_words
from analysis.wording.ideal import reference_words
from analysis.wording.names import METHODS, method_name, method_words, task_labels, varying_settings
from analysis.wording.page_names import configuration_page
from analysis.wording.words import by_numbers, ended_words, ranking_words
from sweep.store.columns import REFERENCES
from sweep.store.metrics import Metric, shown
from sweep.words import counted

MOST_TASKS = 20
MOST_ROWS = 100
"""Tasks on a page, and configurations of each; of every method its best ones. `methods.csv` holds them all."""

COSTS = ("average_gap", "unlearn_seconds", "relative_seconds", "relative_samples")


@dataclass(frozen=True)
class Row:
    """One method in one configuration.

    Attributes:
        method: its name in words.
        setting: the hyperparameters that vary within the method; may be empty.
        page: the file of its own page; empty for `ANOTHER_SEED`, which is no method.
        reference: whether this is Retrain, whose gaps are 0 by definition.
        n: trials that ended ok.
        ended: how many ended otherwise, in words.
        versions: how many code versions these trials are of.
        values: the mean of each metric, of its gap, and of `COSTS`.
    """

    method: str
    setting: str
    page: str
    reference: bool
    n: int
    ended: str
    versions: int
    values: dict[str, Interval]


@dataclass(frozen=True)
class Comparison:
    """The methods on one task.

    Attributes:
        task: the task in words.
        answer: a sentence on which method comes closest to Retrain; before it another, if no method does better than
            Original. Empty where no gap is known.
        mixed: that code versions are mixed (`code_words`).
        floor: which methods are as good as Retrain (`floor_words`).
        metrics: what the rows show.
        rows: as `methods_table` orders them.
        left_out: how many configurations are not in `rows`.
    """

    task: str
    answer: str
    mixed: str
    floor: str
    metrics: tuple[Metric, ...]
    rows: list[Row]
    left_out: int


def comparisons(trials: pd.DataFrame) -> tuple[list[Comparison], int]:
    """A comparison of each of the first `MOST_TASKS` tasks, and how many tasks there are.

    Args:
        trials: as `read_frames` gives them.
    """
    if trials.empty:
        return [], 0
    labelled = trials.assign(task=task_labels(trials), setting=varying_settings(trials))
    tasks = labelled[["task", "task_id"]].drop_duplicates()
    tasks = tasks.sort_values("task", key=lambda names: names.map(by_numbers))
    rows = labelled.groupby("task_id")
    found = [_comparison(task, rows.get_group(name)) for task, name in tasks[:MOST_TASKS].itertuples(index=False)]
    return found, len(tasks)


def _comparison(task: str, trials: pd.DataFrame) -> Comparison:
    answer, mixed, floor = _answer(trials), code_words(trials), floor_words(trials)
    distances = _floor(trials)
    trials = with_another_seed(trials)
    trials = trials.assign(group=trials.groupby(WITHIN_TASK, sort=False).ngroup())
    ok = trials[trials["status"] == "ok"]
    order = trials.drop_duplicates("group").set_index("group")[["task_id", "method", "params", "setting"]]
    order["versions"] = averaged_versions(trials, order)
    order["ended"] = trials.groupby("group")["status"].agg(ended_words)
    order["gap"] = ok.groupby("group")["average_gap"].mean()
    order["rank"] = references_first(order["method"])
    order = order.sort_values(["rank", "gap", "method"], na_position="last")
    best_first = order.groupby("method").cumcount().sort_values(kind="stable").index[:MOST_ROWS]
    drawn = order.loc[order.index.isin(best_first)]
    metrics = shown(metrics_in(trials))
    means = _means(ok, drawn.index.to_numpy(), metrics)
    for group in drawn.index[drawn["method"] == ANOTHER_SEED]:
        means[group] |= distances
    rows = [
        Row(
            method=method_name(method),
            setting=setting,
            page="" if method == ANOTHER_SEED else configuration_page(task_id, method, params),
            reference=method == "retrain",
            n=int((ok["group"] == group).sum()),
            ended=ended,
            versions=versions,
            values=means[group],
        )
        for group, task_id, method, params, setting, versions, ended in zip(
            drawn.index, *(drawn[name] for name in (*CONFIGURATION, "setting", "versions", "ended")), strict=True
        )
    ]
    return Comparison(task, answer, mixed, floor, metrics, rows, len(order) - len(drawn))


def _means(ok: pd.DataFrame, groups: NDArray[np.int64], metrics: tuple[Metric, ...]) -> dict[int, dict[str, Interval]]:
    """For every group the interval of each metric, of its gap, and of each of `COSTS`."""
    names = [*(metric.column for metric in metrics), *(f"gap.{metric.column}" for metric in metrics), *COSTS]
    rows = ok[ok["group"].isin(groups)]
    places = rows.groupby("group").indices
    values = rows[names].to_numpy(dtype=float)
    arrays = [values[places.get(group, []), column] for group in groups for column in range(len(names))]
    found = iter(mean_intervals(arrays))
    return {group: {name: next(found).within(name) for name in names} for group in groups}


def _floor(trials: pd.DataFrame) -> dict[str, Interval]:
    """The intervals of the gaps of `ANOTHER_SEED`, in two of which each Retrain is; none of fewer than two seeds."""
    steps = (with_another_seed(trials, ahead) for ahead in (1, 2))
    near, far = (rows[rows["method"] == ANOTHER_SEED] for rows in steps)
    gaps = [str(name) for name in near if name == "average_gap" or str(name).startswith("gap.")]
    return {name: circle_interval(near[name], far[name]).within(name) for name in gaps if len(near)}


def _answer(trials: pd.DataFrame) -> str:
    ok = ended_ok(trials)
    compared = ok[~is_reference(ok)]
    ranking = rank(representatives(compared), ["method"], "average_gap", pairs(choices(compared)))
    if ranking is None:
        return ""
    interval = ranking.interval
    spread = f" (95 % interval {interval.low:.1f} to {interval.high:.1f})" if interval.known else ""
    seeds = counted(interval.n, "seed")
    others = ranking_words(ranking, lambda key: method_words(str(key[0])))
    sentence = (
        f"{method_words(str(ranking.best[0]))}, with an average gap of {interval.mean:.1f} percentage points{spread} "
        f"over {seeds}{others}."
    )
    most = int(compared.groupby("method")["params"].nunique().max())
    if most > 1:
        sentence += f" Of each method this is the best of up to {most} configurations, chosen by the same gap."
    nothing, level = doing_nothing(trials), original_level(compared)
    if level.n and not nothing:
        told = "" if told_from_nothing(trials, str(ranking.best[0])) else ", which is not distinguishable from that"
        sentence += f" The original is at {level.mean:.1f}{told}."
    if not tells(interval, "average_gap"):
        untold = f"{seeds} do not tell which method is closest to {reference_words(ok)}. Of lowest mean gap is"
        return f"{nothing} {untold} {sentence}".strip()
    return f"{nothing} Of the methods, closest is {sentence}" if nothing else sentence


def question(trials: pd.DataFrame, tables: list[Comparison]) -> str:
    """What the trials can answer, as the page's heading."""
    if trials.empty:
        return "Nothing has been run yet"
    methods = sorted({row.method for table in tables for row in table.rows})
    compared = [name for name in methods if name not in {method_name(each) for each in (*REFERENCES, ANOTHER_SEED)}]
    if METHODS["retrain"] not in methods or not compared:
        return "How do the methods compare?" if len(methods) > 1 else f"What does {methods[0]} do?"
    if len(compared) == 1:
        return f"How close does {compared[0]} come to Retrain?"
    return "Which method comes closest to Retrain?"
