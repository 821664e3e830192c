"""U-LiRA: how well a likelihood ratio per sample tells unlearned models from Retrain (Hayes et al., 2024,
arXiv:2403.01218, with Retrain as the null hypothesis).

Of every forgotten sample the margins of K unlearned models and of K Retrains are two normal laws; a model's score is
the logarithm of their ratio at its margin. A seed's models are left out of both laws by which they are scored: with
equal laws a threshold that a share f of the Retrains exceeds is then exceeded by a share f of the unlearned models too,
for every K. Scored by laws that they were fitted to, unlearned models exceed it more often although nothing was
remembered.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.audit.cohort import Cohort
from analysis.audit.outputs import Floats
from analysis.audit.score import CohortScore, Estimate
from analysis.statistics.jackknife import share_spread

Ratios = NDArray[np.float32]

PRIOR = 4
"""Degrees of freedom of the median variance, towards which each sample's is shrunk."""

OWN_VARIANCES = 64
"""From so many originals on each of a sample's two laws has its own variance."""

SMALLEST = 1e-12
"""A variance below this counts as this."""

LEAST_ABOVE = 10
"""A true positive rate is given only where so many negatives may exceed the threshold."""

DEPENDABLE = 8
"""With fewer originals the laws are hardly known."""


class Scored(NamedTuple):
    """Logarithms of likelihood ratios, [K, n] each: of unlearned models, and of Retrains."""

    positives: Ratios
    negatives: Ratios


def likelihood_ratios(unlearned: Floats, retrain: Floats, own_variances: bool) -> Scored:
    """Score every model by the laws of the other seeds' models.

    Args:
        unlearned, retrain: margins, [K, n]; K at least 3.
        own_variances: each law has its own variance; otherwise both of a sample share one.
    """
    freedom = len(unlearned) - 2
    (mean_u, squares_u), (mean_r, squares_r) = _others(unlearned), _others(retrain)
    if own_variances:
        variance_u, variance_r = (_shrunk(each, freedom) for each in (squares_u, squares_r))
    else:
        variance_u = variance_r = _shrunk(squares_u + squares_r, 2 * freedom)

    def ratio(margins: Floats) -> Ratios:
        found = (margins - mean_r) ** 2 / variance_r - (margins - mean_u) ** 2 / variance_u
        if own_variances:
            found += np.log(variance_r / variance_u)
        halved: Ratios = (found / 2).astype(np.float32)
        return halved

    return Scored(ratio(unlearned), ratio(retrain))


def scored(cohort: Cohort) -> Iterator[Scored]:
    """What all models of a cohort score, and what they do without each seed's in turn."""
    unlearned, retrain = cohort.margins("unlearned"), cohort.margins("retrain")
    own = len(unlearned) >= OWN_VARIANCES
    yield likelihood_ratios(unlearned, retrain, own)
    for seed in range(len(unlearned)):
        yield likelihood_ratios(np.delete(unlearned, seed, 0), np.delete(retrain, seed, 0), own)


def _others(margins: Floats) -> tuple[Floats, Floats]:
    """For each model the mean of the others', and the sum of their squared deviations from it, [K, n] each."""
    count = len(margins)
    mean = margins.mean(axis=0)
    deviations = margins - mean
    squares = (deviations**2).sum(axis=0) - count / (count - 1) * deviations**2
    return mean - deviations / (count - 1), np.maximum(squares, 0.0)


def _shrunk(squares: Floats, freedom: int) -> Floats:
    """Variances [K, n] of sums of squares, each shrunk to the median over samples."""
    medians = np.median(squares, axis=1, keepdims=True) / freedom
    found: Floats = (squares + PRIOR * medians) / (freedom + PRIOR)
    return np.maximum(found, SMALLEST)


def true_positive_rate(scored: Scored, rate: float) -> float:
    """The share of positives above the one threshold that at most this share of the negatives exceeds."""
    negatives = scored.negatives.ravel()
    place = negatives.size - 1 - _above(rate, negatives.size)
    return float((scored.positives > np.partition(negatives, place)[place]).mean())


def area(scored: Scored) -> float:
    """The probability that a positive exceeds a negative, of all samples together; ties count half."""
    negatives, positives = np.sort(scored.negatives, axis=None), np.sort(scored.positives, axis=None)
    places = sum(np.searchsorted(negatives, positives, side).sum() for side in ("left", "right"))
    return float(places / (2 * positives.size * negatives.size))


def _above(rate: float, negatives: int) -> int:
    return int(rate * negatives + 1e-9)


class ULiRA(CohortScore):
    """A share of what the attack scored, in percent; its interval is the jackknife's of the logit."""

    unit: ClassVar[str] = "percent"
    fewest: ClassVar[int] = 4

    @abstractmethod
    def share(self, scored: Scored) -> float:
        """Between 0 and 1."""

    def of(self, cohort: Cohort) -> float:
        return self.estimate(cohort).value

    def measured(self, cohort: Cohort) -> Estimate:
        count = len(cohort.seeds)
        value, *without = map(self.share, scored(cohort))
        low, high, p = share_spread(value, without, count * len(cohort.samples), self.expected / 100)
        note = f"the laws it fits are hardly known with fewer than {DEPENDABLE} originals" if count < DEPENDABLE else ""
        return Estimate(100 * value, 100 * low, 100 * high, note, p)


class Area(ULiRA):
    """The area under the curve."""

    name: ClassVar[str] = "ulira_auc"
    label: ClassVar[str] = "U-LiRA AUC"
    words: ClassVar[str] = "how well likelihood ratios per sample tell unlearned models from Retrain"
    expected = 50.0

    def share(self, scored: Scored) -> float:
        return area(scored)


class TruePositives(ULiRA):
    """Unlearned models that are recognised.

    Attributes:
        rate: the share of the Retrains that is taken for unlearned.
    """

    rate: ClassVar[float]

    @property
    def expected(self) -> float:  # type: ignore[override]
        return 100 * self.rate

    def share(self, scored: Scored) -> float:
        return true_positive_rate(scored, self.rate)

    def missing(self, cohort: Cohort) -> str:
        if why := super().missing(cohort):
            return why
        negatives = len(cohort.seeds) * len(cohort.samples)
        if _above(self.rate, negatives) >= LEAST_ABOVE:
            return ""
        return f"needs {LEAST_ABOVE / self.rate:.0f} pairs of a Retrain and a sample, there are {negatives}"


class OnePercent(TruePositives):
    """At a false positive rate of 1 %."""

    name: ClassVar[str] = "ulira_tpr_1"
    label: ClassVar[str] = "U-LiRA TPR at 1 %"
    words: ClassVar[str] = "unlearned models recognised where 1 % of the Retrains are taken for unlearned"
    rate: ClassVar[float] = 0.01


class OnePermille(TruePositives):
    """At a false positive rate of 0.1 %."""

    name: ClassVar[str] = "ulira_tpr_01"
    label: ClassVar[str] = "U-LiRA TPR at 0.1 %"
    words: ClassVar[str] = "unlearned models recognised where 0.1 % of the Retrains are taken for unlearned"
    rate: ClassVar[float] = 0.001
