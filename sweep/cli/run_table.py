"""What `plan` and `run` print of a sweep: what is left to run, and at the end the comparison of its methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from sweep.cli.exit_status import tell_ends
from sweep.plan.pending import untouched
from sweep.plan.trials import Trial
from sweep.spec.sweep_spec import Spec
from sweep.store.original_labels import original_path
from sweep.store.results import Results


def print_plan(console: Console, name: str, trials: Sequence[Trial], left: Sequence[Trial], where: str) -> None:
    """Print by method how many of a sweep's trials are done and `left`, and how many originals are there."""
    pending = {trial.id for trial in left}
    table = Table()
    for header in ("method", "trials", "done", "to run"):
        table.add_column(header, justify="left" if header == "method" else "right")
    for method in dict.fromkeys(trial.method for trial in trials):
        ids = [trial.id for trial in trials if trial.method == method]
        remaining = sum(trial_id in pending for trial_id in ids)
        table.add_row(method, str(len(ids)), str(len(ids) - remaining), str(remaining))
    table.add_section()
    table.add_row("all", str(len(trials)), str(len(trials) - len(pending)), str(len(pending)))
    console.print(f"{name} in {where}", soft_wrap=True)
    console.print(table)
    console.print(_originals(trials, where))


def search_words(spec: Spec) -> str:
    """The size of a spec's search, whose trials no sweep has: suggestions are made as it goes on."""
    search = spec.search
    assert search is not None
    studies = len(search.methods) * sum(len(grid.sets()) for grid in spec.forget)
    count = "" if studies == 1 else f"{studies} x "
    seeds = "" if len(search.seeds) == 1 else f" x {len(search.seeds)} seeds"
    return f"a search of {count}{search.trials} suggestions{seeds}, its best on {len(search.confirm_seeds)} more"


def print_outcome(
    console: Console,
    trials: Sequence[Trial],
    left: Sequence[Trial],
    before: Mapping[str, Mapping[str, Any]],
    where: str,
    budgeted: bool,
) -> int:
    """Print the comparison of a sweep's trials, of which some were `left` to be run; the exit status.

    Args:
        before: the rows that there were, by id, with their `finished_at`.
    """
    from analysis.methods_table import methods_table, render_rich
    from analysis.reading.frames import read_trials

    planned = {trial.id: position for position, trial in enumerate(trials)}
    rows = read_trials(where, planned)
    rows = rows.sort_values("trial_id", key=lambda ids: ids.map(planned))
    render_rich(methods_table(rows), console)
    failed = int((rows["status"] == "failed").sum())
    ran = rows[rows["status"] != "pruned"]
    ends = {name: {"finished_at": ended} for name, ended in zip(ran["trial_id"], ran["finished_at"], strict=True)}
    missing = len(planned.keys() - ends.keys() | untouched([trial.id for trial in left], before, ends))
    return tell_ends(console, where, failed, missing, budgeted)


def _originals(trials: Sequence[Trial], where: str) -> str:
    results = Results(where)
    ids = {trial.original_id for trial in trials if trial.original_id is not None}
    stored = sum(results.size(original_path(name)) is not None for name in ids)
    return f"{len(ids)} originals, {stored} of them trained"
