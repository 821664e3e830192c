"""The forgetting quality of the NeurIPS 2023 unlearning competition."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.audit.cohort import Cohort
from analysis.audit.outputs import Floats
from analysis.audit.score import CohortScore

DELTA = 1e-5
BIN = 0.5
REACH = 2.0
"""How far the ends of an interval may lie from those of the narrower law, in margins."""
NARROWEST = 0.01
"""A law whose range is a smaller share of the other's counts as told apart."""


class ForgettingQuality(CohortScore):
    """The mean over forget samples of 2 / 2^b, where b is the bin, from 1, of a sample's epsilon in steps of `BIN`.

    F of the NeurIPS 2023 unlearning competition (Triantafillou et al., 2024), without its factors for utility and
    speed. A sample's epsilon is the largest, over decision rules that tell unlearned models from Retrains by its
    margin, of

        max(log(1 - delta - FPR) - log FNR, log(1 - delta - FNR) - log FPR),    delta = 1e-5

    and at least 0; infinite (2 / 2^b is 0) where a rule makes no error; a rule without one kind of error alone is left
    out. The rules are those of the released code: those above a cut are of the kind of larger median; or those in an
    interval are of the kind of smaller range, where the interval's upper end is within `REACH` of that range's, and its
    lower end within `REACH` of where the range would then begin. Where a range is below `NARROWEST` of the other,
    epsilon is infinite. The code tries ends every 0.01; here they are exact, every one that separates two values.

    Perfect unlearning does not give 1, but what Retrain against Retrain gives (the floor, of half as many models), and
    with more models any difference gives less: F of different numbers of models are not to be compared. The competition
    had 512, all unlearned from one original; here every model has an original of its own.
    """

    name: ClassVar[str] = "forgetting_quality"
    label: ClassVar[str] = "F"
    words: ClassVar[str] = "forgetting quality of the unlearning competition, 1 where no model is told from a Retrain"
    fewest: ClassVar[int] = 4

    def of(self, cohort: Cohort) -> float:
        apart = epsilons(cohort.margins("unlearned"), cohort.margins("retrain"))
        return float(np.mean(points(apart)))


def points(epsilon: Floats) -> Floats:
    """2 / 2^b of each epsilon."""
    return np.exp2(-np.floor(epsilon / BIN))


def epsilon_of_rates(false_positives: Floats, false_negatives: Floats) -> Floats:
    """The epsilon of decision rules with these rates; -infinity where a rule is left out."""
    with np.errstate(divide="ignore", invalid="ignore"):
        one = np.log(1 - DELTA - false_positives) - np.log(false_negatives)
        other = np.log(1 - DELTA - false_negatives) - np.log(false_positives)
    found = np.nan_to_num(
        np.fmax(one, other), nan=-np.inf, posinf=np.inf, neginf=-np.inf
    )  # all wrong: neither is known
    perfect = (false_positives == 0) & (false_negatives == 0)
    left_out = ((false_positives == 0) | (false_negatives == 0)) & ~perfect
    wrong = np.isnan(found)  # always
    return np.where(perfect, np.inf, np.where(left_out | wrong, -np.inf, found))


def epsilons(unlearned: Floats, retrain: Floats) -> Floats:
    """The largest epsilon for each sample, at least 0, [n].

    Args:
        unlearned, retrain: margins of K models each, [K, n].
    """
    count = len(unlearned)
    wrong = np.arange(count + 1) / count
    table = epsilon_of_rates(*np.meshgrid(wrong, wrong[::-1])).ravel()  # at (K + 1) true positives + false positives
    both = np.concatenate([unlearned, retrain])
    order = np.argsort(both, axis=0, kind="stable")
    values = np.take_along_axis(both, order, axis=0)
    nothing, infinite = np.zeros((1, len(both[0])), dtype=np.int64), np.full((1, len(both[0])), np.inf)
    low, high = np.concatenate([-infinite, values]), np.concatenate([values, infinite])
    """Between these lies each cut, [2 K + 1, n]: it can be made where they differ."""
    below = np.concatenate([nothing, np.cumsum(order < count, axis=0)])
    other = np.arange(2 * count + 1)[:, None] - below

    def coded(unlearned_are_positive: NDArray[np.bool_]) -> NDArray[np.int64]:
        positives, negatives = np.where(unlearned_are_positive, (below, other), (other, below))
        found: NDArray[np.int64] = (count + 1) * positives + negatives
        return found

    code = coded(np.median(unlearned, axis=0) >= np.median(retrain, axis=0))
    best = np.where(low < high, table[code[-1] - code], -np.inf).max(axis=0)

    ranges = np.ptp(unlearned, axis=0), np.ptp(retrain, axis=0)
    narrower = ranges[0] < ranges[1]
    code = coded(narrower)
    width, top = np.minimum(*ranges), np.where(narrower, unlearned.max(axis=0), retrain.max(axis=0))
    first, last = np.maximum(low, top - REACH), np.minimum(high, top + REACH)
    upper = (low < high) & (first <= last)
    first, last = first - width - REACH, last - width + REACH
    for start in range(2 * count):
        rest = slice(start + 1, None)
        allowed = upper[rest] & (low[start] < np.minimum(high[start], last[rest])) & (high[start] >= first[rest])
        np.maximum(best, np.where(allowed, table[code[rest] - code[start]], -np.inf).max(axis=0), out=best)
    found: Floats = np.maximum(np.where(width < NARROWEST * np.maximum(*ranges), np.inf, best), 0)
    return found
