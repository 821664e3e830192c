"""Reading a folder of many files through other processes: the same rows, the same damage."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs as pafs

from sweep.store import parquet as reading
from sweep.store.columns import TRIALS
from sweep.store.results import Results


@pytest.fixture
def folder(results, make_row, monkeypatch):
    """Nine trials and two damaged files; any two files are worth a process."""
    monkeypatch.setattr(reading, "SHARE", 2)
    monkeypatch.setattr(reading.os, "cpu_count", lambda: 3)
    for number in range(9):
        results.write_trial(make_row(f"t{number}", error=f"é{number}"))
    results.write("trials/a.parquet", b"PAR1 torn")
    content = results.read("trials/t4.parquet")
    assert content.count("é4".encode()) == 1
    results.write("trials/t4b.parquet", content.replace("é4".encode(), "é5".encode()))
    return results


def test_many_files_are_read_as_few_are(folder, monkeypatch):
    elsewhere = folder.trials()
    monkeypatch.setattr(reading, "SHARE", 100)
    here = folder.trials()
    assert elsewhere.table.equals(here.table)
    assert elsewhere.table.schema.equals(TRIALS, check_metadata=True)
    assert elsewhere.table["trial_id"].to_pylist() == [f"t{number}" for number in range(9)]
    assert elsewhere.damaged == here.damaged
    assert [problem.partition(":")[0] for problem in here.damaged] == ["trials/a.parquet", "trials/t4b.parquet"]


def test_a_process_that_cannot_start_costs_only_time(folder, monkeypatch):
    monkeypatch.setattr(reading, "__spec__", pa.__spec__)  # python -m pyarrow: there is no such program
    found = folder.trials()
    assert found.table.num_rows == 9
    assert len(found.damaged) == 2


def test_an_interpreter_that_is_not_there_costs_only_time(folder, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert folder.trials().table.num_rows == 9


def test_files_of_another_file_system_are_read_by_threads(folder):
    path = f"{folder.location}/trials"
    elsewhere = pafs.SubTreeFileSystem(path, pafs.LocalFileSystem())
    found = reading.read_all(elsewhere, [f"t{number}.parquet" for number in range(9)], TRIALS)
    assert found.table["trial_id"].to_pylist() == [f"t{number}" for number in range(9)]
    assert found.table[reading.FILE].to_pylist() == [f"t{number}.parquet" for number in range(9)]


def test_no_files_are_an_empty_table(results):
    found = Results(results.location).traces()
    assert (found.table.num_rows, found.damaged) == (0, [])


def test_few_columns_have_the_same_rows_and_the_same_damage(folder):
    every, few = folder.trials(), folder.trials(["status", "code_version"])
    assert few.table.column_names == [
        name for name in TRIALS.names if name in ("trial_id", "status", "code_version", "finished_at")
    ]
    assert few.table.equals(every.table.select(few.table.column_names))
    assert few.damaged == every.damaged  # of t4b, whose damage is in a column that is not among them, too


def test_a_file_of_another_program_is_looked_at_whole_though_few_columns_are_wanted(results, make_row):
    sink = pa.BufferOutputStream()
    rows = pa.Table.from_pylist([make_row("t0", error="é0")], schema=TRIALS)
    pq.write_table(
        rows, sink, write_page_checksum=True, compression="none", use_dictionary=False, write_statistics=False
    )
    content = sink.getvalue().to_pybytes()
    results.write("trials/t0.parquet", content)
    assert results.trials(["status"]).table["trial_id"].to_pylist() == ["t0"]
    place = content.index("é0".encode())
    results.write("trials/t0.parquet", content[:place] + "é1".encode() + content[place + 3 :])
    found = results.trials(["status"])
    assert (found.table.num_rows, len(found.damaged)) == (0, 1)


READS = """
import subprocess
import sys
from sweep.store.results import Results
before = set(sys.modules)
row = Results(sys.argv[1]).trial(sys.argv[2])
assert row["started_at"].tzinfo is not None
print({"zoneinfo"} - before)
"""


def test_what_an_interrupt_would_make_absent_is_imported_before_times_are_read(results, make_row):
    results.write_trial(make_row("t"))
    ended = subprocess.run([sys.executable, "-c", READS, results.location, "t"], capture_output=True, text=True)
    assert ended.stdout == "set()\n", ended.stderr
