"""95 % bootstrap intervals of means over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval and the number of seeds; `low` and `high` are NaN for fewer than two."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if self.n < 2:
            return f"{self.mean:.1f}, n = {self.n}"
        return f"{self.mean:.1f} [{self.low:.1f}, {self.high:.1f}], n = {self.n}"


def mean_interval(values: ArrayLike) -> Interval:
    """The mean of one value per seed, with its percentile bootstrap interval over seeds. NaNs are left out."""
    return mean_intervals([values])[0]


def mean_intervals(groups: Sequence[ArrayLike]) -> list[Interval]:
    """`mean_interval` of each group; groups of one size are resampled together."""
    arrays = [np.asarray(group, dtype=float) for group in groups]
    arrays = [array[~np.isnan(array)] for array in arrays]
    result = [
        Interval(float(array.mean()) if len(array) else float("nan"), np.nan, np.nan, len(array)) for array in arrays
    ]
    for size in {len(array) for array in arrays if len(array) > 1}:
        places = [place for place, array in enumerate(arrays) if len(array) == size]
        low, high = _bootstrap(np.stack([arrays[place] for place in places]))
        for place, lower, upper in zip(places, low.tolist(), high.tolist(), strict=True):
            result[place] = Interval(result[place].mean, lower, upper, size)
    return result


def summarise(trials: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """One row per group: the columns of `by`, then `mean`, `low`, `high` and `n` of `value` over its seeds."""
    keys, groups = [], []
    for key, group in trials.groupby(by, sort=True):
        keys.append(key)
        groups.append(group[value].to_numpy(dtype=float))
    intervals = mean_intervals(groups)
    frame = pd.DataFrame(keys, columns=by)
    for name in ("mean", "low", "high", "n"):
        frame[name] = [getattr(interval, name) for interval in intervals]
    return frame[frame["n"] > 0].reset_index(drop=True)


def paired_difference(left: pd.Series, right: pd.Series) -> Interval:
    """The mean of `left` - `right` over the seeds (the index) that both have, paired by seed."""
    return mean_interval((left - right).dropna().to_numpy(dtype=float))


def distinguishable(difference: Interval) -> bool:
    """Whether the interval of a difference leaves out 0; False where there is no interval."""
    return difference.n > 1 and not (difference.low <= 0 <= difference.high)


def _bootstrap(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends [g] for values [g, n]."""
    found = stats.bootstrap(
        (values,),
        np.mean,
        axis=1,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        batch=max(1, 2_000_000 // values.size),
        rng=np.random.default_rng(0),
    ).confidence_interval
    return np.atleast_1d(found.low), np.atleast_1d(found.high)
