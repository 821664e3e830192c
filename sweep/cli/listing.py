"""The command `list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from methods import Method

listing = typer.Typer(help="List what a spec may name.", no_args_is_help=True)


@listing.callback()
def choose() -> None:
    """One command for each kind of thing."""


@listing.command()
def methods(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="All of these; a plugin as package.module:attribute."),
    ] = None,
) -> None:
    """List the methods: family, the sets that each reads, its cost in passes; or all about the methods named."""
    from rich.table import Table

    from methods import METHODS
    from sweep.spec.plugins import find_method

    console = Console()
    if names:
        for name in names:
            _describe(console, name, find_method(name))
        return
    table = Table("method", "family", "reads", "passes", box=None, pad_edge=False, padding=(0, 2))
    for name, method in METHODS.items():
        table.add_row(name, method.family, method.needs, method.cost)
    console.print(table)
    console.print("\nPasses are forward and backward passes of one sample; n_r, n_f, n: retain, forget and both sets.")
    console.print(
        "unlearn-sweep list methods NAME: what it does, with its hyperparameters, defaults and search ranges."
    )


def _describe(console: Console, name: str, method: type[Method]) -> None:
    import dataclasses
    import inspect
    from typing import Literal, get_args, get_origin, get_type_hints

    from rich.markup import escape
    from rich.table import Table

    from methods import Range

    card = inspect.cleandoc(method.__doc__ or "")
    console.print(f"[bold]{escape(name)}[/bold]  [dim]{escape(method.source)}[/dim]")
    kinds = " and ".join(method.kinds) if method.kinds else "data sets of any kind"
    console.print(f"for {kinds}; reads {method.needs}; passes: {method.cost or 'not said'}", highlight=False)
    console.print(f"\n{card}\n", markup=False, highlight=False)
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
