"""What trackers are sent, read back with their own libraries; and trackers that fail, hang or are missing."""

from __future__ import annotations

import json
import struct
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from sweep import cli
from sweep.errors import InputError
from sweep.track import trackers, tracking
from sweep.track.trackers import open_tracker
from sweep.track.tracking import Sender, Tracking

CURVES = {"retain_loss": [1.0, 0.5, 0.25], "gradient_degrees": [None, 80.0, 90.0], "penalty": [3.0, float("nan"), 1.0]}
"""For each name what was traced in epochs 0, 1, 2; `penalty` is no column of its own."""

STORED = {("retain_loss", 0, 1.0), ("retain_loss", 1, 0.5), ("retain_loss", 2, 0.25)}
STORED |= {("gradient_degrees", 1, 80.0), ("gradient_degrees", 2, 90.0), ("penalty", 0, 3.0), ("penalty", 2, 1.0)}


@pytest.fixture
def store(results, make_row):
    """Store a trial that ended `later` seconds after the others."""

    def store(trial_id="t", later=0.0, **changes):
        ended = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=later)
        own = {"method": "uam", "seed": 3, "params": '{"rho": 2.0, "hessian": null}', "sweep": "tiny", "mia": 12.5}
        absent = dict.fromkeys(("error", "validation_accuracy", "forget_class", "forget_class_name"))
        row = make_row(trial_id, **(own | absent | {"finished_at": ended} | changes))
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
        results.write_trial(row, traces)

    return store


def command(monkeypatch, capsys, *arguments):
    """How the command line ends: exit status and what it printed to stderr."""
    monkeypatch.setattr(sys, "argv", ["unlearn-sweep", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0, capsys.readouterr()


def sent_to(results, name, log):
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


def test_mlflow_gets_parameters_metrics_and_curves(results, store, tmp_path, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setattr(trackers, "MLFLOW_BATCH", 2)
    store()
    store("u", status="failed", mia=None)
    sent_to(results, "mlflow", open_tracker("mlflow", results, "--to"))
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    by_trial = {run.data.params["trial_id"]: run for run in runs}
    run = by_trial["t"]
    assert (run.info.run_name, run.info.status, by_trial["u"].info.status) == ("uam seed 3", "FINISHED", "FAILED")
    assert run.info.end_time == 1000 * datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    assert (run.data.params["param.rho"], run.data.params["param.hessian"]) == ("2.0", "null")
    assert run.data.metrics["mia"] == 12.5
    assert "mia" not in by_trial["u"].data.metrics
    points = [point for name in CURVES for point in client.get_metric_history(run.info.run_id, f"trace/{name}")]
    assert {(point.key[6:], point.step, point.value) for point in points} == STORED


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


def test_wandb_gets_parameters_metrics_and_curves_and_nothing_else(results, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    monkeypatch.setattr(sys, "argv", ["unlearn-sweep", "--storage", "postgresql://me:my-password@host/db"])
    store()
    sent_to(results, "wandb", open_tracker("wandb", results, "--to"))
    [path] = tmp_path.glob("wandb/offline-run-*/run-t-20300101T000000.wandb")
    records = list(wandb_records(path))
    [run] = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (run.project, run.display_name, config["param.rho"], config["seed"]) == ("tiny", "uam seed 3", 2.0, 3)
    summary = {item.key: item.value_json for record in records for item in record.summary.update if item.key}
    assert json.loads(summary["mia"]) == 12.5
    history = [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    names = {f"trace/{name}": name for name in CURVES}
    assert {
        (names[name], row.get("_step", 0), value) for row in history for name, value in row.items() if name in names
    } == STORED
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("wandb/**/*") if path.is_file())
    assert b"my-password" not in kept
    assert b"0123456789" * 4 not in kept


def test_a_trial_is_sent_once_and_again_when_it_was_run_again(results, store):
    sent = []
    store("t", status="failed")
    store("u")
    store("p", status="pruned")
    assert sent_to(results, "mlflow", sent.append).count == 2
    assert sent_to(results, "mlflow", sent.append).count == 0
    assert sent_to(results, "wandb", sent.append).count == 2
    store("t", later=60)
    again = sent_to(results, "mlflow", sent.append)
    assert (again.before, again.count) == (2, 1)
    assert [(run.params["trial_id"], run.status) for run in sent[-1:]] == [("t", "ok")]
    again.send("t")
    again.send("no such trial")
    assert again.count == 1


def test_curves_of_one_trial_alone_and_of_all_at_once_are_the_same(results, store):
    store("t")
    store("u")
    results.remove("traces/u.parquet")
    alone, together = [], []
    sender = Sender(results, "mlflow", alone.append)
    for name in ("t", "u"):
        sender.send(name)
    sent_to(results, "wandb", together.append)
    assert sorted(map(repr, alone)) == sorted(map(repr, together))
    assert [len(run.curves) for run in alone] == [len(STORED), 0]


def test_what_a_tracker_did_not_take_is_sent_later(results, store, monkeypatch, capsys):
    arrived = []

    def fails_at_the_second(run):
        if arrived:
            raise ConnectionError("http://me:my-password@server is away\nfor long")
        arrived.append(run)

    for name in ("t", "u", "v"):
        store(name)
    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda _: fails_at_the_second)
    code, printed = command(monkeypatch, capsys, "track", results.location, "--to", "mlflow")
    away = "http://me:***@server is away"
    assert (code, printed.err) == (
        1,
        f"unlearn-sweep: --to mlflow: 1 trials sent, then: {away}; the same command goes on\n",
    )
    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda _: arrived.append)
    code, printed = command(monkeypatch, capsys, "track", results.location, "--to", "mlflow")
    assert (code, printed.out) == (0, "mlflow: 2 trials sent, 1 before\n")
    assert sorted(run.params["trial_id"] for run in arrived) == ["t", "u", "v"]


def test_a_run_sends_what_is_there_and_what_ends(results, store, monkeypatch):
    arrived = []
    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda _: arrived.append)
    store("before")
    with Tracking(["mlflow", "mlflow"], results.location, pytest.fail) as watched:
        store("during")
        watched.ended("during")
    assert [run.params["trial_id"] for run in arrived] == ["before", "during"]


def test_a_tracker_that_fails_is_one_warning_and_another_goes_on(results, store, monkeypatch):
    arrived, warnings = [], []

    def fail(run):
        raise OSError("no route to host")

    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda _: fail)
    monkeypatch.setitem(trackers.TRACKERS, "wandb", lambda _: arrived.append)
    with Tracking(["mlflow", "wandb"], results.location, warnings.append) as watched:
        for name in ("t", "u"):
            store(name)
            watched.ended(name)
    assert len(arrived) == 2
    rest = f"results are complete, and `unlearn-sweep track {results.location} --to mlflow` sends the rest"
    assert warnings == [f"--track mlflow: failed, and nothing more is sent to it: no route to host; {rest}"]


def test_a_tracker_that_hangs_is_not_waited_for(results, store, monkeypatch):
    warnings, released = [], threading.Event()
    monkeypatch.setattr(tracking, "PATIENCE", 0.2)
    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda _: lambda run: released.wait(60))
    store()
    with Tracking(["mlflow"], results.location, warnings.append):
        pass
    released.set()
    [warning] = warnings
    assert warning.startswith("--track mlflow: has taken nothing for 0.2 s; results are complete, and ")


def test_an_interrupted_run_waits_for_no_tracker(results, store, monkeypatch):
    released = threading.Event()
    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda _: lambda run: released.wait(60))
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
