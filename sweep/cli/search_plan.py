"""What `plan` says of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console

from sweep.cli.messages import located, warn, warn_of_damage
from sweep.cli.plan_table import print_forecast, print_table

if TYPE_CHECKING:
    from sweep.spec.sweep_spec import Spec


def only_searches(spec: str, overrides: list[str] | None) -> Spec | None:
    """The spec, if it has nothing but a search."""
    from sweep.spec.sweep_spec import load_spec

    loaded = load_spec(spec, overrides)
    return None if loaded.methods else loaded


def plan_of_search(
    console: Console, spec: str, loaded: Spec, out: str | None, forecast: bool, tell: Callable[[str], None] = warn
) -> None:
    """Print the parts of a search, how many trials of them exist already, and how long the rest would take here.

    Args:
        tell: is called with each remark on the dataset.
    """
    from sweep.engine.pace import here
    from sweep.plan.check import check_task
    from sweep.search.expected import Expected
    from sweep.search.plan import plan_search, search_section
    from sweep.store.results import Results

    where = out or f"results/{loaded.name}"
    results, search = Results(where), search_section(loaded)
    located(spec, lambda: loaded.find_lists(results))
    planned = located(spec, lambda: plan_search(loaded))
    stored, suggested = results.trials(), results.suggestions()
    warn_of_damage(stored, suggested)
    rows = {row["trial_id"]: row for row in stored.table.to_pylist()}
    seeds = [*search.seeds, *search.confirm_seeds]
    checked = located(spec, lambda: check_task(loaded.model_copy(update={"seeds": seeds}), tell))
    expected = Expected(planned, rows, suggested.table.to_pylist(), checked)
    parts = expected.parts()
    counts = [(part.words, part.trials, part.done) for part in parts]
    whole = "all, at most" if search.compute is None else "all, about"
    print_table(console, f"{loaded.name} in {where}", "search", counts, whole)
    if forecast and any(part.trials > part.done for part in parts):
        print_forecast(console, expected.add_to(here(loaded, checked), results))
