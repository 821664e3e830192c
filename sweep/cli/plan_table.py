"""What `plan` prints of a sweep and of a search alike: what is done, what is left, and how long that takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from sweep.engine.forecast import Forecast


def print_table(console: Console, title: str, head: str, parts: Iterable[tuple[str, int, int]], whole: str) -> None:
    """Print how many trials of each part are done and how many are to run, and of all parts together.

    Args:
        head: what the parts are.
        parts: of each its name, how many trials it has, and how many of them are done.
        whole: names all parts together.
    """
    from rich.table import Table

    table, trials, done = Table(), 0, 0
    for header in (head, "trials", "done", "to run"):
        table.add_column(header, justify="left" if header == head else "right")
    for name, count, ended in parts:
        table.add_row(name, str(count), str(ended), str(count - ended))
        trials, done = trials + count, done + ended
    table.add_section()
    table.add_row(whole, str(trials), str(done), str(trials - done))
    console.print(title, soft_wrap=True)
    console.print(table)


def print_forecast(console: Console, forecast: Forecast) -> None:
    """Print how long all that a forecast expects takes."""
    console.print(forecast.words() or "how long this takes is not known", highlight=False, soft_wrap=True)
