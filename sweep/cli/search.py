"""The command `search`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from sweep.cli.arguments import (
    AddressOption,
    ExecutorName,
    ExecutorOption,
    OutOption,
    RefreshOption,
    RetryFailedOption,
    SetOption,
    TimeBudgetOption,
    TrackOption,
    executor_named,
)
from sweep.cli.duration import seconds
from sweep.cli.messages import located, showing_results, warn, warn_of_damage
from sweep.errors import InputError


def search(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A spec file with a search, or the name of a preset.")],
    out: OutOption = None,
    address: AddressOption = None,
    executor: ExecutorOption = ExecutorName.ray,
    overrides: SetOption = None,
    refresh: RefreshOption = False,
    retry_failed: RetryFailedOption = False,
    time_budget: TimeBudgetOption = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Let the studies live in an Optuna storage, for dashboards."),
    ] = None,
    track: TrackOption = None,
) -> None:
    """Find the hyperparameters of each method with Optuna, or go on, then compare the best on seeds of their own."""
    if address is not None and executor is ExecutorName.inline:
        raise InputError("--address: the inline executor uses no cluster; drop one of the two")
    budget = seconds("--time-budget", time_budget) if time_budget else None

    from sweep.cli.search_table import print_outcome
    from sweep.plan.pending import Again
    from sweep.run.driver import Request
    from sweep.search.phases import of_other_code, plan_search, run_search
    from sweep.spec.sweep_spec import load_spec
    from sweep.store.results import Results
    from sweep.track.tracking import Tracking

    loaded = load_spec(spec, overrides)
    planned = located(spec, lambda: plan_search(loaded))
    where = out or f"results/{loaded.name}"
    results = Results(where)
    stored, suggested = results.trials(), results.suggestions()
    for found in (stored, suggested):
        warn_of_damage(found)
    console = Console()
    names = ", ".join(definition.name for definition in planned.studies)
    console.print(f"{loaded.name}: {planned.studies[0].budget} suggestions for each of {names}", soft_wrap=True)
    for line in [] if refresh else of_other_code(planned, suggested.table.to_pylist(), stored.table.to_pylist()):
        console.print(line, highlight=False, soft_wrap=True)
    with Tracking(track or [], where, warn) as tracking:
        request = Request(
            loaded,
            where,
            executor_named(executor),
            address,
            storage,
            Again(refresh, retry_failed),
            budget,
            console,
            tracking.ended,
            warn,
        )
        ended = located(spec, lambda: run_search(request, planned))
    with showing_results(where):
        code = print_outcome(console, where, planned, ended, budget is not None)
    raise typer.Exit(code)
