"""One method's search on one task: its definition, its suggestions, and Optuna's study, which is rebuilt from rows.

Only the rows of `suggestions` and `trials` last. The study lives in memory, or in an Optuna storage where others can
read it. When a search resumes, the study is made anew and told everything that the rows hold, in order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from optuna.trial import Trial as OptunaTrial

from sweep.plan.trials import Trial, describe, trial_for
from sweep.search.objective import Standing, pareto_front, standing
from sweep.search.sampler import PRUNERS, NumberedSampler
from sweep.spec.plugins import find_method
from sweep.spec.search_section import SearchSpec
from sweep.spec.space import Space, identifying, make_space
from sweep.store.content_ids import canonical_json, content_id
from sweep.store.status import Row, ended
from sweep.words import counted

NUMBER = "suggestion"
"""The user attribute of an Optuna trial that holds its suggestion's number."""


@dataclass(frozen=True)
class Suggestion:
    """A configuration that a study tries.

    Attributes:
        study: the study's name.
        number: counts the study's suggestions from 0.
        params: all hyperparameters that are part of its trials' identities.
        trials: one for each search seed, in the order in which they run.
        confirm_trial_ids: ids of its trials on the confirmation seeds; empty unless it was confirmed.
        suggested_at: when the sampler suggested it.
    """

    study: str
    number: int
    params: dict[str, Any]
    trials: tuple[Trial, ...]
    confirm_trial_ids: tuple[str, ...]
    suggested_at: datetime


@dataclass(frozen=True)
class Definition:
    """What determines a study.

    Attributes:
        method: the method's name.
        task_id: the task (dataset, model, training, forget set) that the method is tuned on.
        space: what the sampler draws from.
        retrain: for each search seed the trial of Retrain that objectives are measured against.
        objectives: what is minimised.
        search: the spec's section, with sampler, pruner and budget.
    """

    method: str
    task_id: str
    space: Space
    retrain: tuple[Trial, ...]
    objectives: tuple[str, ...]
    search: SearchSpec

    @property
    def budget(self) -> int:
        """How many suggestions the study makes at most."""
        return self.search.trials

    @property
    def least(self) -> int:
        """How many suggestions the study makes at least."""
        return self.search.trials if self.search.compute is None else 1

    @property
    def amount(self) -> str:
        """The budget in words."""
        if self.search.compute is None:
            return counted(self.search.trials, "suggestion")
        return f"the passes of {self.search.compute:g} Retrains"

    @property
    def name(self) -> str:
        """`<method>-<hash>`: 8 hexadecimal digits of everything that determines the suggestions and their values."""
        method = find_method(self.method)
        identity = {
            "task_id": self.task_id,
            "method": {"name": self.method, "version": method.version},
            "fixed": identifying(method, self.space.fixed),
            "space": self.space.description(),
            "seeds": [trial.seed for trial in self.retrain],
            "objectives": list(self.objectives),
            "sampler": self.search.sampler,
            "sampler_seed": self.search.sampler_seed,
        }
        return f"{re.sub(r'[^A-Za-z0-9._-]', '-', self.method)}-{content_id(canonical_json(identity))[:8]}"

    def trials(self, params: Mapping[str, Any], seeds: Sequence[Trial]) -> tuple[Trial, ...]:
        """The trials of a configuration, one for each Retrain trial in `seeds`, with that trial's seed and task."""
        kind = find_method(self.method)
        method = {"name": self.method, "version": kind.version, "params": identifying(kind, params)}
        return tuple(trial_for(describe(trial) | {"method": method}, self.name) for trial in seeds)


def define_studies(search: SearchSpec, retrain: Mapping[str, tuple[Trial, ...]]) -> list[Definition]:
    """The studies of a spec's search, each once: every method on every task.

    Args:
        retrain: by task id, the trials of Retrain on the search seeds, in their order.
    """
    found: dict[str, Definition] = {}
    for entry in search.methods:
        space = make_space(entry.name, find_method(entry.name), entry.entry)
        for task_id, trials in retrain.items():
            definition = Definition(entry.name, task_id, space, trials, tuple(search.objective), search)
            found.setdefault(definition.name, definition)
    return list(found.values())


class Study:
    """A study under way: its suggestions, and Optuna's study of them.

    Args:
        definition: what determines it.
        suggestions: rows of `suggestions`; those of other studies are ignored.
        rows: rows of `trials` by id; the caller adds those of trials that end.
        sweep: name of the sweep, for new rows.
        storage: where Optuna's study lives; None: in memory. A study of the same name there is replaced.

    Attributes:
        suggestions: by number.
        stored: numbers of the suggestions that have a row.
    """

    def __init__(
        self,
        definition: Definition,
        suggestions: Sequence[Row],
        rows: Mapping[str, Row],
        sweep: str,
        storage: BaseStorage | None = None,
    ) -> None:
        self.definition = definition
        self.name = definition.name
        self.suggestions: dict[int, Suggestion] = {}
        self.stored: set[int] = set()
        self._rows = rows
        self._sweep = sweep
        self._numbers: dict[int, int] = {}
        self._optuna_trials: dict[int, OptunaTrial] = {}
        seed = f"{self.name} {definition.search.sampler_seed}"
        self._sampler = NumberedSampler(definition.search.sampler, seed, self._number)
        storage = storage or InMemoryStorage()
        if self.name in optuna.get_all_study_names(storage):
            optuna.delete_study(study_name=self.name, storage=storage)
        self.optuna = optuna.create_study(
            storage=storage,
            study_name=self.name,
            sampler=self._sampler,
            pruner=PRUNERS[definition.search.pruner_name](),
            directions=["minimize"] * len(definition.objectives),
        )
        for row in sorted((row for row in suggestions if row["study"] == self.name), key=lambda row: row["number"]):
            self.suggestions[row["number"]] = self._stored(row)
        self.stored = set(self.suggestions)
        self._replay()

    @property
    def references(self) -> list[Row]:
        """For each search seed the row of Retrain."""
        return [self._rows[trial.id] for trial in self.definition.retrain]

    @property
    def limit(self) -> int:
        """How many suggestions there will be, as far as is known: with `compute` one more while some of it is left."""
        search = self.definition.search
        if search.compute is None:
            return search.trials
        spent, limit = 0.0, 0
        for number in sorted(self.suggestions):
            if spent >= search.compute:
                return number
            spent, limit = spent + self.compute(number), number + 1
        return min(search.trials, limit + (spent < search.compute))

    def compute(self, number: int) -> float:
        """The passes of a suggestion's trials, in those of Retrain of the same seed.

        A trial that has not ended counts as the mean of those that have or, while none has, as Retrain. A trial that
        failed counts as Retrain, if its passes are not known. One that a pruner gave up, and that was not run, counts
        as 0.
        """
        return passes_relative(self.rows(self.suggestions[number]), self.references)

    @property
    def spent(self) -> float:
        """How much of `budget` is spent: suggestions that ended, or passes in those of Retrain."""
        if self.definition.search.compute is None:
            return len(self.finished())
        return round(sum(self.compute(suggestion.number) for suggestion in self.wanted()), 1)

    @property
    def left(self) -> float:
        """The share of the budget that no suggestion has yet."""
        if self.definition.search.compute is None:
            return self.unasked / self.definition.search.trials
        return 1 - self.spent / self.definition.search.compute

    @property
    def unasked(self) -> int:
        """How many suggestions `ask` has still to give: unfinished ones of an earlier run, and new ones."""
        limit = self.limit
        begun = sum(number < limit for number in self._optuna_trials)
        return max(0, limit - begun)

    def wanted(self) -> list[Suggestion]:
        """The suggestions within the budget."""
        limit = self.limit
        return [found for number, found in self.suggestions.items() if number < limit]

    @property
    def ended(self) -> bool:
        """Whether as many suggestions as the budget allows were made, and all have ended."""
        ends = [self.standing(found.number).state for found in self.wanted()]
        return len(ends) == self.limit and "unfinished" not in ends

    def rows(self, suggestion: Suggestion) -> list[Row | None]:
        """For each search seed the row of the suggestion's trial, where there is one."""
        return [self._rows.get(trial.id) for trial in suggestion.trials]

    def ask(self) -> Suggestion:
        """The next suggestion: first the unfinished ones of an earlier run, then new ones."""
        optuna_trial = self.optuna.ask()
        number = self._numbers[optuna_trial.number]
        optuna_trial.set_user_attr(NUMBER, number)
        params = self.definition.space.suggest(optuna_trial)
        self._optuna_trials[number] = optuna_trial
        if number not in self.suggestions:
            trials = self.definition.trials(params, self.definition.retrain)
            stored = describe(trials[0])["method"]["params"]
            self.suggestions[number] = Suggestion(self.name, number, stored, trials, (), datetime.now(UTC))
        return self.suggestions[number]

    def report(self, number: int, step: int, value: float) -> None:
        """Tell Optuna the mean of the only objective over the first `step` seeds."""
        if step not in self.frozen(number).intermediate_values:
            self._optuna_trials[number].report(value, step)

    def hopeless(self, number: int) -> bool:
        """Whether the pruner gives the suggestion up, and a seed is left that has not ended."""
        if all(ended(row) for row in self.rows(self.suggestions[number])):
            return False
        return self.optuna.pruner.prune(self.optuna, self.frozen(number))

    def tell(self, number: int) -> None:
        """Tell Optuna how a suggestion ended, by its rows."""
        values, state = self.verdict(number)
        self.optuna.tell(self._optuna_trials[number].number, values, state)

    def verdict(self, number: int) -> tuple[tuple[float, ...] | None, TrialState]:
        """A suggestion's values, if it is complete, and its state in Optuna's terms."""
        found = self.standing(number)
        return found.values, STATES[found.state]

    def standing(self, number: int) -> Standing:
        """How far a suggestion has come."""
        rows = self.rows(self.suggestions[number])
        return standing(rows, self.references, self.definition.objectives)

    def best(self) -> list[Suggestion]:
        """The complete suggestion with the lowest value, or the Pareto front of the complete ones; may be empty."""
        values = {found.number: self.standing(found.number).values for found in self.wanted()}
        complete = {number: value for number, value in values.items() if value is not None}
        if self.definition.search.confirms_front:
            return [self.suggestions[number] for number in pareto_front(complete)]
        return [self.suggestions[min(complete, key=lambda number: (complete[number], number))]] if complete else []

    def named(self, values: Sequence[float]) -> str:
        """Values of the objectives as text."""
        return ", ".join(f"{name} {value:.2f}" for name, value in zip(self.definition.objectives, values, strict=True))

    def drawn(self, suggestion: Suggestion) -> str:
        """The hyperparameters of a suggestion that were drawn, as text."""
        return ", ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.definition.space.drawn(suggestion.params).items()
        )

    def row(self, suggestion: Suggestion) -> dict[str, Any]:
        """The suggestion's row in `suggestions`."""
        definition = self.definition
        return {
            "study": self.name,
            "sweep": self._sweep,
            "method": definition.method,
            "task_id": definition.task_id,
            "number": suggestion.number,
            "params": json.dumps(suggestion.params, sort_keys=True),
            "space": json.dumps(definition.space.description(), sort_keys=True),
            "sampler": definition.search.sampler,
            "objectives": list(definition.objectives),
            "trial_ids": [trial.id for trial in suggestion.trials],
            "confirm_trial_ids": list(suggestion.confirm_trial_ids),
            "suggested_at": suggestion.suggested_at,
        }

    def confirmed(self, number: int, trials: Sequence[Trial]) -> Suggestion:
        """Add the trials that confirm a suggestion to those that it has; return the suggestion."""
        suggestion = self.suggestions[number]
        ids = dict.fromkeys([*suggestion.confirm_trial_ids, *(trial.id for trial in trials)])
        self.suggestions[number] = replace(suggestion, confirm_trial_ids=tuple(ids))
        return self.suggestions[number]

    def finished(self) -> list[int]:
        """Numbers of the suggestions whose end Optuna was told."""
        return [number for number in self._optuna_trials if self.frozen(number).state.is_finished()]

    def frozen(self, number: int) -> FrozenTrial:
        """Optuna's record of a suggestion."""
        return self.optuna.get_trials(deepcopy=False)[self._optuna_trials[number].number]

    def _stored(self, row: Row) -> Suggestion:
        params = json.loads(row["params"])
        trials = self.definition.trials(params, self.definition.retrain)
        confirmed = tuple(row["confirm_trial_ids"])
        return Suggestion(self.name, row["number"], params, trials, confirmed, row["suggested_at"])

    def _replay(self) -> None:
        """Tell Optuna of every stored suggestion: how a finished one went, and to try an unfinished one next."""
        unfinished = []
        self._sampler.replaying = True
        for number, suggestion in self.suggestions.items():
            found = self.standing(number)
            if found.state == "unfinished":
                unfinished += [number] if number < self.limit else []
                continue
            self._enqueue(suggestion)
            self.ask()
            if len(self.definition.objectives) == 1:
                for step, (value,) in enumerate(found.means, start=1):
                    self.report(number, step, value)
                    self.optuna.pruner.prune(self.optuna, self.frozen(number))  # ASHA stores its rungs in the study
            self.tell(number)
        self._sampler.replaying = False
        for number in unfinished:
            self._enqueue(self.suggestions[number])

    def _enqueue(self, suggestion: Suggestion) -> None:
        self._numbers[len(self.optuna.get_trials(deepcopy=False))] = suggestion.number
        self.optuna.enqueue_trial(self.definition.space.drawn(suggestion.params))

    def _number(self, optuna_trial: FrozenTrial) -> int:
        """The number of the suggestion that an Optuna trial is; a new trial gets the first free number."""
        if optuna_trial.number not in self._numbers:
            taken = set(self.suggestions) | set(self._numbers.values())
            self._numbers[optuna_trial.number] = next(number for number in range(len(taken) + 1) if number not in taken)
        return self._numbers[optuna_trial.number]


def passes_relative(rows: Sequence[Row | None], retrain: Sequence[Row]) -> float:
    """The passes of a suggestion's trials, in those of Retrain of the same seed, as `Study.compute` counts them."""
    counted, unknown = [], 0
    for row, reference in zip(rows, retrain, strict=True):
        whole = reference["samples_processed"]
        if row is None:
            unknown += 1
        elif ended(row):
            counted.append(row["samples_processed"] / whole if row["samples_processed"] is not None and whole else 1.0)
    return sum(counted) + unknown * (sum(counted) / len(counted) if counted else 1.0)


STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "unfinished": TrialState.FAIL,
}
