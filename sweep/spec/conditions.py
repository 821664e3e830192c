"""Which hyperparameters have an effect. Plain Python, for searches and for whoever reads their results."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

Conditions = Mapping[str, Mapping[str, Collection[Any]]]
"""For each hyperparameter that depends on others: the values that each of these must have, as in its `when`."""


def acts(name: str, when: Conditions, values: Mapping[str, Any]) -> bool:
    """Whether a hyperparameter has an effect beside the others' values: all that it depends on act, and allow it."""
    return all(
        values.get(parent) in allowed and acts(parent, when, values) for parent, allowed in when.get(name, {}).items()
    )
