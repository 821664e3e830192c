"""How far a model is from the original back to Retrain: interpolated approximate measurement."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from analysis.audit.cohort import Cohort
from analysis.audit.outputs import Model
from analysis.audit.score import ModelScore

STEPS = 100


class IAM(ModelScore):
    """The mean of sum a F_a(m) / sum a over forget samples: near 1 for the original, near 0 for Retrain.

    Interpolated approximate measurement (Wang et al., ICML 2025), with one shadow model: m is the unlearned model's
    margin, F_a the normal law between Retrain's margin (a = 0) and the original's (a = 1) of the same sample and seed,
    at `STEPS` values of a; as there is one Retrain, its deviation is that of these margins over the samples. The wider
    they spread beside the step from Retrain to the original, the nearer to 1/2 are both: read it between floor and
    ceiling. The authors' code gives 1 minus it, and weights each law by the next one's a, without the last.
    """

    name: ClassVar[str] = "iam"
    label: ClassVar[str] = "IAM"
    words: ClassVar[str] = "how far margins lie on the way from Retrain (near 0) to the original (near 1)"

    def missing(self, cohort: Cohort) -> str:
        """As of every score; and that there are no originals."""
        lacking = any(each.original is None for each in cohort.sets)
        return super().missing(cohort) or ("no originals of all these seeds" if lacking else "")

    def of(self, model: Model, retrain: Model, original: Model | None) -> float:
        from scipy.special import ndtr

        assert original is not None
        own, start, end = (each["forget"].margins for each in (model, retrain, original))
        weights = np.linspace(0, 1, STEPS)
        laws = start + weights[:, None] * (end - start)
        deviations = np.maximum(laws.std(axis=1, keepdims=True), np.finfo(float).tiny)
        found = weights @ ndtr((own - laws) / deviations) / weights.sum()
        return float(found.mean())
