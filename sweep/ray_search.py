"""A search through Ray Tune: `OptunaSearch` for each study, a function that runs a suggestion's seeds, the pruner."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from typing import Any

from sweep.engine import described_run, sigterm_interrupts

# First, because it sets Ray's environment.
from sweep.ray_executor import UNSTORED, Unsaved, kept_worker, stop_waiting, told, trial_name
from sweep.ray_session import asked_ahead, gpus_per_trial, room

# isort: split
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from sweep.deaths import Processes
from sweep.objective import GAPS, Row
from sweep.plan import trial_for
from sweep.reach import check_nodes
from sweep.search_run import SearchRun
from sweep.seeds import SeedEnd, run_seeds
from sweep.spec import Spec
from sweep.study import NUMBER, Study, Suggestion
from sweep.trial import Context

READ = sorted({"status", "unlearn_seconds", *(metric for metrics in GAPS.values() for metric in metrics)})
"""The columns of a row that objectives follow from."""


def run_ray_search(run: SearchRun, spec: Spec, local: bool) -> None:
    """Run a search's suggestions with Ray Tune, inside a session of Ray's.

    Args:
        local: whether the session is this machine's: then no suggestion is drawn before there is room to run it. On a
            cluster one is, so that an autoscaler sees that it waits.

    Raises:
        InputError: the resources asked for are not there.
        OSError: results cannot be stored.
    """
    gpus = gpus_per_trial(spec, local)
    if not local:
        check_nodes(run.context.out, spec.resources.cpus, gpus)
    resources = {"cpu": spec.resources.cpus, "gpu": gpus}
    with ExitStack() as stack:
        stack.enter_context(sigterm_interrupts())
        stack.enter_context(asked_ahead())
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="unlearn-sweep-"))
        stack.enter_context(described_run(run, spec, "ray", gpus))
        hooks = Hooks(run, resources, waiting=0 if local else 1)
        tuner = tune.Tuner(
            tune.with_resources(suggestion_function(run.context), resources),
            tune_config=tune.TuneConfig(
                search_alg=SuggestionSearcher(hooks),
                scheduler=PruningScheduler(hooks),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=trial_name,
                trial_dirname_creator=trial_name,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                name="tune",
                verbose=0,
                callbacks=[ProcessCallback(hooks, Processes(spec.max_retries, spec.trial_timeout))],
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
        tuner.fit()
        if hooks.error is not None:
            raise hooks.error


class Hooks(Unsaved):
    """What Tune's searcher, scheduler and callback share; `error` is what kept something from being stored."""

    def __init__(self, run: SearchRun, resources: dict[str, float], waiting: int) -> None:
        self.run = run
        self._resources = resources
        self._waiting = waiting
        self.error: OSError | None = None
        self._searches = {name: _optuna_search(study) for name, study in run.studies.items()}
        self._keys = count()
        self._asked: dict[tuple[str, int], str] = {}
        self.suggestions: dict[str, Suggestion] = {}

    def next(self, trial_id: str) -> Suggestion | None:
        """The suggestion that Tune's trial is to run."""

        def ask(study: Study) -> Suggestion:
            key = f"{trial_id}-{next(self._keys)}"  # asked twice by one name, Ray's searcher says the same twice
            number = self._searches[study.name].suggest(key)[NUMBER]
            self._asked[study.name, number] = key
            return study.suggestions[number]

        if self.run.running >= room(self._resources) + self._waiting:
            return None
        suggestion: Suggestion | None = self._guarded(lambda: self.run.next(ask))
        if suggestion is not None:
            self.suggestions[trial_id] = suggestion
        return suggestion

    def result(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Note a report of `suggestion_function`; whether the suggestion ends with it."""
        if result["status"] == UNSTORED:
            self.abandon(OSError(result["error"]))
            return True
        suggestion = self.suggestions[trial_id]
        means = None if result["means"] is None else tuple(result["means"])
        end = SeedEnd(result["step"], result["status"], result["ran"], means)
        return self._guarded(lambda: self.run.seed_ended(suggestion, end)) is not False

    def interrupted(self, trial_id: str) -> None:
        """The process died; what it was at is run again."""
        self.run.interrupted(self.suggestions.pop(trial_id))

    def died(self, trial_id: str, reason: str) -> None:
        """The process died as often as retries allow."""
        self._guarded(lambda: self.run.died(self.suggestions[trial_id], reason))
        self.ended(trial_id)

    def ended(self, trial_id: str) -> None:
        """Tell Optuna, through Ray's searcher, how a suggestion ended."""
        suggestion = self.suggestions.pop(trial_id, None)
        if suggestion is None:
            return
        study = self.run.studies[suggestion.study]
        self.run.ended(suggestion)
        values, state = study.verdict(suggestion.number)
        result = None if values is None else dict(zip(study.definition.objectives, values, strict=True))
        asked = self._asked.pop((suggestion.study, suggestion.number))
        self._searches[study.name].on_trial_complete(asked, result, error=state.name == "FAIL")

    def abandon(self, error: OSError) -> None:
        """Results cannot be stored: start nothing more, so that the search ends with this error."""
        self.error = self.error or error
        self.run.stop()

    def _guarded(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except OSError as error:
            self.abandon(error)
            return None


class SuggestionSearcher(Unsaved, Searcher):  # type: ignore[misc]
    """Suggests from several studies in turn, each through Ray's `OptunaSearch`."""

    def __init__(self, hooks: Hooks) -> None:
        super().__init__(metric=None, mode=None)
        self._hooks = hooks

    def suggest(self, trial_id: str) -> Any:
        """Ray Tune's hook: the next configuration, None for not now, or FINISHED."""
        suggestion = self._hooks.next(trial_id)
        if suggestion is None:
            ended = self._hooks.run.done and not self._hooks.run.running  # what runs may yet come back
            return Searcher.FINISHED if ended else None
        return _config(self._hooks.run.studies[suggestion.study], suggestion)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Ray Tune's hook. Of a process that died, `ProcessCallback` hears why."""
        if not error:
            self._hooks.ended(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: results are the only state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: results are the only state."""


class PruningScheduler(Unsaved, FIFOScheduler):  # type: ignore[misc]
    """Stops what Optuna's pruner gives up. Schedulers of Ray's own would forget all at a restart."""

    def __init__(self, hooks: Hooks) -> None:
        super().__init__()
        self._hooks = hooks

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Ray Tune's hook: none. It would give a process that came free to a suggestion whose own is starting, and end
        that one; so a process that starts for longer than a suggestion runs would never come to run any.
        """
        if self._hooks.run.stopped:
            stop_waiting(tune_controller)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Ray Tune's hook."""
        stop = self._hooks.result(trial.trial_id, result)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)


class ProcessCallback(Unsaved, tune.Callback):  # type: ignore[misc]
    """Follows the processes that run suggestions."""

    def __init__(self, hooks: Hooks, processes: Processes) -> None:
        self._hooks = hooks
        self._processes = processes

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook."""
        self._processes.began(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Ray Tune's hook."""
        self._processes.began(trial)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook."""
        self._processes.ended(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: a process died, and what it was at is run again as often as may be."""
        suggestion = self._hooks.suggestions[trial.trial_id]
        death, again = self._processes.died(trial, told(trial), (suggestion.study, suggestion.number))
        if again:
            self._hooks.interrupted(trial.trial_id)
        else:
            self._hooks.died(trial.trial_id, death.reason)


def suggestion_function(context: Context) -> Callable[[dict[str, Any]], None]:
    """The function that Ray Tune runs for each suggestion: it reports the running means after every seed."""

    def run_suggestion(config: dict[str, Any]) -> None:
        known, retrain, objectives = config["known"], config["retrain"], config["objectives"]
        trials = [trial_for(json.loads(text), config["study"]) for text in config["trials"]]
        try:
            for end in run_seeds(kept_worker(context), trials, known, retrain, objectives):
                named = dict(zip(objectives, end.means or (), strict=bool(end.means)))
                tune.report({"step": end.step, "status": end.status, "ran": end.ran, "means": end.means} | named)
        except OSError as error:
            tune.report({"status": UNSTORED, "error": str(error)})

    return run_suggestion


def _optuna_search(study: Study) -> OptunaSearch:
    """Ray's searcher on a study that knows its past: it finds it in the storage under its name."""
    objectives = list(study.definition.objectives)
    several = len(objectives) > 1
    return OptunaSearch(
        study.define,
        metric=objectives if several else objectives[0],
        mode=["min"] * len(objectives) if several else "min",
        sampler=study.sampler,
        study_name=study.name,
        storage=study.storage,
    )


def _config(study: Study, suggestion: Suggestion) -> dict[str, Any]:
    return {
        "study": study.name,
        "number": suggestion.number,
        "trials": [trial.config for trial in suggestion.trials],
        "known": [_columns(row) for row in study.rows(suggestion)],
        "retrain": [_columns(row) for row in study.references],
        "objectives": list(study.definition.objectives),
    }


def _columns(row: Row | None) -> dict[str, Any] | None:
    return None if row is None else {name: row[name] for name in READ}
