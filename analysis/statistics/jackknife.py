"""The delete-one jackknife."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.intervals import CONFIDENCE, ROUNDING


def jackknife(statistic: Callable[[NDArray[np.int64]], float], count: int) -> tuple[float, float, float]:
    """A statistic of `count` observations, and its 95 % interval.

    Args:
        statistic: is called with the places of the observations that count.

    Returns:
        The statistic of all, and the interval around it; NaN where there are fewer than three observations.
    """
    places = np.arange(count)
    value = statistic(places)
    if count < 3:
        return value, float("nan"), float("nan")
    return value, *jackknife_interval(value, [statistic(np.delete(places, place)) for place in places])


def jackknife_interval(value: float, without: ArrayLike) -> tuple[float, float]:
    """The interval around a statistic: Student's t of the delete-one estimates' error (Efron, The jackknife, the
    bootstrap and other resampling plans, 1982, chapter 3).

    NaN where no observation makes a difference: too few, or too coarse a statistic, do not show how far off it may be.

    Args:
        without: the statistic without each observation in turn, [count]; at least three.
    """
    from scipy import special

    estimates = np.asarray(without, dtype=float)
    count = len(estimates)
    if np.ptp(estimates) <= ROUNDING * max(1.0, float(np.abs(estimates).max())):
        return float("nan"), float("nan")
    error = np.sqrt((count - 1) / count * np.sum((estimates - estimates.mean()) ** 2))
    half = float(special.stdtrit(count - 1, (1 + CONFIDENCE) / 2) * error)
    return value - half, value + half


def share_interval(share: float, without: ArrayLike, size: int) -> tuple[float, float]:
    """As `jackknife_interval`, for shares of `size` cases: of their logits, so that it stays between 0 and 1.

    Half a case more on either side keeps logits finite, and the interval is widened to hold the share itself.
    """
    from scipy import special

    value, *others = special.logit((np.array([share, *np.ravel(without)]) * size + 0.5) / (size + 1))
    low, high = jackknife_interval(value, others)
    return min(float(special.expit(low)), share), max(float(special.expit(high)), share)
