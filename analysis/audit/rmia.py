"""The robust membership inference attack."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from analysis.audit import signals
from analysis.audit.outputs import Floats, Model
from analysis.audit.score import ModelScore

A = 0.3
GAMMA = 1.0


class RMIA(ModelScore):
    """How well the offline RMIA tells forget from test samples: its AUC, with one reference model.

    RMIA (Zarifzadeh et al., ICML 2024) gives x the share of population samples z with

        (p(x) / p'(x)) / (p(z) / p'(z)) >= gamma,    p' = ((1 + a) p_out + 1 - a) / 2
    . p is the probability of the target under the unlearned model, p_out that under the same seed's Retrain, which
    knows neither x nor z; z are all test samples. gamma = 1 and a = 0.3, the defaults of the authors' code, stay fixed:
    nothing is tuned on what is judged. With one reference and gamma = 1 the AUC is that of p / p', but for ties. 0.5
    where forgotten and test samples moved away from Retrain alike; below where it is less sure of the forgotten ones.
    Where a class is forgotten, the test samples that forget samples are told from are of it.
    """

    name: ClassVar[str] = "rmia_auc"
    label: ClassVar[str] = "RMIA"
    words: ClassVar[str] = "area under the curve of RMIA, with the same seed's Retrain as its reference"
    parts: ClassVar[tuple[str, ...]] = ("retain", "forget", "test")
    choices: ClassVar[bool] = True

    def of(self, model: Model, retrain: Model, original: Model | None) -> float:
        others = signals.of_forgotten_classes(model)
        if not others.any():
            return float("nan")
        population = ratios(model, retrain, "test")
        won = dominated(population, population)
        return signals.area(dominated(ratios(model, retrain, "forget"), population), won[others])


def ratios(model: Model, retrain: Model, part: str) -> Floats:
    """P / p' of each sample of a part, [n]."""
    mean = ((1 + A) * signals.confidence(retrain[part]) + 1 - A) / 2
    return signals.confidence(model[part]) / mean


def dominated(seen: Floats, population: Floats) -> Floats:
    """For each ratio the share of the population's that are at most 1 / `GAMMA` of it, [n]."""
    return np.searchsorted(np.sort(population), seen / GAMMA, side="right") / len(population)
