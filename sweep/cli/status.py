"""The command `status`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from sweep.cli.arguments import DirectoryArgument
from sweep.cli.messages import warn_of_damage

PATIENCE = 10.0
"""Seconds to wait for the plan: torch takes two of them to load, and large data many to be hashed."""


def status(
    directory: DirectoryArgument,
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A plugin to import, so that its missing trials and other versions are counted."
        ),
    ] = None,
) -> None:
    """Count the trials in a results directory by method and how they ended; show what failed and is missing."""
    from sweep.cli.status_table import print_left, print_status
    from sweep.cli.stored_spec import StoredPlan
    from sweep.store.results import existing_results

    results = existing_results(directory)
    trials, suggestions = results.trials(), results.suggestions()
    relearned = results.relearned(trials.table)
    warn_of_damage(trials, suggestions, relearned)
    console, plugins = Console(markup=False), frozenset(plugin or ())
    print_status(console, directory, trials, suggestions, relearned, plugins)
    print_left(console, StoredPlan(results, plugins).within(PATIENCE), trials)  # last: to plan takes seconds
