"""Shards of one sweep, started at the same moment as commands of their own, one of them killed."""

import signal
import time

import pytest
from tiny_sweeps import call, ended_on_error, rows, start, write_spec

METHODS = [
    {"name": "original"},
    {"name": "retrain"},
    {"name": "sweep_plugins:Slow", "epochs": 1, "lr": [0.01, 0.02, 0.03, 0.04]},
]
SHARDS = 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The sweep as one command runs it."""
    folder = tmp_path_factory.mktemp("whole")
    path = write_spec(folder, METHODS, seeds=[0, 1])
    assert call("run", path, "--out", folder / "out", "--executor", "inline").code == 0
    return path, {kind: rows(folder / "out", kind) for kind in ("trials", "traces", "predictions")}


def test_shards_at_once_one_killed_and_given_again_write_the_rows_of_one_run(whole, tmp_path):
    path, expected = whole
    out = tmp_path / "out"

    def shard(number):
        options = ("--out", out, "--executor", "inline", "--shard", f"{number}/{SHARDS}")
        return start("run", path, *options, PAUSE="1")

    processes = [shard(number) for number in range(1, SHARDS + 1)]
    victim = processes[0]
    with ended_on_error(victim):
        while not any((out / ".claims").glob("*.lock")):  # an original is being trained, by whichever shard
            assert victim.poll() is None
            time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    ends = [process.communicate(timeout=500) for process in processes[1:]]
    assert [process.returncode for process in processes[1:]] == [0, 0], ends
    last = call("run", path, "--out", out, "--executor", "inline", "--shard", f"1/{SHARDS}")
    assert last.code == 0
    assert f"shard 1 of {SHARDS}: 4 trials" in last.out
    assert "not there yet" not in last.out
    assert any("trials of other shards are not there yet" in said for said, _ in ends)
    assert {kind: rows(out, kind) for kind in expected} == expected
    trained = [
        line
        for said in [*(said for said, _ in ends), last.out]
        for line in said.splitlines()
        if "] training of" in line
    ]
    assert len(trained) == len(set(trained)) <= 2


def test_a_shard_is_counted_and_a_bad_one_refused(whole, tmp_path):
    path, _ = whole
    assert "shard 2 of 5: 2 of 12 trials" in call("plan", path, "--out", tmp_path / "out", "--shard", "2/5").out
    for command in ("plan", "run"):
        ended = call(command, path, "--out", tmp_path / "out", "--shard", "6/5")
        assert (ended.code, len(ended.err.splitlines())) == (2, 1)
        assert "--shard 6/5: shards are 1/5 to 5/5" in ended.err
    assert not (tmp_path / "out").exists()
