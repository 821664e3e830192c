"""Trials are sent once, while they run and when they end; and trackers that fail, hang or are missing."""

from __future__ import annotations

import sys
import threading
import time

import pytest
from made_runs import STORED, Log, sent_to

from sweep import cli
from sweep.errors import InputError
from sweep.track import trackers, tracking
from sweep.track.trackers import open_tracker
from sweep.track.tracking import Sender, Tracking


def command(monkeypatch, capsys, *arguments):
    """How the command line ends: exit status and what it printed to stderr."""
    monkeypatch.setattr(sys, "argv", ["unlearn-sweep", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0, capsys.readouterr()


def test_a_trial_is_sent_once_and_again_when_it_was_run_again(results, store):
    log = Log()
    store("t", status="failed")
    store("u")
    store("p", status="pruned")
    assert sent_to(results, "mlflow", log).count == 2
    assert sent_to(results, "mlflow", log).count == 0
    assert sent_to(results, "wandb", log).count == 2
    store("t", later=60)
    again = sent_to(results, "mlflow", log)
    assert (again.before, again.count) == (2, 1)
    assert (log.runs[-1].key, log.runs[-1].status) == ("t-20300101T000100", "ok")
    again.send("t")
    again.send("no such trial")
    assert again.count == 1


def test_curves_of_one_trial_alone_and_of_all_at_once_are_the_same(results, store):
    store("t")
    store("u")
    results.remove("traces/u.parquet")
    alone, together = Log(), Log()
    sender = Sender(results, "mlflow", alone)
    for name in ("t", "u"):
        sender.send(name)
    sent_to(results, "wandb", together)
    assert sorted(map(repr, alone.runs)) == sorted(map(repr, together.runs))
    assert [len(run.points) for run in alone.runs] == [len(STORED), 0]


def test_what_a_tracker_did_not_take_is_sent_later(results, store, monkeypatch, capsys):
    log = Log()

    def fails_at_the_second(run):
        if log.runs:
            raise ConnectionError("http://me:my-password@server is away\nfor long")
        return log(run)

    for name in ("t", "u", "v"):
        store(name)
    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda _: fails_at_the_second)
    code, printed = command(monkeypatch, capsys, "track", results.location, "--to", "mlflow")
    away = "http://me:***@server is away"
    assert (code, printed.err) == (
        1,
        f"unlearn-sweep: --to mlflow: 1 trial sent, then: {away}; the same command goes on\n",
    )
    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda _: log)
    code, printed = command(monkeypatch, capsys, "track", results.location, "--to", "mlflow")
    assert (code, printed.out) == (0, "mlflow: 2 trials sent, 1 before\n")
    assert sorted(log.trials) == ["t", "u", "v"]


def test_a_run_sends_what_is_there_and_what_ends(results, store, monkeypatch):
    log = Log()
    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda _: log)
    store("before")
    with Tracking(["mlflow", "mlflow"], results.location, pytest.fail) as watched:
        store("during")
        watched.ended("during")
    assert log.trials == ["before", "during"]


def test_points_of_a_trial_that_runs_are_sent_once_each_and_its_end_later(results, store, go_on):
    log = Log()
    sender = Sender(results, "mlflow", log)
    sender.send_new()
    sender.began("t")
    sender.send_new()
    go_on(points=0)
    sender.send_new()
    assert log.runs == [], "there is nothing to send yet"
    for points in (1, 1, 2):
        go_on(points=points)
        sender.send_new()
    [run] = log.runs
    assert run.sent == [[("retain_loss", 0), ("penalty", 0)], [("retain_loss", 1), ("gradient_degrees", 1)]]
    go_on(points=1)  # it is tried again
    sender.send_new()
    store("t", later=0)
    sender.send("t")
    assert run.sent[2:] == [[("retain_loss", 4), ("gradient_degrees", 4), ("penalty", 4)]]
    assert {(point.name[6:], point.epoch, point.value) for point in run.points} == STORED
    assert (len(log.runs), run.key, run.status) == (1, "t-20300101T000000", "ok")
    assert (sender.count, results.names("tracked/mlflow")) == (1, ["t-20300101T000000"])


def test_what_the_last_point_got_later_is_sent_at_the_end(results, made, go_on):
    log = Log()
    sender = Sender(results, "mlflow", log)
    sender.began("t")
    go_on()
    sender.send_new()
    row, traces = made("t")
    results.write_trial(row, [*traces[:2], traces[2] | {"probe_degrees": 45.0}])
    sender.send("t")
    assert log.runs[0].sent[1:] == [[("probe_degrees", 4)]]


def test_two_values_of_one_name_in_one_epoch_are_two_points(results, made, go_on):
    log, (row, traces) = Log(), made("t")
    sender = Sender(results, "mlflow", log)
    sender.began("t")
    go_on(points=1)
    sender.send_new()
    results.write_trial(row, [traces[0], traces[0] | {"retain_loss": 7.0}])
    sender.send("t")
    assert [point.value for point in log.runs[0].points if point.name == "trace/retain_loss"] == [1.0, 7.0]


def test_trials_of_other_commands_are_not_sent_while_they_run(results, go_on):
    log = Log()
    go_on("killed")
    sender = Sender(results, "mlflow", log)
    sender.began("killed")  # here, anew
    go_on("of another shard")
    sender.send_new()
    assert log.runs == []
    go_on("killed", later=60)
    sender.send_new()
    assert [run.key for run in log.runs] == ["killed-20300101T000100"]


def test_a_trial_whose_worker_was_killed_goes_on_as_another_run(results, store, go_on):
    log = Log()
    sender = Sender(results, "mlflow", log)
    for later, points in ((0, 2), (60, 1)):
        sender.began("t")
        sender.send_new()
        go_on("t", points=points, later=later)
        sender.send_new()
    store("t", later=60)
    sender.send("t")
    assert [(run.key[-6:], run.status, len(run.sent)) for run in log.runs] == [("000000", None, 1), ("000100", "ok", 2)]


@pytest.mark.parametrize("busy", [False, True])
def test_a_run_sends_points_while_trials_run(results, store, go_on, monkeypatch, busy):
    log = Log()
    monkeypatch.setattr(tracking, "SECONDS", 0.05)
    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda _: log)
    with Tracking(["mlflow"], results.location, pytest.fail) as watched:
        watched.began("t")
        go_on("t", points=1)
        deadline = time.monotonic() + 30
        while not log.runs:
            assert time.monotonic() < deadline
            for _ in range(1000 if busy else 0):  # more than it can take
                watched.ended("no such trial")
            time.sleep(0.01)
        assert (log.runs[0].trial, log.runs[0].status) == ("t", None)
        store("t")
        watched.ended("t")
    assert log.trials == ["t"]
    assert len(log.runs) == 1


def test_a_tracker_that_fails_is_one_warning_and_another_goes_on(results, store, monkeypatch):
    log, warnings = Log(), []

    def fail(*_):
        raise OSError("no route to host")

    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda _: fail)
    monkeypatch.setitem(trackers.TRACKERS, "wandb", lambda _: log)
    with Tracking(["mlflow", "wandb"], results.location, warnings.append) as watched:
        for name in ("t", "u"):
            store(name)
            watched.ended(name)
    assert log.trials == ["t", "u"]
    rest = f"results are complete, and `unlearn-sweep track {results.location} --to mlflow` sends the rest"
    assert warnings == [f"--track mlflow: failed, and nothing more is sent to it: no route to host; {rest}"]


@pytest.fixture
def released(monkeypatch):
    """Until this event the tracker takes nothing."""
    released = threading.Event()

    def hangs(run):
        released.wait(60)
        return Log()(run)

    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda _: hangs)
    return released


def test_a_tracker_that_hangs_is_not_waited_for(results, store, monkeypatch, released):
    warnings = []
    monkeypatch.setattr(tracking, "PATIENCE", 0.2)
    store()
    with Tracking(["mlflow"], results.location, warnings.append):
        pass
    released.set()
    [warning] = warnings
    assert warning.startswith("--track mlflow: has taken nothing for 0.2 s; results are complete, and ")


def test_an_interrupted_run_waits_for_no_tracker(results, store, released):
    store()
    with pytest.raises(KeyboardInterrupt), Tracking(["mlflow"], results.location, pytest.fail):
        raise KeyboardInterrupt
    released.set()


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_library_is_one_line_that_names_the_extra_and_nothing_is_run(tmp_path, monkeypatch, capsys, name):
    monkeypatch.setitem(sys.modules, name, None)
    arguments = ("run", "digits", "--out", tmp_path / "out", "--executor", "inline", "--track", name)
    code, printed = command(monkeypatch, capsys, *arguments)
    extra = f"needs the extra {name} (pip install 'unlearn-sweep[{name}]')"
    assert (code, printed.err) == (2, f"unlearn-sweep: --track {name}: {extra}\n")
    assert not (tmp_path / "out").exists()


def test_wandb_without_an_account_is_bad_input(results, tmp_path, monkeypatch):
    import wandb

    wandb.teardown()  # it looks at the environment once
    for variable in ("WANDB_API_KEY", "WANDB_MODE", "NETRC"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match="--to wandb: nobody is logged in"):
        open_tracker("wandb", results, "--to")


def test_a_tracker_that_does_not_open_is_one_line_and_nothing_is_run(tmp_path, monkeypatch, capsys):
    database = tmp_path / "no-database.txt"
    database.write_text("words\n" * 1000)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    arguments = ("run", "digits", "--out", tmp_path / "out", "--executor", "inline", "--track", "mlflow")
    code, printed = command(monkeypatch, capsys, *arguments)
    assert (code, printed.out) == (2, "")
    assert printed.err.splitlines()[-1].startswith("unlearn-sweep: --track mlflow: ")
    assert "Traceback" not in printed.err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_tracked_is_one_line(tmp_path, monkeypatch, capsys):
    code, printed = command(monkeypatch, capsys, "track", tmp_path / "none", "--to", "mlflow")
    assert (code, printed.err) == (2, f"unlearn-sweep: {tmp_path / 'none'}: no such results directory\n")
    code, printed = command(monkeypatch, capsys, "run", "digits", "--track", "paper")
    assert (code, len(printed.err.splitlines())) == (2, 1)
    assert "'paper' is not one of 'tensorboard', 'mlflow', 'wandb'" in printed.err
