"""The command `run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from sweep.cli import arguments
from sweep.cli.exit_status import tell_ends
from sweep.cli.messages import located, showing_results, warn
from sweep.cli.plan import planned, share

if TYPE_CHECKING:
    from sweep.plan.trials import Trial


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
    arguments.require_no_address_inline(address, executor)
    budget, part = arguments.seconds_of(time_budget), arguments.shard_named(shard)
    console = Console()
    from sweep.engine.adoption import adopt
    from sweep.plan.pending import of_other_code, with_fewer_predictions
    from sweep.plan.relearning import asked_relearning, relearning_words
    from sweep.store.results import Results

    loaded, whole, left, where, rows, again = planned(spec, overrides, out, refresh, retry_failed)
    trials, left = share(part, whole, left, where)
    adopt(Results(where), trials, rows)
    counts = f"{len(trials)} trials, {len(trials) - len(left)} done before, {len(left)} to run"
    other = of_other_code(loaded, trials, left, rows) + with_fewer_predictions(trials, left, rows, loaded.predictions)
    name = loaded.name if part is None else f"{loaded.name}, shard {part.number} of {part.count}"
    heading = [f"{name}: {counts}", *other]
    heading += relearning_words({trial.id for trial in trials}, again.unrelearned, asked_relearning(loaded))
    if left or track:
        from sweep.engine.driver import Request, run_sweep
        from sweep.track.tracking import Tracking

        def action() -> None:
            with Tracking(track or [], where, warn) as tracking:
                chosen = arguments.executor_named(executor)
                told = (console, tracking.ended, warn, heading)
                request = Request(
                    loaded,
                    where,
                    chosen,
                    address,
                    None,
                    again,
                    budget,
                    *told,
                    shared=part is not None and "://" not in where,
                )
                run_sweep(request, left)

        located(spec, action)
    else:
        for line in heading:
            console.print(line, highlight=False, soft_wrap=True)
    with showing_results(where):
        code = print_outcome(console, whole, {trial.id for trial in trials}, left, rows, where, budget is not None)
    raise typer.Exit(code)


def print_outcome(
    console: Console,
    trials: Sequence[Trial],
    own: Set[str],
    left: Sequence[Trial],
    before: Mapping[str, Mapping[str, Any]],
    where: str,
    budgeted: bool,
) -> int:
    """Print the comparison of a sweep's methods; return the exit status.

    Args:
        trials: all of the sweep.
        own: ids of those of this command's shard: of all, if it has none.
        left: those of them that this command was to run.
        before: the rows that were stored before, by id, with their `finished_at`.
        budgeted: whether the run had a time budget.
    """
    from analysis.methods_table import methods_table, render_rich
    from analysis.reading.frames import read_trials
    from sweep.plan.pending import untouched

    planned = {trial.id: position for position, trial in enumerate(trials)}
    rows = read_trials(where, planned)
    rows = rows.sort_values("trial_id", key=lambda ids: ids.map(planned))
    render_rich(methods_table(rows), console)
    failed = int((rows["trial_id"].isin(own) & (rows["status"] == "failed")).sum())
    ran = rows[rows["status"] != "pruned"]
    ends = {name: {"finished_at": ended} for name, ended in zip(ran["trial_id"], ran["finished_at"], strict=True)}
    missing = len((own - ends.keys()) | untouched([trial.id for trial in left], before, ends))
    if absent := len(planned.keys() - own - ends.keys()):
        words = "1 trial of other shards is" if absent == 1 else f"{absent} trials of other shards are"
        console.print(f"{words} not there yet", soft_wrap=True)
    return tell_ends(console, where, failed, missing, budgeted)
