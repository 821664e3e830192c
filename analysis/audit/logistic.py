"""An attack by logistic regression on the loss."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from analysis.audit import signals
from analysis.audit.outputs import Floats, Model
from analysis.audit.single import SingleScore

SPLITS = 10


class LossAttack(SingleScore):
    """How well a model's loss tells forget from test samples: the mean AUC over ten held-out parts.

    Logistic regression, cross-validated, stratified, the parts drawn with a fixed seed: the attack of the starting kit
    of the NeurIPS 2023 unlearning competition and of Deep Unlearn (Cadet et al., 2024), which give its accuracy on
    equally many of either. The regression may take either sign, so 0.5 is the least to be expected, and what lies below
    is chance. Where a class is forgotten, test samples are of that class. Retrain's own is the target: labels with
    noise are in the forget and not in the test set, and tell them apart without any memory.
    """

    name: ClassVar[str] = "loss_auc"
    label: ClassVar[str] = "LR-AUC"
    words: ClassVar[str] = "area under the curve of a logistic regression that tells forget from test data by the loss"
    parts: ClassVar[tuple[str, ...]] = ("retain", "forget", "test")

    def of(self, model: Model, retrain: Model, original: Model | None) -> float:
        test = model["test"].subset(signals.of_forgotten_classes(model))
        return cross_validated(signals.losses(model["forget"]), signals.losses(test))


def cross_validated(forget: Floats, test: Floats) -> float:
    """The mean AUC over held-out parts; NaN where there are fewer than two of either.

    An AUC depends on the order of the scores alone. Those of a regression on one number are in the number's order, or
    in the reverse one where its slope is negative; and the slope, regularised or not, has the sign of the difference of
    the means. So nothing need be fitted.
    """
    from sklearn.model_selection import StratifiedKFold

    splits = min(SPLITS, len(forget), len(test))
    if splits < 2:
        return float("nan")
    seen = np.concatenate([forget, test])
    members = np.repeat([True, False], [len(forget), len(test)])
    areas = []
    for fitted, held_out in StratifiedKFold(splits, shuffle=True, random_state=0).split(seen, members):
        inside = members[fitted]
        slope = np.sign(seen[fitted][inside].mean() - seen[fitted][~inside].mean())
        left = slope * seen[held_out]
        areas.append(signals.area(left[members[held_out]], left[~members[held_out]]))
    return float(np.mean(areas))
