"""What a worker computes for a trial, and the row that it stores."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import torch

from methods import METHODS
from sweep.plan.code_version import code_version
from sweep.store.columns import METRICS, TRIALS, VARYING
from sweep.store.metrics import KINDS, averaged, metrics_of
from sweep.store.results import Results
from sweep.tasks import splits
from sweep.tasks.evaluation import predict
from sweep.trial.job import Job, Outcome
from sweep.trial.worker import trial_row

DIGITS = {"name": "digits", "limit": 200}

OF_OTHER_KINDS = {*METRICS} - {metric.column for metric in KINDS["classification"]}


PROBLEMS = {
    "classification": {"dataset": DIGITS},
    "regression": {
        "dataset": {"name": "diabetes", "limit": 100},
        "model": {"name": "mlp", "width": 4},
    },
    "language": {
        "dataset": {"name": "invented-people", "people": 10, "public": 2, "outsiders": 2},
        "model": {"name": "tiny-llama", "width": 8, "layers": 3, "heads": 2},
    },
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_ends_in_a_row_of_metrics(make_trial, run, method):
    short = {"epochs": 1} if "epochs" in METHODS[method].__dataclass_fields__ else {}
    short |= {"influence": {"iterations": 2}, "sisa": {"slices": 1}, "amun": {"steps": 3}}.get(method, {})
    kind = (METHODS[method].kinds or ("classification",))[0]
    changes = PROBLEMS[kind] | ({"forget": {"scenario": "class", "class": 3}} if method == "unsir" else {})
    if METHODS[method](**short).needs_reference:
        changes |= {"dataset": DIGITS | {"reference": 0.1}}
    row = run(make_trial(method, short, **changes))
    assert (row["status"], row["error"], row["kind"] or "classification") == ("ok", None, kind)
    assert all(row[metric.column] >= 0 for metric in averaged(metrics_of(kind), "average_gap"))


def test_a_row_says_what_was_run_how_it_ended_and_what_it_cost(make_trial, run):
    before = datetime.now(UTC)
    trial = make_trial("finetune", {"epochs": 2, "batch_size": 32}, seeds=[5])
    row = run(trial, sweep="mine")
    absent = {"study", "error", "forget_class", "forget_class_name", "validation_accuracy", "validation_mia"}
    absent |= {"forget_fold", "forget_rows", "notes", "kind", "other", *OF_OTHER_KINDS}
    absent |= {"forgotten_test_accuracy", "forget_information"}
    assert {name for name in TRIALS.names if row[name] is None} == absent
    assert (row["trial_id"], row["task_id"], row["original_id"]) == (trial.id, trial.task_id, trial.original_id)
    assert (row["sweep"], row["dataset"], row["model"], row["method"]) == ("mine", "digits", "small-cnn", "finetune")
    assert (row["seed"], row["scenario"], row["forget_ratio"]) == (5, "random", 0.1)
    assert (row["n_retain"], row["n_forget"]) == (180, 20)
    assert json.loads(row["params"])["batch_size"] == 32
    assert row["config"] == trial.config
    assert row["samples_processed"] == 2 * 180
    assert 0 < row["unlearn_seconds"] < 60
    assert row["peak_memory_bytes"] > 2**20
    assert (row["device"], row["threads"], row["code_version"]) == ("cpu", 1, code_version())
    assert row["precision"] == "float32"
    assert before <= row["started_at"] < row["finished_at"] <= datetime.now(UTC)


def test_the_original_is_as_accurate_as_it_was_trained_to_be(make_trial, run):
    row = run(make_trial("original", training={"epochs": 15, "lr": 0.1}, model={"name": "small-cnn", "width": 8}))
    assert row["retain_accuracy"] > 90
    assert row["forget_accuracy"] > 80
    assert row["test_accuracy"] > 60
    assert row["samples_processed"] == 0


@pytest.mark.parametrize("method", ["retrain", "uam", "randomlabel", "plugin_examples:Jittered"])
def test_a_trial_run_twice_measures_the_same_bit_for_bit(make_trial, make_worker, tmp_path, method):
    trial = make_trial(method, {"epochs": 1} if method in ("uam", "randomlabel") else {}, dataset=DIGITS | {"crop": 1})
    rows, logits = [], []
    for place in ("one", "other"):
        out = str(tmp_path / place)
        torch.manual_seed(len(rows))
        make_worker(out=out).run(Job(trial))
        [row] = Results(out).trials().table.drop_columns(list(VARYING)).to_pylist()
        rows.append(row)
        logits.append(Results(out).predictions(trial.id))
    assert rows[0] == rows[1]
    assert logits[0].equals(logits[1])


def test_what_ran_before_in_a_worker_changes_nothing(make_trial, make_worker, run, tmp_path):
    last, other_seed = make_trial("plugin_examples:Jittered"), make_trial("original", seeds=[1])
    worker = make_worker(out=str(tmp_path / "shared"))
    for trial in (make_trial("neggrad", {"epochs": 1}), make_trial("retrain"), other_seed, last):
        worker.run(Job(trial))
    shared = {row["trial_id"]: row for row in Results(str(tmp_path / "shared")).trials().table.to_pylist()}
    for trial in (other_seed, last):
        alone = run(trial)
        assert all(shared[trial.id][metric] == alone[metric] for metric in METRICS)


def test_a_trial_draws_its_split_once(make_trial, run, monkeypatch):
    drawn, draw = [], splits.stratified_order
    monkeypatch.setattr(splits, "stratified_order", lambda *of: drawn.append(of) or draw(*of))
    digits = {"name": "digits", "validation": 0.1}
    for seed in range(2):  # each trains an original for its training set and unlearns
        run(make_trial("plugin_examples:Sharded", {"shards": 2}, seeds=[seed], dataset=digits))
        assert len(drawn) == 2 * (seed + 1)  # what is held out, and what is forgotten


def test_methods_of_a_seed_forget_the_same_samples(make_trial, run, results):
    forgotten = []
    for trial in (make_trial("retrain"), make_trial("original")):
        run(trial)
        rows = results.predictions(trial.id).to_pylist()
        forgotten.append([row["sample_id"] for row in rows if row["split"] == "forget"])
    assert forgotten[0] == forgotten[1]
    assert len(forgotten[0]) == 20


def test_validation_metrics_are_measured_where_there_is_a_validation_part(make_trial, run):
    row = run(make_trial("original", dataset=DIGITS | {"validation": 0.25}))
    assert 0 <= row["validation_accuracy"] <= 100
    assert 0 <= row["validation_mia"] <= 100
    assert (row["n_retain"], row["n_forget"]) == (135, 15)


LOADS_NOTHING = """
import sys, torch
from sweep.trial.worker import warm_up

def big(): return {name for name in sys.modules if name.split(".")[0] in ("torch", "sklearn", "scipy")}

warm_up(torch.device("cpu"))
loaded = big()
layer = torch.nn.Linear(3, 3)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
layer(torch.ones(2, 3)).sum().backward()
optimizer.step()
from sklearn.svm import SVC
print(sorted(big() - loaded))
"""


@pytest.mark.soak
def test_warming_up_loads_whatever_a_trial_would_load_later():
    ended = subprocess.run([sys.executable, "-c", LOADS_NOTHING], capture_output=True, text=True)
    assert ended.stdout == "[]\n"


def test_what_is_loaded_once_is_loaded_before_a_trial_is_timed(make_trial, run, monkeypatch):
    devices = []
    monkeypatch.setattr("sweep.trial.worker.warm_up", devices.append)
    run(make_trial("finetune", {"epochs": 1}))
    assert devices == [torch.device("cpu")]


def test_a_gpu_is_asked_how_busy_it_is_before_the_evaluation(make_trial, make_worker, monkeypatch):
    asked = []
    monkeypatch.setattr("sweep.trial.worker.busy", lambda: asked.append("busy") or 37)
    monkeypatch.setattr("sweep.tasks.evaluation.predict", lambda *args: asked.append("predict") or predict(*args))
    worker = make_worker()
    worker.run(Job(make_trial("original"), original_only=True))
    assert (asked, worker.busy) == (["busy"], 37)
    worker.run(Job(make_trial("original")))
    assert (asked[1:3], worker.busy) == (["busy", "predict"], 37)


def test_a_row_holds_what_its_method_notes_and_a_task_the_samples_held_out(make_trial, run):
    row = run(make_trial("plugin_examples:Notes", dataset=DIGITS | {"reference": 0.1}))
    assert json.loads(row["notes"]) == {"epsilon": 1.5, "reference": 20}
    assert row["n_retain"] + row["n_forget"] == 180
    assert json.loads(run(make_trial("plugin_examples:Notes"))["notes"])["reference"] == 0
    assert run(make_trial("original"))["notes"] is None


def test_a_dataset_of_somebody_elses(make_trial, run):
    row = run(make_trial("retrain", dataset={"name": "plugin_examples:Stripes", "count": 20}))
    assert (row["dataset"], row["n_retain"], row["n_forget"]) == ("plugin_examples:Stripes", 18, 2)


def test_a_row_can_be_made_for_a_trial_that_no_worker_ran(make_trial, make_worker, make_row, results):
    trial = make_trial("uam")
    row = trial_row(trial, make_worker().context, Outcome("failed", "its original failed"), datetime.now(UTC))
    results.write_trial(row)
    [found] = results.trials().table.to_pylist()
    assert (found["status"], found["error"]) == ("failed", "its original failed")
    assert (found["method"], found["n_retain"], found["mia"]) == ("uam", None, None)
