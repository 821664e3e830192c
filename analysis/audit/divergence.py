"""How far predictions for the forget set are from Retrain's, sample by sample."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from analysis.audit.outputs import Floats, Model
from analysis.audit.score import ModelScore


class JensenShannon(ModelScore):
    """The mean Jensen-Shannon divergence between a model's prediction and the same seed's Retrain's, in nats.

    From 0 to log 2; of forget samples, as in Chundawat et al., AAAI 2023 (Bad Teaching). Their code averages over
    samples and classes, so that it is smaller by the number of classes. Two Retrains differ as well: the floor is what
    is left.
    """

    name: ClassVar[str] = "js_divergence"
    label: ClassVar[str] = "JS"
    words: ClassVar[str] = "mean Jensen-Shannon divergence between the prediction for a forget sample and Retrain's"
    unit: ClassVar[str] = "nats"
    choices: ClassVar[bool] = True

    def of(self, model: Model, retrain: Model, original: Model | None) -> float:
        return float(jensen_shannon(model["forget"].probabilities, retrain["forget"].probabilities).mean())


class ActivationDistance(ModelScore):
    """The mean Euclidean distance between a model's probabilities and the same seed's Retrain's.

    From 0 to the root of 2; of forget samples (Golatkar et al., CVPR 2021, section 5).
    """

    name: ClassVar[str] = "activation_distance"
    label: ClassVar[str] = "act. dist."
    words: ClassVar[str] = "mean Euclidean distance between the probabilities of a forget sample and Retrain's"
    choices: ClassVar[bool] = True

    def of(self, model: Model, retrain: Model, original: Model | None) -> float:
        apart = model["forget"].probabilities - retrain["forget"].probabilities
        return float(np.linalg.norm(apart, axis=1).mean())


def jensen_shannon(one: Floats, other: Floats) -> Floats:
    """The Jensen-Shannon divergence between the rows of two arrays of probabilities, nats, [n]."""
    from scipy.special import rel_entr

    middle = (one + other) / 2
    found: Floats = (rel_entr(one, middle) + rel_entr(other, middle)).sum(axis=1) / 2
    return found
