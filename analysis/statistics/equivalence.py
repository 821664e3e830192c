"""Whether a group of trials is as good as a reference: within what the reference of another seed differs by.

That two groups are not distinguishable says nothing of the kind: of few seeds nothing is. So equivalence is tested for
itself, with the burden of proof turned round.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.intervals import CONFIDENCE, standard_errors

FEWEST = 3
"""Seeds below which the reference's own distances show no spread, so that nothing can be tested."""


def equivalence(differences: ArrayLike, reference: ArrayLike) -> NDArray[np.float64]:
    """Test whether a group's mean differences to a reference are smaller than the reference's own from seed to seed.

    With d_m the mean difference in metric m, and f_m the mean distance of the reference's values of two seeds, the
    p-value is of sum |d_m| >= sum f_m. Of one metric these are two one-sided t tests (Schuirmann, 1987): of d >= f and
    of -d >= f; the larger p-value counts. Of several, sum |d_m| is the largest of the sums with every choice of signs,
    so there is a test for each choice. The mean of a method's gaps |d| would not do: noise alone lifts it to about f.

    The margin f is not known, but estimated from the same seeds. Its error is counted: each test is of the differences
    between the margin's jackknife pseudo-values (`pseudo_distances`) and the group's differences, paired by seed.
    Groups that differ by exactly the margin have p < 0.05 in at most about 5 % of cases:
    benchmarks/results/intervals.txt.

    Args:
        differences: group less reference, paired by seed, [..., metrics, seeds]; no NaN.
        reference: the reference's values, [..., metrics, seeds]; no NaN.

    Returns:
        [...]; NaN where there are fewer than `FEWEST` seeds, or no spread.
    """
    from scipy import special

    apart, own = np.broadcast_arrays(np.asarray(differences, dtype=float), np.asarray(reference, dtype=float))
    metrics, seeds = apart.shape[-2:]
    if seeds < FEWEST or metrics == 0:
        return np.full(apart.shape[:-2], np.nan)
    margin = pseudo_distances(own).mean(axis=-2)
    found = np.zeros(apart.shape[:-2])
    for signs in product((1.0, -1.0), repeat=metrics):
        _, means, errors = standard_errors(margin - np.tensordot(apart, signs, axes=(-2, 0)) / metrics)
        found = np.maximum(found, special.stdtr(seeds - 1, -means / errors))
    return found


def pseudo_distances(values: ArrayLike) -> NDArray[np.float64]:
    """Jackknife pseudo-values of the mean distance between two seeds' values: their mean is that mean distance.

    Args:
        values: [..., seeds], at least `FEWEST`.

    Returns:
        [..., seeds]: n times the mean distance of all pairs, less n - 1 times that of the pairs without this seed.
    """
    given = np.asarray(values, dtype=float)
    count = given.shape[-1]
    own = np.abs(given[..., :, None] - given[..., None, :]).sum(axis=-1)
    total = own.sum(axis=-1, keepdims=True)
    found: NDArray[np.float64] = total / (count - 1) - (total - 2 * own) / (count - 2)
    return found


def can_be_shown(reference: ArrayLike, comparisons: int) -> bool:
    """Whether these seeds can show any equivalence: whether the reference of the next seed would itself be equivalent.

    Its mean difference to the reference is exactly 0, and its spread that of two runs.

    Args:
        reference: [metrics, seeds].
        comparisons: how many groups are tested.
    """
    own = np.asarray(reference, dtype=float)
    return bool(equivalence(np.roll(own, -1, axis=-1) - own, own) * comparisons < 1 - CONFIDENCE)
