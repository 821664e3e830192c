"""What a spec asks for. Imports no pandas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Planned:
    """What a spec asks for.

    Attributes:
        trials: the method of each trial, by its id.
        suggestions: of each study of the spec's search; 0: it has none.
    """

    trials: Mapping[str, str]
    suggestions: int = 0


Plan = Planned | str
"""What the spec asks for, or why that is not known."""
