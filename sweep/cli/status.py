"""The command `status`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from sweep.cli.messages import warn_of_damage


def status(
    directory: Annotated[str, typer.Argument(metavar="DIR")],
    plugin: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A plugin to import, so that trials of another version of it are counted."),
    ] = None,
) -> None:
    """Count the trials in a results directory by method and how they ended, and show what failed."""
    from sweep.cli.status_table import print_status
    from sweep.store.results import existing_results

    results = existing_results(directory)
    trials, suggestions = results.trials(), results.suggestions()
    relearned = results.relearned(trials.table)
    for found in (trials, suggestions, relearned):
        warn_of_damage(found)
    print_status(Console(markup=False), directory, trials, suggestions, relearned, frozenset(plugin or ()))
