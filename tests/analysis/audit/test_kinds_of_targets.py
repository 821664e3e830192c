"""Every score, whatever the targets are: a number, or a note that says why there is none."""

import numpy as np
import pytest
from made_models import beside, drawn, numbers

from analysis.audit.outputs import Part
from analysis.audit.scores import SCORES


def candidates(rng, count):
    """Log-likelihoods of so many candidates of 20 answers, in each part."""

    def part():
        return Part(np.arange(20), np.arange(20) % count, -rng.exponential(size=(20, count)).astype(np.float32))

    return {name: part() for name in ("retain", "forget", "test")}


MAKE = {
    "classes": lambda rng: {name: drawn(rng, 20, 1.0) for name in ("retain", "forget", "test")},
    "numbers": lambda rng: numbers(rng, 20),
    "candidates": lambda rng: candidates(rng, 3),
    "a single candidate": lambda rng: candidates(rng, 1),
}


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.name)
@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("others", [True, False])
def test_there_is_a_number_or_a_note(score, kind, others):
    rng = np.random.default_rng(0)
    groups = [[MAKE[kind](rng) for _ in range(8)] for _ in range(4 if others else 2)]
    cohort = beside(*groups)
    for found in (score.estimate(cohort), score.floor(cohort), score.ceiling(cohort)):
        assert np.isfinite(found.value) or found.note
    if score.choices:
        several = kind in ("classes", "candidates")
        enough = score.fewest <= 8 and (others or score.name != "zrf")
        assert np.isfinite(score.estimate(cohort).value) == (several and enough)
