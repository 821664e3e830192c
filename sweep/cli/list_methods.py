"""The command `methods`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console


def methods(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these; a plugin as package.module:attribute.")
    ] = None,
) -> None:
    """List the methods with their hyperparameters, defaults, search ranges and sources."""
    import dataclasses
    from typing import Literal, get_args, get_origin, get_type_hints

    from rich.table import Table

    from methods import METHODS, Range
    from sweep.spec.plugins import find_method

    console = Console()
    for name, method in {name: find_method(name) for name in names or METHODS}.items():
        console.print(f"[bold]{name}[/bold]  {(method.__doc__ or '').splitlines()[0]}  [dim]{method.source}[/dim]")
        hints = get_type_hints(method)
        table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=False)
        for item in dataclasses.fields(method):
            search = item.metadata.get("search")
            if isinstance(search, Range):
                found = f"{search.low:g} to {search.high:g}{', log' if search.log else ''}"
            elif get_origin(hints[item.name]) is Literal:
                found = " | ".join(map(str, get_args(hints[item.name])))
            else:
                found = ""
            default = "null" if item.default is None else str(item.default)
            table.add_row(f"  {item.name}", default, found, item.metadata.get("meaning", ""))
        if table.row_count:
            console.print(table)
        console.print()
