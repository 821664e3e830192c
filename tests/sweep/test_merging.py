"""Rows that are merged while a run goes on: each is read once, and the run never notices."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console
from sweep.search_progress import SearchProgress
from sweep.search_run import SearchRun
from sweep.seeds import run_seeds

from sweep import merging
from sweep.compaction import compact
from sweep.engine import Run, run_trials
from sweep.folders import merged_file
from sweep.merging import Merging
from sweep.objective import ended
from sweep.plan import plan_trials
from sweep.results import Results
from sweep.schedule import Schedule
from sweep.search import plan_search, trial_rows
from sweep.study import Study

TRACE = {"step": 9, "seconds": 0.5, "samples": 90}
VARYING = ["unlearn_seconds", "eval_seconds", "started_at", "finished_at", "peak_memory_bytes"]


def names(results, folder="trials"):
    return sorted(path.name for path in (Path(results.location) / folder).iterdir())


def merged(results, folder="trials"):
    return [name for name in names(results, folder) if merged_file(name)]


def loose(results, folder="trials"):
    return [name for name in names(results, folder) if not merged_file(name)]


def content(results):
    trials = results.trials().table.sort_by("trial_id").drop_columns(VARYING).to_pylist()
    traces = results.traces().table.sort_by([("trial_id", "ascending"), ("epoch", "ascending")])
    return trials, traces.drop_columns(["seconds"]).to_pylist()


def until(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


COMMAND = merging.command
PROMPT = "import os, sys; os.nice = lambda step: None; from sweep import compaction; compaction.main()"


@pytest.fixture(autouse=True)
def _prompt(monkeypatch):
    """At its low priority a merge takes minutes where others compute."""
    monkeypatch.setattr(merging, "command", lambda location: [sys.executable, "-P", "-c", PROMPT, location])


@pytest.fixture
def store(results, make_row):
    """Store rows of trials that were never run."""

    def write(first, last):
        with mock.patch("os.fsync"):
            for number in range(first, last):
                row = make_row(f"t{number:04}", seed=number)
                results.write_trial(row, [TRACE | {"trial_id": row["trial_id"], "epoch": epoch} for epoch in (0, 1)])

    return write


@pytest.fixture
def awaited(monkeypatch):
    """Let a process that merges end before the run goes on; the commands that were given."""
    commands = []

    class Awaited(subprocess.Popen):
        def __init__(self, arguments, **options):
            super().__init__(arguments, **options)
            if PROMPT in arguments:
                commands.append(arguments)
                assert self.wait() == 0

    monkeypatch.setattr(subprocess, "Popen", Awaited)
    return commands


@pytest.fixture
def run_six(make_spec):
    """Run six trials inline in a directory; what was printed."""

    def run(out, tell=lambda trial_id: None):
        spec = make_spec(methods=[{"name": "finetune", "epochs": 1, "lr": [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]}])
        printed = io.StringIO()
        run_trials(spec, plan_trials(spec), out, "inline", None, Console(file=printed, width=200), tell=tell)
        return printed.getvalue()

    return run


def test_a_run_merges_its_rows_as_they_come_together_and_all_are_read_as_they_were(
    results, run_six, awaited, monkeypatch, tmp_path
):
    monkeypatch.setattr(merging, "LOOSE", 3)
    left, told = [], []

    def tell(trial_id):
        told.append(trial_id)
        left.append(len(loose(results)))
        assert all(results.trial(name)["trial_id"] == name for name in told)
        assert all(len(results.trace(name)) == 2 for name in told)

    run_six(results.location, tell)
    assert left == [1, 2, 0, 1, 2, 0]
    assert [merged_file(name).generation for name in merged(results)] == [2]
    assert loose(results, "traces") == []
    assert len(loose(results, "predictions")) == 6
    monkeypatch.setattr(merging, "LOOSE", 5000)
    apart = Results(str(tmp_path / "apart"))
    run_six(apart.location)
    assert len(names(apart)) == 6
    assert content(results) == content(apart)


def test_a_run_merges_what_was_there_before_it(results, store, run_six, awaited, monkeypatch):
    monkeypatch.setattr(merging, "LOOSE", 50)
    store(0, 50)
    before, left = content(results), []
    run_six(results.location, tell=lambda trial_id: left.append(len(loose(results))))
    assert left == [1, 2, 3, 4, 5, 6]
    assert (len(awaited), len(merged(results))) == (1, 1)
    assert [row for row in content(results)[0] if row["trial_id"].startswith("t00")] == before[0]


def test_fewer_rows_stay_in_a_file_each(results, store, monkeypatch):
    monkeypatch.setattr(merging, "LOOSE", 50)
    monkeypatch.setattr(merging, "command", None)
    store(0, 40)
    with Merging(results, pytest.fail) as merges:
        for _ in range(9):
            merges.stored()


def test_the_process_that_merges_gives_way_and_imports_little(results, store):
    store(0, 3)
    code = "import os, sys; from sweep import compaction; sys.argv[1:] = [sys.argv[1]]; compaction.main(); "
    code += "print(os.nice(0), {'torch', 'ray'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code, results.location], capture_output=True, text=True)
    assert ended.stdout == f"{min(19, os.nice(0) + 15)} set()\n", ended.stderr
    assert [len(names(results, folder)) for folder in ("trials", "traces")] == [1, 1]
    store(3, 6)
    subprocess.run(COMMAND(results.location), check=True)
    assert [len(names(results, folder)) for folder in ("trials", "traces")] == [1, 1]


KILLED_AFTER_REMOVALS = """
import itertools, os, signal
from sweep.results import Results

def remove(results, info, known=Results.remove_unchanged, removals=itertools.count(1)):
    known(results, info)
    if next(removals) == {}:
        os.kill(os.getpid(), signal.SIGKILL)

Results.remove_unchanged = remove
"""


def test_a_merge_that_is_killed_halfway_is_said_and_the_next_one_takes_all(results, store, monkeypatch):
    monkeypatch.setattr(merging, "LOOSE", 400)
    store(0, 400)
    before, said, whole = content(results), [], merging.command
    killed = [sys.executable, "-P", "-c", KILLED_AFTER_REMOVALS.format(150) + PROMPT, results.location]
    monkeypatch.setattr(merging, "command", lambda location: killed)
    with Merging(results, said.append) as merges:
        monkeypatch.setattr(merging, "command", whole)
        assert merges._process.wait() == -signal.SIGKILL
        assert len(merged(results)) == 1
        assert 0 < len(loose(results)) < 400
        assert content(results) == before
        assert results.trial("t0007")["seed"] == 7
        for number in range(400, 800):
            assert len(said) == (number > 400)
            store(number, number + 1)
            merges.stored()
        assert said == ["rows were not merged, and are read from a file each: the process that does it ended with -9"]
        before = content(results)
        assert merges._process.wait() == 0
    assert (len(merged(results)), loose(results), loose(results, "traces")) == (1, [], [])
    assert content(results) == before
    assert len(before[0]) == 800


FULL = [sys.executable, "-c", "raise OSError(28, 'No space left on device')"]


@pytest.mark.parametrize(
    ("command", "why"),
    [(FULL, "OSError: [Errno 28] No space left on device"), (["/no/such/program"], "[Errno 2] No such file or dir")],
)
def test_a_merge_that_fails_is_said_once_and_tried_again(results, monkeypatch, command, why):
    given, said = [], []
    monkeypatch.setattr(merging, "LOOSE", 5)
    monkeypatch.setattr(merging, "command", lambda location: given.append(location) or command)
    with Merging(results, said.append) as merges:
        for stored in range(1, 20):
            merges.stored()
            assert len(given) == stored // 5
            if merges._process is not None:
                merges._process.wait()
    [line] = said
    assert line.startswith("rows were not merged, and are read from a file each: " + why)


def test_a_run_whose_merges_fail_ends_as_any_other(results, run_six, monkeypatch):
    monkeypatch.setattr(merging, "LOOSE", 1)
    monkeypatch.setattr(merging, "command", lambda location: ["false"])
    printed = run_six(results.location)
    assert printed.count("rows were not merged, and are read from a file each: the process that does it") == 1
    assert len(results.trials().table) == 6


HANGS = "import signal, sys, time; signal.signal(signal.SIGTERM, {}); open(sys.argv[1], 'w'); time.sleep(1000)"


@pytest.mark.parametrize(
    ("asked", "patience", "ends"),
    [("signal.SIG_DFL", 300, -signal.SIGTERM), ("signal.SIG_IGN", 0.5, -signal.SIGKILL)],
)
def test_a_merge_that_hangs_ends_with_the_run(results, monkeypatch, tmp_path, asked, patience, ends):
    monkeypatch.setattr(merging, "LOOSE", 1)
    monkeypatch.setattr(merging, "PATIENCE", patience)
    command = [sys.executable, "-c", HANGS.format(asked), str(tmp_path / "there")]
    monkeypatch.setattr(merging, "command", lambda location: command)
    with Merging(results, pytest.fail) as merges:
        merges.stored()
        until((tmp_path / "there").exists)
        merges.stored()
        process = merges._process
    assert process.wait(timeout=300) == ends


def test_an_interrupted_run_ends_its_merge_and_leaves_no_half_of_a_file(results, store, monkeypatch):
    monkeypatch.setattr(merging, "LOOSE", 1)
    monkeypatch.setattr(merging, "PATIENCE", 300)
    stored = Path(results.location) / "trials"
    half = "os.fsync = lambda file: (open(sys.argv[1] + '/half', 'w'), time.sleep(1000))"
    command = [sys.executable, "-c", f"import time; {PROMPT.replace('os.nice', half + '; os.nice')}"]
    monkeypatch.setattr(merging, "command", lambda location: [*command, location])
    store(0, 9)
    before = content(results)
    processes = []

    def interrupted():
        with Merging(results, pytest.fail) as merges:
            until((Path(results.location) / "half").exists)
            assert [path for path in stored.iterdir() if path.name.startswith(".merged-")]
            processes.append(merges._process)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [process.returncode for process in processes] == [1]
    assert names(results) == [f"t{number:04}.parquet" for number in range(9)]
    assert content(results) == before


def test_a_search_whose_rows_are_merged_finds_the_same(make_spec, results, awaited, monkeypatch, tmp_path):
    from sweep.search import run_search

    methods = [{"name": "uam", "epochs": 1, "rho": {"high": 2}}]
    section = {"methods": methods, "trials": 16, "seeds": [0, 1], "confirm_seeds": [7], "pruner": "median"}
    spec = make_spec(dataset={"name": "digits", "limit": 200, "validation": 0.1}, search=section)
    found = []
    for limit, out in ((8, results.location), (5000, str(tmp_path / "apart"))):
        monkeypatch.setattr(merging, "LOOSE", limit)
        console = Console(quiet=True)
        run_search(spec, plan_search(spec), out, "inline", None, console, None, pytest.fail, lambda trial_id: None)
        suggestions = Results(out).suggestions().table.drop_columns(["suggested_at"]).to_pylist()
        found.append((content(Results(out)), suggestions))
    assert found[0] == found[1]
    rows = found[0][0][0]
    assert {row["status"] for row in rows} == {"ok", "pruned"}
    assert len(rows) == 2 + 32 + 3  # Retrain, suggestions, and what confirms are a run each
    assert len(awaited) == 34 // 8
    assert len(loose(results)) == 34 % 8 + 3


def test_what_a_dead_process_stored_is_known_though_it_was_merged(make_spec, make_worker, results):
    section = {"methods": [{"name": "uam", "epochs": 1}], "trials": 1, "seeds": [0, 1], "confirm_seeds": [7]}
    spec = make_spec(dataset={"name": "digits", "limit": 200, "validation": 0.1}, search=section)
    plan, worker, console = plan_search(spec), make_worker(), Console(quiet=True)
    run_trials(spec, plan.references, results.location, "inline", None, console, originals=plan.originals)
    rows = trial_rows(results)
    study = Study(plan.studies[0], [], rows, spec.name)
    run = SearchRun([study], rows, worker.context, SearchProgress(console, [study]), None, lambda trial_id: None)
    suggestion = run.next(Study.ask)
    next(run_seeds(worker, suggestion.trials, [None, None], study.references, study.definition.objectives))
    compact(results)
    run.interrupted(suggestion)
    assert run.next(Study.ask) is suggestion
    assert [ended(row) for row in study.rows(suggestion)] == [True, False]


def test_a_row_that_a_node_stored_is_found_though_it_was_merged(results, store, make_worker, make_trial, make_row):
    trial = make_trial()
    store(0, 5)
    results.write_trial(make_row(trial.id, host="node"))
    compact(results)
    run = Run(Schedule([]), make_worker().context, mock.Mock())
    run.check_row(trial, "node")
    with pytest.raises(OSError, match="not the same storage"):
        run.check_row(trial, "another")
