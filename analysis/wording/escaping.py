"""Text from specs and rows as it is written into files: read as text by whatever opens them, never as markup."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Sequence

import pandas as pd

MARKUP = re.compile(r"[\\`*\[\]~$|]|(?<!\w)_|_(?!\w)")
"""What Markdown may read as more than a character: an underscore only at the edge of a word."""

ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would compute (OWASP, CSV injection)."""


def in_markdown(text: str) -> str:
    """A text as Markdown shows it, character by character."""
    return MARKUP.sub(r"\\\g<0>", text.translate(ENTITIES))


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]], texts: Collection[int] = (0,)) -> str:
    """A Markdown table; columns are of numbers, but for those at the places `texts`."""

    def line(cells: Sequence[str]) -> str:
        written = [in_markdown(cell) if at in texts else cell.replace("|", "\\|") for at, cell in enumerate(cells)]
        return f"| {' | '.join(written)} |"

    rule = "|".join(":--" if at in texts else "--:" for at in range(len(headers)))
    return "\n".join([line(headers), f"|{rule}|", *map(line, rows)])


def in_csv(frame: pd.DataFrame) -> str:
    """A table as CSV. A text that a spreadsheet would compute has a quote before it; numbers stay as they are."""
    texts = frame.select_dtypes(exclude=["number", "bool", "datetime", "datetimetz"]).columns
    safe = frame.assign(**{str(name): frame[name].map(_no_formula) for name in texts})
    return safe.rename(columns=_no_formula).to_csv(index=False)


def _no_formula(cell: Hashable) -> Hashable:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
