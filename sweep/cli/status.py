"""The command `status`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from sweep.cli.arguments import DirectoryArgument
from sweep.cli.messages import warn_of_damage


def status(
    directory: DirectoryArgument,
    plugin: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A plugin to import, so that trials of another version of it are counted."),
    ] = None,
) -> None:
    """Count the trials in a results directory by method and how they ended, and show what failed."""
    from sweep.cli.status_table import print_status
    from sweep.store.json_columns import legible
    from sweep.store.results import existing_results

    results = existing_results(directory)
    trials, suggestions = legible("trials", results.trials()), legible("suggestions", results.suggestions())
    relearned = legible("relearned", results.relearned(trials.table))
    warn_of_damage(trials, suggestions, relearned)
    print_status(Console(markup=False), directory, trials, suggestions, relearned, frozenset(plugin or ()))
