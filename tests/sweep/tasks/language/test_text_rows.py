"""Rows of JSON Lines and Parquet files."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep.errors import InputError
from sweep.tasks.language.rows import lettered, read_rows
from sweep.tasks.language.texts import Row

RECORDS = [
    {"text": "It rained.", "group": 3},
    {"question": "Who?", "answer": "Ann", "group": "a"},
    {"question": "Which?", "choices": ["x", "y", "z"], "answer": 2, "group": "a"},
    {"question": "Which?", "choices": ["x", "y"], "answer": " b", "group": "a"},
]
ROWS = (
    Row(None, ("It rained.",), 0, "3"),
    Row("Who?", ("Ann",), 0, "a"),
    Row("Which?", ("x", "y", "z"), 2, "a"),
    Row("Which?", ("x", "y"), 1, "a"),
)


def jsonl(path, records):
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return str(path)


def test_every_shape_of_a_row(tmp_path):
    assert read_rows(jsonl(tmp_path / "a.jsonl", RECORDS)) == ROWS


@pytest.mark.parametrize("number", range(4))
def test_parquet_has_the_same_rows(tmp_path, number):
    pq.write_table(pa.Table.from_pylist([RECORDS[number] | {"more": 1.5}]), tmp_path / "a.parquet")
    assert read_rows(str(tmp_path / "a.parquet")) == (ROWS[number],)


def test_wrong_answers_stand_around_the_right_one(tmp_path):
    records = [{"question": f"Who {letter}?", "answer": "Ann", "wrong": ["Bob", "Cy"]} for letter in "abcdefgh"]
    rows = read_rows(jsonl(tmp_path / "a.jsonl", records))
    assert all(row.answer == "Ann" and sorted(row.choices) == ["Ann", "Bob", "Cy"] for row in rows)
    assert {row.right for row in rows} == {0, 1, 2}


def test_a_row_without_a_group_is_its_own(tmp_path):
    rows = read_rows(jsonl(tmp_path / "a.jsonl", [{"text": "a", "group": None}, {"text": "a"}]))
    assert [row.group for row in rows] == ["a.jsonl:0", "a.jsonl:1"]


def test_a_pattern_reads_files_by_name(tmp_path):
    jsonl(tmp_path / "b.jsonl", [{"text": "second"}])
    jsonl(tmp_path / "a.jsonl", [{"text": "first"}])
    jsonl(tmp_path / "c.other", [{"text": "third"}])
    assert [row.answer for row in read_rows(f"{tmp_path}/*.jsonl")] == ["first", "second"]
    assert read_rows(f"{tmp_path.as_uri()}/a.jsonl") == read_rows(f"{tmp_path}/a.jsonl")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"body": "x"}, "neither a text nor a question, but ['body']"),
        ({"text": " "}, "text is empty"),
        ({"text": 5}, "text is 5, not text"),
        ({"question": "Who?"}, "the question has no answer"),
        ({"question": "Who?", "answer": ""}, "answer is empty"),
        ({"question": "Who?", "answer": 4}, "answer is 4, not text"),
        ({"question": "Who?", "answer": "Ann", "wrong": "Bob"}, "wrong must be a list of texts, not Bob"),
        ({"question": "Who?", "answer": "Ann", "wrong": []}, "wrong must be a list of texts, not []"),
        ({"question": "Who?", "choices": ["a", ""], "answer": 0}, "choices must be a list of texts, not ['a', '']"),
        ({"question": "Who?", "choices": ["a", "b"]}, "the question has no answer"),
        (
            {"question": "Who?", "choices": ["a", "b"], "answer": 2},
            "answer 2 names none of 2 choices; it is 0 to 1 or a letter A to B",
        ),
        ({"question": "Who?", "choices": ["a", "b"], "answer": -1}, "answer -1 names none"),
        ({"question": "Who?", "choices": ["a", "b"], "answer": "C"}, "answer 'C' names none"),
        ({"question": "Who?", "choices": ["a", "b"], "answer": True}, "answer True names none"),
    ],
)
def test_a_row_that_is_none(tmp_path, record, message):
    path = jsonl(tmp_path / "a.jsonl", [{"text": "good"}, record])
    with pytest.raises(InputError) as caught:
        read_rows(path)
    assert f"'{path}', row 1 (from 0): {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "has no rows"),
        ("a.jsonl", b'{"text": "a"}\n{"text"\n', "line 2: Expecting ':' delimiter"),
        ("a.jsonl", b'\n["a"]', "line 2: a row must be a JSON object, not list"),
        ("a.jsonl", b'{"text": "\xff"}', "line 1: 'utf-8' codec can't decode"),
        ("a.parquet", b"PAR1 or so", "cannot be read: "),
        ("a.csv", b"text\na\n", "is neither .jsonl nor .parquet"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_rows(f"{tmp_path}/{name}")
    assert f"'{tmp_path}/{name}'" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parquet_without_the_columns(tmp_path):
    pq.write_table(pa.table({"body": ["a"], "answer": ["b"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"has no column text or question, but \['body', 'answer'\]"):
        read_rows(str(tmp_path / "a.parquet"))


def test_no_such_file_or_folder(tmp_path):
    with pytest.raises(InputError, match=r"no file '.*/\*.jsonl'"):
        read_rows(f"{tmp_path}/*.jsonl")
    with pytest.raises(InputError, match="no directory for"):
        read_rows(f"{tmp_path}/nowhere/a.jsonl")


def test_letters_stand_for_the_choices():
    row = lettered(Row(" Which is red?", ("sky", "rose"), 1, "g"))
    assert row == Row("Which is red?\nA. sky\nB. rose\nAnswer:", ("A", "B"), 1, "g")


@pytest.mark.parametrize("row", [Row(None, ("a", "b")), Row("Who?", ("a",)), Row("Who?", ("a",) * 27)])
def test_letters_need_choices(row):
    with pytest.raises(InputError, match="letters need 2 to 26"):
        lettered(row)
