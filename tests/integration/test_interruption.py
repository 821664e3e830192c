import contextlib
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_sweeps import Ended, call, ended_on_error, living, rows, start, tracked, write_spec

TRIALS = 16 + 8 * os.cpu_count()
"""More than three interrupted runs come to: in each a trial of every slot, or two, may be stored."""
METHODS = [{"name": "sweep_plugins:Slow", "epochs": 1, "lr": [round(0.001 * n, 3) for n in range(1, TRIALS + 1)]}]

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read from /proc")


@dataclass(frozen=True)
class Interruption:
    """A run that was sent a signal.

    Attributes:
        driver: its process id, which is also that of its session.
        ended: how it ended.
        finished: inode and time of every row that was there when the signal was sent.
    """

    driver: int
    ended: Ended
    finished: dict[Path, tuple[int, int]]


@dataclass(frozen=True)
class History:
    """Three interrupted runs of one sweep through Ray, and the run that finished it."""

    spec: Path
    out: Path
    interruptions: dict[signal.Signals, Interruption]
    last: Ended


def stored(out):
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (out / "trials").glob("*.parquet")}


def interrupt(spec, out, signum):
    """Run the sweep until it has one more row, and send its process the signal."""
    before = len(stored(out))
    process = start("run", spec, "--out", out, "--track", "tensorboard", PAUSE="1")
    with ended_on_error(process):
        while len(stored(out)) == before:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
    finished = stored(out)
    if signum is signal.SIGINT:  # Ctrl-C reaches the whole foreground group
        os.killpg(process.pid, signum)
    else:
        process.send_signal(signum)
    with ended_on_error(process):
        out_text, err_text = process.communicate(timeout=300)
    wait_until_there_are_none(lambda: with_torch(process.pid))  # such a worker may still finish its row
    return Interruption(process.pid, Ended(process.returncode, out_text, err_text), finished)


def with_torch(session):
    """Ids of the processes of a session that can run trials."""
    found = []
    for pid in living(session):
        with contextlib.suppress(OSError):  # it has ended
            if "libtorch" in Path(f"/proc/{pid}/maps").read_text():
                found.append(pid)
    return found


def wait_until_there_are_none(processes):
    deadline = time.monotonic() + 300
    while left := processes():
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted")
    spec, out = write_spec(folder, METHODS), folder / "out"
    signals = (signal.SIGINT, signal.SIGKILL, signal.SIGTERM)
    interruptions = {signum: interrupt(spec, out, signum) for signum in signals}
    last = call("run", spec, "--out", out, "--executor", "inline", "--track", "tensorboard")
    return History(spec, out, interruptions, last)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_in_one_line_and_exits_130(history, signum):
    ended = history.interruptions[signum].ended
    assert ended.code == 130
    assert ended.err == "unlearn-sweep: interrupted; finished trials are kept, and the same command runs the rest\n"


def test_a_killed_run_dies_in_the_middle(history):
    killed = history.interruptions[signal.SIGKILL]
    assert killed.ended.code == -signal.SIGKILL
    assert 0 < len(killed.finished) < TRIALS


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_finished_rows_are_never_written_again(history, signum):
    finished = history.interruptions[signum].finished
    assert {path: found for path, found in stored(history.out).items() if path in finished} == finished


def test_the_same_command_runs_only_what_is_missing(history):
    order = [history.interruptions[signum] for signum in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM)]
    resumed = [*(run.ended.out for run in order[1:]), history.last.out]
    for before, text in zip(order, resumed, strict=True):
        trials, done, left = map(int, re.findall(r"(\d+) (?:trials|done before|to run)", text.splitlines()[0]))
        assert trials == TRIALS == done + left
        assert len(before.finished) <= done < TRIALS
    assert history.last.code == 0


def test_an_interrupted_sweep_ends_like_an_uninterrupted_one_bit_for_bit(history, tmp_path):
    whole = call("run", history.spec, "--out", tmp_path / "out", "--executor", "inline")
    assert whole.code == 0
    for kind in ("trials", "traces", "predictions"):
        assert rows(history.out, kind) == rows(tmp_path / "out", kind)


def test_what_interrupted_runs_did_not_send_to_a_tracker_the_last_one_does(history):
    assert tracked(history.out) == [row["trial_id"] for row in rows(history.out)]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_its_driver_for_long(history, signum):
    wait_until_there_are_none(lambda: living(history.interruptions[signum].driver))
