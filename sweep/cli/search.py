"""The command `search`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sweep.cli import arguments
from sweep.cli.completion import completed
from sweep.cli.exit_status import tell_ends
from sweep.cli.messages import located, showing_results, warn, warn_of_damage
from sweep.errors import InputError
from sweep.words import counted

if TYPE_CHECKING:
    from sweep.search.phases import Found
    from sweep.search.plan import Plan
    from sweep.spec.sweep_spec import Spec


def search(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC",
            help="A spec file with a search, or the name of a preset.",
            autocompletion=completed("specs"),
        ),
    ],
    out: arguments.OutOption = None,
    address: arguments.AddressOption = None,
    executor: arguments.ExecutorOption = arguments.ExecutorName.ray,
    overrides: arguments.SetOption = None,
    refresh: arguments.RefreshOption = False,
    retry_failed: arguments.RetryFailedOption = False,
    time_budget: arguments.TimeBudgetOption = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Let the studies live in an Optuna storage, for dashboards."),
    ] = None,
    track: arguments.TrackOption = None,
    write_best: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="At the end, write the best configurations as a spec for `run`."),
    ] = None,
) -> None:
    """Run or resume a search for each method's hyperparameters with Optuna, then compare the best on other seeds."""
    arguments.require_no_address_inline(address, executor)
    budget = arguments.seconds_of(time_budget)
    from sweep.engine.driver import Request
    from sweep.plan.pending import Again
    from sweep.plan.relearning import asked_relearning, relearning_words, unrelearned
    from sweep.search.best import require_writable
    from sweep.search.phases import asked_ids, of_other_code, run_search
    from sweep.search.plan import plan_search
    from sweep.spec.sweep_spec import load_spec
    from sweep.store.results import Results
    from sweep.track.tracking import Tracking

    loaded = load_spec(spec, overrides)
    if write_best is not None:
        require_writable(write_best, loaded)
    where = out or f"results/{loaded.name}"
    results = Results(where)
    located(spec, lambda: loaded.find_lists(results))
    planned = located(spec, lambda: plan_search(loaded))
    stored, suggested = results.trials(), results.suggestions()
    warn_of_damage(stored, suggested)
    console = Console(markup=False)
    names = ", ".join(definition.name for definition in planned.studies)
    heading = [f"{loaded.name}: {planned.studies[0].amount} for each of {names}"]
    if not refresh:
        heading += of_other_code(planned, suggested.table.to_pylist(), stored.table.to_pylist())
    rows = {row["trial_id"]: row for row in stored.table.select(["trial_id", "status", "finished_at"]).to_pylist()}
    recipe, asked = asked_relearning(loaded), asked_ids(planned, suggested.table.to_pylist())
    missing = unrelearned(results, rows, recipe, warn_of_damage)
    heading += relearning_words(asked, missing, recipe)
    with Tracking(track or [], where, warn) as tracking:
        request = Request(
            loaded,
            where,
            arguments.executor_named(executor),
            address,
            storage,
            again=Again(refresh, retry_failed, loaded.predictions, missing),
            time_budget=budget,
            console=console,
            began=tracking.began,
            tell=tracking.ended,
            warn=warn,
            heading=heading,
            alone={definition.name for definition in planned.studies},
        )
        ended = located(spec, lambda: run_search(request, planned))
    with showing_results(where):
        code = print_outcome(console, where, planned, ended, budget is not None)
    if write_best is not None:
        try:
            _write_best(console, write_best, loaded, ended)
        except InputError as error:
            if not code:
                raise
            warn(str(error))  # the status of the search says more
    raise typer.Exit(code)


def _write_best(console: Console, path: str, spec: Spec, found: Found) -> None:
    """Write the best of a search into a file, once every suggestion has ended; say where it is, or why not."""
    from sweep.search.best import best_specs
    from sweep.search.best import write_best as write

    if not found.studies or not all(study.ended for study in found.studies):
        warn(f"--write-best {path}: nothing written, because the search has not ended")
        return
    for file in write(path, best_specs(spec, found.studies)):
        console.print(f"best: {file}", highlight=False, soft_wrap=True)


def print_outcome(console: Console, where: str, plan: Plan, found: Found, budgeted: bool) -> int:
    """Print how each study stands, and the comparison on the confirmation seeds; return the exit status."""
    import pandas as pd

    from analysis.methods_table import methods_table, render_rich
    from analysis.reading.frames import read_trials
    from analysis.reading.tuning import TUNED
    from sweep.search.phases import saved

    console.print()
    for study in found.studies:
        states = [study.standing(number).state for number in study.suggestions]
        best = study.best()
        words = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
        console.print(f"{study.name}: {counted(len(states), 'suggestion')}: {words}", highlight=False, soft_wrap=True)
        for suggestion in best:
            values = study.named(study.standing(suggestion.number).values or ())
            line = f"  best: suggestion {suggestion.number}: {values} ({study.drawn(suggestion)})"
            console.print(line, highlight=False, soft_wrap=True)
    pruned, total, share = saved(found)
    if pruned:
        console.print(f"pruned: {pruned} of {counted(total, 'search trial')} not run, about {share:.0%} of their time")

    baselines = {trial.id for trial in plan.baselines}
    tuned = [{trial.id for trial in confirmed} for confirmed in found.tuned.values()]
    trials = read_trials(where, baselines.union(*tuned))
    parts = [trials[trials["trial_id"].isin(baselines)]]
    for confirmed in tuned:
        rows = trials[trials["trial_id"].isin(confirmed)]
        parts.append(rows.assign(method=rows["method"] + TUNED))
    render_rich(methods_table(pd.concat(parts, ignore_index=True)), console)
    return _status(console, where, plan, found, budgeted)


def _status(console: Console, where: str, plan: Plan, found: Found, budgeted: bool) -> int:
    """Print where the results are and what failed or is missing; return the exit status."""
    from sweep.store.status import ended

    known = [*plan.references, *plan.baselines, *(trial for trials in found.tuned.values() for trial in trials)]
    missing = {trial.id for trial in known if not ended(found.rows.get(trial.id))}
    undrawn = 0 if found.studies else sum(each.least * len(each.retrain) for each in plan.studies)
    for study in found.studies:
        undrawn += study.limit * len(study.definition.retrain)
        for suggestion in study.wanted():
            known.extend(suggestion.trials)
            undrawn -= len(suggestion.trials)
            if study.standing(suggestion.number).state == "unfinished":
                missing |= {trial.id for trial in suggestion.trials if not ended(found.rows.get(trial.id))}
    failed = {trial.id for trial in known if trial.id in found.rows and found.rows[trial.id]["status"] == "failed"}
    return tell_ends(console, where, len(failed), len(missing) + undrawn, budgeted)
