"""Joins the suggestions of several directories, whose numbers collide where one study was searched in several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from sweep.store.results import Results
from sweep.words import counted

Identity = tuple[str, str]
"""The study, and the hyperparameters as JSON. A study may suggest them several times."""


def merge_suggestions(tables: Sequence[pa.Table], out: Results) -> list[str]:
    """Add the suggestions that `out` has not, each under its number, or the next free one where that is taken.

    Trials that confirm a suggestion are added to those that it has. Study and hyperparameters tell suggestions apart.

    Args:
        tables: the rows of `suggestions` of each directory.

    Returns:
        How many have another number now, as a line; none if none has.

    Raises:
        OSError: results cannot be read or stored.
    """
    there: dict[tuple[str, int], dict[str, Any]] = {_place(row): row for row in out.suggestions().table.to_pylist()}
    highest = Counter({study: 0 for study, _ in there})
    for study, number in [*there, *(_place(row) for table in tables for row in table.to_pylist())]:
        highest[study] = max(highest[study], number)
    renumbered = 0
    for table in tables:
        copies: dict[Identity, list[tuple[str, int]]] = {}
        for place, row in there.items():
            copies.setdefault(_identity(row), []).append(place)
        for row in table.to_pylist():
            known = copies.get(_identity(row))
            if known:
                place = known.pop(0)
                row = there[place] | {"confirm_trial_ids": _confirming(there[place], row)}
            else:
                place = _place(row)
                if place in there:
                    highest[row["study"]] += 1
                    renumbered += 1
                    row = row | {"number": highest[row["study"]]}
                    place = _place(row)
            if there.get(place) != row:
                out.write_suggestion(row)
                there[place] = row
    if not renumbered:
        return []
    which = counted(renumbered, "suggestion has", "suggestions have")
    return [f"{which} another number: two directories had one under theirs, and both are kept"]


def _place(row: dict[str, Any]) -> tuple[str, int]:
    return row["study"], row["number"]


def _identity(row: dict[str, Any]) -> Identity:
    return row["study"], row["params"]


def _confirming(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [*dict.fromkeys([*one["confirm_trial_ids"], *other["confirm_trial_ids"]])]
