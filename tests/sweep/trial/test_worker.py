"""A worker in this process: what it measures, stores, and makes of what goes wrong."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import weakref
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from plugin_examples import Exhausts, Raises, Stripes
from rich.console import Console
from sklearn.svm import SVC

from methods import METHODS
from sweep.errors import Unsuccessful
from sweep.plan.code_version import code_version
from sweep.run.driver import INLINE, Driver, Request
from sweep.store.columns import METRICS, TRACES, TRIALS
from sweep.store.original_labels import original_path, read_label
from sweep.store.originals import load_original, store_original
from sweep.store.results import Results
from sweep.tasks import splits
from sweep.tasks.datasets import Digits
from sweep.tasks.evaluation import Predictions, predict
from sweep.tasks.splits import Drawing, limited, noisy
from sweep.trial.job import Job, Outcome
from sweep.trial.rows import prediction_rows
from sweep.trial.worker import trial_row

DIGITS = {"name": "digits", "limit": 200}
OTHER_THAN_METRICS = ("unlearn_seconds", "eval_seconds", "peak_memory_bytes", "started_at", "finished_at")


@pytest.fixture
def run(make_worker, results):
    """Run a trial in a new worker; its row."""

    def run(trial, **context):
        make_worker(**context).run(Job(trial))
        [row] = [row for row in results.trials().table.to_pylist() if row["trial_id"] == trial.id]
        return row

    return run


@pytest.mark.parametrize("method", METHODS)
def test_every_method_ends_in_a_row_of_metrics(make_trial, run, method):
    short = {"epochs": 1} if "epochs" in METHODS[method].__dataclass_fields__ else {}
    short |= {"influence": {"iterations": 2}, "sisa": {"slices": 1}, "amun": {"steps": 3}}.get(method, {})
    changes = {"forget": {"scenario": "class", "class": 3}} if method == "unsir" else {}
    changes |= {"dataset": DIGITS | {"reference": 0.1}} if METHODS[method](**short).needs_reference else {}
    row = run(make_trial(method, short, **changes))
    assert (row["status"], row["error"]) == ("ok", None)
    measured = ("retain_accuracy", "forget_accuracy", "test_accuracy", "mia")
    assert all(0 <= row[metric] <= 100 for metric in measured)


def test_a_row_says_what_was_run_how_it_ended_and_what_it_cost(make_trial, run):
    before = datetime.now(UTC)
    trial = make_trial("finetune", {"epochs": 2, "batch_size": 32}, seeds=[5])
    row = run(trial, sweep="mine")
    absent = {"study", "error", "forget_class", "forget_class_name", "validation_accuracy", "validation_mia"}
    absent |= {"forgotten_test_accuracy", "notes", "kind", "other"}
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
        [row] = Results(out).trials().table.drop_columns(OTHER_THAN_METRICS).to_pylist()
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


def test_predictions_name_rows_of_the_datasets_own_data(make_trial, run, results):
    trial = make_trial("original", seeds=[3])
    row = run(trial)
    images = Digits().load()
    kept = limited(images.train_labels, 200)
    labels = images.train_labels[kept]
    parts = Drawing(labels, labels, 3, 0).split(ratio=0.1)
    found = {"retain": [], "forget": [], "test": []}
    for each in results.predictions(trial.id).to_pylist():
        found[each["split"]].append(each)
    ids = {name: [each["sample_id"] for each in rows] for name, rows in found.items()}
    assert ids["forget"] == kept[parts.forget].tolist()
    assert ids["test"] == list(range(360))
    assert set(ids["retain"]) == set(kept[parts.retain])
    for name, rows in found.items():
        labels = images.test_labels if name == "test" else images.train_labels
        assert [each["label"] for each in rows] == labels[ids[name]].tolist()
    correct = [np.argmax(each["logits"]) == each["label"] for each in found["forget"]]
    assert row["forget_accuracy"] == pytest.approx(100 * np.mean(correct), abs=5.1)  # logits are float16


def test_predictions_keep_as_many_retain_as_test_samples(make_trial, run, results):
    trial = make_trial("original", dataset={"name": "digits", "limit": 600})
    run(trial)
    names = results.predictions(trial.id)["split"].to_pylist()
    assert {name: names.count(name) for name in names} == {"retain": 360, "forget": 60, "test": 360}


def test_predictions_may_be_left_out(make_trial, run, results):
    trial = make_trial("original")
    assert run(trial, predictions=False)["status"] == "ok"
    assert results.predictions(trial.id) is None


def test_validation_metrics_are_measured_where_there_is_a_validation_part(make_trial, run):
    row = run(make_trial("original", dataset=DIGITS | {"validation": 0.25}))
    assert 0 <= row["validation_accuracy"] <= 100
    assert 0 <= row["validation_mia"] <= 100
    assert (row["n_retain"], row["n_forget"]) == (135, 15)


def test_a_whole_class_may_be_forgotten(make_trial, run, results):
    trial = make_trial("retrain", forget={"scenario": "class", "class": 3})
    row = run(trial)
    assert (row["scenario"], row["forget_ratio"], row["forget_class"]) == ("class", None, 3)
    assert row["forget_accuracy"] == 0
    labels = {each["label"] for each in results.predictions(trial.id).to_pylist() if each["split"] == "forget"}
    assert labels == {3}


def shares(rows) -> tuple[np.ndarray, np.ndarray]:
    """For rows of `predictions` whether the largest logit is the label's, and the label's probability."""
    logits = np.array([row["logits"] for row in rows], dtype=float)
    labels = np.array([row["label"] for row in rows])
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return logits.argmax(axis=1) == labels, powers[np.arange(len(rows)), labels] / powers.sum(axis=1)


def test_where_a_class_is_forgotten_test_samples_are_of_the_others(make_trial, run, results):
    """Recomputed from the predictions, which keep all test samples."""
    training = {"epochs": 6, "lr": 0.1}
    trial = make_trial(
        "retrain", forget={"scenario": "class", "class": 3}, dataset={"name": "digits"}, training=training
    )
    row = run(trial)
    parts = {"retain": [], "forget": [], "others": [], "forgotten": []}
    for each in results.predictions(trial.id).to_pylist():
        name = each["split"] if each["split"] != "test" else "forgotten" if each["label"] == 3 else "others"
        parts[name].append(each)
    correct, confidence = ({name: shares(rows)[place] for name, rows in parts.items()} for place in (0, 1))
    assert len(parts["others"]) + len(parts["forgotten"]) == 360
    assert len(parts["retain"]) == len(parts["others"]) == np.sum(Digits().load().test_labels != 3)
    assert row["test_accuracy"] == pytest.approx(100 * correct["others"].mean(), abs=0.4)  # logits are float16
    assert row["forgotten_test_accuracy"] == pytest.approx(100 * correct["forgotten"].mean())
    attack = SVC(C=3, kernel="rbf", gamma=1.0)
    attack.fit(np.r_[confidence["retain"], confidence["others"]][:, None], np.repeat([1, 0], len(parts["others"])))
    called_non_member = 1 - attack.predict(confidence["forget"][:, None])
    assert row["mia"] == pytest.approx(100 * called_non_member.mean(), abs=1.5)


@pytest.mark.parametrize(("forgotten", "expected"), [(0, (0.0, 100.0, 0.0)), (3, None)])
def test_accuracies_where_a_class_is_forgotten_of_a_network_that_calls_everything_class_0(
    make_trial, run, forgotten, expected
):
    dataset, forget = DIGITS | {"validation": 0.5}, {"scenario": "class", "class": forgotten}
    row = run(make_trial("plugin_examples:Filled", {"exponent": 0.0}, dataset=dataset, forget=forget))
    images = Digits().load()
    true = images.train_labels[limited(images.train_labels, 200)]
    held_out = true[Drawing(true, true, 0, 0.5).split(forget_class=forgotten).validation]

    def share(labels) -> float:
        return 100 * np.mean(labels[labels != forgotten] == 0)

    found = tuple(row[name] for name in ("test_accuracy", "forgotten_test_accuracy", "validation_accuracy"))
    assert found == pytest.approx(expected or (share(images.test_labels), 0.0, share(held_out)))


def test_a_forgotten_class_without_test_samples_has_no_test_accuracy(make_trial, run):
    row = run(
        make_trial(
            "original",
            dataset={"name": "plugin_examples:Stripes", "count": 40, "test_classes": 3, "validation": 0.2},
            forget={"scenario": "class", "class": 3},
        )
    )
    assert (row["status"], row["forgotten_test_accuracy"]) == ("ok", None)
    assert row["test_accuracy"] is not None


def test_validation_samples_of_the_forgotten_class_alone_are_as_good_as_none(make_trial, run):
    labels = Stripes(20).load().train_labels
    [held_out] = Drawing(labels, labels, 0, 0.05).split(ratio=0.5).validation
    stripes = {"name": "plugin_examples:Stripes", "count": 20, "validation": 0.05}
    row = run(make_trial("original", dataset=stripes, forget={"scenario": "class", "class": int(labels[held_out])}))
    assert (row["status"], row["validation_accuracy"], row["validation_mia"]) == ("ok", None, None)


def test_with_label_noise_a_class_is_its_true_samples_with_the_labels_trained_on(make_trial, run, results):
    trial = make_trial("original", forget={"scenario": "class", "class": 3}, dataset=DIGITS | {"label_noise": 0.5})
    row = run(trial)
    true = Digits().load().train_labels
    kept = limited(true, 200)
    trained = dict(zip(kept, noisy(true[kept], 0.5, 10), strict=True))
    forgotten = {
        each["sample_id"]: each["label"]
        for each in results.predictions(trial.id).to_pylist()
        if each["split"] == "forget"
    }
    assert forgotten == {place: trained[place] for place in kept if true[place] == 3}
    assert row["n_forget"] == len(forgotten)
    assert set(forgotten.values()) > {3}


def test_validation_accuracy_is_of_true_labels(make_trial, run):
    """The network calls every image class 0."""
    noise = {"label_noise": 0.9, "validation": 0.5}
    row = run(make_trial("plugin_examples:Filled", {"exponent": 0.0}, dataset=DIGITS | noise))
    true = Digits().load().train_labels
    true = true[limited(true, 200)]
    parts = Drawing(noisy(true, 0.9, 10), true, 0, 0.5).split(ratio=0.1)
    assert row["validation_accuracy"] == pytest.approx(100 * np.mean(true[parts.validation] == 0))
    assert row["forget_accuracy"] == pytest.approx(100 * np.mean(noisy(true, 0.9, 10)[parts.forget] == 0))


@pytest.mark.parametrize(("labels", "called"), [(["cat", "dog", "ant"], "dog"), ([3, 8, 0], 8)], ids=["text", "holes"])
def test_a_class_that_is_forgotten_goes_by_its_label_in_the_data(
    make_trial, make_worker, results, write_images, tmp_path, labels, called
):
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        images = random.integers(256, size=(30, 8, 8), dtype=np.uint8)
        write_images(tmp_path / f"{part}.parquet", images, labels * 10)
    location = {"path": str(tmp_path)}
    trial = make_trial("retrain", dataset={"name": "parquet"} | location, forget={"scenario": "class", "class": called})
    assert make_worker(location=location).run(Job(trial)).status == "ok"
    row = results.trial(trial.id)
    text = isinstance(called, str)
    assert (row["forget_class"], row["forget_class_name"]) == ((None, called) if text else (called, None))
    assert (row["n_forget"], row["n_retain"], row["forget_accuracy"]) == (10, 20, 0)
    predictions = results.predictions(trial.id).to_pylist()
    assert {each["label"] for each in predictions if each["split"] == "forget"} == {2}
    tested = [each for each in predictions if each["split"] == "test" and each["label"] == 2]
    correct = [np.argmax(each["logits"]) == 2 for each in tested]
    assert row["forgotten_test_accuracy"] == 100 * np.mean(correct)
    assert {len(each["logits"]) for each in predictions} == {3}


def test_epochs_are_traced(make_trial, run, results):
    trial = make_trial("uam", {"epochs": 2, "rho": 0.5})
    run(trial)
    traces = results.traces().table.to_pylist()
    assert [(row["trial_id"], row["epoch"]) for row in traces] == [(trial.id, epoch) for epoch in (0, 1, 2)]
    assert (traces[0]["step"], traces[0]["samples"], traces[0]["retain_loss"]) == (0, 0, None)
    for row in traces[1:]:
        assert np.isfinite([row["retain_loss"], row["forget_loss"]]).all()
        assert np.cos(np.radians(row["gradient_degrees"])) == pytest.approx(row["gradient_cosine"])


@pytest.mark.parametrize("model", ["small-cnn", "plugin_examples:forgetful"])
def test_probing_changes_no_result(make_trial, make_worker, tmp_path, model):
    trial, rows = make_trial("uam", {"epochs": 2}, model={"name": model}), []
    for every in (0, 1):
        results = Results(str(tmp_path / str(every)))
        make_worker(out=results.location, probe_every=every, probe_samples=8).run(Job(trial))
        rows.append(results.trials().table.drop_columns(OTHER_THAN_METRICS).to_pylist())
    assert rows[0] == rows[1]
    probed = results.traces().table.select(["epoch", "probe_retain_loss", "probe_forget_loss"]).to_pylist()
    assert [row["epoch"] for row in probed] == [0, 1, 2]
    assert None not in [value for row in probed for value in row.values()]


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


METHODS_ON_A_PATH = [
    ("uam", {"rho_schedule": "constant"}),
    ("uam", {}),
    ("finetune", {}),
    ("randomlabel", {}),
    ("neggrad", {"retain_weight": 0.9}),
    ("retrain", {}),
    ("fisher", {}),
]


@pytest.mark.parametrize(("method", "params"), METHODS_ON_A_PATH)
def test_the_path_ends_at_the_model_of_the_row(method, params, make_trial, make_worker, results):
    epochs = {} if method in ("retrain", "fisher") else {"epochs": 2}
    make_worker(probe_every=1, probe_samples=10**6).run(Job(make_trial(method, params | epochs)))
    (row,), end = results.trials().table.to_pylist(), results.traces().table.to_pylist()[-1]
    for part in ("retain", "forget"):
        assert end[f"probe_{part}_accuracy"] == pytest.approx(row[f"{part}_accuracy"], abs=1e-4)


def test_traces_keep_values_that_they_have_no_column_for(make_trial, run, results):
    run(make_trial("plugin_examples:Traced"))
    _, known, unknown = results.traces().table.to_pylist()
    assert results.traces().table.schema.equals(TRACES)
    assert (known["step"], known["samples"], known["gradient_degrees"]) == (3, 7, 90.0)
    assert json.loads(known["other"]) == {"surprise": 2.5}
    assert np.isnan([unknown["gradient_cosine"], unknown["gradient_degrees"]]).all()
    assert unknown["other"] is None


def test_a_method_that_raises_is_tried_again_and_recorded_failed_with_its_traceback(make_trial, run, monkeypatch):
    monkeypatch.setattr(Raises, "attempts", [])
    row = run(make_trial("plugin_examples:Raises"), max_retries=2)
    assert len(Raises.attempts) == 3
    assert row["status"] == "failed"
    assert row["error"].startswith("Traceback")
    assert row["error"].rstrip().endswith("RuntimeError: no luck")
    assert all(row[metric] is None for metric in METRICS)


def test_a_method_that_raises_once_is_fine_the_second_time(make_trial, run, monkeypatch):
    monkeypatch.setattr(Raises, "attempts", [])
    row = run(make_trial("plugin_examples:Raises", {"times": 1}), max_retries=1)
    assert (row["status"], row["error"]) == ("ok", None)


def test_a_trial_that_hangs_is_recorded_failed_with_that_reason(make_trial, run):
    row = run(make_trial("plugin_examples:Hangs"), max_retries=1, trial_timeout=2.0)
    assert (row["status"], row["error"]) == ("failed", "took longer than trial_timeout: 2 s")


@pytest.mark.parametrize("host", [False, True])
def test_a_trial_that_finds_no_memory_has_all_of_it_the_second_time(make_trial, make_worker, host, monkeypatch):
    monkeypatch.setattr(Exhausts, "attempts", [])
    worker = make_worker(max_retries=1)
    kept = []
    released = worker._release_memory
    monkeypatch.setattr(worker, "_release_memory", lambda: (released(), kept.append((worker._data, worker._original))))
    assert worker.run(Job(make_trial("plugin_examples:Exhausts", {"host": host}))).status == "ok"
    assert kept == [(None, None)]


def test_memory_is_released_when_nothing_of_the_attempt_is_left(make_worker, monkeypatch):
    worker, alive = make_worker(max_retries=1), []

    def attempt():
        activations = torch.ones(1)
        alive.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(worker, "_release_memory", lambda: alive.append(alive[-1]() is None))
    assert worker._attempts(attempt)[1].status == "failed"
    assert alive[1::2] == [True, True]


def assertion_failed(*_: object) -> None:
    raise torch.AcceleratorError("CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later")


def test_a_gpu_that_answers_no_more_ends_a_run_of_this_process_in_one_line(make_worker, monkeypatch):
    worker, attempts = make_worker(max_retries=3), []
    monkeypatch.setattr("sweep.trial.worker.warm_up", attempts.append)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    worker._device = torch.device("cuda")
    assert worker._attempts(assertion_failed)[1].status == "failed"  # the GPU is well: it was something else
    monkeypatch.setattr(torch.cuda, "synchronize", assertion_failed)
    with pytest.raises(Unsuccessful, match=r"^the GPU .*: CUDA error: device-side assert triggered; what .* goes on$"):
        worker._attempts(assertion_failed)
    assert len(attempts) == 4 + 1


BREAKS = """
import sys, torch
from sweep.trial import worker as trial
from sweep.trial.worker import Worker
from sweep.trial.job import Context

def assertion_failed(*_):
    raise torch.AcceleratorError("CUDA error: device-side assert triggered")

trial.warm_up = lambda device: None
torch.cuda.synchronize = assertion_failed
options = {"sweep": "s", "out": sys.argv[1], "location": {}, "threads": 1, "gpu": False, "predictions": False}
worker = Worker(Context(max_retries=3, expendable=True, **options))
worker._device = torch.device("cuda")
worker._attempts(assertion_failed)
print("goes on")
"""


def test_a_gpu_that_answers_no_more_ends_an_expendable_process(tmp_path):
    ended = subprocess.run([sys.executable, "-c", BREAKS, str(tmp_path)], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.rstrip().endswith("CUDA error: device-side assert triggered")


def test_a_gpu_is_asked_how_busy_it_is_before_the_evaluation(make_trial, make_worker, monkeypatch):
    asked = []
    monkeypatch.setattr("sweep.trial.worker.busy", lambda: asked.append("busy") or 37)
    monkeypatch.setattr("sweep.tasks.evaluation.predict", lambda *args: asked.append("predict") or predict(*args))
    worker = make_worker()
    worker.run(Job(make_trial("original"), original_only=True))
    assert (asked, worker.busy) == (["busy"], 37)
    worker.run(Job(make_trial("original")))
    assert (asked[1:3], worker.busy) == (["busy", "predict"], 37)


def test_logits_too_large_for_float16_are_stored_shifted(make_trial):
    logits = torch.tensor([[1.0, -2.0, 3.0], [70_000.0, 70_002.0, -1e6], [-3e38, 1e30, 3e38]])
    part = Predictions(torch.arange(3), torch.tensor([2, 1, 0]), logits)
    [plain, shifted, widest] = prediction_rows("t", [("test", part, torch.arange(3))])["logits"].to_pylist()
    most = float(np.finfo(np.float16).max)
    assert (plain, shifted, widest) == ([1.0, -2.0, 3.0], [-2.0, 0.0, -most], [-most, -most, 0.0])


def test_a_trial_that_never_finds_enough_memory_is_recorded_failed(make_trial, run, monkeypatch):
    monkeypatch.setattr(Exhausts, "attempts", [])
    row = run(make_trial("plugin_examples:Exhausts"), max_retries=0)
    assert row["status"] == "failed"
    assert row["error"].rstrip().endswith("OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB.")


def test_a_loss_that_is_no_number_is_recorded_diverged_with_its_path(make_trial, run, results):
    row = run(make_trial("plugin_examples:NanLoss"))
    assert row["status"] == "diverged"
    assert row["error"] == "forget_loss is nan in epoch 2"
    assert [trace["epoch"] for trace in results.traces().table.to_pylist()] == [0, 1, 2]
    assert row["n_forget"] == 20


@pytest.mark.parametrize(
    ("exponent", "error"),
    [(39, "weights are not finite"), (38.5, "outputs are not finite")],
    ids=["weights", "outputs"],
)
def test_weights_or_outputs_that_are_no_numbers_are_recorded_diverged_without_metrics(make_trial, run, exponent, error):
    row = run(make_trial("plugin_examples:Filled", {"exponent": exponent}))
    assert (row["status"], row["error"]) == ("diverged", error)
    assert all(row[metric] is None for metric in METRICS)


def test_outputs_on_validation_data_that_are_no_numbers_are_recorded_diverged(make_trial, run, monkeypatch):
    def broken(model, samples, autocast):
        found = predict(model, samples, autocast)
        return replace(found, outputs=found.outputs * math.nan) if len(samples) == 30 else found

    monkeypatch.setattr("sweep.tasks.evaluation.predict", broken)
    row = run(make_trial(dataset={"name": "digits", "limit": 200, "validation": 0.15}))
    assert (row["status"], row["error"]) == ("diverged", "outputs are not finite")
    assert all(row[metric] is None for metric in METRICS)


def test_a_retrain_that_diverges_has_no_metrics(make_trial, run):
    row = run(make_trial("retrain", model={"name": "plugin_examples:exploding"}))
    assert (row["status"], row["error"]) == ("diverged", "retain_loss is nan in epoch 1")
    assert all(row[metric] is None for metric in METRICS)


def test_an_original_that_diverges_takes_its_trial_with_it(make_trial, make_worker, run, results):
    trial = make_trial("finetune", model={"name": "plugin_examples:exploding"})
    outcome = make_worker().run(Job(trial, original_only=True))
    assert outcome == Outcome("diverged", "the original diverged: retain_loss is nan in epoch 1", "cpu")
    row = run(trial)
    assert (row["status"], row["error"]) == (outcome.status, outcome.error)
    assert load_original(results, trial.original_id) is None


def test_training_an_original_alone_stores_it_and_no_row(make_trial, make_worker, results):
    trial = make_trial("finetune")
    assert make_worker().run(Job(trial, original_only=True)) == Outcome("ok", device="cpu")
    assert load_original(results, trial.original_id) is not None
    assert results.trials().table.num_rows == 0


def test_a_stored_original_is_used_and_not_trained_again(make_trial, make_worker, run, results, monkeypatch):
    trial = make_trial("original")
    make_worker().run(Job(trial, original_only=True))
    original = load_original(results, trial.original_id)
    [bias_of_logits] = [tensor for tensor in original.state.values() if tensor.shape == (10,)]
    bias_of_logits[7] += 1e6
    store_original(results, trial.original_id, original)
    monkeypatch.setattr("sweep.trial.worker.train", lambda *_, **__: pytest.fail("trained again"))
    assert run(trial)["test_accuracy"] == pytest.approx(100 * np.mean(Digits().load().test_labels == 7))


def test_a_damaged_original_is_trained_again(make_trial, make_worker, run, results):
    trial = make_trial("original")
    make_worker().run(Job(trial, original_only=True))
    path, whole = original_path(trial.original_id), load_original(results, trial.original_id).state
    results.write(path, results.read(path)[:-8])
    assert run(trial)["status"] == "ok"
    again = load_original(results, trial.original_id).state
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())


def test_a_run_sees_from_heads_which_originals_are_stored(make_spec, make_trial, make_worker, results, monkeypatch):
    trial = make_trial()
    make_worker().run(Job(trial, original_only=True))
    label = read_label(results, trial.original_id)

    def run_again() -> None:
        driver = Driver(Request(make_spec(), results.location, INLINE, console=Console(quiet=True)))
        driver.run(driver.grid([], [trial]), lambda: None)

    with monkeypatch.context() as patch:
        patch.setattr(Results, "read", None)
        run_again()
    path = original_path(trial.original_id)
    results.write(path, results.read(path)[:-1])
    run_again()
    assert read_label(results, trial.original_id) == label


def test_a_row_names_the_weights_that_its_original_had(make_trial, make_worker, run, results):
    trial = make_trial("original")
    row = run(trial)
    [header] = [results.read(original_path(trial.original_id))[8:600]]
    assert f'"sha256":"{row["original_sha256"]}"'.encode() in header
    assert run(make_trial("finetune", {"epochs": 1}))["original_sha256"] == row["original_sha256"]
    assert run(make_trial("retrain"))["original_sha256"] is None
    other = load_original(results, trial.original_id)
    other.state["0.weight"] += 1
    store_original(results, trial.original_id, other)
    assert run(trial)["original_sha256"] == load_original(results, trial.original_id).sha256 != row["original_sha256"]


@pytest.mark.parametrize("full", ["models/", "trials/"])
def test_results_that_cannot_be_stored_are_raised_and_not_recorded(make_trial, make_worker, results, monkeypatch, full):
    write, trial = Results.write, make_trial("original")

    def full_disk(self: Results, path: str, content: bytes) -> None:
        if path.startswith(full):
            raise OSError(28, "No space left on device")
        write(self, path, content)

    monkeypatch.setattr(Results, "write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        make_worker(max_retries=3).run(Job(trial))
    assert results.trials().table.num_rows == 0


def test_an_interrupt_is_not_caught(make_trial, make_worker, results, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sweep.tasks.evaluation.predict", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_worker().run(Job(make_trial("original")))
    assert results.trials().table.num_rows == 0


def test_a_method_that_refuses_fails_at_once_with_its_own_line(make_trial, run):
    row = run(make_trial("plugin_examples:Refuses"), max_retries=3)
    assert (row["status"], row["error"]) == ("failed", "refuses: 12.5 GiB are needed, and 1 GiB is the most")


def test_a_row_holds_what_its_method_notes_and_a_task_the_samples_held_out(make_trial, run):
    row = run(make_trial("plugin_examples:Notes", dataset=DIGITS | {"reference": 0.1}))
    assert json.loads(row["notes"]) == {"epsilon": 1.5, "reference": 20}
    assert row["n_retain"] + row["n_forget"] == 180
    assert json.loads(run(make_trial("plugin_examples:Notes"))["notes"])["reference"] == 0
    assert run(make_trial("original"))["notes"] is None


def test_a_method_that_shapes_training_starts_from_an_original_of_its_own(make_trial, make_worker, run, results):
    trial, ordinary = make_trial("plugin_examples:Sharded"), make_trial("original")
    make_worker().run(Job(trial, original_only=True))
    state = load_original(results, trial.original_id).state
    assert state["fits"].tolist() == [1, 1, 1]
    assert {name.split(".")[1] for name in state if name.startswith("members")} == {"0", "1", "2"}
    assert run(ordinary)["status"] == "ok"
    assert "fits" not in load_original(results, ordinary.original_id).state


def test_sharded_training_retrains_only_the_shards_that_forget(make_trial, make_worker, run, results):
    """Each shard is a pass over its own retain samples; the shards' originals are read from storage."""
    trial = make_trial("plugin_examples:Sharded", {"shards": 3}, forget={"ratio": 0.01})
    make_worker().run(Job(trial, original_only=True))
    stored = results.read(original_path(trial.original_id))
    row = run(trial)
    labels = Digits().load().train_labels[limited(Digits().load().train_labels, 200)]
    parts = Drawing(labels, labels, 0, 0).split(ratio=0.01)
    touched = set(parts.forget % 3)
    assert (row["status"], row["error"]) == ("ok", None)
    assert row["samples_processed"] == sum(shard in touched for shard in parts.retain % 3)
    assert results.read(original_path(trial.original_id)) == stored


def test_sisa_retrains_the_shards_that_forget_from_a_stored_original(make_trial, make_worker, run, results):
    """As exact as training all shards on the retain set, in every metric and every stored logit."""
    asked = {"forget": {"ratio": 0.01}, "training": {"epochs": 4, "lr": 0.1, "batch_size": 16}}
    trial = make_trial("sisa", {"shards": 5, "slices": 3}, **asked)
    make_worker().run(Job(trial, original_only=True))
    stored = results.read(original_path(trial.original_id))
    row = run(trial)
    assert (row["status"], row["error"]) == ("ok", None)
    assert row["original_sha256"] == load_original(results, trial.original_id).sha256
    scratch = make_trial("sisa", {"shards": 5, "slices": 3, "from_scratch": True}, **asked)
    assert scratch.original_id == trial.original_id
    reference = run(scratch)
    assert [row[metric] for metric in METRICS] == [reference[metric] for metric in METRICS]
    logits = [results.predictions(one.id).drop_columns("trial_id") for one in (trial, scratch)]
    assert logits[0].equals(logits[1])
    assert results.read(original_path(trial.original_id)) == stored

    labels = Digits().load().train_labels[limited(Digits().load().train_labels, 200)]
    parts = Drawing(labels, labels, 0, 0).split(ratio=0.01)

    def passes(samples, shard, first):
        mine = samples[samples % 5 == shard]
        return sum(2 * (mine // 5 % 3 <= last).sum() for last in range(first, 3))  # 2, 2 and 2 epochs of 4

    expected = sum(
        passes(parts.retain, shard, (parts.forget[parts.forget % 5 == shard] // 5 % 3).min())
        for shard in set(parts.forget % 5)
    )
    assert row["samples_processed"] == expected
    assert reference["samples_processed"] == sum(passes(parts.retain, shard, 0) for shard in range(5))


def test_one_shard_of_one_slice_is_retrain(make_trial, run):
    rows = [
        run(make_trial(method, params)) for method, params in (("retrain", {}), ("sisa", {"shards": 1, "slices": 1}))
    ]
    accuracies = [metric for metric in METRICS if metric.endswith("accuracy")]
    assert [rows[0][metric] for metric in accuracies] == [rows[1][metric] for metric in accuracies]
    assert rows[0]["samples_processed"] == rows[1]["samples_processed"]


STATES = "40 states of the network (20 shards of 2 slices)"


@pytest.mark.parametrize(
    ("method", "params", "width", "why"),
    [
        (
            "sisa",
            {"shards": 20, "slices": 2},
            64,
            f"the original would hold {STATES}: 0.0334 GiB, and 0.0312 are allowed",
        ),
        (
            "amnesiac",
            {"train_batch": 4},
            64,
            "the original would hold a network's update for each of 50 batches: 0.0426 GiB, and 0.0312 are allowed",
        ),
        ("sisa", {"slices": 9}, 4, "9 slices need 5 epochs of training or more, not 4"),
    ],
)
def test_an_original_that_cannot_be_made_fails_in_one_line_and_is_not_tried_again(
    make_trial, make_worker, run, results, monkeypatch, method, params, width, why
):
    monkeypatch.setattr("methods.room.LARGEST", 2**25)
    trial = make_trial(method, params, model={"name": "small-cnn", "width": width}, training={"epochs": 4})
    outcome = make_worker(max_retries=3).run(Job(trial, original_only=True))
    assert (outcome.status, outcome.error) == ("failed", why)
    row = run(trial)
    assert (row["status"], row["error"]) == ("failed", why)
    assert not results.read(original_path(trial.original_id))


def test_amnesiac_takes_back_what_its_stored_original_logged(make_trial, make_worker, run, results):
    """The log leads from the initial weights to the trained ones, and the batches hit are those of the forget set."""
    params = {"train_batch": 16, "epochs": 2}
    trial = make_trial("amnesiac", params, forget={"ratio": 0.01}, training={"epochs": 3, "lr": 0.1})
    make_worker().run(Job(trial, original_only=True))
    state = load_original(results, trial.original_id).state
    [first] = [state[name].sum(0) for name in state if name == "changes.0"]
    config = json.loads(trial.config)
    initial = make_worker()._builder(config)().state_dict()
    torch.testing.assert_close(initial["0.weight"] + first, state["network.0.weight"], rtol=0, atol=1e-5)
    row = run(trial)
    labels = Digits().load().train_labels[limited(Digits().load().train_labels, 200)]
    forgotten = Drawing(labels, labels, 0, 0).split(ratio=0.01).forget
    hit = len(set(state["batch"][forgotten].tolist()))
    assert json.loads(row["notes"]) == {"batches": 13, "batches_taken_back": hit}
    assert (row["status"], row["samples_processed"]) == ("ok", 2 * 198)


def test_a_network_with_tied_weights_is_stored_and_loaded(make_trial, run, results):
    trial = make_trial("original", model={"name": "plugin_examples:tied"})
    assert run(trial)["status"] == "ok"
    state = load_original(results, trial.original_id).state
    assert torch.equal(state["second.weight"], state["third.weight"])


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
