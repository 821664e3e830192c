import json
import os
import shutil
import signal
import time
from itertools import pairwise

import pytest
from tiny_sweeps import BUILT_INS, call, ended_on_error, row_of, rows, run, start, tracked, write_spec

from sweep.on_ray import executor as ray_executor
from sweep.on_ray.executor import run_ray
from sweep.store.results import Results

DEAD = "sweep_plugins:Dies"


def test_a_sweep_with_failures_runs_to_its_end_and_exits_1(ray_sweep):
    assert ray_sweep.ended.code == 1
    assert len(rows(ray_sweep.out)) == 12
    assert "12 trials, 0 done before, 12 to run" in ray_sweep.ended.out
    assert "2 trials failed" in ray_sweep.ended.out


@pytest.mark.parametrize("kind", ["trials", "traces"])
def test_ray_and_inline_write_the_same_rows_bit_for_bit(ray_sweep, inline_sweep, kind):
    def determined(sweep):
        failed = {row["trial_id"] for row in rows(sweep.out) if row["status"] == "failed"}
        return [row for row in rows(sweep.out, kind) if row["trial_id"] not in failed]

    assert repr(determined(ray_sweep)) == repr(determined(inline_sweep))  # NaN equals NaN
    assert {row["trial_id"] for row in determined(ray_sweep)} >= {row_of(ray_sweep.out, "uam")["trial_id"]}


def test_ray_and_inline_write_the_same_predictions_bit_for_bit(ray_sweep, inline_sweep):
    by_ray, inline = rows(ray_sweep.out, "predictions"), rows(inline_sweep.out, "predictions")
    assert {name: by_ray[name] for name in inline} == inline
    assert sum(found is not None for found in inline.values()) == 9


def test_a_dying_worker_is_a_failed_trial_and_the_others_finish(ray_sweep):
    row = row_of(ray_sweep.out, DEAD)
    assert row["status"] == "failed"
    assert "the worker process died" in row["error"].splitlines()[-1]
    others = [row["status"] for row in rows(ray_sweep.out) if row["method"] != DEAD]
    assert sorted(others) == ["diverged", "failed", *["ok"] * 9]


def test_a_raising_method_is_recorded_with_its_traceback(ray_sweep):
    row = row_of(ray_sweep.out, "sweep_plugins:Raises")
    assert row["status"] == "failed"
    assert row["error"].startswith("Traceback")
    assert "ArithmeticError: this method never works" in row["error"]
    assert row["test_accuracy"] is None


def test_a_nan_loss_is_recorded_as_diverged(ray_sweep):
    row = row_of(ray_sweep.out, "sweep_plugins:Diverges")
    assert (row["status"], row["error"]) == ("diverged", "retain_loss is nan in epoch 1")


def test_every_trial_becomes_a_run_of_the_tracker(ray_sweep):
    assert tracked(ray_sweep.out) == [row["trial_id"] for row in rows(ray_sweep.out)]


def test_the_table_counts_what_did_not_end_ok(ray_sweep):
    lines = [line.strip() for line in ray_sweep.ended.out.splitlines()]
    below = {line.split()[0]: next_line for line, next_line in pairwise(lines) if line}
    assert below["raises"] == "1 failed"
    assert below["diverges"] == "1 diverged"


def test_status_shows_counts_and_errors(ray_sweep):
    shown = call("status", ray_sweep.out)
    assert shown.code == 0
    assert f"12 trials in {ray_sweep.out}" in shown.out
    assert "ArithmeticError: this method never works" in shown.out
    assert "retain_loss is nan in epoch 1" in shown.out
    assert f"failed: {DEAD} seed 0" in shown.out


def test_the_same_command_again_starts_no_ray_and_runs_nothing(ray_sweep, tmp_path):
    out = shutil.copytree(ray_sweep.out, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = run("run", write_spec(tmp_path, BUILT_INS), "--out", out, interpreter=("-X", "importtime"))
    assert again.code == 0
    assert "9 trials, 9 done before, 0 to run" in again.out
    imported = {line.rpartition("|")[2].strip() for line in again.err.splitlines()}
    assert "sweep.plan.trials" in imported
    assert not imported & {"ray", "sweep.engine.driver", "optuna", "matplotlib", "sklearn", "torchvision"}
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_a_process_that_dies_among_short_trials_costs_the_one_that_it_was_at(shared_ray, tmp_path):
    notes, out = tmp_path / "notes", tmp_path / "out"
    notes.mkdir()
    method = {"name": "sweep_plugins:Noted", "number": list(range(40)), "deadly": 25, "notes": str(notes)}
    ended = call("run", write_spec(tmp_path, [method]), "--out", out)
    assert (ended.code, ended.err) == (1, "")
    runs = {int(path.name.partition("-")[0]): path.read_text().split() for path in notes.iterdir()}
    assert {number: len(processes) for number, processes in runs.items()} == {n: 2 if n == 25 else 1 for n in range(40)}
    slots, deaths = os.cpu_count(), 2
    assert len({process for processes in runs.values() for process in processes}) <= slots + deaths
    found = {json.loads(row["params"])["number"]: row for row in rows(out)}
    assert {number for number, row in found.items() if row["status"] != "ok"} == {25}
    assert found[25]["status"] == "failed"
    assert "the worker process died" in found[25]["error"].splitlines()[-1]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two slots")
def test_a_second_process_comes_to_run_trials_that_are_shorter_than_its_start(tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    method = {"name": "sweep_plugins:Noted", "number": list(range(400)), "notes": str(notes)}
    process = start("run", write_spec(tmp_path, [method]), "--out", tmp_path / "out", PAUSE="0.8")
    with ended_on_error(process):
        while len({noted for path in notes.iterdir() for noted in path.read_text().split()}) < 2:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
    assert process.returncode == 130


def test_ray_tune_shows_methods_and_hyperparameters_as_its_configs_and_metrics_as_its_results(
    shared_ray, tmp_path, monkeypatch
):
    kept = []
    monkeypatch.setattr(ray_executor, "run_ray", lambda *given: kept.append(run_ray(*given)))
    methods = [{"name": "uam", "epochs": 1, "rho": [1, 2], "gamma": [0.5, 1.7]}, {"name": "retrain"}]
    assert call("run", write_spec(tmp_path, methods, seeds=[0, 1]), "--out", tmp_path / "out").code == 0
    [grid] = kept
    trained = [found.config["original_id"] for found in grid if "trial_id" not in found.config]
    shown = {found.config["trial_id"]: found for found in grid if "trial_id" in found.config}
    stored = {row["trial_id"]: row for row in Results(str(tmp_path / "out")).trials().table.to_pylist()}
    assert (grid.num_errors, shown.keys()) == (0, stored.keys())
    assert sorted(trained) == sorted({row["original_id"] for row in stored.values()} - {None})
    for name, row in stored.items():
        config, metrics, params = shown[name].config, shown[name].metrics, json.loads(row["params"])
        assert {key: config[key] for key in ("rho", "gamma") if key in config} == {
            key: params[key] for key in ("rho", "gamma") if key in params
        }
        for key in ("method", "seed", "scenario", "forget_ratio"):
            assert config[key] == row[key]
        for key in ("status", "retain_accuracy", "forget_accuracy", "test_accuracy", "mia", "unlearn_seconds"):
            assert metrics[key] == row[key]
