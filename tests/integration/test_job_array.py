"""Shards of one sweep: started at the same moment, one of them killed; and on machines of their own, then merged."""

import re
import signal
import time

import pytest
from object_store import CREDENTIALS, ObjectStore
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
    with ended_on_error(processes[1]):
        while not runs_trials(out, processes[1]):
            assert processes[1].poll() is None
            time.sleep(0.02)
    refused = [call("run", path, "--out", out, "--executor", "inline", *more) for more in (("--shard", "2/3"), ())]
    assert {(ended.code, ended.out, ended.err.count("\n")) for ended in refused} == {(2, "", 1)}
    assert f"process {processes[1].pid} on " in refused[0].err
    ends = [process.communicate(timeout=500) for process in processes[1:]]
    assert [process.returncode for process in processes[1:]] == [0, 0], ends
    last = call("run", path, "--out", out, "--executor", "inline", "--shard", f"1/{SHARDS}")
    assert last.code == 0
    assert f"shard 1 of {SHARDS}: 4 trials" in last.out
    assert "not there yet" not in last.out
    assert any("trials of other shards are not there yet" in said for said, _ in ends)
    assert {kind: rows(out, kind) for kind in expected} == expected
    said = "\n".join([*(text for text, _ in ends), last.out])
    trained = re.findall(r"training of original \w+", said)
    assert len(trained) == len(set(trained)) <= 2


def runs_trials(out, process):
    """Whether a command has told the others that it does."""
    try:
        return any(f'"process": {process.pid},' in path.read_text() for path in out.glob(".claims/*.command"))
    except FileNotFoundError:  # another command has ended meanwhile
        return False


def test_a_shard_is_counted_and_a_bad_one_refused(whole, tmp_path):
    path, _ = whole
    assert "shard 2 of 5: 2 of 12 trials" in call("plan", path, "--out", tmp_path / "out", "--shard", "2/5").out
    for command in ("plan", "run"):
        ended = call(command, path, "--out", tmp_path / "out", "--shard", "6/5")
        assert (ended.code, len(ended.err.splitlines())) == (2, 1)
        assert "--shard 6/5: shards are 1/5 to 5/5" in ended.err
    assert not (tmp_path / "out").exists()


def test_directories_of_two_machines_merge_to_the_rows_of_one_run_killed_and_given_again(whole, tmp_path, monkeypatch):
    path, expected = whole
    places = [tmp_path / "one", tmp_path / "two"]
    for number, place in enumerate(places, start=1):
        options = ("--out", place, "--executor", "inline", "--shard", f"{number}/2")
        assert call("run", path, *options).code == 0
    out = tmp_path / "out"
    process = start("merge", *places, out)
    with ended_on_error(process):
        while process.poll() is None and not any(out.glob("trials/*.parquet")):
            time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ended = call("merge", *places, out)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-1] == f"results: {out}"
    assert {kind: rows(out, kind) for kind in expected} == expected
    last = call("run", path, "--out", out, "--executor", "inline")
    assert (last.code, last.err) == (0, "")
    assert "12 trials, 12 done before, 0 to run" in last.out
    assert f"12 trials in {out}" in call("status", out).out
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with ObjectStore() as store:
        assert call("merge", places[0], store.uri("first")).code == 0
        assert call("merge", store.uri("first"), places[1], store.uri("out")).code == 0
        assert {kind: rows(store.uri("out"), kind) for kind in expected} == expected
        assert "12 done before" in call("run", path, "--out", store.uri("out"), "--executor", "inline").out
        counted = [
            call("plan", path, "--out", store.uri("new"), "--shard", f"{number}/6").out for number in range(1, 7)
        ]
    assert [re.search(r"(\d+) of 12 trials", said)[1] for said in counted] == ["5", "0", "1", "5", "0", "1"]
