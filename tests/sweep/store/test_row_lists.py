"""Lists of rows: what files they are read from, and how they are stored."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep.errors import InputError
from sweep.store.content_ids import content_id
from sweep.store.row_lists import read_row_list, row_list_from, row_list_path, stored_row_list, write_row_list

ROWS = [7, 3, 12, 3]
WRITE = {
    "csv": lambda path, rows: path.write_text("why,sample_id\n" + "".join(f"x,{row}\n" for row in rows)),
    "jsonl": lambda path, rows: path.write_text("".join(json.dumps({"sample_id": row}) + "\n" for row in rows)),
    "parquet": lambda path, rows: pq.write_table(pa.table({"sample_id": pa.array(rows, pa.int32()), "x": rows}), path),
}


@pytest.mark.parametrize("ending", WRITE)
def test_a_list_is_its_rows_whatever_file_order_and_repetition(tmp_path, ending):
    path = tmp_path / f"list.{ending}"
    WRITE[ending](path, ROWS)
    found = read_row_list(str(path))
    assert found.rows.tolist() == [3, 7, 12]
    assert found.id == content_id("[3,7,12]")
    assert found.source == str(path)


def test_another_list_has_another_id(tmp_path):
    for name, rows in (("one", [1, 23]), ("other", [12, 3])):
        WRITE["csv"](tmp_path / f"{name}.csv", rows)
    one, other = (read_row_list(str(tmp_path / f"{name}.csv")).id for name in ("one", "other"))
    assert one != other


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.txt", "sample_id\n1\n", "is none of .csv, .parquet, .jsonl"),
        ("list.csv", "id,label\n1,2\n", "has no column sample_id, but id, label"),
        ("list.csv", "sample_id,sample_id\n1,2\n", "has several columns sample_id"),
        ("list.csv", "sample_id\n", "has no rows"),
        ("list.csv", "", "cannot be read"),
        ("list.csv", "sample_id\n1.5\n", "must be integers, .* it is of type double"),
        ("list.csv", "sample_id\none\n", "must be integers, .* it is of type string"),
        ("list.csv", "sample_id,x\n1,2\n,3\n", "must be integers, .* it is 1 without a value"),
        ("list.csv", "sample_id\n1\n2,3\n", "cannot be read"),
        ("list.jsonl", '{"sample_id": 1}\n{"sample_id": ', "cannot be read"),
        ("list.jsonl", '{"sample_id": true}\n', "must be integers"),
        ("list.jsonl", '{"row": 1}\n', "has no column sample_id, but row"),
        ("list.parquet", "no parquet", "cannot be read"),
    ],
)
def test_what_is_no_list_of_rows_is_bad_input(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as raised:
        read_row_list(str(tmp_path / name))
    assert str(raised.value).startswith(f"'{tmp_path / name}'")
    assert "\n" not in str(raised.value)


def test_numbers_too_large_for_a_row_are_bad_input(tmp_path):
    pq.write_table(pa.table({"sample_id": pa.array([2**63], pa.uint64())}), tmp_path / "list.parquet")
    with pytest.raises(InputError, match=r"list.parquet': sample_id: "):
        read_row_list(str(tmp_path / "list.parquet"))


def test_text_in_another_encoding_is_bad_input(tmp_path):
    (tmp_path / "list.csv").write_text("sample_id\n1\n", encoding="utf-16")
    with pytest.raises(InputError, match="cannot be read: 'utf-8'"):
        read_row_list(str(tmp_path / "list.csv"))


def test_a_folder_is_no_list(tmp_path):
    (tmp_path / "list.csv").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_row_list(str(tmp_path / "list.csv"))


def test_a_missing_file_is_no_error_yet(tmp_path):
    assert read_row_list(str(tmp_path / "list.csv")) is None


@pytest.fixture
def stored(tmp_path, results):
    """A stored list, whose file is no longer there."""
    path = tmp_path / "list.csv"
    WRITE["csv"](path, ROWS)
    found = read_row_list(str(path))
    write_row_list(results, found)
    path.unlink()
    return found


def test_a_stored_list_is_found_by_its_id_and_by_its_former_file(results, stored, tmp_path):
    assert stored_row_list(results, stored.id).tolist() == [3, 7, 12]
    found = row_list_from(results, str(tmp_path / "list.csv"))
    assert (found.id, found.rows.tolist()) == (stored.id, [3, 7, 12])
    assert row_list_from(results, str(tmp_path / "other.csv")) is None


def test_a_stored_list_is_itself_a_file_that_a_spec_may_name(results, stored):
    assert read_row_list(f"{results.location}/{row_list_path(stored.id)}").id == stored.id


def test_the_last_file_that_a_list_was_read_from_counts(results, stored, tmp_path):
    path = tmp_path / "moved.csv"
    WRITE["csv"](path, ROWS)
    write_row_list(results, read_row_list(str(path)))
    assert row_list_from(results, str(path)).id == stored.id
    assert row_list_from(results, str(tmp_path / "list.csv")) is None


def test_a_list_that_is_stored_is_not_written_again(results, stored):
    before = results.info(row_list_path(stored.id)).mtime_ns
    write_row_list(results, stored)
    assert results.info(row_list_path(stored.id)).mtime_ns == before


def test_of_several_lists_from_one_file_that_is_gone_none_is_guessed(results, stored, tmp_path):
    path = tmp_path / "list.csv"
    WRITE["csv"](path, [1])
    write_row_list(results, read_row_list(str(path)))
    path.unlink()
    with pytest.raises(InputError, match=r"no file .*, and several lists were read from it before: name .* or "):
        row_list_from(results, str(path))


def test_a_stored_list_that_is_missing_damaged_or_another_is_an_error_of_storage(results, stored):
    place = row_list_path(stored.id)
    content = results.read(place)
    results.write(row_list_path("0" * 16), content)
    with pytest.raises(OSError, match="its rows are not those that its name stands for"):
        stored_row_list(results, "0" * 16)
    results.write(place, content[:-40])
    with pytest.raises(OSError, match=place):
        stored_row_list(results, stored.id)
    results.remove(place)
    with pytest.raises(FileNotFoundError, match="missing, and with it which rows are forgotten"):
        stored_row_list(results, stored.id)
