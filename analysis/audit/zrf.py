"""How near predictions for the forget set are to those of a network that was never trained."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from analysis.audit.cohort import Cohort
from analysis.audit.divergence import jensen_shannon
from analysis.audit.outputs import Floats
from analysis.audit.score import Estimate, Score


class ZeroRetrainForgetting(Score):
    """1 - the mean Jensen-Shannon divergence (nats) of predictions for the forget set to the network's as it was built.

    The zero retrain forgetting metric (Chundawat et al., AAAI 2023, Bad Teaching), for which no Retrain is needed but a
    trial of the method `untrained` of the same task and seed. 1 where a model knows as little as that network; but the
    target is Retrain's own number, not 1. The authors' code averages over samples and classes.
    """

    name: ClassVar[str] = "zrf"
    label: ClassVar[str] = "ZRF"
    words: ClassVar[str] = "1 - mean divergence of predictions for the forget data from an untrained network's"
    choices: ClassVar[bool] = True

    def missing(self, cohort: Cohort) -> str:
        if any(each.untrained is None for each in cohort.sets):
            return "needs trials of the method untrained"
        return super().missing(cohort)

    def measured(self, cohort: Cohort) -> Estimate:
        return Estimate.of_seeds(per_seed(cohort))

    def perfect(self, cohort: Cohort) -> Cohort | None:
        return cohort.of("retrain")


def per_seed(cohort: Cohort) -> Floats:
    """The mean over folds for each seed, [K]; only where there are untrained networks."""
    apart = [
        [
            jensen_shannon(model["forget"].probabilities, built["forget"].probabilities).mean()
            for model, built in zip(each.unlearned, each.untrained or (), strict=True)
        ]
        for each in cohort.sets
    ]
    found: Floats = 1 - np.mean(apart, axis=0)
    return found
