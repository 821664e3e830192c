"""Rows already read: with the index, without it and beside others that write it, readers find the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep.store import columns, index
from sweep.store import parquet as reading
from sweep.store.parquet import parquet_bytes
from sweep.store.results import Results

TRACE = {"step": 9, "seconds": 0.5, "samples": 90}
COUNT = 12


@pytest.fixture
def write(results, make_row):
    """Store trials, with two rows of traces each, as a run did an hour ago, or `age` seconds ago."""

    def store(numbers, age=3600.0, directory=results, **changes):
        with mock.patch("os.fsync"):
            for number in numbers:
                row = make_row(f"t{number:03}", seed=number) | changes
                traces = [TRACE | {"trial_id": row["trial_id"], "epoch": epoch} for epoch in (0, 1)]
                directory.write_trial(row, traces)
                for folder in ("trials", "traces"):
                    back_date(Path(directory.location, folder, f"{row['trial_id']}.parquet"), age)

    return store


def back_date(path, age=3600.0):
    then = time.time() - age
    os.utime(path, (then, then))


@pytest.fixture
def read(monkeypatch):
    """Read a directory; its rows, in their order, and what is damaged. `read.files`: the files that were opened."""
    known = reading.fetch

    def fetch(filesystem, path):
        folder, name = path.split("/")[-2:]
        if folder in columns.FOLDERS:
            found.files.append(f"{folder}/{name}")
        return known(filesystem, path)

    def found(directory):
        found.files = []
        directory = Results(directory.location)
        trials, traces = directory.trials(), directory.traces()
        few = directory.trials(["seed"])
        assert few.table.equals(trials.table.select(few.table.column_names))
        assert few.damaged == trials.damaged
        return trials.table.to_pylist(), traces.table.to_pylist(), trials.damaged + traces.damaged

    found.files = []
    monkeypatch.setattr(reading, "fetch", fetch)
    return found


@pytest.fixture
def twelve(results, write, monkeypatch):
    """Twelve trials, and four files are worth a part of the index."""
    monkeypatch.setattr(index, "FEWEST", 4)
    write(range(COUNT))
    return results


def parts(directory):
    """The index's own files."""
    return sorted(path for path in Path(directory.location, ".index").glob("*.parquet"))


def part(table):
    """A part of the index that is not compressed."""
    return parquet_bytes(table, {"compression": "none", "use_dictionary": False, "write_statistics": False})


def without_index(read, directory):
    """What is read where there is no index, and none can be written."""
    with mock.patch.object(index, "FEWEST", 10**9):
        return read(directory)


def test_files_are_read_once_and_what_is_read_stays_the_same(twelve, read):
    expected = without_index(read, twelve)
    assert (len(expected[0]), len(expected[1])) == (COUNT, 2 * COUNT)
    for count in (2 * COUNT, 0, 0):
        assert read(twelve) == expected
        assert len(read.files) == count
    assert [path.name.partition("-")[0] for path in parts(twelve)] == ["traces", "trials"]


def test_few_files_have_no_index(results, write, read):
    write(range(20))
    read(results)
    assert not results.exists(".index")


def test_what_is_new_or_written_again_is_read_and_what_is_removed_is_gone(twelve, write, read):
    read(twelve)
    write([3, 4], age=60.0, mia=99.0)
    write([20], age=60.0)
    for folder in ("trials", "traces"):
        Path(twelve.location, folder, "t007.parquet").unlink()
    trials, traces, damaged = read(twelve)
    assert sorted(set(read.files)) == [
        f"{folder}/t{n:03}.parquet" for folder in ("traces", "trials") for n in (3, 4, 20)
    ]
    assert [row["seed"] for row in trials] == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 20]
    assert [row["seed"] for row in trials if row["mia"] == 99.0] == [3, 4]
    assert (len(traces), damaged) == (2 * COUNT, [])
    assert (trials, traces, damaged) == without_index(read, twelve)


def test_a_file_of_another_size_is_another_though_its_time_is_the_same(twelve, make_row, read):
    read(twelve)
    path = Path(twelve.location, "trials", "t003.parquet")
    before = path.stat()
    twelve.write_trial(make_row("t003", error="longer than before"), [])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [row["trial_id"] for row in read(twelve)[0] if row["error"] == "longer than before"] == ["t003"]


def test_files_written_a_moment_ago_are_not_remembered(twelve, write, read):
    """Within the granularity of a clock a file that is written again has the time and the size that it had."""
    write([5], age=0.0, mia=1.0)
    path = Path(twelve.location, "trials", "t005.parquet")
    before = path.stat()
    read(twelve)
    write([5], mia=2.0)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)
    assert [row["mia"] for row in read(twelve)[0] if row["trial_id"] == "t005"] == [2.0]


def test_the_clock_is_the_storages(twelve, write, read, monkeypatch):
    """On storage whose clock is an hour behind, a file of a moment ago is an hour old."""
    write(range(COUNT), age=3600.0)
    stat = Results.info
    monkeypatch.setattr(Results, "info", lambda self, path: back_date(f"{self.location}/{path}") or stat(self, path))
    read(twelve)
    assert parts(twelve) == []


@pytest.mark.parametrize(
    "damage", ["cut", "flipped", "value", "empty", "removed", "foreign", "format", "schema", "folder gone"]
)
def test_an_index_that_is_damaged_or_of_another_version_is_as_if_it_were_not_there(twelve, read, damage):
    expected = read(twelve)
    path = next(path for path in parts(twelve) if path.name.startswith("trials-"))
    content, table = path.read_bytes(), pq.read_table(path)
    wrong = table.set_column(table.column_names.index("mia"), "mia", pa.array([7.0] * COUNT))
    older = wrong.drop_columns(["n_traces"]).replace_schema_metadata(index.FORMAT)
    damaged = {
        "cut": content[:-9],
        "flipped": content[:200] + bytes([content[200] ^ 1]) + content[201:],
        "empty": b"",
        "foreign": b"PAR1" * 9,
        "value": part(table).replace(b"text", b"test", 1),
        "format": part(wrong.replace_schema_metadata({b"unlearn-sweep index": b"0"})),
        "schema": part(older),
    }
    if damage == "folder gone":
        shutil.rmtree(path.parent)
    elif damage == "removed":
        path.unlink()
    else:
        path.write_bytes(damaged[damage])
    assert read(twelve) == expected
    assert read.files.count("trials/t005.parquet") == 1
    assert not path.exists()  # what is useless is replaced
    assert read(twelve) == expected
    assert read.files == []


def test_a_column_that_comes_later_is_read_from_the_files(twelve, make_row, read, monkeypatch):
    """An index that an older version wrote knows nothing of it."""
    older = pa.schema([field for field in columns.TRIALS if field.name != "mia"])
    with monkeypatch.context() as patch:
        patch.setitem(columns.FOLDERS, "trials", older)
        index.read_folder(twelve, "trials", older)
    assert len(parts(twelve)) == 1
    assert {row["mia"] for row in read(twelve)[0]} == {0.5}


def test_a_damaged_file_is_named_at_every_reading(twelve, read):
    path = Path(twelve.location, "trials", "t004.parquet")
    content = path.read_bytes()
    path.write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
    back_date(path)
    for _ in range(3):
        trials, _, damaged = read(twelve)
        assert [problem.partition(":")[0] for problem in damaged] == ["trials/t004.parquet"]
        assert len(trials) == COUNT - 1


def test_an_index_that_cannot_be_written_is_not_missed(twelve, read):
    Path(twelve.location, ".index").touch()  # for root a folder without permissions is no obstacle
    expected = without_index(read, twelve)
    assert read(twelve) == expected
    assert Path(twelve.location, ".index").is_file()


def test_many_parts_become_one(twelve, write, read, monkeypatch):
    monkeypatch.setattr(index, "MOST_PARTS", 3)
    counts = []
    for first in range(20, 60, 4):
        write(range(first, first + 4))
        read(twelve)
        counts.append(len([path for path in parts(twelve) if path.name.startswith("trials-")]))
    assert counts == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]
    expected = read(twelve)
    assert read.files == []
    assert [row["seed"] for row in expected[0]] == [*range(COUNT), *range(20, 60)]
    assert expected == without_index(read, twelve)


def test_suggestions_are_remembered_too(results, monkeypatch):
    monkeypatch.setattr(index, "FEWEST", 4)
    row = {field.name: "x" for field in columns.SUGGESTIONS} | {"suggested_at": 0, "objectives": ["mia", "cost"]}
    row |= {"trial_ids": ["t", "u"], "confirm_trial_ids": [], "params": "{}", "space": "{}"}
    for number in range(6):
        results.write_suggestion(row | {"study": "s", "number": number})
        back_date(Path(results.location, "suggestions", f"s-{number}.parquet"))
    expected = results.suggestions()
    assert len(parts(results)) == 1
    monkeypatch.setattr(index, "read_all", lambda filesystem, paths, schema: reading.read_all(filesystem, [], schema))
    assert results.suggestions().table.equals(expected.table)
    assert expected.table.num_rows == 6


WRITES = """
import sys, time
from sweep.store.columns import TRIALS
from sweep.store.results import Results
results, row = Results(sys.argv[1]), {field.name: "text" for field in TRIALS if not field.nullable}
row |= {"params": "{}", "config": "{}"}
for number in range(80):
    row |= {"trial_id": f"w{number:03}", "seed": number}
    results.write_trial(row, [{"trial_id": row["trial_id"], "epoch": 0, "step": 1, "seconds": 0.5, "samples": 9}])
    results.write_trial(row | {"trial_id": "again", "seed": number})
    print(number, flush=True)
"""
READS = """
import os, sys
from sweep.store import index
from sweep.store.results import Results
index.FEWEST, index.MOST_PARTS, index.SETTLED = 3, 2, 2 * 10**8
last = 0
while last < 80:
    stored = int(open(sys.argv[2]).read().split()[-1] or 0)
    trials, traces = Results(sys.argv[1]).trials(), Results(sys.argv[1]).traces()
    assert trials.damaged + traces.damaged == []
    rows = dict(zip(trials.table["trial_id"].to_pylist(), trials.table["seed"].to_pylist()))
    assert len(rows) == len(trials.table)
    assert rows.pop("again") >= stored
    last = len(rows)
    assert last > stored
    assert rows == {f"w{number:03}": number for number in range(last)}
    steps = traces.table["trial_id"].to_pylist()
    assert steps == [f"w{number:03}" for number in range(len(steps))]
    assert len(steps) >= last
os._exit(0)  # all is read; as an interpreter ends, a thread of Arrow's may abort it
"""


def test_every_row_is_read_once_while_others_write_rows_and_the_index(results, tmp_path):
    """One process writes trials, one of them again and again; three read, and write the index and tidy it."""
    told = tmp_path / "told"
    with told.open("w") as stream:
        writer = subprocess.Popen([sys.executable, "-c", WRITES, results.location], stdout=stream)
    while not told.read_text():
        time.sleep(0.05)
    command = [sys.executable, "-c", READS, results.location, str(told)]
    readers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ended = [(reader.communicate()[1], reader.returncode) for reader in readers]
    assert ended == [("", 0)] * 3
    assert writer.wait() == 0
    assert parts(results)
