"""Which groups of trials differ.

Of many intervals some leave out 0 by chance, the more so as the groups compared are picked for their low means. So
`verdicts` counts every comparison that could have been made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.intervals import CONFIDENCE, ROUNDING, Interval, mean_interval, p_values, standard_errors

Key = tuple[Any, ...]
"""What a group of trials shares: a value for each column that it is grouped by."""


@dataclass(frozen=True)
class Ranking:
    """The group whose mean is lowest, and how the others compare to it, paired by seed, by `verdicts`.

    Attributes:
        best: its key, in the order of `by`.
        interval: its mean.
        equals: keys of the groups that cannot be told from it.
        worse: keys of those that are higher.
        unjudged: keys of those that cannot be compared with it: they share fewer than two seeds with it, or differ from
            it by the same amount in every seed.
    """

    best: Key
    interval: Interval
    equals: list[Key]
    worse: list[Key]
    unjudged: list[Key]


def rank(trials: pd.DataFrame, by: list[str], value: str, comparisons: int | None = None) -> Ranking | None:
    """Which group of trials has the lowest mean of `value`, and which cannot be told from it; None without values.

    Args:
        trials: columns `seed`, `value` and those of `by`; one row per group and seed.
        comparisons: as in `compare_to_lowest`.
    """
    usable = trials.dropna(subset=[*by, value])
    if usable.empty:
        return None
    table = usable.groupby([*by, "seed"], observed=True)[value].mean().unstack("seed")
    keys = [key if isinstance(key, tuple) else (key,) for key in table.index]
    values = table.to_numpy(dtype=float)
    lowest, found = compare_to_lowest(values, comparisons)
    best = keys[int(lowest)]
    others = [(key, verdict) for key, verdict in zip(keys, found.tolist(), strict=True) if key != best]
    return Ranking(
        best,
        mean_interval(values[lowest], value),
        equals=[key for key, verdict in others if verdict <= 0],  # below 0: lower on the seeds that both have
        worse=[key for key, verdict in others if verdict > 0],
        unjudged=[key for key, verdict in others if np.isnan(verdict)],
    )


def compare_to_lowest(
    values: ArrayLike, comparisons: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the group of lowest mean in each of many sweeps, and judge each group's difference to it by `verdicts`.

    A group with fewer than half as many seeds as the largest is not a candidate: a method that failed on all but one
    lucky seed has not won.

    Args:
        values: [..., groups, seeds]; NaN where a group lacks a seed.
        comparisons: how many pairs of groups could have been compared; by default all pairs of those with two seeds,
            since any of them could have had the lowest mean. More where the groups were themselves chosen by their
            values (`pairs`), or where one sentence reports several such comparisons.

    Returns:
        [...], the places of the lowest, and [..., groups].
    """
    table = np.asarray(values, dtype=float)
    seeds, means, _ = standard_errors(table)
    candidates = (seeds > 0) & (2 * seeds >= seeds.max(axis=-1, keepdims=True))
    lowest = np.where(candidates, means, np.inf).argmin(axis=-1)
    compared = (seeds > 1).sum(axis=-1)
    made = compared * (compared - 1) // 2 if comparisons is None else np.full(compared.shape, comparisons)
    differences = table - np.take_along_axis(table, lowest[..., None, None], axis=-2)
    return lowest, verdicts(differences, made[..., None])


def pairs(choices: Iterable[int]) -> int:
    """Count the comparisons that the data could have picked, where each group is the best of so many `choices`."""
    counts = [*choices]
    return (sum(counts) ** 2 - sum(count**2 for count in counts)) // 2


def verdicts(differences: ArrayLike, comparisons: ArrayLike) -> NDArray[np.float64]:
    """Judge mean differences: -1 clearly below 0, 1 clearly above, 0 not distinguishable from 0, NaN not judged.

    These are paired t tests whose p-values are multiplied by the number of comparisons (Bonferroni). If values are
    normally distributed, at most 5 % of sentences call a difference clear that is none, however the values of a seed
    depend on one another and whatever their variances; if they are strongly skewed, up to 15 % do
    (benchmarks/results/intervals.txt). Differences that are equal in every seed are not judged, unless they are 0.

    Args:
        differences: [..., seeds], paired by seed; NaN where one lacks a value.
        comparisons: [...] or one number: how many the same sentence makes, or would have made of other data.
    """
    values = np.asarray(differences, dtype=float)
    p, means = p_values(values)
    found = np.where(p * np.maximum(comparisons, 1) < 1 - CONFIDENCE, np.sign(means), 0.0)
    same = (np.isfinite(values).sum(axis=-1) > 1) & (np.abs(means) <= ROUNDING)
    return np.where(np.isnan(p) & ~same, np.nan, found)
