"""The command `rerun`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from sweep.cli.arguments import DirectoryArgument


def rerun(
    directory: DirectoryArgument,
    trial_id: Annotated[str, typer.Argument(metavar="TRIAL_ID", help="As in the column trial_id.")],
    plugin: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A plugin that the trial may import, package.module:attribute."),
    ] = None,
) -> None:
    """Run one stored trial again and compare the result with its row. Exit status 1 if they differ."""
    from rich.table import Table

    from sweep.engine.rerun import rerun as run_again

    found = run_again(directory, trial_id, frozenset(plugin or ()))
    console = Console(markup=False)
    console.print(f"{found.old['method']}, seed {found.old['seed']} ({trial_id})", soft_wrap=True)
    table = Table()
    for header in ("", "stored", "again", "equal"):
        table.add_column(header, justify="left" if header == "" else "right")
    for name in found.compared:
        old, new = found.old[name], found.new[name]
        if old is not None or new is not None:
            table.add_row(name, str(old), str(new), "yes" if old == new else "no")
    console.print(table)
    if found.new["error"]:
        console.print(found.new["error"], markup=False, highlight=False)
    if found.old["code_version"] != found.version:
        console.print(f"stored by code version {found.old['code_version']}, this is {found.version}", highlight=False)
    console.print("equal" if found.equal else "different")
    raise typer.Exit(0 if found.equal else 1)
