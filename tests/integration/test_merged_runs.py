"""A run that is ended while another process merges its rows."""

import os
import shutil
import signal
import time
from pathlib import Path
from unittest import mock

import pytest
from tiny_sweeps import ended_on_error, living, start, write_spec

from sweep.columns import TRIALS
from sweep.folders import merged_file
from sweep.results import Results

ROWS = 600
HALTS = f"""
import itertools, os, sys, time
from pathlib import Path
from sweep import compaction
from sweep.results import Results

halted = Path(sys.argv[1]).with_name("halted")

def remove(results, info, known=Results.remove_unchanged, removals=itertools.count(1)):
    known(results, info)
    if next(removals) == {ROWS // 2}:
        halted.touch()
        while halted.exists():
            time.sleep(0.1)

Results.remove_unchanged = remove
os.nice = lambda step: None  # at once, though others compute
compaction.main()
"""
DRIVER = f"""
import sys
from sweep import cli, merging
del sys.argv[0]
merging.LOOSE = {ROWS}
merging.command = lambda location: [sys.executable, "-P", "-c", {HALTS!r}, location]
cli.main()
"""
TRACE = {"step": 9, "seconds": 0.5, "samples": 90}

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read from /proc")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A results directory of rows in a file each."""
    results = Results(str(tmp_path_factory.mktemp("many") / "out"))
    row = {field.name: "text" for field in TRIALS if not field.nullable}
    with mock.patch("os.fsync"):
        for number in range(ROWS):
            name = f"t{number:04}"
            results.write_trial(row | {"trial_id": name, "seed": number}, [TRACE | {"trial_id": name, "epoch": 0}])
    return Path(results.location)


def names(out, folder="trials"):
    return [path.name for path in (out / folder).iterdir()]


def stored(out):
    """What readers see."""
    results = Results(str(out))
    return [found.table.sort_by("trial_id").to_pylist() for found in (results.trials(), results.traces())]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_halfway_through_a_merge_leaves_every_row_once_and_no_process(many, tmp_path, signum):
    out = Path(shutil.copytree(many, tmp_path / "out"))
    before, halted = stored(out), tmp_path / "halted"
    command = ("run", write_spec(tmp_path, [{"name": "sweep_plugins:Slow", "epochs": 1}]), "--out", out)
    process = start(*command, "--executor", "inline", interpreter=("-c", DRIVER), PAUSE="500")
    with ended_on_error(process):
        while not halted.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        assert any(merged_file(name) for name in names(out))
        if signum is signal.SIGINT:  # Ctrl-C reaches the whole foreground group
            os.killpg(process.pid, signum)
        else:
            process.send_signal(signum)
        _, told = process.communicate(timeout=300)
        left = living(process.pid)
        if signum is signal.SIGKILL:
            assert process.returncode == -signum
            halted.unlink()
            deadline = time.monotonic() + 300
            while living(process.pid):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert [len(names(out, folder)) for folder in ("trials", "traces")] == [1, 1]  # it went on to its end
        else:
            assert (process.returncode, left) == (130, [])
            assert told.startswith("unlearn-sweep: interrupted; ")
            assert len(told.splitlines()) == 1
            assert len(names(out, "traces")) == ROWS
            assert not [name for folder in ("trials", "traces") for name in names(out, folder) if name[0] == "."]
    assert stored(out) == before
