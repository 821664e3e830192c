"""What is left of a search, as far as that is known before its next suggestion: how many trials, and how long."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna

from sweep.engine.forecast import Forecast
from sweep.engine.schedule import GridSchedule
from sweep.plan.check import Checked
from sweep.plan.passes import passes_of
from sweep.plan.pending import NOTHING, Again
from sweep.plan.trials import Trial
from sweep.search.definition import Definition
from sweep.search.objective import standings
from sweep.search.plan import Plan, to_run, within_budget
from sweep.search.study import passes_relative
from sweep.store.original_labels import stored_originals
from sweep.store.results import Results
from sweep.store.status import Row, ended
from sweep.words import counted

DRAWS = 32
"""Configurations over which the passes of a suggestion are averaged beforehand."""


@dataclass(frozen=True)
class Part:
    """A part of a search.

    Attributes:
        words: what it is.
        trials: how many it has at most; pruning spares some.
        done: how many of them need not be run any more.
    """

    words: str
    trials: int
    done: int


class Expected:
    """What is left of a search.

    Args:
        plan: of the search.
        rows: stored rows of `trials` by id.
        suggestions: stored rows of `suggestions`.
        checked: of the spec.
        again: which trials are run again though they have a row.
    """

    def __init__(
        self,
        plan: Plan,
        rows: Mapping[str, Row],
        suggestions: Sequence[Row],
        checked: Checked,
        again: Again = NOTHING,
    ) -> None:
        self._plan = plan
        self._checked = checked
        self._rows = rows
        self._again = again
        self._stands = standings(suggestions, [*rows.values()])
        self._suggestions = suggestions

    def parts(self) -> list[Part]:
        """The parts of the search, in the order in which they run."""
        plan = self._plan
        found = [self._known("retrain on the search's seeds", plan.references)]
        for method, studies in self._by_method().items():
            each = studies[0]
            seeds = f" x {counted(len(each.retrain), 'seed')}" if each.search.compute is None else ""
            times = f"{len(studies)} x " if len(studies) > 1 else ""
            words = f"{method}: {times}{each.amount}{seeds}"
            left, done = sum(map(self.left, studies)), sum(map(self._done, studies))
            found.append(Part(words, left + done, done))
        for method, studies in self._by_method().items():
            best = [trial for study in studies for trial in self.confirming(study)]
            done = sum(self._confirmed(study) for study in studies)
            found.append(Part(f"{method}: its best on other seeds", len(best), done))
        for method in dict.fromkeys(trial.method for trial in plan.baselines):
            trials = [trial for trial in plan.baselines if trial.method == method]
            found.append(self._known(f"{method} on these seeds", trials))
        return found

    def add_to(self, forecast: Forecast, results: Results) -> Forecast:
        """Let a forecast expect all that is left; return the forecast."""
        plan = self._plan
        confirming = [trial for study in plan.studies if not self._confirmed(study) for trial in self.confirming(study)]
        known = [*filter(self._to_run, [*plan.references, *plan.baselines]), *confirming]
        stored = stored_originals(results, [trial.original_id for trial in (*known, *plan.originals)])
        forecast.expect(GridSchedule(known, stored, plan.originals).jobs)
        for study in plan.studies:
            forecast.expect_drawn(study.method, study.name, self.left(study), mean_passes(study, self._checked))
        return forecast

    def left(self, study: Definition) -> int:
        """How many trials of a study's suggestions are to be run: at most, or with `compute` about so many."""
        if study.search.compute is None:
            return study.budget * len(study.retrain) - self._done(study)
        each = mean_passes(study, self._checked)
        whole = passes_of(study.retrain[0], self._checked) or 0.0
        share = len(study.retrain) * (each / whole if each and whole else 1.0)
        left = study.search.compute - self._spent(study)
        return 0 if left <= 0 else math.ceil(left / share) * len(study.retrain)

    def _done(self, study: Definition) -> int:
        """How many trials of a study's suggestions need not be run any more."""
        done = 0
        for suggestion in self._of(study):
            state = self._stands[study.name, suggestion["number"]].state
            ids = suggestion["trial_ids"]
            done += sum(ended(self._rows.get(each)) for each in ids) if state == "unfinished" else len(ids)
        return done

    def _spent(self, study: Definition) -> float:
        """The passes of a study's suggestions, in those of Retrain."""
        retrain = [self._rows.get(trial.id) for trial in study.retrain]
        known = [row for row in retrain if row is not None]
        if len(known) < len(retrain):
            return 0.0
        ran = ([self._rows.get(name) for name in each["trial_ids"]] for each in self._of(study))
        return sum(passes_relative(rows, known) for rows in ran)

    def confirming(self, study: Definition) -> tuple[Trial, ...]:
        """Trials like those that will confirm a study's best suggestion, with the method's defaults."""
        retrain = [each for each in self._plan.baselines if each.method == "retrain" and each.task_id == study.task_id]
        return study.trials(study.space.defaults | study.space.fixed, retrain)

    def _confirmed(self, study: Definition) -> int:
        """How many trials that confirm a study's best suggestion have ended; none while suggestions are to be run."""
        if self.left(study):
            return 0
        confirmed = (each["confirm_trial_ids"] for each in self._of(study))
        ends = [sum(ended(self._rows.get(name)) for name in ids) for ids in confirmed]
        return min(max(ends, default=0), len(self.confirming(study)))

    def _of(self, study: Definition) -> list[Row]:
        """The stored suggestions of a study within its budget."""
        return within_budget([study], self._suggestions)

    def _by_method(self) -> dict[str, list[Definition]]:
        found: dict[str, list[Definition]] = {}
        for study in self._plan.studies:
            found.setdefault(study.method, []).append(study)
        return found

    def _known(self, words: str, trials: Sequence[Trial]) -> Part:
        return Part(words, len(trials), sum(not self._to_run(trial) for trial in trials))

    def _to_run(self, trial: Trial) -> bool:
        return to_run(trial, self._rows.get(trial.id), self._again)


def mean_passes(study: Definition, checked: Checked) -> float | None:
    """The mean passes of a study's trials if it drew at random; None where its method does not say what it costs."""
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    counted = [
        passes_of(study.trials(study.space.suggest(drawn.ask()), study.retrain[:1])[0], checked) for _ in range(DRAWS)
    ]
    known = [each for each in counted if each is not None]
    return sum(known) / len(known) if len(known) == len(counted) else None
