"""The delete-one jackknife."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.intervals import CONFIDENCE


def jackknife(statistic: Callable[[NDArray[np.int64]], float], count: int) -> tuple[float, float, float]:
    """A statistic of `count` observations, and its 95 % interval: Student's t of the delete-one estimates' error.

    Args:
        statistic: is called with the places of the observations that count.

    Returns:
        The statistic of all, and the interval around it; NaN where there are fewer than three observations.
    """
    from scipy import special

    places = np.arange(count)
    value = statistic(places)
    if count < 3:
        return value, float("nan"), float("nan")
    without = np.array([statistic(np.delete(places, place)) for place in places])
    error = np.sqrt((count - 1) / count * np.sum((without - without.mean()) ** 2))
    half = special.stdtrit(count - 1, (1 + CONFIDENCE) / 2) * error
    return value, value - half, value + half
