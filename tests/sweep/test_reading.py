"""Reading a folder of many files through other processes: the same rows, the same damage."""

import sys

import pyarrow as pa
import pytest
from pyarrow import fs as pafs

from sweep import reading
from sweep.results import TRIALS, Results


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


def test_no_files_are_an_empty_table(results):
    found = Results(results.location).traces()
    assert (found.table.num_rows, found.damaged) == (0, [])
