"""The schedule of a search: it asks Optuna for suggestions, and hands out the seeds of each as ordinary trials."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import replace

from sweep.engine.driver import Driver
from sweep.engine.schedule import Schedule
from sweep.plan.trials import Trial
from sweep.search.optuna_storage import storage_needed
from sweep.search.study import Study, Suggestion
from sweep.store.status import Row, ended
from sweep.trial.job import Job, Outcome
from sweep.words import counted


class SuggestionSchedule(Schedule):
    """Hands out the trials of several studies at once.

    The seeds of a suggestion follow one another; between two of them Optuna's pruner may give the suggestion up.

    Args:
        studies: the studies.
        rows: rows of `trials` by id, which the studies read; this schedule adds the rows of trials that end.
        driver: stores and shows how trials ended that were not run.
        again: ids of trials to run again: results hold a row of each, `rows` does not.
    """

    def __init__(
        self,
        studies: Sequence[Study],
        rows: MutableMapping[str, Row],
        driver: Driver,
        again: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self._studies = {study.name: study for study in studies}
        self._rows = rows
        self._driver = driver
        self._results = driver.results
        self._progress = driver.progress
        self._again = set(again)
        self._held: deque[Suggestion] = deque()
        self._ready: deque[Suggestion] = deque()
        self._out: dict[str, Suggestion] = {}
        self._steps: dict[tuple[str, int], int] = {}
        for study in studies:
            known = [study.standing(number) for number in study.finished()]
            values = [found.values[0] for found in known if found.values is not None and len(found.values) == 1]
            compute = study.definition.search.compute
            self._progress.study(study.name, compute or study.limit, study.spent, min(values, default=None))
            if compute is None:  # else nobody knows how many there will be
                self._progress.expect(trials=study.unasked * len(study.definition.retrain))

    def next(self) -> Job | None:
        """The next seed of a suggestion that is under way, else the first seed of another."""
        with storage_needed():
            while not self._stopped:
                suggestion = self._ready.popleft() if self._ready else self._begin_another()
                if suggestion is None:
                    return None
                if (trial := self._next_seed(suggestion)) is not None:
                    self._out[trial.id] = suggestion
                    return Job(trial)
            return None

    def back(self, job: Job) -> None:
        """Hand out a seed again, unless its row was stored before its process died."""
        self._read(job.trial.id)
        self._ready.appendleft(self._out.pop(job.trial.id))

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Tell Optuna the result of a seed, and give the suggestion up if the pruner says so."""
        self._read(job.trial.id)
        if job.trial.id not in self._rows:
            raise OSError(f"{self._results.location}: the row of trial {job.trial.id} cannot be read")
        suggestion = self._out.pop(job.trial.id)
        with storage_needed():
            if not self._seed_ended(suggestion):
                self._ready.append(suggestion)

    def _exhausted(self) -> bool:
        waiting = self._out or self._ready or self._held
        return not waiting and all(study.unasked == 0 for study in self._studies.values())

    def _begin_another(self) -> Suggestion | None:
        """A suggestion that is not under way: one that was held back, else one of the study that is furthest behind.

        A suggestion that shares trials with one under way is held back until that one has ended.
        """
        for held in list(self._held):
            if not self._shares_trials(held):
                self._held.remove(held)
                return self._begin(held)
        while waiting := [study for study in self._studies.values() if study.unasked]:
            study = max(waiting, key=lambda study: study.left)
            suggestion = study.ask()
            if study.definition.search.compute is not None:
                self._progress.expect(trials=len(suggestion.trials))
            if not self._shares_trials(suggestion):
                return self._begin(suggestion)
            self._write(suggestion)
            self._held.append(suggestion)
        return None

    def _begin(self, suggestion: Suggestion) -> Suggestion:
        self._write(suggestion)
        self._mark_for_repetition(suggestion)
        self._steps[suggestion.study, suggestion.number] = 0
        self._progress.suggestion_began(suggestion.study)
        return suggestion

    def _next_seed(self, suggestion: Suggestion) -> Trial | None:
        """The suggestion's next trial that has not ended; None if the suggestion ends before it gets to one.

        Seeds whose rows are stored already count as if they ended now.
        """
        while True:
            trial = suggestion.trials[self._steps[suggestion.study, suggestion.number]]
            if not ended(self._rows.get(trial.id)):
                return trial
            self._progress.skip(Job(trial))
            if self._seed_ended(suggestion):
                return None

    def _seed_ended(self, suggestion: Suggestion) -> bool:
        """Go on to the suggestion's next seed; return whether the suggestion has ended."""
        study, number = self._studies[suggestion.study], suggestion.number
        step = self._steps[study.name, number] = self._steps[study.name, number] + 1
        trial, last = suggestion.trials[step - 1], step == len(suggestion.trials)
        if self._rows[trial.id]["status"] == "failed":
            self._give_up(suggestion, step, f"seed {trial.seed} failed")
            last = True
        elif len(study.definition.objectives) == 1:
            mean = study.standing(number).means[step - 1][0]
            study.report(number, step, mean)
            if not last and study.hopeless(number):
                name, pruner = study.definition.objectives[0], study.definition.search.pruner_name
                seeds = f"{step} of {counted(len(suggestion.trials), 'seed')}"
                self._give_up(suggestion, step, f"{pruner} pruner: {name} {mean:.2f} after {seeds}")
                last = True
        if last:
            self._end(study, suggestion)
        return last

    def _end(self, study: Study, suggestion: Suggestion) -> None:
        del self._steps[study.name, suggestion.number]
        study.tell(suggestion.number)
        found = study.standing(suggestion.number)
        means = f": {study.named(found.means[-1])}" if found.means else ""
        if found.means and found.state != "complete":
            means += f" after {len(found.means)} of {counted(len(suggestion.trials), 'seed')}"
        line = f"{study.name} {suggestion.number} {found.state}{means} ({study.drawn(suggestion)})"
        value = found.values[0] if found.values is not None and len(found.values) == 1 else None
        self._progress.suggestion_ended(study.name, line, value, study.spent, failed=found.state == "failed")

    def _give_up(self, suggestion: Suggestion, step: int, reason: str) -> None:
        """Store the seeds after the first `step` ones as pruned."""
        for trial in suggestion.trials[step:]:
            self._read(trial.id)
            if ended(self._rows.get(trial.id)):
                self._progress.skip(Job(trial))
            else:
                self._driver.record(trial, Outcome("pruned", reason))
                self._read(trial.id)

    def _write(self, suggestion: Suggestion) -> None:
        """Store the suggestion's row, unless it is stored."""
        study = self._studies[suggestion.study]
        if suggestion.number not in study.stored:
            self._results.write_suggestion(study.row(suggestion))
            study.stored.add(suggestion.number)

    def _mark_for_repetition(self, suggestion: Suggestion) -> None:
        """Mark the trials that will be repeated as pruned, so that a kill in between leaves them unfinished.

        Mark the last seed first: until the first seed is marked, the suggestion counts as it did before.
        """
        for trial in reversed(suggestion.trials):
            if trial.id in self._again:
                no_study = replace(trial, study=None)  # no study gave it up
                self._driver.store(no_study, Outcome("pruned", "to be run again"))
                self._again.discard(trial.id)

    def _shares_trials(self, suggestion: Suggestion) -> bool:
        """Whether a suggestion under way runs the same trials."""
        running = (self._studies[name].suggestions[number] for name, number in self._steps)
        ids = {trial.id for other in running for trial in other.trials}
        return any(trial.id in ids for trial in suggestion.trials)

    def _read(self, trial_id: str) -> None:
        """Add the stored row of a trial to the rows, if there is one that can be read."""
        row = self._results.trial(trial_id)
        if row is not None:
            self._rows[trial_id] = row
