"""Reads texts and questions from JSON Lines or Parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from string import ascii_uppercase
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs as pafs

from sweep.errors import InputError, first_line
from sweep.store.location import open_location
from sweep.tasks.language.texts import Row

COLUMNS = ("text", "question", "answer", "choices", "wrong", "group")
"""What is read of a file; other columns are passed over."""


def read_rows(location: str) -> tuple[Row, ...]:
    """The rows of a file, or of all files whose names match a pattern, in the order of their names.

    A row has a `text`; or a `question` and its `answer`, and perhaps a list of `wrong` answers; or a `question`, a list
    of `choices`, and as `answer` the place of the right one, counted from 0, or its letter. A `group` says what is
    forgotten as a whole; a row without one is a group of its own. Where both are there, a question counts, not a text.

    Args:
        location: path or URI of a `.jsonl` or `.parquet` file; its last part may be a pattern, as `part-*.jsonl`.

    Raises:
        InputError: there is no such file, it cannot be read, it is empty, or a row is not as described.
    """
    filesystem, path = open_location(location)
    folder = location.rpartition("/")[0]
    rows: list[Row] = []
    for found in _files(filesystem, path, location):
        name = found.rpartition("/")[2]
        shown = f"{folder}/{name}" if folder else name
        before = len(rows)
        try:
            for number, record in enumerate(_records(filesystem, found, shown)):
                rows.append(_row(record, f"'{shown}', row {number} (from 0)", f"{name}:{number}"))
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"'{shown}' cannot be read: {first_line(error)}") from error
        if len(rows) == before:
            raise InputError(f"'{shown}' has no rows")
    return tuple(rows)


def lettered(row: Row) -> Row:
    """The question with its choices listed under it as A, B, ..., and the letters as candidate answers.

    Raises:
        InputError: the row is no question, has a single candidate, or more than there are letters.
    """
    if row.question is None or not 2 <= len(row.choices) <= len(ascii_uppercase):
        what = "a text" if row.question is None else f"a question with {len(row.choices)} candidate answers"
        raise InputError(f"'{(row.question or row.answer)[:40]}' is {what}; letters need 2 to {len(ascii_uppercase)}")
    letters = tuple(ascii_uppercase[: len(row.choices)])
    listed = [f"{letter}. {choice}" for letter, choice in zip(letters, row.choices, strict=True)]
    return Row("\n".join([row.question.strip(), *listed, "Answer:"]), letters, row.right, row.group)


def _files(filesystem: pafs.FileSystem, path: str, location: str) -> list[str]:
    folder, _, pattern = path.rpartition("/")
    try:
        infos = filesystem.get_file_info(pafs.FileSelector(folder))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"no directory for '{location}'") from error
    names = sorted(info.path for info in infos if info.is_file and fnmatch(info.base_name, pattern))
    if not names:
        raise InputError(f"no file '{location}'")
    return names


def _records(filesystem: pafs.FileSystem, path: str, shown: str) -> Iterator[Mapping[str, Any]]:
    if path.endswith(".parquet"):
        with filesystem.open_input_file(path) as file:
            parquet = pq.ParquetFile(file)
            columns = [name for name in parquet.schema_arrow.names if name in COLUMNS]
            if not {"text", "question"} & {*columns}:
                raise InputError(f"'{shown}' has no column text or question, but {parquet.schema_arrow.names}")
            for batch in parquet.iter_batches(columns=columns):
                yield from batch.to_pylist()
    elif path.endswith(".jsonl"):
        with filesystem.open_input_stream(path) as stream:
            for number, line in enumerate(stream.read().split(b"\n"), start=1):
                if line.strip():
                    yield _parsed(line, f"'{shown}', line {number}")
    else:
        raise InputError(f"'{shown}' is neither .jsonl nor .parquet")


def _parsed(line: bytes, place: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise InputError(f"{place}: {error}") from error
    if not isinstance(record, dict):
        raise InputError(f"{place}: a row must be a JSON object, not {type(record).__name__}")
    return record


def _row(record: Mapping[str, Any], place: str, own_group: str) -> Row:
    group = own_group if record.get("group") is None else str(record["group"])
    if record.get("question") is None:
        if record.get("text") is None:
            raise InputError(f"{place}: neither a text nor a question, but {sorted(record)}")
        return Row(None, (_words(record, "text", place),), group=group)
    question = _words(record, "question", place)
    if record.get("answer") is None:
        raise InputError(f"{place}: the question has no answer")
    if record.get("choices") is not None:
        choices = _list(record, "choices", place)
        return Row(question, choices, _place_of(record["answer"], choices, place), group)
    wrong = [] if record.get("wrong") is None else [*_list(record, "wrong", place)]
    right = sum(map(ord, question)) % (len(wrong) + 1)
    wrong.insert(right, _words(record, "answer", place))
    return Row(question, tuple(wrong), right, group)


def _words(record: Mapping[str, Any], column: str, place: str) -> str:
    value = record[column]
    if not isinstance(value, str):
        raise InputError(f"{place}: {column} is {value!r}, not text")
    if not value.strip():
        raise InputError(f"{place}: {column} is empty")
    return value


def _list(record: Mapping[str, Any], column: str, place: str) -> tuple[str, ...]:
    values = record[column]
    if (
        not isinstance(values, list)
        or not values
        or not all(isinstance(value, str) and value.strip() for value in values)
    ):
        raise InputError(f"{place}: {column} must be a list of texts, not {str(values)[:60]}")
    return tuple(values)


def _place_of(answer: object, choices: tuple[str, ...], place: str) -> int:
    letters = ascii_uppercase[: len(choices)]
    if isinstance(answer, str) and len(answer.strip()) == 1 and answer.strip().upper() in letters:
        return letters.index(answer.strip().upper())
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
        return answer
    wanted = f"0 to {len(choices) - 1} or a letter {letters[0]} to {letters[-1]}"
    raise InputError(f"{place}: answer {answer!r} names none of {len(choices)} choices; it is {wanted}")
