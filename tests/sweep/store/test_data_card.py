"""The data card beside exported tables, and programs that load them."""

from __future__ import annotations

import duckdb
import pandas as pd
import polars as pl
import pytest
import yaml
from test_export import TRACE, predictions

from sweep.store.column_words import WORDS, words_of
from sweep.store.columns import FOLDERS, NOTES
from sweep.store.export import export

SPEC = "name: my sweep\ndataset: {name: digits}\nhost: s3://me:hunter2@bucket/x\n"


@pytest.fixture
def shared(results, make_row, tmp_path):
    """Two trials with traces and predictions, exported."""
    results.write("spec.yaml", SPEC.encode())
    results.write("environment.json", b'{"torch": "2.11"}')
    for number, name in enumerate("ab"):
        row = make_row(name, seed=number, status=("ok", "failed")[number])
        results.write_trial(row, [TRACE | {"trial_id": name}], predictions(name, number))
    export(results, str(tmp_path / "out"))
    return tmp_path / "out"


def test_every_column_has_words_and_every_table_notes():
    columns = {name for schema in FOLDERS.values() for name in schema.names}
    assert all(words_of(name) for name in columns)
    assert set(WORDS) <= columns
    assert set(NOTES) == set(FOLDERS)


def test_the_card_names_each_table_as_a_config_and_leaves_the_licence_open(shared):
    text = (shared / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    loaded = yaml.safe_load(front)
    assert loaded["configs"] == [
        {"config_name": "trials", "data_files": "trials.parquet", "default": True},
        {"config_name": "traces", "data_files": "traces.parquet"},
        {"config_name": "predictions", "data_files": "predictions.parquet"},
    ]
    assert "license" not in loaded
    assert "# license: not chosen yet" in front
    assert loaded["pretty_name"] == "my sweep"
    assert "- trials: 2 (1 ok, 1 failed)" in body
    assert "- seeds: 0, 1" in body
    assert "| `forget_accuracy` | double | accuracy on the forget data (percent) |" in body
    assert "dataset: {name: digits}" in body
    assert '{"torch": "2.11"}' in body
    assert "hunter2" not in text


@pytest.mark.parametrize("table", ["trials", "traces", "predictions"])
def test_pandas_polars_and_duckdb_read_the_same_rows(shared, table):
    path = shared / f"{table}.parquet"
    by_pandas = pd.read_parquet(path)
    ids = by_pandas["trial_id"].tolist()
    assert sorted(set(ids)) == ["a", "b"]
    assert pl.read_parquet(path)["trial_id"].to_list() == ids
    query = f"select trial_id from read_parquet('{path}')"
    assert [name for (name,) in duckdb.sql(query).fetchall()] == ids
    assert pl.read_parquet(path).columns == by_pandas.columns.tolist()


def test_a_card_that_is_there_is_not_replaced(results, make_row, tmp_path):
    from sweep.errors import InputError

    results.write_trial(make_row())
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(InputError, match=r"README.md: exists"):
        export(results, str(tmp_path))
    assert (tmp_path / "README.md").read_text() == "mine"
    assert list(tmp_path.glob("*.parquet")) == []
