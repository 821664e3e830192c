"""Which hyperparameters have an effect. Plain Python, so that the analysis of searches can import it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

Conditions = Mapping[str, Mapping[str, Collection[Any]]]
"""For each hyperparameter that depends on others: the values that each of these may have, as in its `when`."""


def acts(name: str, when: Conditions, values: Mapping[str, Any]) -> bool:
    """Whether a hyperparameter has an effect, given the others' values.

    It has if every hyperparameter that it depends on has an effect, and one of the values that `when` lists.
    """
    return all(
        values.get(parent) in allowed and acts(parent, when, values) for parent, allowed in when.get(name, {}).items()
    )
