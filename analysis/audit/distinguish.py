"""How far a sample's margins in unlearned models lie from those in Retrains, by ranks.

AUC_x is the probability that of sample x an unlearned model has a larger margin than a Retrain (Mann and Whitney,
1947): above 1/2 the unlearned models remember the sample, below it they know it less than models that never saw it.
Ranks need no law to be normal.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from analysis.audit.cohort import Cohort
from analysis.audit.outputs import Floats
from analysis.audit.score import CohortScore, Estimate
from analysis.statistics.jackknife import jackknife_spread, share_spread


def sample_areas(cohort: Cohort) -> Floats:
    """AUC_x of every forgotten sample, [n]; ties count half."""
    return _areas(cohort).all


class Areas(NamedTuple):
    """AUC_x, [n], and the same without each seed's models in turn, [K, n]."""

    all: Floats
    without: Floats


def _areas(cohort: Cohort) -> Areas:
    unlearned, retrain = cohort.margins("unlearned"), cohort.margins("retrain")
    count = len(unlearned)
    won, lost_to, same = (np.zeros(unlearned.shape) for _ in range(3))  # pairs with a model's margin, and with both
    for seed, margins in enumerate(unlearned):
        larger = np.where(margins > retrain, 1.0, np.where(margins == retrain, 0.5, 0.0))
        won[seed], same[seed] = larger.sum(axis=0), larger[seed]
        lost_to += larger
    total = won.sum(axis=0)
    return Areas(total / count**2, (total - won - lost_to + same) / max((count - 1) ** 2, 1))


def null_law(count: int) -> tuple[Floats, Floats]:
    """The law of AUC_x where both laws of the margins are one: of `count` against `count` models, without ties.

    Returns:
        The values that it can have, from 0 to 1, [count^2 + 1], and their probabilities.
    """
    # Arrangements by their number of won pairs are the coefficients of the product over i = 1, ..., count of
    # (1 - q^(count + i)) / (1 - q^i). Their integers outgrow 64 bits.
    ways = np.zeros(count**2 + 1, dtype=object)
    ways[0] = 1
    for i in range(1, count + 1):
        ways[count + i :] = ways[count + i :] - ways[: -count - i]
        for start in range(i):
            ways[start::i] = np.cumsum(ways[start::i])
    total = int(ways.sum())
    return np.arange(count**2 + 1) / count**2, np.array([way / total for way in ways])


class Distinguishability(CohortScore):
    """The signed square root of mean_x (AUC_x - 1/2)^2, less what this is on average where the laws are equal.

    That is (2K + 1) / (12 K^2), whatever the law, where models are independent; so the square has mean 0 for every K.
    """

    name: ClassVar[str] = "distinguishability"
    label: ClassVar[str] = "Δ"
    words: ClassVar[str] = "how far the margins of each sample lie from Retrain's, by ranks; 0 where they are alike"
    unit: ClassVar[str] = "at most 0.5"
    fewest: ClassVar[int] = 2
    expected = 0.0

    def of(self, cohort: Cohort) -> float:
        return float(_signed_root(squared(sample_areas(cohort), len(cohort.seeds))))

    def measured(self, cohort: Cohort) -> Estimate:
        found, count = _areas(cohort), len(cohort.seeds)
        square = float(squared(found.all, count))
        if count <= self.fewest:
            return Estimate(float(_signed_root(square)))
        low, high, p = jackknife_spread(square, squared(found.without, count - 1), expected=0)
        low, high = (float(_signed_root(each)) for each in (low, high))
        return Estimate(float(_signed_root(square)), low, high, p=p)


def squared(areas: Floats, count: int) -> Floats:
    """Delta^2 of the AUC_x of `count` seeds, over the last axis."""
    found: Floats = ((areas - 0.5) ** 2).mean(axis=-1) - (2 * count + 1) / (12 * count**2)
    return found


def _signed_root(square: float | Floats) -> Floats:
    found: Floats = np.sign(square) * np.sqrt(np.abs(square))
    return found


class Side(CohortScore):
    """The share of the samples whose AUC_x is on one side of 1/2; its floor is exact, from `null_law`.

    Attributes:
        sign: of AUC_x - 1/2.
    """

    unit: ClassVar[str] = "percent"
    fewest: ClassVar[int] = 2
    sign: ClassVar[int]

    def of(self, cohort: Cohort) -> float:
        return self.estimate(cohort).value

    def measured(self, cohort: Cohort) -> Estimate:
        found = _areas(cohort)
        value, *without = ((self.sign * (areas - 0.5) > 1e-9).mean() for areas in (found.all, *found.without))
        if len(cohort.seeds) <= self.fewest:
            return Estimate(100 * float(value))
        low, high, p = share_spread(float(value), without, len(found.all), self.floor(cohort).value / 100)
        return Estimate(100 * float(value), 100 * low, 100 * high, p=p)

    def floor(self, cohort: Cohort) -> Estimate:
        values, probabilities = null_law(len(cohort.seeds))
        return Estimate(100 * float(probabilities[values > 0.5].sum()))


class Remembered(Side):
    """AUC_x > 1/2."""

    name: ClassVar[str] = "remembered"
    label: ClassVar[str] = "remembered"
    words: ClassVar[str] = "forgotten samples whose margins mostly exceed Retrain's"
    sign: ClassVar[int] = 1


class OverForgotten(Side):
    """AUC_x < 1/2."""

    name: ClassVar[str] = "over_forgotten"
    label: ClassVar[str] = "over-forgotten"
    words: ClassVar[str] = "forgotten samples whose margins mostly fall below Retrain's"
    sign: ClassVar[int] = -1
