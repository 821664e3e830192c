"""95 % intervals of means over seeds, and what they distinguish.

The intervals are Student's t: they hold the true mean in 95 % of cases where values are normally distributed, however
few they are. A percentile bootstrap holds it in 50 % with two seeds, 75 % with three and 90 % with ten, and is no
better where values are skewed: benchmarks/results/intervals.txt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special

CONFIDENCE = 0.95
Key = tuple[Any, ...]
"""What a group of trials shares: a value for each column that it is grouped by."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval and the number of seeds; `low` and `high` are NaN for fewer than two."""

    mean: float
    low: float
    high: float
    n: int

    def within(self, quantity: str) -> Interval:
        """The interval without values that no mean of the quantity can have: no accuracy is above 100 percent."""
        least, most = limits(quantity)
        return Interval(self.mean, max(self.low, least), min(self.high, most), self.n) if self.n > 1 else self

    def __str__(self) -> str:
        if self.n < 2:
            return f"{self.mean:.1f}, n = {self.n}"
        return f"{self.mean:.1f} [{self.low:.1f}, {self.high:.1f}], n = {self.n}"


def limits(quantity: str) -> tuple[float, float]:
    """The least and the largest value that a column of this name can have; infinite for one that may be negative."""
    if quantity.startswith("gap.") or quantity.endswith(("accuracy", "mia", "_gap", "_side")):
        return 0.0, 100.0
    if quantity.endswith("degrees"):
        return 0.0, 180.0
    return (0.0, np.inf) if quantity.endswith("seconds") else (-np.inf, np.inf)


def mean_interval(values: ArrayLike, quantity: str = "") -> Interval:
    """The mean of one value per seed, with its Student-t interval `within` the quantity. NaNs are left out."""
    return mean_intervals([values])[0].within(quantity)


def mean_intervals(groups: Sequence[ArrayLike]) -> list[Interval]:
    """`mean_interval` of each group; groups of one size are computed together."""
    arrays = [np.asarray(group, dtype=float) for group in groups]
    arrays = [array[~np.isnan(array)] for array in arrays]
    sizes = np.array([len(array) for array in arrays], dtype=int)
    result = [Interval(float("nan"), np.nan, np.nan, 0)] * len(arrays)
    for size in np.unique(sizes[sizes > 0]).tolist():
        places = np.flatnonzero(sizes == size).tolist()
        values = np.stack([arrays[place] for place in places])
        means = values.mean(axis=1)
        halves = np.full(len(values), np.nan)
        if size > 1:
            quantile = special.stdtrit(size - 1, (1 + CONFIDENCE) / 2)
            halves = quantile * values.std(axis=1, ddof=1) / np.sqrt(size)
        for place, mean, half in zip(places, means.tolist(), halves.tolist(), strict=True):
            result[place] = Interval(mean, mean - half, mean + half, size)
    return result


def summarise(trials: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """One row per group: the columns of `by`, then `mean`, `low`, `high` and `n` of `value` over its seeds."""
    usable = trials.dropna(subset=[*by, value])
    grouped = usable.groupby(by, sort=True, observed=True)
    frame = grouped.size().reset_index()[by]
    codes = grouped.ngroup().to_numpy()
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order])) + 1
    values = usable[value].to_numpy(dtype=float)[order]
    intervals = [one.within(value) for one in mean_intervals(np.split(values, starts) if len(values) else [])]
    for name in ("mean", "low", "high", "n"):
        frame[name] = [getattr(interval, name) for interval in intervals]
    return frame


@dataclass(frozen=True)
class Ranking:
    """The group whose mean is lowest, and how the others compare to it, paired by seed.

    Attributes:
        best: its key, in the order of `by`.
        interval: its mean.
        equals: keys of the groups whose difference to it has an interval that includes 0.
        worse: keys of those whose interval leaves out 0.
        unjudged: keys of those that share fewer than two seeds with it.
    """

    best: Key
    interval: Interval
    equals: list[Key]
    worse: list[Key]
    unjudged: list[Key]


def rank(trials: pd.DataFrame, by: list[str], value: str) -> Ranking | None:
    """Which group of trials has the lowest mean of `value`, and which cannot be told from it; None without values.

    A group with fewer than half as many seeds as the largest is not a candidate: one that survives on a lucky seed is
    no winner. `trials` have columns `seed`, `value` and those of `by`, and one row per group and seed.
    """
    usable = trials.dropna(subset=[*by, value])
    if usable.empty:
        return None
    table = usable.groupby([*by, "seed"], observed=True)[value].mean().unstack("seed")
    keys = [key if isinstance(key, tuple) else (key,) for key in table.index]
    values = table.to_numpy(dtype=float)
    seeds = (~np.isnan(values)).sum(axis=1)
    means = np.where(2 * seeds >= seeds.max(), np.nanmean(values, axis=1), np.inf)
    first = int(means.argmin())
    equals: list[Key] = []
    worse: list[Key] = []
    unjudged: list[Key] = []
    for key, difference in zip(keys, mean_intervals(list(values - values[first])), strict=True):
        if key == keys[first]:
            continue
        group = unjudged if difference.n < 2 else worse if distinguishable(difference) else equals
        group.append(key)
    return Ranking(keys[first], mean_interval(values[first], value), equals, worse, unjudged)


def paired_difference(left: pd.Series, right: pd.Series) -> Interval:
    """The mean of `left` - `right` over the seeds (the index) that both have, paired by seed."""
    return mean_interval((left - right).dropna().to_numpy(dtype=float))


def distinguishable(difference: Interval) -> bool:
    """Whether the interval of a difference leaves out 0; False where there is no interval."""
    return difference.n > 1 and not (difference.low <= 0 <= difference.high)
