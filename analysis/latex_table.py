"""The comparison of methods as LaTeX: a table for each dataset and network, a group of columns for each forget set."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import pandas as pd

SEPARATOR = ", forget "
"""In a task's words, what stands between dataset and network, and the forget set."""
WIDEST = 4
"""Forget sets that have columns beside one another; more stand in a table each."""

SPECIAL: dict[str, str | int | None] = {
    **{symbol: f"\\{symbol}" for symbol in "&%$#_{}"},
    "±": r"$\pm$",
    "–": "--",
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\^{}",
    "ρ": r"$\rho$",
    "γ": r"$\gamma$",
    "ι": r"$\iota$",
    "≤": r"$\leq$",
    "−": "$-$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
ESCAPES = str.maketrans(SPECIAL)

DEVIATION = re.compile(r" \$\\pm\$ ([\d.]+)")
"""A standard deviation behind its mean."""

Row = dict[Hashable, Any]
Cells = Callable[[pd.DataFrame], tuple[list[str], list[list[str]]]]
"""Headers and cells of the rows of one task: first a name, then a cell for each further header."""


def latex_tables(table: pd.DataFrame, cells: Cells, notes: Callable[[pd.DataFrame], Sequence[str]]) -> str:
    """Every task of `methods_table` as LaTeX, with booktabs rules; the closest to Retrain in bold.

    A deviation is a subscript, and a table wider than the text is scaled down to it.

    Args:
        cells: what a task's table shows.
        notes: what stands under it: the first in the caption, the others as comments.
    """
    if table.empty:
        return "% no trials\n"
    tasks = [(str(task), rows) for task, rows in table.groupby("task", sort=False)]
    settings: dict[str, list[tuple[str, pd.DataFrame]]] = {}
    for task, rows in tasks:
        settings.setdefault(task.rpartition(SEPARATOR)[0] or task, []).append((task, rows))
    groups = [
        group
        for found in settings.values()
        for group in ([found] if _alike(found, cells) else [[each] for each in found])
    ]
    parts = ["% needs \\usepackage{booktabs,graphicx}; bold: the method closest to Retrain, whose own rows are above\n"]
    parts += [_table(number, group, cells, notes) for number, group in enumerate(groups, start=1)]
    return "\n".join(parts)


def _alike(tasks: Sequence[tuple[str, pd.DataFrame]], cells: Cells) -> bool:
    """Whether tasks can have their columns beside one another."""
    return len(tasks) <= WIDEST and len({tuple(cells(rows)[0]) for _, rows in tasks}) == 1


def _table(
    number: int,
    tasks: Sequence[tuple[str, pd.DataFrame]],
    cells: Cells,
    notes: Callable[[pd.DataFrame], Sequence[str]],
) -> str:
    headers = cells(tasks[0][1])[0]
    width = len(headers) - 1
    lines: dict[str, list[list[str]]] = {}
    for place, (_, rows) in enumerate(tasks):
        for name, *line in _bold(rows, *cells(rows)):
            lines.setdefault(name, [["--"] * width for _ in tasks])[place] = line
    setting, _, forgotten = tasks[0][0].rpartition(SEPARATOR)
    words = setting if len(tasks) > 1 else f"{setting}{SEPARATOR}{forgotten}" if setting else forgotten
    caption = notes(tasks[0][1])[0]
    begin = [
        *(f"% {f'{task}: ' if len(tasks) > 1 else ''}{note}" for task, rows in tasks for note in notes(rows)[1:]),
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{_escaped(words)}. {_escaped(caption)}}}",
        rf"\label{{tab:methods-{number}}}",
        r"\small",
        r"\setlength{\tabcolsep}{3pt}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * width * len(tasks)}}}",
        r"\toprule",
    ]
    if len(tasks) > 1:
        heads = (
            f"\\multicolumn{{{width}}}{{c}}{{forget {_escaped(task.rpartition(SEPARATOR)[2])}}}" for task, _ in tasks
        )
        begin.append(" & ".join(["", *heads]) + r" \\")
        starts = range(2, 2 + width * len(tasks), width)
        begin.append(" ".join(rf"\cmidrule(lr){{{start}-{start + width - 1}}}" for start in starts))
    names = [_escaped(headers[0]), *(_escaped(header) for header in headers[1:] * len(tasks))]
    under = [[_name(name), *(cell for part in line for cell in part)] for name, line in lines.items()]
    body = [" & ".join(line) + r" \\" for line in [names, *under]]
    end = [r"\bottomrule", r"\end{tabular}}", r"\end{table}", ""]
    return "\n".join([*begin, body[0], r"\midrule", *body[1:], *end])


def _bold(rows: pd.DataFrame, headers: Sequence[str], cells: Sequence[Sequence[str]]) -> list[list[str]]:
    """The cells, escaped but for names; of each metric the smallest gap of a method in bold, and the smallest mean."""
    found = [[line[0], *(DEVIATION.sub(r"$_{\\pm\1}$", _escaped(cell)) for cell in line[1:])] for line in cells]
    compared = rows["compared"].to_numpy(dtype=bool)
    for column, header in enumerate(headers[1:], start=1):
        name = "average_gap" if header == "avg. gap" else f"{header}.gap"
        if name not in rows:
            continue
        gaps = [float(f"{gap:.1f}") for gap in rows[name].where(compared)]  # as they are written
        for line, gap in zip(found, gaps, strict=True):
            if gap == min((each for each in gaps if each == each), default=None):
                line[column] = rf"\textbf{{{line[column]}}}"
    return found


def _name(text: str) -> str:
    """A name at the start of a line, where a bracket would belong to the end of the line above."""
    return f"{{{_escaped(text)}}}" if text.startswith("[") else _escaped(text)


def _escaped(text: str) -> str:
    return text.translate(ESCAPES)
