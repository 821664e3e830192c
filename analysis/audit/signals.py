"""What attacks see of each sample, how well it tells members from others, and which test samples these are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.audit.outputs import Floats, Model, Part

SMALLEST = 1e-30
"""A probability below this counts as this in a logarithm, as in Song & Mittal's code."""


def correctness(part: Part) -> Floats:
    """1 where the target is what the model prefers, else 0, [n]."""
    return part.right.astype(np.float64)


def confidence(part: Part) -> Floats:
    """The probability of the target, [n]."""
    return part.probabilities[np.arange(len(part.targets)), part.targets.astype(np.int64)]


def entropy(part: Part) -> Floats:
    """The entropy of the prediction in nats, [n]: it does not depend on the target."""
    found: Floats = -(part.probabilities * _log(part.probabilities)).sum(axis=1)
    return found


def modified_entropy(part: Part) -> Floats:
    """-(1 - p_y) log p_y - sum over j != y of p_j log(1 - p_j), [n] (Song & Mittal, USENIX Security 2021).

    0 where the target y is certain, infinite where another class is: unlike the entropy it tells right from wrong.
    """
    probabilities = part.probabilities
    own = np.zeros(probabilities.shape, dtype=bool)
    own[np.arange(len(own)), part.targets.astype(np.int64)] = True
    terms = np.where(own, (1 - probabilities) * _log(probabilities), probabilities * _log(1 - probabilities))
    found: Floats = -terms.sum(axis=1)
    return found


def losses(part: Part) -> Floats:
    """The loss of each sample, [n]: cross-entropy over classes or candidates, or the squared error of a number."""
    if part.numbers:
        return np.square(part.outputs[:, 0] - part.targets.astype(np.float64))
    found: Floats = np.logaddexp(0, -part.margins)
    return found


def area(inside: Floats, outside: Floats) -> float:
    """The share of pairs in which the first number is the larger one, ties counted half: the area under the curve."""
    from scipy.stats import mannwhitneyu

    won = mannwhitneyu(inside, outside, method="asymptotic").statistic
    return float(won / (len(inside) * len(outside)))


def of_kept_classes(model: Model) -> NDArray[np.bool_]:
    """The test samples of classes that retain samples have, a mask: all, unless a class is forgotten.

    With label noise, retain samples of a forgotten class's label remain, and with them its test samples.
    """
    return _of_classes(model["test"], model["retain"])


def of_forgotten_classes(model: Model) -> NDArray[np.bool_]:
    """The test samples of classes that forget samples have, a mask: all, unless a class is forgotten."""
    return _of_classes(model["test"], model["forget"])


def _of_classes(test: Part, like: Part) -> NDArray[np.bool_]:
    if test.numbers:
        return np.ones(len(test.targets), dtype=bool)
    found: NDArray[np.bool_] = np.isin(test.targets, like.targets)
    return found


def _log(probabilities: Floats) -> Floats:
    return np.log(np.maximum(probabilities, SMALLEST))
