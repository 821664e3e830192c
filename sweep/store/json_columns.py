"""Columns whose text is JSON. Parquet does not check it, so readers that parse it do."""

from __future__ import annotations

import json

from sweep.store.parquet import Rows

OBJECTS = {
    "trials": ("config", "params", "other", "notes"),
    "suggestions": ("params", "space"),
    "relearned": ("recipe", "other"),
}
"""For each folder its columns of JSON objects; null where there is none."""

FILES = {"trials": "{trial_id}", "suggestions": "{study}-{number}", "relearned": "{trial_id}-{relearning_id}"}

SECTIONS = "method", "dataset", "model", "forget", "training"
"""The parts of a `config` that are objects too."""


def legible(folder: str, found: Rows) -> Rows:
    """The rows whose JSON can be parsed; of the others the files count as damaged."""
    texts = {column: found.table[column].to_pylist() for column in OBJECTS[folder]}
    wrong: dict[int, str] = {}
    for column, cells in texts.items():
        for place, text in enumerate(cells):
            if text is not None and not _is_object(column, text):
                wrong.setdefault(place, column)
    if not wrong:
        return found
    rows = found.table.take(list(wrong)).to_pylist()
    names = [f"{folder}/{FILES[folder].format_map(row)}.parquet" for row in rows]
    damaged = [f"{name}: its {column} is no JSON object" for name, column in zip(names, wrong.values(), strict=True)]
    kept = [place for place in range(len(found.table)) if place not in wrong]
    return Rows(found.table.take(kept), [*found.damaged, *dict.fromkeys(damaged)])


def _is_object(column: str, text: str) -> bool:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(parsed, dict):
        return False
    sections = [parsed[name] for name in SECTIONS if name in parsed] if column == "config" else []
    if not all(isinstance(section, dict) for section in sections):
        return False
    return column != "config" or isinstance(parsed.get("method", {}).get("version", 0), int)
