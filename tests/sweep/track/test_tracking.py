"""What trackers are sent, read back with their own libraries; and trackers that fail, hang or are missing."""

from __future__ import annotations

import json
import struct
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from sweep import cli
from sweep.errors import InputError
from sweep.store.columns import MEASURED
from sweep.store.running import write_running
from sweep.track import trackers, tracking
from sweep.track.trackers import open_tracker
from sweep.track.tracking import Sender, Tracking

CURVES = {"retain_loss": [1.0, 0.5, 0.25], "gradient_degrees": [None, 80.0, 90.0], "penalty": [3.0, float("nan"), 1.0]}
"""For each name what was traced in epochs 0, 1, 2; `penalty` is no column of its own."""

STORED = {("retain_loss", 0, 1.0), ("retain_loss", 1, 0.5), ("retain_loss", 2, 0.25)}
STORED |= {("gradient_degrees", 1, 80.0), ("gradient_degrees", 2, 90.0), ("penalty", 0, 3.0), ("penalty", 2, 1.0)}


START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def made(make_row):
    """A row of `trials`, and its rows of `traces`."""

    def made(trial_id="t", **changes):
        own = {"method": "uam", "seed": 3, "params": '{"rho": 2.0, "hessian": null}', "sweep": "tiny", "mia": 12.5}
        absent = dict.fromkeys(("error", "validation_accuracy", "forget_class", "forget_class_name"))
        traces = [
            {
                "trial_id": trial_id,
                "epoch": epoch,
                "step": 10 * epoch,
                "seconds": 1.0 * epoch,
                "samples": 0,
                **{name: values[epoch] for name, values in CURVES.items() if name != "penalty"},
                "other": json.dumps({"penalty": CURVES["penalty"][epoch], "words": "not a number"}),
            }
            for epoch in range(3)
        ]
        return make_row(trial_id, **(own | absent | changes)), traces

    return made


@pytest.fixture
def store(results, made):
    """Store a trial that started and ended `later` seconds after the others."""

    def store(trial_id="t", later=0.0, **changes):
        started = START + timedelta(seconds=later)
        results.write_trial(*made(trial_id, **({"started_at": started, "finished_at": started} | changes)))

    return store


@pytest.fixture
def go_on(results, made):
    """Write of a trial that runs its first `points` points."""

    def go_on(trial_id="t", points=3, later=0.0, **changes):
        row, traces = made(trial_id, started_at=START + timedelta(seconds=later), config="{}", notes="{}", **changes)
        known = {name: value for name, value in row.items() if name not in ("status", "finished_at", *MEASURED)}
        write_running(results, known, traces[:points], START)

    return go_on


class Log:
    """A tracker that keeps what it is sent: for each run its key, its points' epochs by sending, and its status."""

    def __init__(self):
        self.runs = []

    def __call__(self, run):
        kept = SimpleNamespace(trial=run.params["trial_id"], key=run.key, points=[], sent=[], status=None)
        self.runs.append(kept)

        def add(points):
            kept.points.extend(points)
            kept.sent.append([(point.name.removeprefix("trace/"), point.epoch) for point in points])

        def end(points, ending):
            add(points)
            kept.status = ending.status

        return SimpleNamespace(add=add, end=end)

    @property
    def trials(self):
        return [run.trial for run in self.runs if run.status]


def command(monkeypatch, capsys, *arguments):
    """How the command line ends: exit status and what it printed to stderr."""
    monkeypatch.setattr(sys, "argv", ["unlearn-sweep", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0, capsys.readouterr()


def sent_to(results, name, log):
    """A sender that has sent all that was stored."""
    sender = Sender(results, name, log)
    sender.send_all()
    return sender


def test_tensorboard_gets_parameters_metrics_and_curves(results, store, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    store(method="my_methods:Own/../Method")
    sent_to(results, "tensorboard", open_tracker("tensorboard", results, "--to"))
    [path] = tmp_path.rglob("*tfevents*")
    assert path.parent.relative_to(results.location).parts == (
        *("tensorboard", "my_methods:Own_.._Method", "seed-3", "t-20300101T000000"),
    )
    found = EventAccumulator(str(path.parent)).Reload()
    scalars = {name: found.Scalars(name) for name in found.Tags()["scalars"]}
    curves = {name: points for name, points in scalars.items() if name.startswith("trace/")}
    assert {(name[6:], point.step, point.value) for name, points in curves.items() for point in points} == STORED
    [mia] = scalars["mia"]
    assert (mia.value, mia.wall_time) == (12.5, datetime(2030, 1, 1, tzinfo=UTC).timestamp())
    assert "validation_accuracy" not in scalars
    content = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    parameters = HParamsPluginData.FromString(content).session_start_info.hparams
    assert (parameters["param.rho"].number_value, parameters["seed"].number_value) == (2.0, 3.0)
    assert (parameters["param.hessian"].string_value, parameters["status"].string_value) == ("null", "ok")


def live(results, name, store, go_on, look=lambda points: None, **changes):
    """Send a trial to a tracker point by point while it runs, then its end; `look` is called after each sending."""
    sender = Sender(results, name, open_tracker(name, results, "--to"))
    sender.began("t")
    for points in (1, 2, 3):
        go_on(points=points, **changes)
        sender.send_new()
        look(points)
    store(**changes)
    sender.send("t")
    look(None)


def test_tensorboard_shows_a_trial_that_runs_to_a_reader_who_is_there_already(results, store, go_on, tmp_path):
    from tensorboard.backend.event_processing.directory_watcher import DirectoryWatcher
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
    from tensorboard.backend.event_processing.io_wrapper import IsTensorFlowEventsFile

    folder = f"{results.location}/tensorboard/uam/seed-3/t-20300101T000000"
    results.write(
        f"{folder.removeprefix(results.location + '/')}/events.out.tfevents.000007", b"of a run that was killed"
    )
    accumulated, seen, watched = [], [], []

    def look(points):
        if not accumulated:
            accumulated.append(EventAccumulator(folder))
            watched.append(DirectoryWatcher(folder, LegacyEventFileLoader, IsTensorFlowEventsFile))
        found = accumulated[0].Reload()
        seen.append({(name[6:], each.step) for name in found.Tags()["scalars"] for each in found.Scalars(name)})
        watched.extend(value for event in watched[0].Load() for value in event.summary.value)

    live(results, "tensorboard", store, go_on, look)
    for points in (1, 2, 3):
        assert seen[points - 1] == {(name, epoch) for name, epoch, _ in STORED if epoch < points}
    again = EventAccumulator(folder).Reload()
    for found in (accumulated[0], again):
        curves = {name: found.Scalars(name) for name in found.Tags()["scalars"]}
        points = [(name[6:], each.step, each.value) for name in curves if "/" in name for each in curves[name]]
        assert sorted(points) == sorted(STORED), "each once"
        assert [each.value for each in curves["mia"]] == [12.5]
    assert "_hparams_/session_start_info" in accumulated[0].PluginTagToContent("hparams")
    assert sum(value.tag.startswith("trace/") for value in watched[1:]) == len(STORED)
    assert not watched[0].OutOfOrderWritesDetected()
    assert len(list(tmp_path.rglob("*tfevents*"))) == 4


@pytest.fixture(scope="module")
def mlflow_client(tmp_path_factory):
    """A client of the database that MLFLOW_TRACKING_URI names; to make one takes seconds."""
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}")
        yield mlflow.MlflowClient()


def mlflow_history(client, run):
    return [point for name in CURVES for point in client.get_metric_history(run.info.run_id, f"trace/{name}")]


def test_mlflow_shows_a_trial_that_runs(results, store, go_on, mlflow_client):
    seen = []

    def look(points):
        [run] = mlflow_client.search_runs([mlflow_client.get_experiment_by_name("live").experiment_id])
        seen.append(run)
        expected = {each for each in STORED if points is None or each[1] < points}
        found = [(point.key[6:], point.step, point.value) for point in mlflow_history(mlflow_client, run)]
        assert sorted(found) == sorted(expected)

    live(results, "mlflow", store, go_on, look, sweep="live")
    assert [run.info.status for run in seen] == ["RUNNING"] * 3 + ["FINISHED"]
    assert (seen[0].data.params["param.rho"], "status" in seen[0].data.params) == ("2.0", False)
    assert (seen[-1].data.params["status"], seen[-1].data.metrics["mia"]) == ("ok", 12.5)


def test_mlflow_gets_parameters_metrics_and_curves(results, store, mlflow_client, monkeypatch):
    monkeypatch.setattr(trackers, "MLFLOW_BATCH", 2)
    store()
    store("u", status="failed", mia=None)
    sent_to(results, "mlflow", open_tracker("mlflow", results, "--to"))
    runs = mlflow_client.search_runs([mlflow_client.get_experiment_by_name("tiny").experiment_id])
    by_trial = {run.data.params["trial_id"]: run for run in runs}
    run = by_trial["t"]
    assert (run.info.run_name, run.info.status, by_trial["u"].info.status) == ("uam seed 3", "FINISHED", "FAILED")
    assert run.info.end_time == 1000 * datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    assert (run.data.params["param.rho"], run.data.params["param.hessian"]) == ("2.0", "null")
    assert run.data.metrics["mia"] == 12.5
    assert "mia" not in by_trial["u"].data.metrics
    assert {(point.key[6:], point.step, point.value) for point in mlflow_history(mlflow_client, run)} == STORED


def wandb_records(path):
    """The records of a run's file, a log in LevelDB's format: blocks of 32 KiB, a record in one part or more."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, record = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(record)
            record = b""


@pytest.mark.parametrize("running", [False, True])
def test_wandb_gets_parameters_metrics_and_curves_and_nothing_else(
    results, store, go_on, tmp_path, monkeypatch, running
):
    import wandb

    wandb.teardown()  # it looks at the environment once
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    monkeypatch.setattr(sys, "argv", ["unlearn-sweep", "--storage", "postgresql://me:my-password@host/db"])
    if running:
        live(results, "wandb", store, go_on)
    else:
        store()
        sent_to(results, "wandb", open_tracker("wandb", results, "--to"))
    [path] = tmp_path.glob("wandb/offline-run-*/run-t-20300101T000000.wandb")
    records = list(wandb_records(path))
    [run] = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    config |= {item.key: json.loads(item.value_json) for record in records for item in record.config.update}
    assert config["status"] == "ok"
    assert (run.project, run.display_name, config["param.rho"], config["seed"]) == ("tiny", "uam seed 3", 2.0, 3)
    summary = {item.key: item.value_json for record in records for item in record.summary.update if item.key}
    assert json.loads(summary["mia"]) == 12.5
    history = [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    names = {f"trace/{name}": name for name in CURVES}
    steps = [row.get("_step", 0) for row in history]
    assert steps == [0, 1, 2], "each once"
    assert {
        (names[name], step, value)
        for step, row in zip(steps, history, strict=True)
        for name, value in row.items()
        if name in names
    } == STORED
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("wandb/**/*") if path.is_file())
    assert b"my-password" not in kept
    assert b"0123456789" * 4 not in kept


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
        f"unlearn-sweep: --to mlflow: 1 trials sent, then: {away}; the same command goes on\n",
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
    assert run.sent[2:] == [[("retain_loss", 2), ("gradient_degrees", 2), ("penalty", 2)]]
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
    assert log.runs[0].sent[1:] == [[("probe_degrees", 2)]]


def test_two_values_of_one_name_in_one_epoch_are_two_points(results, made):
    log, (row, traces) = Log(), made("t")
    results.write_trial(row, [traces[0], traces[0] | {"retain_loss": 7.0}])
    sent_to(results, "mlflow", log)
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
            if busy:
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


def test_what_cannot_be_tracked_is_one_line(tmp_path, monkeypatch, capsys):
    code, printed = command(monkeypatch, capsys, "track", tmp_path / "none", "--to", "mlflow")
    assert (code, printed.err) == (2, f"unlearn-sweep: {tmp_path / 'none'}: no such results directory\n")
    code, printed = command(monkeypatch, capsys, "run", "digits", "--track", "paper")
    assert (code, len(printed.err.splitlines())) == (2, 1)
    assert "'paper' is not one of 'tensorboard', 'mlflow', 'wandb'" in printed.err
