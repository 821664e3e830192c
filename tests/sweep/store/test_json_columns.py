"""Rows whose JSON cannot be parsed: for every reader their files are damaged."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from sweep.engine.rerun import rerun
from sweep.errors import InputError
from sweep.store import index
from sweep.store.columns import FOLDERS
from sweep.store.json_columns import OBJECTS, legible
from sweep.store.parquet import FILE, Rows, parquet_bytes
from sweep.store.results import Results


@pytest.mark.parametrize(("folder", "column"), [(name, column) for name, found in OBJECTS.items() for column in found])
@pytest.mark.parametrize("text", ["{", "[]", "1", "", "[" * 10**5])
def test_a_file_is_left_out_whole_and_named_once(folder, column, text):
    def row(name, **columns):
        return {FILE: name} | dict.fromkeys(OBJECTS[folder], "{}") | columns

    rows = [row("a"), row("b"), row("b", **{column: text}), row("c", **{column: None}), row("b", **{column: text})]
    found = legible(folder, Rows(pa.Table.from_pylist(rows), ["before"]))
    assert found.table.to_pylist() == [rows[0], rows[3]]
    assert found.damaged == ["before", f"{folder}/b: its {column} is no JSON object"]


def test_rows_that_can_all_be_parsed_are_the_same():
    table = pa.Table.from_pylist([dict.fromkeys([FILE, *OBJECTS["trials"]], '{"a": NaN}')])
    assert legible("trials", Rows(table, [])).table is table


@pytest.fixture
def spoilt(results: Results, make_row) -> Results:
    """A sound row in each folder, and one whose JSON is none."""
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    for name, text in (("sound", "{}"), ("spoilt", "{")):
        objects = dict.fromkeys(OBJECTS["trials"], "{}") | {"model_sha256": "w"}
        results.write_row(make_row(name) | objects | {"other": text, "n_traces": 0, "n_predictions": 0})
        common = {"study": name, "number": 0, "trial_id": name, "relearning_id": "r", "model_sha256": "w"}
        common |= {"suggested_at": moment, "objectives": [], "trial_ids": [], "confirm_trial_ids": []}
        for folder in ("suggestions", "relearned"):
            row = common | dict.fromkeys(OBJECTS[folder], "{}") | {OBJECTS[folder][-1]: text}
            fields = [field for field in FOLDERS[folder] if field.name in row or not field.nullable]
            row |= {each.name: "" if pa.types.is_string(each.type) else 0 for each in fields if each.name not in row}
            table = pa.Table.from_pylist([row], schema=FOLDERS[folder])
            results.write(f"{folder}/{name}.parquet", parquet_bytes(table))
    return results


@pytest.mark.parametrize("few", [True, False])
def test_every_reader_leaves_them_out(spoilt: Results, monkeypatch, few):
    if not few:  # so that there is an index, which a second reader reads
        monkeypatch.setattr(index, "FEWEST", 1)
        monkeypatch.setattr(index, "SETTLED", -(10**12))
    for _ in range(2):
        trials = spoilt.trials(["status"])
        assert (trials.table["trial_id"].to_pylist(), trials.damaged) == (
            ["sound"],
            ["trials/spoilt.parquet: its other is no JSON object"],
        )
        assert spoilt.suggestions().table["study"].to_pylist() == ["sound"]
        assert spoilt.suggestions().damaged == ["suggestions/spoilt.parquet: its space is no JSON object"]
        assert spoilt.relearned().table["trial_id"].to_pylist() == ["sound"]
        assert spoilt.relearned().damaged == ["relearned/spoilt.parquet: its other is no JSON object"]
    assert spoilt.trial("spoilt") is None
    assert spoilt.trial("sound")["trial_id"] == "sound"
    assert bool(list(Path(spoilt.location, ".index").glob("*.parquet"))) is not few


def test_rerun_says_why_a_trial_counts_as_absent(spoilt: Results):
    with pytest.raises(InputError, match=r"trials/spoilt\.parquet: its other is no JSON object"):
        rerun(spoilt.location, "spoilt")
