"""What the reference pages say of code, made from that code while the site is built."""

import dataclasses
import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Literal, get_args, get_origin, get_type_hints

import pyarrow as pa

from methods import METHODS, Method, Range
from sweep.store.column_words import words_of
from sweep.store.columns import FOLDERS, NOTES
from sweep.store.metrics import FURTHER, KINDS


def command_line() -> str:
    """Every command with its arguments and options, as typer says them."""
    words = [sys.executable, "-m", "typer", "sweep.cli.app", "utils", "docs", "--name", "unlearn-sweep"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.partition("\n")[2]


def tables() -> str:
    """A section for each folder of a results directory: its columns, and what needs more than a line."""
    return "\n\n".join(
        f"## {folder}\n\n{_table(['column', 'type', 'null?', 'what it holds'], _columns_of(schema))}\n\n{NOTES[folder]}"
        for folder, schema in FOLDERS.items()
    )


def metrics() -> str:
    """A table of the metrics for each kind of task."""
    parts = []
    for kind, usual in KINDS.items():
        rows = [
            (f"`{metric.column}`", metric.label, metric.words, metric.unit, metric.side or "")
            for metric in (*usual, *FURTHER.get(kind, ()))
        ]
        parts.append(f"## {kind}\n\n{_table(['column', 'label', 'what it is', 'unit', 'side of the gap'], rows)}")
    return "\n\n".join(parts)


def cards() -> str:
    """A section for each method: what `unlearn-sweep list methods NAME` prints."""
    return "\n\n".join(_card(name, method) for name, method in METHODS.items())


GENERATED: dict[str, Callable[[], str]] = {
    "docs/reference/command-line": command_line,
    "docs/reference/columns": tables,
    "docs/reference/metrics": metrics,
    "docs/reference/methods": cards,
}
"""By the page that it is for."""


def _card(name: str, method: type[Method]) -> str:
    kinds = " and ".join(method.kinds) if method.kinds else "data sets of any kind"
    facts = f"For {kinds}; reads {method.needs}; passes: `{method.cost or 'not said'}`."
    if method.source != "-":
        facts = f"*{method.source}.* {facts}"
    hints = get_type_hints(method)
    rows = [
        (f"`{item.name}`", f"`{_value(item.default)}`", _space(item, hints[item.name]), item.metadata["meaning"])
        for item in dataclasses.fields(method)
    ]
    table = _table(["hyperparameter", "default", "search", "meaning"], rows) if rows else ""
    return f"## {name}\n\n{facts}\n\n{inspect.getdoc(method)}\n\n{table}"


def _space(item: "dataclasses.Field[object]", hint: object) -> str:
    search = item.metadata["search"]
    if isinstance(search, Range):
        return f"{search.low:g} to {search.high:g}{', log' if search.log else ''}"
    return ", ".join(f"`{_value(each)}`" for each in get_args(hint)) if get_origin(hint) is Literal else ""


def _value(value: object) -> str:
    return "null" if value is None else str(value)


def _columns_of(schema: pa.Schema) -> list[tuple[str, ...]]:
    return [
        (f"`{field.name}`", str(field.type), "yes" if field.nullable else "", words_of(field.name)) for field in schema
    ]


def _table(head: list[str], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
