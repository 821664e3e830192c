"""Columns whose text is JSON. Parquet does not check it, so it is checked when a file is first read."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from sweep.store.parquet import FILE, Rows

OBJECTS = {
    "trials": ("config", "params", "other", "notes"),
    "suggestions": ("params", "space"),
    "relearned": ("recipe", "other"),
}
"""For each folder its columns of JSON objects; null where there is none."""

SECTIONS = "method", "dataset", "model", "forget", "training"
"""The parts of a `config` that are objects too."""


def with_objects(schema: pa.Schema, folder: str, columns: pa.Schema) -> pa.Schema:
    """Those of a folder's columns that are in the schema or of JSON objects."""
    wanted = {*schema.names, *OBJECTS.get(folder, ())}
    return pa.schema([field for field in columns if field.name in wanted])


def legible(folder: str, found: Rows) -> Rows:
    """The rows of files whose JSON can be parsed; the others count as damaged.

    Args:
        found: with the columns of JSON objects, and `FILE`.
    """
    wrong: dict[str, str] = {}
    for column in OBJECTS.get(folder, ()):
        for place, text in enumerate(found.table[column].to_pylist()):
            if text is not None and not _is_object(column, text):
                wrong.setdefault(found.table[FILE][place].as_py(), column)
    if not wrong:
        return found
    sound = found.table.filter(pc.invert(pc.is_in(found.table[FILE], pa.array(list(wrong)))))
    damaged = [f"{folder}/{name}: its {column} is no JSON object" for name, column in wrong.items()]
    return Rows(sound, found.damaged + damaged)


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
