"""Which of the forgotten samples the originals had memorised."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analysis.audit.cohort import Cohort
from analysis.audit.outputs import Floats

STRATA = {"low": (-np.inf, 0.25), "mid": (0.25, 0.75), "high": (0.75, np.inf)}
"""Memorisation from the first number on, below the second: a sample counts to the nearest of 0, 1/2 and 1.

Zhao et al. (What makes unlearning hard and what to do about it, NeurIPS 2024) audit groups of the samples with the
lowest and the highest memorisation and with that nearest to 1/2.
"""


def memorisation(cohort: Cohort) -> Floats | None:
    """Of every forgotten sample P(right | original) - P(right | Retrain) over seeds, [n] (Feldman and Zhang, NeurIPS
    2020, equation 1); only where `crossed`. None where there are no originals, or no answer that can be right.
    """
    if any(each.original is None for each in cohort.sets) or not cohort.sets[0].retrain[0]["forget"].choices:
        return None
    original, retrain = cohort.right("original"), cohort.right("retrain")
    found: Floats = original.mean(axis=0) - retrain.mean(axis=0)
    return found


def strata(cohort: Cohort) -> Iterator[tuple[str, Cohort]]:
    """The cohort's samples by how memorised they were; nothing where this cannot be known, or of an empty stratum.

    Memorisation is of every other seed, and the cohorts are of the seeds between: a sample that is in a stratum because
    of how some models came out by chance is scored by others.
    """
    if len(cohort.seeds) < 2 or not cohort.crossed:
        return
    found = memorisation(cohort.take(range(0, len(cohort.seeds), 2)))
    if found is None:
        return
    scored = cohort.take(range(1, len(cohort.seeds), 2))
    for name, (least, above) in STRATA.items():
        chosen = (found >= least) & (found < above)
        if chosen.any():
            yield name, scored.where(chosen)
