"""The phases of a search: Retrain on the search seeds, suggestions, then the best of them on the confirmation seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.storages import BaseStorage

from sweep.engine.driver import Driver, Request
from sweep.engine.forecast import Forecast
from sweep.engine.schedule import GridSchedule, InTurn, Schedule
from sweep.errors import InputError, Unsuccessful
from sweep.plan.check import Checked, check_task
from sweep.plan.pending import Again, untouched
from sweep.plan.trials import Trial, trial_for
from sweep.plan.versions import other_versions
from sweep.search.definition import Definition
from sweep.search.expected import Expected
from sweep.search.optuna_storage import open_storage, storage_needed
from sweep.search.plan import Plan, search_section, to_run, within_budget
from sweep.search.study import Study
from sweep.search.suggestions import SuggestionSchedule
from sweep.store.results import Results
from sweep.store.status import Row, ended


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        studies: each with its suggestions.
        tuned: by the study's name, the trials of its best suggestions on the confirmation seeds.
        rows: rows of `trials` by id.
    """

    studies: list[Study]
    tuned: dict[str, list[Trial]]
    rows: dict[str, Row]


def asked_ids(plan: Plan, suggestions: Sequence[Row]) -> set[str]:
    """Ids of the trials that a search asks for, as far as they are known before it goes on."""
    asked = {trial.id for trial in (*plan.references, *plan.baselines)}
    for suggestion in within_budget(plan.studies, suggestions):
        asked.update(suggestion["trial_ids"], suggestion["confirm_trial_ids"])
    return asked


def of_other_code(plan: Plan, suggestions: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """How many stored trials of a search other code computed (`other_versions`)."""
    asked = asked_ids(plan, suggestions)
    done = [row for row in rows if row["trial_id"] in asked and ended(row)]
    return other_versions(
        ((row["dataset"], row["model"], row["method"]), row["code_version"], row["original_version"]) for row in done
    )


def run_search(request: Request, plan: Plan) -> Found:
    """Run or resume a search. Trials with a row are not run again, unless the request asks for it.

    A suggestion whose trials are run again keeps its number and hyperparameters.

    Raises:
        InputError: as `check_task` raises it, the storage does not answer, or Retrain diverged on a search seed.
        Unsuccessful: Retrain failed on a search seed, or the storage failed.
        InputError, Unsuccessful, OSError, KeyboardInterrupt: as in `Driver.run`.
    """
    search = search_section(request.spec)
    seeds = [*search.seeds, *search.confirm_seeds]
    checked = check_task(request.spec.model_copy(update={"seeds": seeds}), request.warn)
    storage = None if request.storage is None else open_storage(request.storage)
    phases = Phases(Driver(request), plan, storage)
    in_turn = InTurn([phases.references, phases.suggestions, phases.confirmation])
    phases.driver.run(in_turn, lambda: phases.forecast(checked))
    return phases.found()


class Phases:
    """The phases of a search, one after another. Each is a schedule, made when the one before has ended.

    Args:
        driver: runs the schedules.
        plan: what is known of the search beforehand.
        storage: where Optuna's studies live; None: in memory.
    """

    def __init__(self, driver: Driver, plan: Plan, storage: BaseStorage | None) -> None:
        self.driver = driver
        self._plan = plan
        self._storage = storage
        self._again = driver.request.again
        self._before = trial_rows(driver.results)
        self._left: set[str] = set()
        self._studies: list[Study] = []
        self._tuned: dict[str, list[Trial]] = {}

    def references(self) -> Schedule:
        """The schedule of Retrain and the originals on the search seeds."""
        return self._grid(self._plan.references, self._plan.originals)

    def suggestions(self) -> Schedule:
        """The schedule of all suggestions that have not ended.

        Raises:
            InputError: Retrain diverged on a search seed.
            Unsuccessful: Retrain or the storage failed.
        """
        rows = self._rows()
        _require_ok(self._plan.references, rows)
        results = self.driver.results
        suggestions = results.suggestions().table.to_pylist()
        repeated = _repeated(self._plan.studies, suggestions, rows, self._again)
        self._left |= repeated
        rows = {name: row for name, row in rows.items() if name not in repeated}
        sweep = self.driver.request.spec.name
        with storage_needed():
            self._studies = [Study(each, suggestions, rows, sweep, self._storage) for each in self._plan.studies]
            return SuggestionSchedule(self._studies, rows, self.driver, repeated)

    def confirmation(self) -> Schedule:
        """The schedule of the best suggestions and the baselines on the confirmation seeds.

        It is empty if a suggestion has not ended.
        """
        if not all(study.ended for study in self._studies):
            return GridSchedule([])
        baselines, results = self._plan.baselines, self.driver.results
        self._tuned = {study.name: _confirm(study, baselines, results) for study in self._studies}
        confirming = [trial for trials in self._tuned.values() for trial in trials]
        return self._grid(list({trial.id: trial for trial in [*confirming, *baselines]}.values()))

    def forecast(self, checked: Checked) -> Forecast:
        """How long all phases will take."""
        suggestions = self.driver.results.suggestions().table.to_pylist()
        expected = Expected(self._plan, self._before, suggestions, checked, self._again)
        return expected.add_to(self.driver.forecast(checked), self.driver.results)

    def found(self) -> Found:
        """What the search has found so far."""
        return Found(self._studies, self._tuned, self._rows())

    def _grid(self, trials: Sequence[Trial], originals: Sequence[Trial] = ()) -> Schedule:
        rows = self._rows()
        left = [trial for trial in trials if to_run(trial, rows.get(trial.id), self._again)]
        self._left |= {trial.id for trial in left}
        return self.driver.grid(left, originals)

    def _rows(self) -> dict[str, Row]:
        """Rows by trial id, without those that were to be run again and were not."""
        rows = trial_rows(self.driver.results)
        unrun = untouched(self._left, self._before, rows)
        return {name: row for name, row in rows.items() if name not in unrun}


def _repeated(
    studies: Sequence[Definition], suggestions: Sequence[Row], rows: Mapping[str, Row], again: Again
) -> set[str]:
    """Ids of suggested trials to run again: those that `again` wants, and the pruned ones of the same suggestions."""
    found: set[str] = set()
    for suggestion in within_budget(studies, suggestions):
        known = {name: rows[name] for name in suggestion["trial_ids"] if name in rows}
        wanted = {name for name, row in known.items() if again.wants(trial_for(json.loads(row["config"])), row)}
        if wanted:
            found |= wanted | {name for name, row in known.items() if row["status"] == "pruned"}
    return found


def trial_rows(results: Results) -> dict[str, Row]:
    """All rows of `trials` by trial id."""
    return {row["trial_id"]: row for row in results.trials().table.to_pylist()}


def saved(found: Found) -> tuple[int, int, float]:
    """How many search trials were pruned, out of how many, and which share of their time this saved.

    A pruned trial is counted as long as the mean of its suggestion's trials that ran.
    """
    pruned = total = 0
    ran_seconds = saved_seconds = 0.0
    for study in found.studies:
        for suggestion in study.suggestions.values():
            rows = [found.rows[trial.id] for trial in suggestion.trials if trial.id in found.rows]
            spent = [_seconds(row) for row in rows if row["status"] != "pruned"]
            missing = sum(row["status"] == "pruned" for row in rows)
            total += len(rows)
            pruned += missing
            ran_seconds += sum(spent)
            saved_seconds += missing * sum(spent) / len(spent) if spent else 0.0
    whole = ran_seconds + saved_seconds
    return pruned, total, saved_seconds / whole if whole else 0.0


def _seconds(row: Row) -> float:
    return float((row["unlearn_seconds"] or 0.0) + (row["eval_seconds"] or 0.0))


def _require_ok(references: list[Trial], rows: dict[str, Row]) -> None:
    for trial in references:
        row = rows.get(trial.id)
        status = "missing" if row is None else row["status"]
        if status == "ok":
            continue
        why = f": {row['error'].strip().splitlines()[-1]}" if row is not None and row["error"] else ""
        message = f"retrain on seed {trial.seed}: {status}, so there is nothing to compare with{why}"
        if status == "diverged":
            raise InputError(message)
        raise Unsuccessful(f"{message}; --retry-failed runs it again")


def _confirm(study: Study, baselines: list[Trial], results: Results) -> list[Trial]:
    """The trials that confirm a study's best suggestions. Stores their ids in the rows of those suggestions."""
    retrain = [trial for trial in baselines if trial.method == "retrain" and trial.task_id == study.definition.task_id]
    chosen: list[Trial] = []
    for suggestion in study.best():
        trials = study.definition.trials(suggestion.params, retrain)
        noted = study.confirmed(suggestion.number, trials)
        if noted != suggestion:
            results.write_suggestion(study.row(noted))
        chosen.extend(trials)
    return chosen
