"""KLoM: the divergence of margins between unlearned models and Retrains, sample by sample."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.audit.cohort import Cohort
from analysis.audit.outputs import Floats
from analysis.audit.score import NAN, CohortScore, Estimate, halves

BINS = 20
CLIP = 100.0
LEAST = 1e-5
"""What the share of Retrains in a bin counts as at least, where unlearned models are in it."""


class KLoM(CohortScore):
    """The 95th percentile over forget samples of the Kullback-Leibler divergence of margins, unlearned to Retrain.

    KL divergence of margins (Georgiev et al., 2024; Rinberg et al., data-unlearning-bench), in nats: per sample,
    margins clipped to +-100 are counted in 20 equal bins from the smallest to the largest of both. Their code leaves
    the largest margin out of every bin, and takes shares of what is left; here the last bin holds it.

    Perfect unlearning does not give 0, and the fewer models, the less: 0.6 on average with 64 of either, 1.6 with 32.
    The floor, from halves of the Retrains, is therefore too high by about that much. It ends at -log 1e-5 = 11.5, so
    strong differences tie.
    """

    name: ClassVar[str] = "klom"
    label: ClassVar[str] = "KLoM"
    words: ClassVar[str] = "divergence of forget samples' margins from Retrain's, 95th percentile over samples"
    unit: ClassVar[str] = "nats"
    fewest: ClassVar[int] = 64

    def missing(self, cohort: Cohort) -> str:
        """As of every score; and that samples of the part differ from seed to seed."""
        if why := super().missing(cohort):
            return why
        part = self.parts[0]
        models = ((each.unlearned[0], model) for each in cohort.sets for model in (*each.unlearned, *each.retrain))
        same = all(np.array_equal(first[part].samples, model[part].samples) for first, model in models)
        return "" if same else f"the {part} samples that are stored differ from seed to seed"

    def of(self, cohort: Cohort) -> float:
        part = self.parts[0]
        return float(np.percentile(divergences(cohort.margins("unlearned", part), cohort.margins("retrain", part)), 95))

    def floor(self, cohort: Cohort) -> Estimate:
        missing = self.missing(cohort)
        return Estimate(NAN, note=missing) if missing else Estimate(self.of(halves(cohort)))


class KLoMRetain(KLoM):
    """`KLoM` of retain samples, where all seeds have the same ones stored."""

    name: ClassVar[str] = "klom_retain"
    label: ClassVar[str] = "KLoM-R"
    words: ClassVar[str] = "divergence of retain samples' margins from Retrain's, 95th percentile over samples"
    parts: ClassVar[tuple[str, ...]] = ("retain",)
    crossed: ClassVar[bool] = False


class KLoMTest(KLoM):
    """`KLoM` of test samples, in the place of the validation samples of its authors."""

    name: ClassVar[str] = "klom_test"
    label: ClassVar[str] = "KLoM-T"
    words: ClassVar[str] = "divergence of test samples' margins from Retrain's, 95th percentile over samples"
    parts: ClassVar[tuple[str, ...]] = ("test",)
    crossed: ClassVar[bool] = False


def divergences(unlearned: Floats, retrain: Floats) -> Floats:
    """The divergence of each sample, [n].

    Args:
        unlearned, retrain: margins, [K, n].
    """
    unlearned, retrain = np.clip(unlearned, -CLIP, CLIP), np.clip(retrain, -CLIP, CLIP)
    low = np.minimum(unlearned.min(axis=0), retrain.min(axis=0))
    width = np.maximum(unlearned.max(axis=0), retrain.max(axis=0)) - low
    width = np.where(width > 0, width, 1.0)
    own, reference = (_shares(BINS * ((margins - low) / width)) for margins in (unlearned, retrain))
    reference = np.where(own > 0, np.maximum(reference, LEAST), reference)
    reference /= reference.sum(axis=1, keepdims=True)
    logarithms = np.log(np.divide(own, reference, out=np.ones_like(own), where=own > 0))
    found: Floats = (own * logarithms).sum(axis=1)
    return found


def _shares(places: Floats) -> Floats:
    """The share of models in each bin for each sample, [n, BINS]: of places between 0 and BINS, [K, n]."""
    count, samples = places.shape
    bins: NDArray[np.int64] = np.minimum(places.astype(np.int64), BINS - 1) + BINS * np.arange(samples)
    found: Floats = np.bincount(bins.ravel(), minlength=BINS * samples).reshape(samples, BINS) / count
    return found
