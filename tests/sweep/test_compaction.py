"""Merging files: every row is read once, before, after and meanwhile, whoever dies or writes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep import compaction
from sweep.columns import FOLDERS, PREDICTIONS
from sweep.compaction import compact
from sweep.results import Results

TRACE = {"step": 9, "seconds": 0.5, "samples": 90}


def predictions(trial_id):
    columns = {"trial_id": [trial_id] * 2, "sample_id": [5, 9], "split": ["retain", "test"], "label": [1, 0]}
    return pa.table(
        columns | {"logits": pa.array([[0.5], [float(len(trial_id))]], pa.list_(pa.float16()))}, PREDICTIONS
    )


def write(directory, row, **changes):
    trial_id = row["trial_id"]
    traces = [TRACE | {"trial_id": trial_id, "epoch": epoch} for epoch in range(3)]
    directory.write_trial(row | changes, traces, predictions(trial_id))


def content(directory):
    """What every reader sees, in an order of its own."""
    trials = directory.trials().table.sort_by("trial_id").to_pylist()
    traces = directory.traces().table.sort_by([("trial_id", "ascending"), ("epoch", "ascending")]).to_pylist()
    predictions = [directory.predictions(row["trial_id"]) for row in trials]
    return trials, traces, [table and table.to_pylist() for table in predictions]


def names(directory, folder="trials"):
    return sorted(path.name for path in (Path(directory.location) / folder).iterdir())


@pytest.fixture
def twenty(results, make_row):
    for number in range(20):
        write(results, make_row(f"t{number:02}", seed=number))
    return results


def test_many_files_become_one_and_read_the_same(twenty):
    before = content(twenty)
    ended = compact(twenty)
    assert content(twenty) == before
    assert [(done.folder, done.before, done.after) for done in ended] == [
        ("trials", 20, 1),
        ("traces", 20, 1),
        ("predictions", 20, 1),
        ("suggestions", 0, 0),
    ]
    assert len(pd.read_parquet(Path(twenty.location) / "trials")) == 20


def test_suggestions_are_merged_by_study_and_number(results):
    row = {field.name: "x" for field in FOLDERS["suggestions"]} | {"suggested_at": 0, "objectives": ["mia"]}
    row |= {"trial_ids": ["t"], "confirm_trial_ids": []}
    for number in range(4):
        results.write_suggestion(row | {"study": "a-b", "number": number})
    before = results.suggestions().table
    compact(results)
    assert len(names(results, "suggestions")) == 1
    results.write_suggestion(row | {"study": "a-b", "number": 2, "params": "new"})
    assert results.suggestions().table["params"].to_pylist() == ["x", "x", "new", "x"]
    assert results.suggestions().table.drop_columns("params").equals(before.drop_columns("params"))


def test_what_comes_later_is_merged_with_what_was(twenty, make_row):
    compact(twenty)
    write(twenty, make_row("t20"))
    before = content(twenty)
    compact(twenty)
    assert content(twenty) == before
    assert len(names(twenty)) == 1
    compact(twenty)
    assert len(names(twenty)) == 1


def test_a_trial_repeated_after_a_merge_replaces_its_rows_whatever_the_clock_says(twenty, make_row):
    compact(twenty)
    past = make_row()["finished_at"].replace(year=2020)
    twenty.write_trial(make_row("t07", mia=99.0, finished_at=past), [TRACE | {"trial_id": "t07", "epoch": 0}])
    for _ in range(2):
        trials, traces, _ = content(twenty)
        assert [row["mia"] for row in trials if row["trial_id"] == "t07"] == [99.0]
        assert [row["epoch"] for row in traces if row["trial_id"] == "t07"] == [0]
        assert (len(trials), len(traces)) == (20, 58)
        compact(twenty)


def test_large_merged_files_are_not_written_again(twenty, make_row, monkeypatch):
    monkeypatch.setattr(compaction, "TOGETHER", 20_000)
    compact(twenty)
    first = names(twenty)
    assert len(first) > 2
    for number in range(20, 30):
        write(twenty, make_row(f"t{number}"))
    write(twenty, make_row("t03", mia=99.0))
    before = content(twenty)
    compact(twenty)
    assert set(first[:-1]) < set(names(twenty))  # the last one had room
    assert content(twenty) == before


def test_what_cannot_be_merged_is_left_and_named(twenty):
    root = Path(twenty.location) / "trials"
    torn = (root / "t03.parquet").read_bytes()[:-9]
    (root / "t03.parquet").write_bytes(torn)
    foreign = pq.read_table(root / "t04.parquet")
    pq.write_table(foreign, root / "copy.parquet")
    pq.write_table(foreign.append_column("colour", pa.array(["red"])), root / "t05.parquet")
    [trials, *_] = compact(twenty)
    assert [problem.partition(": ")[0].removeprefix("trials/") for problem in trials.left] == [
        "copy.parquet",
        "t03.parquet",
        "t05.parquet",
    ]
    assert {"copy.parquet", "t03.parquet", "t05.parquet"} < set(names(twenty))
    assert (root / "t03.parquet").read_bytes() == torn
    assert len(names(twenty)) == 4


def test_a_row_written_while_its_file_is_merged_is_kept(twenty, make_row, monkeypatch):
    stored = Results.write

    def write_meanwhile(self, path, content):
        stored(self, path, content)
        if "merged-" in path:
            monkeypatch.setattr(Results, "write", stored)
            write(twenty, make_row("t05", mia=99.0))

    monkeypatch.setattr(Results, "write", write_meanwhile)
    compact(twenty)
    for _ in range(2):
        trials, traces, _ = content(twenty)
        assert [row["mia"] for row in trials if row["trial_id"] == "t05"] == [99.0]
        assert (len(trials), len(traces)) == (20, 60)
        compact(twenty)


def test_files_merged_between_being_listed_and_read_are_read_merged(twenty, monkeypatch):
    from sweep import folders

    before, read = content(twenty), folders.read_all

    def merged_first(*arguments):
        monkeypatch.setattr(folders, "read_all", read)
        compact(twenty)
        return read(*arguments)

    monkeypatch.setattr(folders, "read_all", merged_first)
    found = twenty.trials()
    assert found.damaged == []
    assert found.table.sort_by("trial_id").to_pylist() == before[0]


def test_one_trial_is_found_though_its_file_is_merged_again_meanwhile(twenty, make_row, monkeypatch):
    compact(twenty)
    write(twenty, make_row("t20"))
    listed = Results.files

    def merged_next(self, folder):
        monkeypatch.setattr(Results, "files", listed)
        found = listed(self, folder)
        compact(twenty)
        return found

    monkeypatch.setattr(Results, "files", merged_next)
    assert twenty.trial("t07")["seed"] == 7
    assert len(names(twenty)) == 1
    assert twenty.trial("t0") is None


class Stopped(BaseException):
    """Ends a merge where it is."""


@pytest.mark.parametrize("together", [compaction.TOGETHER, 20_000])
def test_a_row_stored_again_counts_wherever_the_next_merges_stop(twenty, make_row, tmp_path, monkeypatch, together):
    """A merge was killed between renaming a file and removing it; the row is stored again; other merges are stopped."""
    monkeypatch.setattr(compaction, "TOGETHER", together)
    compact(twenty)
    for number in range(20, 30):
        write(twenty, make_row(f"t{number}"))
    for name in ("t05", "t29"):
        write(twenty, make_row(name, mia=1.0))
        plain = Path(twenty.location, "trials", f"{name}.parquet")
        plain.rename(plain.with_name(f"taken-0123abcd-{name}.parquet"))
        write(twenty, make_row(name, mia=2.0))
    before, remove = content(twenty), Results.remove_unchanged
    assert [row["mia"] for row in before[0] if row["trial_id"] in ("t05", "t29")] == [2.0, 2.0]
    stopped = 0
    for removals in range(16):
        directory, left = Results(str(shutil.copytree(twenty.location, tmp_path / str(removals)))), [removals]

        def removed(self, info, left=left):
            if not left[0]:
                raise Stopped
            left[0] -= 1
            remove(self, info)

        with monkeypatch.context() as patch:
            patch.setattr(Results, "remove_unchanged", removed)
            try:
                compact(directory, ["trials"])
            except Stopped:
                stopped += 1
        assert content(directory) == before
        compact(directory)
        assert content(directory) == before
    assert stopped > 10


def test_of_two_merges_one_waits_so_that_a_row_stored_again_meanwhile_counts(twenty, make_row, monkeypatch):
    read, others = compaction._read, []

    def stored_again_and_merged_meanwhile(*arguments):
        monkeypatch.setattr(compaction, "_read", read)
        tables = read(*arguments)
        write(twenty, make_row("t05", mia=99.0))
        others.append(subprocess.Popen([sys.executable, "-m", "sweep.compaction", twenty.location]))
        with pytest.raises(subprocess.TimeoutExpired):
            others[0].wait(5)
        return tables

    monkeypatch.setattr(compaction, "_read", stored_again_and_merged_meanwhile)
    compact(twenty)
    assert others[0].wait() == 0
    for _ in range(2):
        assert [row["mia"] for row in content(twenty)[0] if row["trial_id"] == "t05"] == [99.0]
        assert len(names(twenty)) == 1
        compact(twenty)


def test_a_row_stored_again_is_read_though_its_file_is_renamed_meanwhile(twenty, make_row, monkeypatch):
    from sweep import folders

    compact(twenty)
    write(twenty, make_row("t05", mia=99.0))
    before, read, plain = content(twenty), folders.read_all, Path(twenty.location, "trials", "t05.parquet")

    def renamed_first(*arguments):
        monkeypatch.setattr(folders, "read_all", read)
        plain.rename(plain.with_name("taken-0123abcd-t05.parquet"))
        return read(*arguments)

    monkeypatch.setattr(folders, "read_all", renamed_first)
    assert twenty.trials().table.sort_by("trial_id").to_pylist() == before[0]


KILLED_AFTER = """
import itertools, os, signal, sys
from sweep.compaction import compact
from sweep.results import Results

_, directory, owner, name, last = sys.argv
owner = {"os": os, "Results": Results}[owner]
known, calls = getattr(owner, name), itertools.count(1)

def deadly(*arguments):
    known(*arguments)
    if next(calls) == int(last):
        os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, deadly)
compact(Results(directory))
"""
MOMENTS = [
    *(("os", "fsync", number) for number in (1, 2, 3)),  # a merged file is written under a name of its own
    *(("Results", "write", number) for number in (1, 2, 3)),
    *(("os", "rename", number) for number in (1, 30, 60)),  # what is removed has another name first
    *(("Results", "remove_unchanged", number) for number in (1, 10, 20, 33, 60)),
]


@pytest.mark.parametrize(("owner", "name", "last"), MOMENTS)
def test_a_merge_killed_after_any_step_loses_and_doubles_nothing(twenty, owner, name, last):
    before = content(twenty)
    command = [sys.executable, "-c", KILLED_AFTER, twenty.location, owner, name, str(last)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert content(twenty) == before
    compact(twenty)
    assert content(twenty) == before
    assert len([name for name in names(twenty) if not name.startswith(".")]) == 1


MERGES = """
import sys
from sweep.compaction import compact
from sweep.results import Results
while True:
    compact(Results(sys.argv[1]))
"""
WRITES = """
import sys
sys.path.insert(0, sys.argv[2])
from test_compaction import TRACE, predictions
from sweep.columns import TRIALS
from sweep.results import Results
results = Results(sys.argv[1])
row = {field.name: "text" for field in TRIALS if not field.nullable}
for number in range(400):
    name = f"w{number:03}"
    traces = [TRACE | {"trial_id": name, "epoch": epoch} for epoch in range(3)]
    results.write_trial(row | {"trial_id": name, "seed": number}, traces, predictions(name))
    print(number, flush=True)
"""


def test_rows_are_read_once_while_others_write_and_merge(results):
    """One process writes 400 trials, two merge all the time, and this one reads."""
    folder = str(Path(__file__).parent)
    mergers = [subprocess.Popen([sys.executable, "-c", MERGES, results.location]) for _ in range(2)]
    try:
        command = [sys.executable, "-c", WRITES, results.location, folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            for line in writer.stdout:
                if int(line) % 8:
                    continue
                found, traces = results.trials(), results.traces()
                assert (found.damaged, traces.damaged) == ([], [])
                ids = sorted(found.table["trial_id"].to_pylist())
                assert ids == [f"w{number:03}" for number in range(len(ids))]
                assert len(ids) > int(line)
                steps = zip(traces.table["trial_id"].to_pylist(), traces.table["epoch"].to_pylist(), strict=True)
                steps = sorted(steps)
                assert steps == [(f"w{number // 3:03}", number % 3) for number in range(len(steps))]
                assert results.predictions(ids[len(ids) // 2]).num_rows == 2
            assert writer.wait() == 0
        assert all(merger.poll() is None for merger in mergers)
    finally:
        for merger in mergers:
            merger.kill()
            merger.wait()
    assert len(results.trials().table) == 400
    assert any(name.startswith("merged-") for name in names(results))
