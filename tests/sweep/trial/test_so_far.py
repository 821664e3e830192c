"""How far a trial is lies in its results directory while it runs, changes no result, and costs no trial."""

from __future__ import annotations

from itertools import pairwise

import pytest
from plugin_examples import Raises

from sweep.engine.rerun import rerun
from sweep.store.columns import VARYING
from sweep.store.results import Results
from sweep.store.running import RunningFiles, running_path
from sweep.trial import so_far
from sweep.trial.job import Job


@pytest.fixture
def told(monkeypatch):
    """Tell of each point; what the directory says of trials that run, each time after it was written."""
    monkeypatch.setattr(so_far, "SECONDS", 0.0)
    monkeypatch.setattr(so_far, "REST", 0)
    found, write = [], so_far.write_running

    def noted(results, *arguments):
        write(results, *arguments)
        found.append(RunningFiles(results).trials())

    monkeypatch.setattr(so_far, "write_running", noted)
    return found


def test_each_point_is_told_while_the_trial_runs_and_the_row_takes_its_place(make_trial, run, results, told):
    trial = make_trial("uam", {"epochs": 2})
    row = run(trial, probe_every=1)
    assert [[point["epoch"] for point in only.traces] for [only] in told] == [[0], [0, 1], [0, 1, 2]]
    [last] = told[-1]
    started = {name: value for name, value in last.row.items() if value is not None}
    assert started == {name: row[name] for name in started}
    assert {"trial_id", "task_id", "method", "params", "config", "device", "host", "started_at"} <= started.keys()
    assert [point["probe_retain_loss"] for point in last.traces][:2] == [
        point["probe_retain_loss"] for point in results.trace(trial.id)
    ][:2]
    assert results.names("running") == []


@pytest.mark.parametrize("method", ["uam", "retrain"])
@pytest.mark.parametrize("model", ["small-cnn", "plugin_examples:forgetful"])
def test_telling_changes_no_result(make_trial, make_worker, tmp_path, told, monkeypatch, method, model):
    params, found = {"epochs": 2} if method == "uam" else {}, []
    trial = make_trial(method, params, training={"epochs": 2}, model={"name": model})
    for seconds in (0.0, 10**6):
        monkeypatch.setattr(so_far, "SECONDS", seconds)
        results = Results(str(tmp_path / str(seconds)))
        make_worker(out=results.location, probe_every=1).run(Job(trial))
        rows = results.trials().table.drop_columns(list(VARYING)).to_pylist()
        found.append((rows, results.traces().table.drop_columns("seconds").to_pylist()))
    assert told
    assert found[0] == found[1]
    assert found[0][0][0]["model_sha256"] is not None


def test_a_short_trial_writes_nothing(make_trial, run, monkeypatch):
    written, write = [], Results.write
    monkeypatch.setattr(
        Results, "write", lambda self, path, content: (written.append(path), write(self, path, content))
    )
    run(make_trial("uam", {"epochs": 2}))
    assert written
    assert not [path for path in written if path.startswith("running/")]


@pytest.mark.parametrize(("took", "pause"), [(0.125, 5.0), (1.0, 20.0)])
def test_it_is_told_every_five_seconds_or_less_often_where_storage_is_slow(results, monkeypatch, took, pause):
    clock, written = [100.0], []

    def slowly(*arguments):
        written.append(clock[0])
        clock[0] += took

    monkeypatch.setattr(so_far, "write_running", slowly)
    monkeypatch.setattr(so_far.time, "monotonic", lambda: clock[0])
    with so_far.told(results, {"trial_id": "t"}) as tell:
        while clock[0] < 160:
            tell([])
            clock[0] += 0.25
    assert written[0] == 105
    pauses = [after - before - took for before, after in pairwise(written)]
    assert pauses == pytest.approx([pause] * len(pauses), abs=0.25)


@pytest.mark.parametrize("method", ["plugin_examples:Raises", "plugin_examples:NanLoss"])
def test_of_a_trial_that_failed_or_diverged_nothing_stays(make_trial, run, results, told, monkeypatch, method):
    monkeypatch.setattr(Raises, "attempts", [])
    results.write(running_path(make_trial(method).id), b"left by a worker that was killed")
    assert run(make_trial(method))["status"] in ("failed", "diverged")
    assert told
    assert results.names("running") == []


def test_what_cannot_be_told_costs_no_trial(make_trial, run, told, monkeypatch):
    write, tried = Results.write, []

    def full_disk(self, path, content):
        if path.startswith("running/"):
            tried.append(path)
            raise OSError(28, "No space left on device")
        write(self, path, content)

    monkeypatch.setattr(Results, "write", full_disk)
    assert run(make_trial("uam", {"epochs": 2}))["status"] == "ok"
    assert len(tried) == 1, "given up after the first failure"


def test_an_interrupt_leaves_nothing(make_trial, make_worker, results, told, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sweep.tasks.evaluation.predict", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_worker().run(Job(make_trial("uam", {"epochs": 1})))
    assert told
    assert results.names("running") == []


def test_running_a_stored_trial_again_tells_nothing(make_spec, make_trial, run, results, told):
    trial = make_trial("uam", {"epochs": 1})
    run(trial)
    results.write("spec.yaml", make_spec().to_yaml().encode())
    told.clear()
    assert rerun(results.location, trial.id).equal
    assert told == []
