"""The driver's part of a search: whose turn it is, what a seed's end means, and what is stored beside trials."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sweep.objective import Row, ended
from sweep.results import Results
from sweep.rows import trial_row
from sweep.search_progress import SearchProgress
from sweep.seeds import SeedEnd, run_seeds
from sweep.study import Study, Suggestion
from sweep.trial import Context, Outcome, Worker

if TYPE_CHECKING:
    from sweep.mirror import Mirror


class SearchRun:
    """Several studies under way. Every executor asks it for suggestions and tells it what became of them.

    Args:
        studies: what is searched.
        rows: rows of `trials` by id, which the studies read; rows that are stored meanwhile are added.
        context: of all jobs.
        progress: what is shown.
        mirror: a copy of the studies for dashboards.
        tell: is told the id of every trial that ended, once its row is stored.
        again: ids of trials that are run again: they have a row, and none in `rows`.
    """

    def __init__(
        self,
        studies: Sequence[Study],
        rows: MutableMapping[str, Row],
        context: Context,
        progress: SearchProgress,
        mirror: Mirror | None,
        tell: Callable[[str], None],
        again: Iterable[str] = (),
    ) -> None:
        self.studies = {study.name: study for study in studies}
        self.context = context
        self.progress = progress
        self.results = Results(context.out)
        self._rows = rows
        self._mirror = mirror
        self._tell = tell
        self._again = set(again)
        self._held: deque[Suggestion] = deque()
        self._running: dict[tuple[str, int], int] = {}
        self._interrupted: dict[tuple[str, int], int] = {}
        self.stopped = False

    @property
    def done(self) -> bool:
        """Whether nothing is left to hand out, now or later."""
        return self.stopped or (not self._held and all(study.unasked == 0 for study in self.studies.values()))

    @property
    def running(self) -> int:
        """Suggestions that are under way."""
        return len(self._running)

    def next(self, ask: Callable[[Study], Suggestion]) -> Suggestion | None:
        """The next suggestion, its row stored; None if there is none at the moment.

        Studies take turns. One that is equal to a suggestion under way waits for its rows.

        Raises:
            OSError: its row cannot be stored.
        """
        if self.stopped:
            return None
        for held in list(self._held):
            if not self._busy(held):
                self._held.remove(held)
                return self._begin(held)
        while not self.stopped and (waiting := [study for study in self.studies.values() if study.unasked]):
            study = max(waiting, key=lambda study: study.unasked / study.definition.budget)
            suggestion = ask(study)
            if not self._busy(suggestion):
                return self._begin(suggestion)
            self._store(suggestion)
            self._held.append(suggestion)
        return None

    def seed_ended(self, suggestion: Suggestion, end: SeedEnd) -> bool:
        """Note a seed's end; whether the suggestion ends with it. A repeated note changes nothing.

        Raises:
            OSError: results cannot be read or stored.
        """
        study, number = self.studies[suggestion.study], suggestion.number
        if end.step <= self._running.get((study.name, number), len(suggestion.trials)):
            return False
        self._running[study.name, number] = end.step
        trial = suggestion.trials[end.step - 1]
        self._read(trial.id)
        self._tell(trial.id)
        if end.means is None:
            self._give_up(suggestion, end.step, f"seed {trial.seed} failed")
            return True
        last = end.step == len(suggestion.trials)
        if len(study.definition.objectives) > 1:
            return self.stopped and not last
        study.report(number, end.step, end.means[0])
        if self._mirror is not None:
            self._mirror.report(study, number, end.step, end.means[0])
        if last or not study.hopeless(number):
            return self.stopped and not last
        name = study.definition.objectives[0]
        pruner = study.definition.search.pruner_name
        seeds = f"{end.step} of {len(suggestion.trials)} seeds"
        self._give_up(suggestion, end.step, f"{pruner} pruner: {name} {end.means[0]:.2f} after {seeds}")
        return True

    def interrupted(self, suggestion: Suggestion) -> None:
        """The process died that ran a suggestion; it is handed out again, and goes on after the seeds that ended."""
        key = (suggestion.study, suggestion.number)
        self._interrupted[key] = self._running.pop(key)
        self._held.append(suggestion)

    def died(self, suggestion: Suggestion, reason: str) -> None:
        """Record that the process died that ran a suggestion, as its running seed's failure.

        Raises:
            OSError: it cannot be stored.
        """
        for trial in suggestion.trials:
            self._read(trial.id, required=False)
        step = next((i for i, trial in enumerate(suggestion.trials) if not ended(self._rows.get(trial.id))), None)
        if step is None:
            return
        trial = suggestion.trials[step]
        row = trial_row(trial, self.context, Outcome("failed", reason), datetime.now(UTC))
        self.results.write_trial(row)
        self._read(trial.id)
        self._tell(trial.id)
        self._give_up(suggestion, step + 1, f"seed {trial.seed} failed")

    def ended(self, suggestion: Suggestion) -> None:
        """A suggestion is no longer under way."""
        study = self.studies[suggestion.study]
        if self._running.pop((suggestion.study, suggestion.number), None) is None:
            return
        found = study.standing(suggestion.number)
        self.progress.ended(study, suggestion, found)
        if self._mirror is not None and found.state != "unfinished":
            self._mirror.end(study, suggestion.number)

    def stop(self) -> None:
        """Hand out nothing more."""
        self.stopped = True

    def _begin(self, suggestion: Suggestion) -> Suggestion:
        key = (suggestion.study, suggestion.number)
        if key in self._interrupted:
            for trial in suggestion.trials:  # stored and not reported: a worker looks for a trial's own file only
                self._read(trial.id, required=False)
            self._running[key] = self._interrupted.pop(key)
            return suggestion
        self._store(suggestion)
        self._clear(suggestion)
        self._running[key] = 0
        self.progress.began(suggestion)
        if self._mirror is not None:
            self._mirror.begin(self.studies[suggestion.study], suggestion.number)
        return suggestion

    def _store(self, suggestion: Suggestion) -> None:
        """Write the suggestion's row, unless it is there."""
        study = self.studies[suggestion.study]
        if suggestion.number not in study.stored:
            self.results.write_suggestion(study.row(suggestion))
            study.stored.add(suggestion.number)

    def _clear(self, suggestion: Suggestion) -> None:
        """Let the rows of what is run again say that nobody ran it.

        The last seed first: a search that is killed in between finds the suggestion as it was, or unfinished.
        """
        for trial in reversed(suggestion.trials):
            if trial.id in self._again:
                own = replace(trial, study=None)  # no study gave it up
                row = trial_row(own, self.context, Outcome("pruned", "to be run again"), datetime.now(UTC))
                self.results.write_trial(row)
                self._again.discard(trial.id)

    def _busy(self, suggestion: Suggestion) -> bool:
        """Whether a suggestion under way runs the same trials."""
        running = (self.studies[name].suggestions[number] for name, number in self._running)
        ids = {trial.id for other in running for trial in other.trials}
        return any(trial.id in ids for trial in suggestion.trials)

    def _read(self, trial_id: str, required: bool = True) -> None:
        row = self.results.trial(trial_id)
        if row is None and required:
            raise OSError(f"{self.results.location}: the row of trial {trial_id} cannot be read")
        if row is not None:
            self._rows[trial_id] = row

    def _give_up(self, suggestion: Suggestion, step: int, reason: str) -> None:
        """Rows for the seeds that are not run."""
        for trial in suggestion.trials[step:]:
            self._read(trial.id, required=False)
            if ended(self._rows.get(trial.id)):
                continue
            row = trial_row(trial, self.context, Outcome("pruned", reason), datetime.now(UTC))
            self.results.write_trial(row)
            self._rows[trial.id] = row


def run_here(run: SearchRun) -> None:
    """Run a search's suggestions in this process, one after another.

    Raises:
        OSError: results cannot be stored.
    """
    worker = Worker(run.context)
    while suggestion := run.next(Study.ask):
        study = run.studies[suggestion.study]
        known, objectives = study.rows(suggestion), study.definition.objectives
        for end in run_seeds(worker, suggestion.trials, known, study.references, objectives):
            if run.seed_ended(suggestion, end):
                break
        run.ended(suggestion)
        study.tell(suggestion.number)
