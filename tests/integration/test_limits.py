"""Through Ray: trials that hang, trials that take all memory, and a run that has a time budget."""

import contextlib
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from tiny_sweeps import call, row_of, rows, run, spent_after, write_spec

from sweep.engine import driver
from sweep.store.results import Results

SLOW = {"name": "sweep_plugins:Slow", "epochs": 1}


def by_method(out):
    return {row["method"].removeprefix("sweep_plugins:"): row for row in rows(out)}


def test_trials_that_hang_are_ended_and_say_why_and_the_others_finish(shared_ray, tmp_path):
    methods = [{"name": f"sweep_plugins:{name}"} for name in ("Hangs", "Stuck")] + [SLOW, {"name": "retrain"}]
    path, out = write_spec(tmp_path, methods, trial_timeout=15, max_retries=0), tmp_path / "out"
    ended = call("run", path, "--out", out)
    assert (ended.code, ended.err) == (1, "")
    assert "2 trials failed" in ended.out
    found = by_method(out)
    assert {name: row["status"] for name, row in found.items()} == {
        "Hangs": "failed",
        "Stuck": "failed",
        "Slow": "ok",
        "retrain": "ok",
    }
    assert found["Hangs"]["error"] == "took longer than trial_timeout: 15 s"
    assert found["Stuck"]["error"].splitlines()[-1] == (
        "took longer than trial_timeout: 15 s, and no exception reached it: its process was ended"
    )


def test_a_trial_that_may_have_no_more_memory_fails_and_the_others_finish(shared_ray, tmp_path):
    methods = [{"name": "sweep_plugins:Limited", "library": ["python", "torch"]}, SLOW]
    path, out = write_spec(tmp_path, methods, max_retries=1), tmp_path / "out"
    assert call("run", path, "--out", out).code == 1
    failed = [row["error"] for row in rows(out) if row["status"] == "failed"]
    assert sorted(error.splitlines()[-1].partition(":")[0] for error in failed) == ["MemoryError", "RuntimeError"]
    assert any("can't allocate memory" in error for error in failed)
    assert row_of(out, SLOW["name"])["status"] == "ok"


MEMORY = Path("/sys/fs/cgroup/memory")
IN_GROUP = 'echo $$ > "$0/cgroup.procs" && mount --bind "$0" {root} && exec "$@"'


@pytest.fixture
def small_machine():
    """What to put before a command so that it, and Ray, find a machine of 5 GB."""
    group = MEMORY / f"unlearn-sweep-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("5000000000")
    except OSError as error:
        pytest.skip(f"needs to make a control group: {error}")
    prefix = ["unshare", "-m", "sh", "-c", IN_GROUP.format(root=MEMORY), str(group)]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        group.rmdir()
        pytest.skip("needs namespaces")
    yield prefix
    while left := (group / "cgroup.procs").read_text().split():  # Ray's own take a while to end
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.1)
    group.rmdir()


@pytest.mark.soak
def test_the_trial_that_takes_all_memory_fails_and_those_killed_beside_it_do_not(small_machine, tmp_path):
    methods = [{"name": "sweep_plugins:Greedy"}, SLOW | {"lr": [round(0.01 * step, 2) for step in range(1, 9)]}]
    path, out = write_spec(tmp_path, methods, max_retries=0), tmp_path / "out"
    monitor = {"RAY_memory_usage_threshold": "0.9", "RAY_memory_monitor_refresh_ms": "50"}
    ended = run("run", path, "--out", out, prefix=small_machine, PAUSE="2", **monitor)
    assert (ended.code, ended.err) == (1, "")
    assert "1 trial failed" in ended.out
    [failed] = [row for row in rows(out) if row["status"] != "ok"]
    assert failed["method"] == "sweep_plugins:Greedy"
    last = "the worker process was killed because its node ran low on memory"
    assert failed["error"].splitlines()[-1] == last
    assert len(rows(out)) == 9


def test_a_time_budget_ends_a_run_through_ray_and_the_same_command_goes_on(shared_ray, tmp_path, monkeypatch):
    slots = os.cpu_count()
    count = 3 + 2 * slots
    methods = [SLOW | {"lr": [round(0.01 * step, 2) for step in range(1, count + 1)]}]
    path, out = write_spec(tmp_path, methods), tmp_path / "out"

    with monkeypatch.context() as patch:
        patch.setattr(driver, "deadline", spent_after(3))
        first = call("run", path, "--out", out, "--time-budget", "1h")
    assert first.code == 3
    table = Results(str(out)).trials().table
    assert 3 <= len(table) < 3 + slots  # every other slot's was under way
    assert f"{count - len(table)} trials were not run; the same command runs them" in first.out

    again = call("run", path, "--out", out, "--executor", "inline")
    assert again.code == 0
    assert f"{len(table)} done before, {count - len(table)} to run" in again.out
    assert call("run", path, "--out", tmp_path / "whole", "--executor", "inline").code == 0
    for kind in ("trials", "traces", "predictions"):
        assert rows(out, kind) == rows(tmp_path / "whole", kind)
