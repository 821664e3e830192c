"""What an experiment says of epsilon at least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

THRESHOLDS, RISK = 60, 1e-3


def least_epsilon(first: NDArray[np.float64], second: NDArray[np.float64], delta: float) -> float:
    """A bound that is above the true epsilon with probability `RISK` at most.

    Each test "the second, if the value is above t" has error rates of known Clopper-Pearson bounds, and
    P(second > t) <= e^epsilon P(first > t) + delta.

    Args:
        first, second: draws of a value that grows with the likelihood ratio, as many of one as of the other.
    """
    count, risk = len(first), RISK / (2 * THRESHOLDS)
    thresholds = np.quantile(np.concatenate([first, second]), np.linspace(0.01, 0.999, THRESHOLDS))
    false = (first[:, None] > thresholds).sum(axis=0)
    true = (second[:, None] > thresholds).sum(axis=0)
    most_false = np.where(false == count, 1.0, beta.ppf(1 - risk, false + 1, np.maximum(count - false, 1)))
    least_true = np.where(true == 0, 0.0, beta.ppf(risk, np.maximum(true, 1), count - true + 1))
    return float(np.log(np.maximum(least_true - delta, 1e-300) / most_false).max())
