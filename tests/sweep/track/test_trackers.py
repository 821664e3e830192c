"""What trackers are sent, of trials that ended and of trials that run, read back with their own libraries."""

from __future__ import annotations

import json
import struct
import sys
from datetime import UTC, datetime

import pytest
from made_runs import CURVES, EPOCHS, STORED, sent_to

from sweep.track import trackers
from sweep.track.trackers import open_tracker
from sweep.track.tracking import Sender


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
        assert seen[points - 1] == {(name, epoch) for name, epoch, _ in STORED if epoch in EPOCHS[:points]}
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
        expected = {each for each in STORED if points is None or each[1] in EPOCHS[:points]}
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
    assert steps == list(EPOCHS), "each once"
    assert {
        (names[name], step, value)
        for step, row in zip(steps, history, strict=True)
        for name, value in row.items()
        if name in names
    } == STORED
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("wandb/**/*") if path.is_file())
    assert b"my-password" not in kept
    assert b"0123456789" * 4 not in kept
