"""Folds: disjoint shares of a data set, the same for every seed, that are forgotten in turn."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
"""Rows of a training set, counted from 0, or its labels: int64 [n]."""

FOLDS = "folds"
"""What the order of folds is drawn for, as `derived_seed` has it; its seed is 0 for every trial."""


def fold_count(ratio: float) -> int:
    """How many folds of this ratio there are: the whole part of 1 / ratio, of the ratio as it is written."""
    return int(1 / Fraction(str(ratio)))


def fold_of(order: Integers, ratio: float, fold: int) -> Integers:
    """A fold, counted from 0: as many entries of an order [n] as the whole part of ratio * n."""
    size = int(Fraction(str(ratio)) * len(order))
    return order[fold * size : (fold + 1) * size]
