"""95 % intervals of means over seeds, and what they distinguish.

The intervals are Student's t: they hold the true mean in 95 % of cases where values are normally distributed, however
few they are. A percentile bootstrap holds it in 50 % with two seeds, 75 % with three and 90 % with ten, and is no
better where values are skewed: benchmarks/results/intervals.txt. Seeds that all have one and the same value have no
interval: they show no spread, being too few or their unit too coarse, and so not how far their mean may be off.

Whether groups differ is judged by `verdicts`, which counts all comparisons that could have been made: of many intervals
some leave out 0 by chance, the more so as the groups compared are picked for their low means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

CONFIDENCE = 0.95
ROUNDING = 1e-9
"""Values that differ by less, relative to the largest and to 1, are equal but for the rounding of their arithmetic."""
Key = tuple[Any, ...]
"""What a group of trials shares: a value for each column that it is grouped by."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval and the number of seeds; `low` and `high` are NaN where there is none (`known`)."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether there is an interval: not of fewer than two seeds, and not where the seeds' values are all equal."""
        return not np.isnan(self.low)

    def within(self, quantity: str) -> Interval:
        """The interval without values that no mean of the quantity can have: no accuracy is above 100 percent."""
        least, most = limits(quantity)
        return Interval(self.mean, max(self.low, least), min(self.high, most), self.n) if self.known else self

    @property
    def signed(self) -> str:
        """The mean and its interval with their signs."""
        return self._numbers("+")

    def __str__(self) -> str:
        return f"{self._numbers('-')}, n = {self.n}"

    def _numbers(self, sign: str) -> str:
        mean = f"{self.mean:{sign}.1f}"
        if self.known:
            return f"{mean} [{self.low:{sign}.1f}, {self.high:{sign}.1f}]"
        return f"{mean} in every seed" if self.n > 1 else mean


def limits(quantity: str) -> tuple[float, float]:
    """The least and the largest value that a column of this name can have; infinite for one that may be negative."""
    if quantity.startswith("gap.") or quantity.endswith(("accuracy", "mia", "_gap", "_side")):
        return 0.0, 100.0
    if quantity == "percent_difference":
        return -100.0, 100.0
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
        _, means, errors = _standard_errors(values)
        halves = special.stdtrit(max(size - 1, 1), (1 + CONFIDENCE) / 2) * errors
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
    """The group whose mean is lowest, and how the others compare to it, paired by seed, by `verdicts`.

    Attributes:
        best: its key, in the order of `by`.
        interval: its mean.
        equals: keys of the groups that cannot be told from it.
        worse: keys of those that are higher.
        unjudged: keys of those of which nothing can be said: the seeds they share with it are fewer than two, or all
            show one and the same difference.
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
    """In each of many sweeps at once the group of lowest mean, and the `verdicts` on each group less that one.

    A group with fewer than half as many seeds as the largest is not a candidate: one that survives on a lucky seed is
    no winner.

    Args:
        values: [..., groups, seeds]; NaN where a group lacks a seed.
        comparisons: how many pairs of groups could have been compared; by default all pairs of those with two seeds,
            since any of them could have had the lowest mean. More where the groups were themselves chosen by their
            values (`pairs`), or where one sentence reports several such comparisons.

    Returns:
        [...], the places of the lowest, and [..., groups].
    """
    table = np.asarray(values, dtype=float)
    seeds, means, _ = _standard_errors(table)
    candidates = (seeds > 0) & (2 * seeds >= seeds.max(axis=-1, keepdims=True))
    lowest = np.where(candidates, means, np.inf).argmin(axis=-1)
    compared = (seeds > 1).sum(axis=-1)
    made = compared * (compared - 1) // 2 if comparisons is None else np.full(compared.shape, comparisons)
    differences = table - np.take_along_axis(table, lowest[..., None, None], axis=-2)
    return lowest, verdicts(differences, made[..., None])


def pairs(choices: Iterable[int]) -> int:
    """How many comparisons of two groups the data could have picked, each group being the best of so many."""
    counts = [*choices]
    return (sum(counts) ** 2 - sum(count**2 for count in counts)) // 2


def verdicts(differences: ArrayLike, comparisons: ArrayLike) -> NDArray[np.float64]:
    """Which mean differences are clear: -1 below 0, 1 above, 0 not distinguishable from 0, NaN where none can be said.

    Paired t tests whose p-values are multiplied by the number of comparisons (Bonferroni): in at most 5 % of cases a
    difference that is none is called one anywhere among them, however the values of a seed hang together and whatever
    their variances, if they are normally distributed; of strongly skewed ones in up to 13 % (benchmarks/results/
    intervals.txt). Of differences that are equal in every seed nothing can be said, unless they are 0.

    Args:
        differences: [..., seeds], paired by seed; NaN where one lacks a value.
        comparisons: [...] or one number: how many the same sentence makes, or would have made of other data.
    """
    counts, means, errors = _standard_errors(np.asarray(differences, dtype=float))
    p = 2 * special.stdtr(np.maximum(counts - 1, 1), -np.abs(means / errors)) * np.maximum(comparisons, 1)
    found = np.where(p < 1 - CONFIDENCE, np.sign(means), 0.0)
    nothing = np.isnan(errors) & ~((counts > 1) & (np.abs(means) <= ROUNDING))
    return np.where(nothing, np.nan, found)


def paired_difference(left: pd.Series, right: pd.Series) -> Interval:
    """The mean of `left` - `right` over the seeds (the index) that both have, paired by seed."""
    return mean_interval((left - right).dropna().to_numpy(dtype=float))


def _standard_errors(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Over the last axis: the number of values that are not NaN, their mean, and its standard error.

    The error is NaN of fewer than two values and of ones that are equal but for rounding; the mean NaN of none.
    """
    known = ~np.isnan(values)
    counts = known.sum(axis=-1)
    least = np.maximum(counts, 1)
    filled = np.where(known, values, 0.0)
    means = filled.sum(axis=-1) / least
    squares = np.where(known, filled - means[..., None], 0.0) ** 2
    deviations = np.sqrt(squares.sum(axis=-1) / np.maximum(counts - 1, 1))
    negligible = ROUNDING * np.maximum(1.0, np.abs(filled).max(axis=-1, initial=0.0))
    errors = np.where(deviations > negligible, deviations, np.nan) / np.sqrt(least)
    return counts, np.where(counts > 0, means, np.nan), errors
