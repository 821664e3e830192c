"""One method's unlearned models of every seed, beside Retrain and the original of the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.audit.outputs import Floats, Integers, Model, read_model
from analysis.audit.tasks import folds, whole_tasks
from analysis.reading.selection import WITHIN_TASK, ended_ok
from sweep.store.columns import REFERENCES
from sweep.store.results import Results

LEAST_SHARED = 0.1


@dataclass(frozen=True, eq=False)
class Beside:
    """Models of one forget set (of each seed), in the order of the cohort's seeds; K of each.

    Attributes:
        unlearned: the method's.
        retrain: trained anew without the forget set.
        original: trained with it; None where there are none.
        untrained: the networks as they were built; None where there are none.
    """

    unlearned: tuple[Model, ...]
    retrain: tuple[Model, ...]
    original: tuple[Model, ...] | None
    untrained: tuple[Model, ...] | None = None

    def of_all(self, change: Callable[[tuple[Model, ...]], tuple[Model, ...]]) -> Beside:
        """The same with all models of a kind changed together."""
        return Beside(**{who: models and change(models) for who, models in vars(self).items()})

    def with_samples(self, samples: Integers) -> Beside:
        """The same with only these of the forgotten samples."""

        def only(model: Model) -> Model:
            return {**model, "forget": model["forget"].subset(np.isin(model["forget"].samples, samples))}

        return self.of_all(lambda models: tuple(map(only, models)))


@dataclass(frozen=True, eq=False)
class Cohort:
    """Models of K seeds. A seed is an original: what is unlearned from one original is one observation.

    Attributes:
        task: what the models' trials share, without the fold; trials with the same one are compared.
        task_ids: of the folds, in the order of `sets`.
        method, params: as in `trials`.
        seeds: [K].
        sets: the folds that were forgotten in turn; one where there are no folds.
    """

    task: str
    task_ids: tuple[str, ...]
    method: str
    params: str
    seeds: tuple[int, ...]
    sets: tuple[Beside, ...]

    @cached_property
    def crossed(self) -> bool:
        """Whether every seed forgets the same samples, so that models can be compared sample by sample."""
        return all(
            np.array_equal(model["forget"].samples, each.unlearned[0]["forget"].samples)
            for each in self.sets
            for model in (*each.unlearned, *each.retrain, *(each.original or ()))
        )

    @property
    def task_id(self) -> str:
        """Of the first fold."""
        return self.task_ids[0]

    @property
    def samples(self) -> Integers:
        """The forgotten samples of all folds, one after the other, [n]; only where `crossed`."""
        return np.concatenate([each.unlearned[0]["forget"].samples for each in self.sets])

    def margins(self, who: str, part: str = "forget") -> Floats:
        """The margins of the models `who` (unlearned, retrain, original) on a part, folds one after the other, [K, n].

        Only where the part has the same samples in every seed.
        """
        columns = [np.stack([model[part].margins for model in getattr(each, who)]) for each in self.sets]
        return np.concatenate(columns, axis=1)

    def right(self, who: str) -> NDArray[np.bool_]:
        """Which forgotten samples the models `who` answer rightly, [K, n], as `margins`."""
        columns = [np.stack([model["forget"].right for model in getattr(each, who)]) for each in self.sets]
        return np.concatenate(columns, axis=1)

    def take(self, places: Sequence[int] | Integers) -> Cohort:
        """The cohort of these of its seeds, by their places."""
        sets = []
        for each in self.sets:
            sets.append(each.of_all(lambda models: tuple(models[place] for place in places)))
        return replace(self, seeds=tuple(self.seeds[place] for place in places), sets=tuple(sets))

    def where(self, chosen: NDArray[np.bool_]) -> Cohort:
        """The cohort with only these of its forgotten samples: a mask [n] of `samples`."""
        sets, start = [], 0
        for each in self.sets:
            end = start + len(each.unlearned[0]["forget"].samples)
            sets.append(each.with_samples(each.unlearned[0]["forget"].samples[chosen[start:end]]))
            start = end
        return replace(self, sets=tuple(sets))

    def common(self) -> Cohort:
        """The cohort with only those samples that every seed forgets: seeds hold out different validation samples.

        As it is where a seed shares less than `LEAST_SHARED` of its forgotten samples with all others.
        """
        if self.crossed:
            return self
        sets = []
        for each in self.sets:
            models = (*each.unlearned, *each.retrain, *(each.original or ()))
            forgotten = [model["forget"].samples for model in models]
            shared = reduce(np.intersect1d, forgotten)
            if len(shared) < LEAST_SHARED * max(map(len, forgotten)):
                return self
            sets.append(each.with_samples(shared))
        return replace(self, sets=tuple(sets))

    def of(self, who: str) -> Cohort:
        """The same with the models `who` (retrain, original) in the place of the unlearned ones."""
        return replace(self, sets=tuple(replace(each, unlearned=getattr(each, who)) for each in self.sets))


def cohorts(
    directory: str, trials: pd.DataFrame, unread: Callable[[str], None] = lambda trial_id: None
) -> Iterator[Cohort]:
    """Every task's methods and configurations, Original and Retrain among them, whose predictions are stored.

    A seed counts where, in every fold, the trial and Retrain ended ok and what they predict can be read; originals,
    and networks without training, are there where they are of all these seeds.

    Args:
        trials: as `read_frames` gives them.
        unread: is called with the id of each trial whose predictions are missing, damaged, or without the forget set.
    """
    results = Results(directory)
    ok = ended_ok(trials)
    ok = ok[ok["n_predictions"] > 0]
    ok = ok.assign(whole=whole_tasks(ok))
    for task, rows in ok.groupby("whole", sort=False):
        references = _Models(results, rows[rows["method"].isin(REFERENCES)], unread)
        for (name, params), own in rows.groupby(WITHIN_TASK, sort=False):
            method = str(name)
            models = references if method in REFERENCES else _Models(results, own, unread)
            seeds = [
                seed
                for seed in sorted(set(own["seed"]))
                if all(models.of(method, fold, seed) and references.of("retrain", fold, seed) for fold in models.folds)
            ]
            if seeds:
                sets = tuple(_beside(models, references, method, fold, seeds) for fold in models.folds)
                yield Cohort(str(task), tuple(models.folds), method, str(params), tuple(seeds), sets)


class _Models:
    """Models of some trials of a task, read once each."""

    def __init__(self, results: Results, trials: pd.DataFrame, unread: Callable[[str], None]) -> None:
        self._results, self._unread = results, unread
        self._ids = {(row.method, row.task_id, row.seed): str(row.trial_id) for row in trials.itertuples()}
        self._read: dict[str, Model | None] = {}
        self.folds = folds(trials)

    def of(self, method: str, fold: str, seed: int) -> Model | None:
        trial_id = self._ids.get((method, fold, seed))
        if trial_id is not None and trial_id not in self._read:
            model = read_model(self._results, trial_id)
            self._read[trial_id] = model if model and "forget" in model else None
            if self._read[trial_id] is None:
                self._unread(trial_id)
        return self._read.get(trial_id or "")


def _beside(models: _Models, references: _Models, method: str, fold: str, seeds: list[int]) -> Beside:
    unlearned, retrain, original, untrained = (
        tuple(model for seed in seeds if (model := read.of(name, fold, seed)) is not None)
        for read, name in ((models, method), *((references, name) for name in ("retrain", "original", "untrained")))
    )
    whole = [each if len(each) == len(seeds) else None for each in (original, untrained)]
    return Beside(unlearned, retrain, *whole)
