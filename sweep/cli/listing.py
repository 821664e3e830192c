"""The command `list`."""

from __future__ import annotations

from collections.abc import Sequence
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
    from methods import METHODS
    from sweep.spec.plugins import find_method

    console = Console()
    if names:
        for name in names:
            _describe(console, name, find_method(name))
        return
    rows = [(name, method.family, method.needs) for name, method in METHODS.items()]
    for words, method in zip(_columns([("method", "family", "reads"), *rows]), [None, *METHODS.values()], strict=True):
        _entry(console, words, "passes" if method is None else method.cost)
    console.print("\nPasses: forward and backward passes of one sample.")
    console.print("n_r, n_f, n: samples of the retain set, the forget set, and both.")
    console.print("unlearn-sweep list methods NAME: what it does, and its hyperparameters.")


@listing.command()
def metrics() -> None:
    """List what is measured of each kind of task (column of the table of trials, abbreviation, meaning, unit), and the
    scores of the command score.
    """
    from analysis.audit.scores import SCORES
    from sweep.store.metrics import FURTHER, KINDS

    console = Console()
    for kind, usual in KINDS.items():
        further = FURTHER.get(kind, ())
        console.print(f"[bold]{kind}[/bold]", highlight=False)
        heads = _columns([(metric.column, metric.label) for metric in (*usual, *further)])
        for head, metric in zip(heads, (*usual, *further), strict=True):
            where = "; in the column other" if metric in further else ""
            _entry(console, head, f"{metric.words}; {metric.unit}{where}")
        console.print()
    console.print("[bold]score[/bold]", highlight=False)
    for head, score in zip(_columns([(score.name, score.label) for score in SCORES]), SCORES, strict=True):
        _entry(console, head, "; ".join(filter(None, [score.words, score.unit])))


def _describe(console: Console, name: str, method: type[Method]) -> None:
    import dataclasses
    import inspect
    from typing import Literal, get_args, get_origin, get_type_hints

    from rich.markdown import Markdown
    from rich.markup import escape

    from methods import Range

    lines = inspect.cleandoc(method.__doc__ or "").splitlines()
    card = "\n".join(line if line.startswith("    ") else line.replace("`", r"\`") for line in lines)
    console.print(f"[bold]{escape(name)}[/bold]  [dim]{escape(method.source)}[/dim]")
    kinds = " and ".join(method.kinds) if method.kinds else "data sets of any kind"
    console.print(f"for {kinds}; reads {method.needs}; passes: {method.cost or 'not said'}\n", highlight=False)
    console.print(Markdown(card, code_theme="ansi_dark"))
    hints, rows, meanings = get_type_hints(method), [], []
    for item in dataclasses.fields(method):
        search = item.metadata.get("search")
        if isinstance(search, Range):
            found = f"{search.low:g} to {search.high:g}{', log' if search.log else ''}"
        elif get_origin(hints[item.name]) is Literal:
            found = " | ".join(map(str, get_args(hints[item.name])))
        else:
            found = ""
        rows.append((item.name, "null" if item.default is None else str(item.default), found))
        meanings.append(item.metadata.get("meaning", ""))
    if rows:
        console.print()
    for words, meaning in zip(_columns(rows), meanings, strict=True):
        _entry(console, words, meaning)
    console.print()


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Each row as a line, its words beginning where those of the other rows do."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _entry(console: Console, head: str, below: str) -> None:
    """Print a line, and below it, indented, what may need several."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(Text(head, style="bold"), soft_wrap=True)
    console.print(Padding(Text(below), (0, 0, 0, 4), expand=False))
