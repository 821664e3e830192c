"""95 % intervals of means over seeds.

The intervals are Student's t: they hold the true mean in 95 % of cases where values are normally distributed, however
few they are. A percentile bootstrap holds it in 50 % with two seeds, 75 % with three and 90 % with ten, and is no
better where values are skewed: benchmarks/results/intervals.txt. Seeds that all have one and the same value have no
interval: too few seeds, or too coarse a unit, show no spread, and so not how far off the mean may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
ROUNDING = 1e-9
"""Values that differ by less, relative to the largest and to 1, are equal but for the rounding of their arithmetic."""

PERCENTS = ("accuracy", "mia", "auc", "likelihood", "_gap")
"""Ends of the names of columns whose values are between 0 and 100."""


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
        """Cut off values that no mean of the quantity can have, such as accuracies above 100 percent."""
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
    if quantity == "percent" or quantity.startswith("gap.") or quantity.endswith(PERCENTS):
        return 0.0, 100.0
    if quantity == "percent_difference":
        return -100.0, 100.0
    if quantity.endswith("degrees"):
        return 0.0, 180.0
    return (0.0, np.inf) if quantity.endswith(("seconds", "samples", "error")) else (-np.inf, np.inf)


def mean_interval(values: ArrayLike, quantity: str = "") -> Interval:
    """The mean of one value per seed, with its Student-t interval `within` the quantity. NaNs are left out."""
    return mean_intervals([values])[0].within(quantity)


def mean_intervals(groups: Sequence[ArrayLike]) -> list[Interval]:
    """The interval of each group's mean, within no quantity. Groups of equal size are computed together."""
    from scipy import special  # half a second, which a table without intervals can do without

    arrays = [np.asarray(group, dtype=float) for group in groups]
    arrays = [array[~np.isnan(array)] for array in arrays]
    sizes = np.array([len(array) for array in arrays], dtype=int)
    result = [Interval(float("nan"), np.nan, np.nan, 0)] * len(arrays)
    for size in np.unique(sizes[sizes > 0]).tolist():
        places = np.flatnonzero(sizes == size).tolist()
        values = np.stack([arrays[place] for place in places])
        _, means, errors = standard_errors(values)
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


def paired_difference(left: pd.Series, right: pd.Series) -> Interval:
    """The mean of `left` - `right` over the seeds (the index) that both have, paired by seed."""
    return mean_interval(left - right)


def p_values(differences: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Over the last axis: the p-value of a two-sided t test of mean 0, and the mean; NaN as in `standard_errors`."""
    from scipy import special

    counts, means, errors = standard_errors(np.asarray(differences, dtype=float))
    return 2 * special.stdtr(np.maximum(counts - 1, 1), -np.abs(means / errors)), means


def standard_errors(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Over the last axis: the number of values that are not NaN, their mean, and its standard error.

    The error is NaN where there are fewer than two values, or all are equal but for rounding. The mean is NaN where
    there is no value.
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
