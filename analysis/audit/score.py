"""What an audit measures: one number for a cohort, with its interval, its floor and its ceiling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from analysis.audit.cohort import Beside, Cohort
from analysis.audit.outputs import Floats, Model
from analysis.statistics.intervals import mean_interval
from analysis.statistics.jackknife import circle_interval, jackknife

NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval over originals.

    Attributes:
        value: NaN where there is none.
        low, high: NaN where there is no interval.
        note: why something is missing, or what else a reader must know.
        p: the probability of a value at least as far from what is expected after perfect unlearning, if that were
            so; NaN where nothing is known to be expected.
        per_seed: the numbers of each seed that the value is the mean of, [K]; None where it is no mean.
    """

    value: float
    low: float = NAN
    high: float = NAN
    note: str = ""
    p: float = NAN
    per_seed: Floats | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of_seeds(cls, values: Floats, unit: str = "") -> Estimate:
        """The mean of a number for each seed; the interval of percents ends at 0 and 100."""
        found = mean_interval(values, unit)
        return cls(found.mean, found.low, found.high, per_seed=values)


class Score(ABC):
    """A number that says how well models forgot. It has no state.

    Attributes:
        name: by which it is asked for, and under which it is stored.
        label, words, unit: as in `sweep.store.metrics.Metric`.
        parts: what must have been predicted.
        crossed: whether every seed must have forgotten the same samples.
        fewest: originals that it needs.
        choices: whether there must be several classes or candidates, as in `Part.choices`.
        expected: what perfect unlearning has on average; NaN where only the floor says.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    words: ClassVar[str]
    unit: ClassVar[str] = ""
    parts: ClassVar[tuple[str, ...]] = ("forget",)
    crossed: ClassVar[bool] = False
    fewest: ClassVar[int] = 1
    choices: ClassVar[bool] = False
    expected: float = NAN

    def missing(self, cohort: Cohort) -> str:
        """Why there is no number for a cohort; empty where there is one."""
        models = [model for each in cohort.sets for model in (*each.unlearned, *each.retrain)]
        if lacking := [part for part in self.parts if not all(part in model for model in models)]:
            return f"no predictions for {' and '.join(lacking)} data"
        if self.crossed and not cohort.crossed:
            return "seeds forget different samples"
        if len(cohort.seeds) < self.fewest:
            return f"needs {self.fewest} originals, there are {len(cohort.seeds)}"
        if self.choices and not cohort.sets[0].unlearned[0]["forget"].choices:
            return "it is for classes, or for several candidates"
        return ""

    def estimate(self, cohort: Cohort) -> Estimate:
        """The number for the unlearned models of a cohort."""
        missing = self.missing(cohort)
        return Estimate(NAN, note=missing) if missing else self.measured(cohort)

    @abstractmethod
    def measured(self, cohort: Cohort) -> Estimate:
        """The number for a cohort for which nothing is missing."""

    @abstractmethod
    def perfect(self, cohort: Cohort) -> Cohort | None:
        """A cohort that forgot perfectly: Retrains in the place of the unlearned models; None if there are too few."""

    def floor(self, cohort: Cohort) -> Estimate:
        """The number for perfect unlearning: Retrain against Retrain."""
        perfect = self.perfect(cohort)
        why = "too few originals" if cohort.crossed else "seeds forget different samples"
        return Estimate(NAN, note=why) if perfect is None else self.estimate(perfect)

    def ceiling(self, cohort: Cohort) -> Estimate:
        """The number for no unlearning at all: the original."""
        if any(each.original is None for each in cohort.sets):
            return Estimate(NAN, note="no originals of all these seeds")
        return self.estimate(cohort.of("original"))


class ScoreFailed(RuntimeError):
    """A score raised, which is its cause; the message is the score's name."""


class ModelScore(Score):
    """A number for each model; a cohort has their mean, with Student's t interval over originals.

    Its floor compares each Retrain with the next seed's in its place (`circle_interval`).
    """

    @abstractmethod
    def of(self, model: Model, retrain: Model, original: Model | None) -> float:
        """The number for one model beside those of the same seed."""

    def measured(self, cohort: Cohort) -> Estimate:
        values = self.per_seed(cohort)
        if unknown := len(values) - int(np.isfinite(values).sum()):
            return Estimate(NAN, note=f"no finite number in {unknown} of {len(values)} seeds")
        return Estimate.of_seeds(values, self.unit)

    def per_seed(self, cohort: Cohort) -> Floats:
        """The mean over folds for each seed, [K]."""
        found: Floats = np.mean([[*map(self.of, *_columns(each))] for each in cohort.sets], axis=0)
        return found

    def perfect(self, cohort: Cohort) -> Cohort | None:
        return next_seeds(cohort) if cohort.crossed else None

    def floor(self, cohort: Cohort) -> Estimate:
        found, skipping = super().floor(cohort), next_seeds(cohort, 2)
        if found.per_seed is None or skipping is None:
            return found
        interval = circle_interval(found.per_seed, self.per_seed(skipping)).within(self.unit)
        return replace(found, low=interval.low, high=interval.high)


class CohortScore(Score):
    """A number for all models of a cohort together; its interval is the delete-one-original jackknife's.

    Its floor compares one half of the Retrains with the other.
    """

    crossed: ClassVar[bool] = True

    @abstractmethod
    def of(self, cohort: Cohort) -> float:
        """The number for the unlearned models."""

    def measured(self, cohort: Cohort) -> Estimate:
        count = len(cohort.seeds)
        if count <= self.fewest:
            return Estimate(self.of(cohort))
        return Estimate(*jackknife(lambda places: self.of(cohort.take(places)), count))

    def perfect(self, cohort: Cohort) -> Cohort | None:
        return halves(cohort) if len(cohort.seeds) >= 2 * self.fewest else None


def next_seeds(cohort: Cohort, ahead: int = 1) -> Cohort | None:
    """The Retrain of the next seed, or of so many ahead, in the place of each unlearned model; None of one seed."""
    if len(cohort.seeds) < 2:
        return None
    sets = (replace(each, unlearned=each.retrain[ahead:] + each.retrain[:ahead]) for each in cohort.sets)
    return replace(cohort, sets=tuple(sets))


def halves(cohort: Cohort) -> Cohort:
    """The Retrains of every other seed as if they had unlearned, beside those of the seeds between."""
    even = cohort.take(range(0, len(cohort.seeds) - 1, 2))
    odd = cohort.take(range(1, len(cohort.seeds), 2))
    sets = (replace(each, unlearned=other.retrain) for each, other in zip(even.sets, odd.sets, strict=True))
    return replace(even, sets=tuple(sets))


def _columns(each: Beside) -> tuple[tuple[Model, ...], tuple[Model, ...], tuple[Model | None, ...]]:
    return each.unlearned, each.retrain, each.original or (None,) * len(each.unlearned)
