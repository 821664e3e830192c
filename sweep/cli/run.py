"""The command `run`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from sweep.cli import arguments
from sweep.cli.exit_status import tell_ends
from sweep.cli.messages import located, showing_results, warn
from sweep.cli.plan import planned, share
from sweep.spec.source import Overrides, Source
from sweep.words import counted

if TYPE_CHECKING:
    import pandas as pd

    from sweep.engine.driver import Request
    from sweep.plan.shards import Shard
    from sweep.plan.trials import Trial


@dataclass(frozen=True)
class Ran:
    """What a command was to run of a sweep.

    Attributes:
        where: the results directory.
        trials: all trials of the sweep.
        own: the trials of the command's shard; without a shard, all.
        left: the trials of `own` that had to run.
        before: the rows that were stored before the command, by trial id, with their `finished_at`.
    """

    where: str
    trials: Sequence[Trial]
    own: Sequence[Trial]
    left: Sequence[Trial]
    before: Mapping[str, Mapping[str, Any]]


def run(
    spec: arguments.SpecArgument = "digits",
    out: arguments.OutOption = None,
    address: arguments.AddressOption = None,
    executor: arguments.ExecutorOption = arguments.ExecutorName.ray,
    overrides: arguments.SetOption = None,
    refresh: arguments.RefreshOption = False,
    retry_failed: arguments.RetryFailedOption = False,
    time_budget: arguments.TimeBudgetOption = None,
    track: arguments.TrackOption = None,
    shard: arguments.ShardOption = None,
) -> None:
    """Run or resume a sweep, then print the comparison of its methods."""
    budget, console = arguments.seconds_of(time_budget), Console(markup=False)
    ran = perform(
        console,
        spec,
        out=out,
        overrides=overrides,
        executor=executor,
        address=address,
        refresh=refresh,
        retry_failed=retry_failed,
        time_budget=budget,
        track=track or (),
        shard=arguments.shard_named(shard),
    )
    with showing_results(ran.where):
        code = print_outcome(console, ran, budget is not None)
    raise typer.Exit(code)


def perform(
    console: Console,
    spec: Source,
    *,
    out: str | None,
    overrides: Overrides | None,
    executor: arguments.ExecutorName,
    address: str | None,
    refresh: bool,
    retry_failed: bool,
    time_budget: float | None,
    track: Sequence[str],
    shard: Shard | None = None,
) -> Ran:
    """Run or resume a sweep, and show its progress on a console.

    Args:
        time_budget: seconds; the others are as in the command `run`.

    Raises:
        InputError: the spec or an option is wrong.
        Unsuccessful: Ray does not start.
        OSError: results cannot be stored.
        KeyboardInterrupt: interrupted; rows of finished trials are stored.
    """
    arguments.require_no_address_inline(address, executor)
    from sweep.engine.adoption import adopt
    from sweep.plan.labels import check_labels, store_labels
    from sweep.plan.pending import of_other_code, with_fewer_predictions
    from sweep.plan.relearning import asked_relearning, relearning_words
    from sweep.store.location import local_path
    from sweep.store.results import Results

    started = time.monotonic()
    while True:
        loaded, whole, left, where, rows, again = planned(spec, overrides, out, refresh, retry_failed)
        trials, left = share(shard, whole, left, where)
        ran = Ran(where, whole, trials, left, rows)
        adopt(Results(where), trials, rows)
        counts = f"{counted(len(trials), 'trial')}, {len(trials) - len(left)} done before, {len(left)} to run"
        name = loaded.name if shard is None else f"{loaded.name}, shard {shard.number} of {shard.count}"
        heading = [f"{name}: {counts}", *of_other_code(loaded, trials, left, rows)]
        heading += with_fewer_predictions(trials, left, rows, loaded.predictions)
        heading += relearning_words({trial.id for trial in trials}, again.unrelearned, asked_relearning(loaded))
        if not (left or track):
            located(spec, partial(check_labels, loaded))
            store_labels(Results(where), loaded)
            for line in heading:
                console.print(line, highlight=False, soft_wrap=True)
            return ran
        from sweep.engine.driver import Overtaken, Request

        request = Request(
            loaded,
            where,
            arguments.executor_named(executor),
            address,
            again=again,
            time_budget=None if time_budget is None else time_budget - (time.monotonic() - started),
            console=console,
            warn=warn,
            heading=heading,
            shared=shard is not None and local_path(where) is not None,
            alone={trial.id for trial in left},
            before=rows,
        )
        with suppress(Overtaken):
            located(spec, partial(_run_tracked, request, left, track))
            return ran


def _run_tracked(request: Request, left: Sequence[Trial], track: Sequence[str]) -> None:
    """Run the trials that are left, and send them to trackers."""
    from sweep.engine.driver import run_sweep
    from sweep.track.tracking import Tracking

    with Tracking(track, request.out, warn) as tracking:
        run_sweep(replace(request, began=tracking.began, tell=tracking.ended), left)


def print_outcome(console: Console, ran: Ran, budgeted: bool) -> int:
    """Print the comparison of a sweep's methods, and how its trials ended; return the exit status.

    Args:
        budgeted: whether the run had a time budget.
    """
    from analysis.methods_table import methods_table, render_rich

    rows = rows_of(ran)
    render_rich(methods_table(rows), console)
    return print_ends(console, ran, rows, budgeted)


def rows_of(ran: Ran) -> pd.DataFrame:
    """The rows of a sweep's trials, in the order of its spec."""
    from analysis.reading.frames import read_trials

    planned = {trial.id: position for position, trial in enumerate(ran.trials)}
    return read_trials(ran.where, planned).sort_values("trial_id", key=lambda ids: ids.map(planned))


def print_ends(console: Console, ran: Ran, rows: pd.DataFrame, budgeted: bool) -> int:
    """Print where the results are, how many trials failed, and how many were not run; return the exit status."""
    from sweep.plan.pending import untouched

    known = {trial.id for trial in ran.own}
    failed = int((rows["trial_id"].isin(known) & (rows["status"] == "failed")).sum())
    ran_rows = rows[rows["status"] != "pruned"]
    ended = zip(ran_rows["trial_id"], ran_rows["finished_at"], strict=True)
    ends = {name: {"finished_at": finished} for name, finished in ended}
    missing = known - ends.keys() | untouched([trial.id for trial in ran.left], ran.before, ends)
    absent = {trial.id for trial in ran.trials} - known - ends.keys()
    if absent:
        words = counted(len(absent), "trial of other shards is", "trials of other shards are")
        console.print(f"{words} not there yet", soft_wrap=True)
    return tell_ends(console, ran.where, failed, len(missing), budgeted)
