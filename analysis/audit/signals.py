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
    """The test samples that are not of the forgotten class, a mask: all, unless a class is forgotten."""
    forgotten = forgotten_class(model)
    return np.ones(len(model["test"].targets), dtype=bool) if forgotten is None else model["test"].targets != forgotten


def of_forgotten_classes(model: Model) -> NDArray[np.bool_]:
    """The test samples that are like the forget samples, a mask: all, or those of the class that is forgotten."""
    forgotten = forgotten_class(model)
    return np.ones(len(model["test"].targets), dtype=bool) if forgotten is None else model["test"].targets == forgotten


def forgotten_class(model: Model) -> int | None:
    """The class that is forgotten: the most frequent one of the forget set, if it is rare among retain samples.

    That is, less than half as frequent as among test samples: with label noise some retain samples bear its label.
    """
    retain, forget, test = (model[part] for part in ("retain", "forget", "test"))
    if not forget.choices:
        return None
    label = int(np.bincount(forget.targets.astype(np.int64)).argmax())
    kept, there = (float(np.mean(part.targets == label)) for part in (retain, test))
    return label if kept < there / 2 else None


def _log(probabilities: Floats) -> Floats:
    return np.log(np.maximum(probabilities, SMALLEST))
