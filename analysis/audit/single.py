"""Scores of a model by itself."""

from __future__ import annotations

from analysis.audit.cohort import Cohort
from analysis.audit.score import Estimate, ModelScore


class SingleScore(ModelScore):
    """A number for a model with nothing beside it, so that perfect unlearning has Retrain's own."""

    def perfect(self, cohort: Cohort) -> Cohort:
        return cohort.of("retrain")

    def floor(self, cohort: Cohort) -> Estimate:
        return self.estimate(self.perfect(cohort))
