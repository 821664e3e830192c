"""A search from its start to its end: Retrain on the search seeds, suggestions, the best of them on other seeds."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from rich.console import Console

from methods import Method
from sweep.engine import (
    Executor,
    deadline,
    described_run,
    gpus_of_this_process,
    run_context,
    run_trials,
    sigterm_interrupts,
)
from sweep.errors import InputError, Unsuccessful
from sweep.objective import Row, ended
from sweep.pending import NOTHING, Again, untouched
from sweep.plan import Trial, check_task, plan_trials, trial_for
from sweep.registry import find_method
from sweep.results import Results
from sweep.search_progress import SearchProgress
from sweep.search_run import SearchRun, run_here
from sweep.searchspec import SearchSpec
from sweep.spec import MethodSpec, Spec
from sweep.study import Definition, Study, define_studies
from sweep.versions import other_versions


@dataclass(frozen=True)
class Plan:
    """What a search consists of before any suggestion is known.

    Attributes:
        references: Retrain on the search seeds.
        originals: trials that start from the ordinary originals of the search seeds; not run.
        studies: one for each method and task.
        baselines: Retrain and the entries of the spec's `methods` on the confirmation seeds.
    """

    references: list[Trial]
    originals: list[Trial]
    studies: list[Definition]
    baselines: list[Trial]


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        studies: with every suggestion.
        tuned: for each study's name the trials of its best suggestions on the confirmation seeds.
        rows: rows of `trials` by id.
    """

    studies: list[Study]
    tuned: dict[str, list[Trial]]
    rows: dict[str, Row]


def plan_search(spec: Spec) -> Plan:
    """The trials of a search that are known beforehand, and its studies.

    Raises:
        InputError: the spec has no search, or the dataset is missing.
    """
    search = _section(spec)

    def planned(methods: list[MethodSpec], seeds: list[int]) -> list[Trial]:
        return plan_trials(spec.model_copy(update={"methods": methods, "seeds": seeds}))

    retrain = MethodSpec(name="retrain")
    references = planned([retrain], search.seeds)
    by_task: dict[str, tuple[Trial, ...]] = {}
    for trial in references:
        by_task[trial.task_id] = (*by_task.get(trial.task_id, ()), trial)
    ordinary = any(_starts_from_ordinary(find_method(entry.name)) for entry in search.methods)
    named = {entry.name for entry in spec.methods}
    return Plan(
        references=references,
        originals=planned([MethodSpec(name="original")], search.seeds) if ordinary else [],
        studies=define_studies(search, by_task),
        baselines=planned([*([] if "retrain" in named else [retrain]), *spec.methods], search.confirm_seeds),
    )


def of_other_code(plan: Plan, suggestions: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """How many stored trials of a search other code computed (`other_versions`)."""
    budgets = {definition.name: definition.budget for definition in plan.studies}
    asked = {trial.id for trial in (*plan.references, *plan.baselines)}
    for suggestion in suggestions:
        if suggestion["number"] < budgets.get(suggestion["study"], 0):
            asked.update(suggestion["trial_ids"], suggestion["confirm_trial_ids"])
    done = [row for row in rows if row["trial_id"] in asked and ended(row)]
    return other_versions(
        ((row["dataset"], row["model"], row["method"]), row["code_version"], row["original_version"]) for row in done
    )


def run_search(
    spec: Spec,
    plan: Plan,
    out: str,
    executor: Executor,
    address: str | None,
    console: Console,
    storage: str | None,
    warn: Callable[[str], None],
    tell: Callable[[str], None],
    again: Again = NOTHING,
    time_budget: float | None = None,
) -> Found:
    """Run or resume a search; whatever has a row is left as it is, but for what is run `again`: a suggestion keeps its
    number and hyperparameters then. `tell` is told the id of every trial that ended.

    After `time_budget` seconds no trial is started; nothing is confirmed before every suggestion has ended.

    Raises:
        InputError: what `check_task` finds, the resources are not there, no cluster or storage answers, or Retrain
            diverged on a search seed.
        Unsuccessful: Retrain failed on a search seed.
        OSError: results cannot be stored.
        KeyboardInterrupt: interrupted (Ctrl-C or SIGTERM); rows of finished trials are stored.
    """
    search = _section(spec)
    check_task(spec.model_copy(update={"seeds": [*search.seeds, *search.confirm_seeds]}), warn)
    results = Results(out)
    ends = math.inf if time_budget is None else time.monotonic() + time_budget

    def seconds_left() -> float | None:
        return None if time_budget is None else max(0.0, ends - time.monotonic())

    def out_of_time() -> bool:
        return time.monotonic() >= ends

    with ExitStack() as stack:
        mirror = None
        if storage is not None:
            from sweep.mirror import Mirror

            mirror = Mirror(storage, warn)
            stack.callback(mirror.close)

        def run(trials: list[Trial], originals: list[Trial]) -> dict[str, Row]:
            before = trial_rows(results)
            left = [trial for trial in trials if _to_run(trial, before.get(trial.id), again)]
            if out_of_time():
                return _without(before, left, before)
            if left:
                _start(stack, executor, address)
            run_trials(
                spec,
                left,
                out,
                executor,
                address,
                console,
                refresh=again.refresh,
                originals=originals,
                time_budget=seconds_left(),
                tell=tell,
                warn=warn,
                checked=True,
            )
            return _without(trial_rows(results), left, before) if left else before

        rows = run(plan.references, plan.originals)
        if out_of_time() and not all(ended(rows.get(trial.id)) for trial in plan.references):
            return Found([], {}, rows)
        _require_ok(plan.references, rows)
        suggestions = results.suggestions().table.to_pylist()
        repeated = _repeated(plan.studies, suggestions, rows, again)
        rows = {name: row for name, row in rows.items() if name not in repeated}
        studies = [Study(definition, suggestions, rows, spec.name) for definition in plan.studies]
        if mirror is not None:
            for study in studies:
                mirror.reconcile(study)
        progress = SearchProgress(console, studies)
        under_way = SearchRun(studies, rows, run_context(spec, out, again.refresh), progress, mirror, tell, repeated)
        if not under_way.done and not out_of_time():
            local = _start(stack, executor, address)
            with deadline(under_way, seconds_left()):
                _suggest(under_way, spec, executor, local)
        if not all(study.ended for study in studies):
            return Found(studies, {}, rows)
        tuned = {study.name: _confirm(study, plan.baselines, results) for study in studies}
        confirming = [trial for trials in tuned.values() for trial in trials]
        rows = run(list({trial.id: trial for trial in [*confirming, *plan.baselines]}.values()), [])
    return Found(studies, tuned, rows)


def _without(rows: dict[str, Row], left: Sequence[Trial], before: Mapping[str, Row]) -> dict[str, Row]:
    """The rows, but for those of trials that were left to be run and are as they were before."""
    unrun = untouched(left, before, rows)
    return {name: row for name, row in rows.items() if name not in unrun}


def _to_run(trial: Trial, row: Row | None, again: Again) -> bool:
    return row is None or not ended(row) or again.wants(trial, row)


def _repeated(
    studies: Sequence[Definition], suggestions: Sequence[Row], rows: Mapping[str, Row], again: Again
) -> set[str]:
    """Ids of the suggested trials that are run again: those that `again` wants, and what was given up beside them."""
    budgets = {definition.name: definition.budget for definition in studies}
    found: set[str] = set()
    for suggestion in suggestions:
        if suggestion["number"] >= budgets.get(suggestion["study"], 0):
            continue
        known = {name: rows[name] for name in suggestion["trial_ids"] if name in rows}
        wanted = {name for name, row in known.items() if again.wants(trial_for(json.loads(row["config"])), row)}
        if wanted:
            found |= wanted | {name for name, row in known.items() if row["status"] == "pruned"}
    return found


def trial_rows(results: Results) -> dict[str, Row]:
    """Rows of `trials` by id."""
    return {row["trial_id"]: row for row in results.trials().table.to_pylist()}


def saved(found: Found) -> tuple[int, int, float]:
    """How many search trials were pruned, out of how many, and the share of all their time that this saved.

    A pruned trial would have taken as long as the mean of its suggestion's trials that ran.
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


def _section(spec: Spec) -> SearchSpec:
    if spec.search is None:
        raise InputError("search: required, and missing")
    return spec.search


def _starts_from_ordinary(method: type[Method]) -> bool:
    return method.needs_original and method.shapes_training is None


def _start(stack: ExitStack, executor: Executor, address: str | None) -> bool:
    """With Ray, one session for everything that follows; whether all runs on this machine."""
    local = True
    if executor == "ray":
        from sweep.ray_session import session

        local = stack.enter_context(session(address))
    stack.enter_context(sigterm_interrupts())
    return local


def _suggest(run: SearchRun, spec: Spec, executor: Executor, local: bool) -> None:
    """Run suggestions until every study has as many as it wants."""
    if executor == "inline":
        with described_run(run, spec, executor, gpus_of_this_process(spec)):
            run_here(run)
    else:
        from sweep.ray_search import run_ray_search

        run_ray_search(run, spec, local)


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
    """The trials that confirm a study's best suggestions, noted in their rows."""
    retrain = [trial for trial in baselines if trial.method == "retrain" and trial.task_id == study.definition.task_id]
    chosen: list[Trial] = []
    for suggestion in study.best():
        trials = study.definition.trials(suggestion.params, retrain)
        noted = study.confirmed(suggestion.number, trials)
        if noted != suggestion:
            results.write_suggestion(study.row(noted))
        chosen.extend(trials)
    return chosen
