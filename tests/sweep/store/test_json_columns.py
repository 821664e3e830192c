"""Rows whose JSON cannot be parsed."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sweep.store.json_columns import OBJECTS, legible
from sweep.store.parquet import Rows

IDS = {
    "trials": ["trial_id"],
    "suggestions": ["study", "number"],
    "relearned": ["trial_id", "relearning_id"],
}


@pytest.mark.parametrize(("folder", "column"), [(name, column) for name, found in OBJECTS.items() for column in found])
@pytest.mark.parametrize("text", ["{", "[]", "1", "", "[" * 10**5])
def test_a_row_is_left_out_and_its_file_is_named_once(folder, column, text):
    def row(name, **columns):
        return dict.fromkeys(IDS[folder], name) | dict.fromkeys(OBJECTS[folder], "{}") | columns

    rows = [row("a"), row("b", **{column: text}), row("c", **{column: None}), row("b", **{column: text})]
    found = legible(folder, Rows(pa.Table.from_pylist(rows), ["before"]))
    assert found.table.to_pylist() == [rows[0], rows[2]]
    name = "-".join("b" for _ in IDS[folder])
    assert found.damaged == ["before", f"{folder}/{name}.parquet: its {column} is no JSON object"]


def test_rows_that_can_all_be_parsed_are_the_same():
    table = pa.Table.from_pylist([dict.fromkeys([*IDS["trials"], *OBJECTS["trials"]], '{"a": NaN}')])
    assert legible("trials", Rows(table, [])).table is table
