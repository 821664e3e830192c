"""Tables for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import product

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

WIDE = 10_000
"""Characters, more than any table has."""


def fitted(headers: Sequence[str], rows: Sequence[Sequence[str]], before: str, console: Console) -> Table:
    """A table as wide as the console allows: names on the left, numbers on the right, of any number of lines each.

    Names are broken at spaces. Where that is not enough, columns stand closer, then numbers are broken, then names at
    hyphens too. What is too wide even so, rich breaks anywhere.

    Args:
        rows: a name, and a number for each further header.
        before: numbers may be broken before this.
    """
    names = [row[0] for row in rows]
    longest = max(map(cell_len, " ".join([headers[0], *names]).split()))
    for line_end, padding in product(("", "\n"), (1, 0)):
        numbers = [[cell.replace(before, line_end + before) for cell in row[1:]] for row in rows]
        nameless = _table(["", *headers[1:]], ["" for _ in rows], numbers, padding)
        room = console.width - Measurement.get(console, console.options.update(max_width=WIDE), nameless).maximum
        if longest <= room:
            break
    return _table(headers, [_broken(name, max(room, 1), longest > room) for name in names], numbers, padding)


def _table(headers: Sequence[str], names: Sequence[str], numbers: Sequence[Sequence[str]], padding: int) -> Table:
    view = Table(box=SIMPLE_HEAD)
    view.padding = (0, padding, 0, 0)
    for position, header in enumerate(headers):
        view.add_column(header, justify="left" if position == 0 else "right", overflow="fold")
    for name, cells in zip(names, numbers, strict=True):
        view.add_row(*map(Text, (name, *cells)))
    return view


def _broken(name: str, width: int, at_hyphens: bool) -> str:
    lines = (
        textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=at_hyphens) for line in name.split("\n")
    )
    return "\n".join("\n".join(each) for each in lines)
