"""Tug of war: whether a model forgot, kept and generalises as Retrain does, as one product."""

from __future__ import annotations

from typing import ClassVar

from analysis.audit import signals
from analysis.audit.cohort import Cohort
from analysis.audit.outputs import Model, Part
from analysis.audit.score import ModelScore, next_seeds
from analysis.audit.svc import Confidence


class TugOfWar(ModelScore):
    """(1 - |difference of FA|)(1 - |difference of RA|)(1 - |difference of TA|) to the same seed's Retrain.

    ToW (Zhao et al., NeurIPS 2024, RUM); accuracies between 0 and 1, of the parts as stored: retain samples
    are those that the column `mia` is fitted on. 1 where all agree. Where a class is forgotten, test samples are of
    the others.
    """

    name: ClassVar[str] = "tow"
    label: ClassVar[str] = "ToW"
    words: ClassVar[str] = "product of what forget, retain and test accuracy have in common with Retrain's"
    parts: ClassVar[tuple[str, ...]] = ("retain", "forget", "test")
    choices: ClassVar[bool] = True

    def of(self, model: Model, retrain: Model, original: Model | None) -> float:
        shares = (1 - abs(one - other) for one, other in zip(self.looks(model), self.looks(retrain), strict=True))
        first, second, third = shares
        return first * second * third

    def looks(self, model: Model) -> tuple[float, float, float]:
        """What is compared, between 0 and 1 each: the forget side, and the accuracies on retain and on test data."""
        kept = model["test"].subset(signals.of_kept_classes(model))
        return self.forget_side(model), accuracy(model["retain"]), accuracy(kept)

    def forget_side(self, model: Model) -> float:
        """What is compared of the forget set, between 0 and 1."""
        return accuracy(model["forget"])

    def perfect(self, cohort: Cohort) -> Cohort | None:
        return next_seeds(cohort)


class TugOfWarMIA(TugOfWar):
    """`TugOfWar` with the confidence attack (`Confidence`) in the place of the forget accuracy, as RUM reports it."""

    name: ClassVar[str] = "tow_mia"
    label: ClassVar[str] = "ToW-MIA"
    words: ClassVar[str] = "the same with the confidence attack's share of non-members for the forget accuracy"

    def forget_side(self, model: Model) -> float:
        return Confidence().share(model) / 100


def accuracy(part: Part) -> float:
    """Between 0 and 1."""
    return float(part.right.mean())
