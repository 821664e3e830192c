"""What methods certify of their results."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from analysis.wording.words import few


def certificate_words(notes: object) -> str:
    """A trial's epsilon, delta and the assumptions that they rest on, from its `notes`; empty if it claims none."""
    noted: dict[str, Any] = json.loads(notes) if isinstance(notes, str) else {}
    if "epsilon" not in noted:
        return ""
    claim = ", ".join(f"{name} = {_number(noted[name])}" for name in ("epsilon", "delta") if name in noted)
    text = " ".join(str(noted.get("certificate", "")).split()).removesuffix(".")
    return f"{claim}. {text}." if text else f"{claim}."


def certificate_lines(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Each certificate in a `methods_table` once: the configurations that have it, and its words."""
    if table.empty:
        return []
    certified = table[table["certificate"] != ""]
    groups = certified.groupby("certificate", sort=False)["method"]
    return [(few(list(methods.unique())), str(words)) for words, methods in groups]


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
