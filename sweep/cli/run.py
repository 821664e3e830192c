"""The command `run`."""

from __future__ import annotations

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
    SpecArgument,
    TimeBudgetOption,
    TrackOption,
    executor_named,
)
from sweep.cli.duration import seconds
from sweep.cli.messages import located, showing_results, warn
from sweep.cli.plan import planned
from sweep.errors import InputError


def run(
    spec: SpecArgument = "digits",
    out: OutOption = None,
    address: AddressOption = None,
    executor: ExecutorOption = ExecutorName.ray,
    overrides: SetOption = None,
    refresh: RefreshOption = False,
    retry_failed: RetryFailedOption = False,
    time_budget: TimeBudgetOption = None,
    track: TrackOption = None,
) -> None:
    """Run or resume a sweep, then print the comparison of its methods."""
    if address is not None and executor is ExecutorName.inline:
        raise InputError("--address: the inline executor uses no cluster; drop one of the two")
    budget = seconds("--time-budget", time_budget) if time_budget else None
    console = Console()
    from sweep.plan.pending import of_other_code
    from sweep.run.adoption import adopt
    from sweep.store.results import Results

    loaded, trials, left, where, rows = planned(spec, overrides, out, refresh, retry_failed)
    adopt(Results(where), trials, rows)
    console.print(f"{loaded.name}: {len(trials)} trials, {len(trials) - len(left)} done before, {len(left)} to run")
    for line in of_other_code(loaded, trials, left, rows):
        console.print(line, highlight=False, soft_wrap=True)
    if left or track:
        from sweep.plan.pending import Again
        from sweep.run.driver import Request, run_sweep
        from sweep.track.tracking import Tracking

        def action() -> None:
            with Tracking(track or [], where, warn) as tracking:
                request = Request(
                    loaded,
                    where,
                    executor_named(executor),
                    address,
                    again=Again(refresh, retry_failed),
                    time_budget=budget,
                    console=console,
                    tell=tracking.ended,
                    warn=warn,
                )
                run_sweep(request, left)

        located(spec, action)
    from sweep.cli.run_table import print_outcome

    with showing_results(where):
        code = print_outcome(console, trials, left, rows, where, budget is not None)
    raise typer.Exit(code)
