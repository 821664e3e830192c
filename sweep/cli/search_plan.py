"""What `plan` says of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from sweep.cli.messages import located, warn, warn_of_damage

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
    table = Table()
    for header in ("search", "trials", "done", "to run"):
        table.add_column(header, justify="left" if header == "search" else "right")
    for part in parts:
        table.add_row(part.words, str(part.trials), str(part.done), str(part.trials - part.done))
    table.add_section()
    total, done = sum(part.trials for part in parts), sum(part.done for part in parts)
    table.add_row("all, at most" if search.compute is None else "all, about", str(total), str(done), str(total - done))
    console.print(f"{loaded.name} in {where}", soft_wrap=True)
    console.print(table)
    if forecast and total > done:
        words = expected.add_to(here(loaded, checked), results).words()
        console.print(words or "how long this takes is not known", highlight=False, soft_wrap=True)
