"""The command `plan`, and what is left of a sweep to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from sweep.cli.arguments import (
    OutOption,
    SetOption,
    SpecArgument,
)
from sweep.cli.messages import located, warn, warn_of_damage
from sweep.errors import InputError

if TYPE_CHECKING:
    from sweep.plan.trials import Trial
    from sweep.spec.sweep_spec import Spec


def plan(spec: SpecArgument = "digits", out: OutOption = None, overrides: SetOption = None) -> None:
    """Count a sweep's trials and originals, and what exists already. Runs nothing."""
    from sweep.cli.run_table import print_plan, search_words
    from sweep.plan.check import check_task
    from sweep.plan.pending import of_other_code

    loaded, trials, left, where, rows = planned(spec, overrides, out)
    if left:
        located(spec, lambda: check_task(loaded, warn))
    console = Console()
    print_plan(console, loaded.name, trials, left, where)
    for line in of_other_code(loaded, trials, left, rows):
        console.print(line, highlight=False, soft_wrap=True)
    if loaded.search is not None:
        console.print(f"and {search_words(loaded)}: unlearn-sweep search {spec}", highlight=False, soft_wrap=True)


def planned(
    spec: str, overrides: list[str] | None, out: str | None, refresh: bool = False, retry_failed: bool = False
) -> tuple[Spec, list[Trial], list[Trial], str, dict[str, dict[str, Any]]]:
    """The spec, its trials, those that are to be run, the results directory, and what is known of its rows, by id."""
    from sweep.plan.pending import Again, pending
    from sweep.plan.trials import plan_trials
    from sweep.spec.sweep_spec import load_spec
    from sweep.store.results import Results

    loaded = load_spec(spec, overrides)
    if not loaded.methods:
        raise InputError(f"{spec}: methods: required, and missing; to run its search: unlearn-sweep search {spec}")
    trials = located(spec, lambda: plan_trials(loaded))
    where = out or f"results/{loaded.name}"
    found = Results(where).trials(["status", "study", "code_version", "original_version", "finished_at"])
    warn_of_damage(found)
    rows = {row["trial_id"]: row for row in found.table.to_pylist()}
    return loaded, trials, pending(trials, rows, Again(refresh, retry_failed)), where, rows
