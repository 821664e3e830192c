"""The delete-one jackknife."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.intervals import CONFIDENCE, ROUNDING, Interval, mean_interval


class Spread(NamedTuple):
    """How far a statistic may be off.

    Attributes:
        low, high: its 95 % interval.
        p: the probability of a statistic at least as far from what was expected, were that true.
    """

    low: float
    high: float
    p: float


UNKNOWN = Spread(float("nan"), float("nan"), float("nan"))


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
    low, high, _ = jackknife_spread(value, [statistic(np.delete(places, place)) for place in places])
    return value, low, high


def circle_interval(apart: ArrayLike, skipping: ArrayLike) -> Interval:
    """The mean distance of neighbours on a circle, with its 95 % interval; none of fewer than three observations.

    Each observation is in two of the distances. So these depend on one another, and Student's interval of their mean
    is too narrow. Here each observation is left out in turn, so that its neighbours are next to each other.

    Args:
        apart: from each observation to the next, after the last to the first, [n].
        skipping: from each to the one after the next, [n].
    """
    near, far = np.asarray(apart, dtype=float), np.asarray(skipping, dtype=float)
    found = mean_interval(near)
    if len(near) < 3:
        return replace(found, low=np.nan, high=np.nan)
    without = (near.sum() - near - np.roll(near, 1) + np.roll(far, 1)) / (len(near) - 1)
    spread = jackknife_spread(found.mean, without)
    return replace(found, low=spread.low, high=spread.high)


def jackknife_spread(value: float, without: ArrayLike, expected: float = float("nan")) -> Spread:
    """The spread of a statistic: Student's t of the delete-one estimates' error (Efron, The jackknife, the bootstrap
    and other resampling plans, 1982, chapter 3).

    NaN where no observation makes a difference: too few, or too coarse a statistic, do not show how far off it may be.

    Args:
        without: the statistic without each observation in turn, [count]; at least three.
    """
    from scipy import special

    estimates = np.asarray(without, dtype=float)
    count = len(estimates)
    if np.ptp(estimates) <= ROUNDING * max(1.0, float(np.abs(estimates).max())):
        return UNKNOWN
    error = np.sqrt((count - 1) / count * np.sum((estimates - estimates.mean()) ** 2))
    half = float(special.stdtrit(count - 1, (1 + CONFIDENCE) / 2) * error)
    p = 2 * float(special.stdtr(count - 1, -abs(value - expected) / error))
    return Spread(value - half, value + half, p)


def share_spread(share: float, without: ArrayLike, size: int, expected: float = float("nan")) -> Spread:
    """As `jackknife_spread`, for shares of `size` cases: of their logits, so that it stays between 0 and 1.

    Half a case more on either side keeps logits finite, and the interval is widened to hold the share itself.
    """
    from scipy import special

    shares = (np.array([share, expected, *np.ravel(without)]) * size + 0.5) / (size + 1)
    value, wanted, *others = special.logit(shares)
    low, high, p = jackknife_spread(value, others, wanted)
    return Spread(min(float(special.expit(low)), share), max(float(special.expit(high)), share), p)
