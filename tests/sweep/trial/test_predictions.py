"""The predictions that a trial stores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sweep.store.originals import load_original
from sweep.tasks.class_splits import class_splits
from sweep.tasks.classification import Classification
from sweep.tasks.datasets import Digits
from sweep.tasks.evaluation import Predictions, predict
from sweep.tasks.models import MODELS, load_state
from sweep.tasks.splits import Drawing, limited
from sweep.trial.device import set_arithmetic
from sweep.trial.job import Job
from sweep.trial.rows import prediction_rows
from sweep.trial.training import train


def test_predictions_name_rows_of_the_datasets_own_data(make_trial, run, results):
    trial = make_trial("original", seeds=[3])
    row = run(trial)
    images = Digits().load()
    kept = limited(images.train_labels, 200)
    labels = images.train_labels[kept]
    parts = Drawing(labels, 3, 0).split(ratio=0.1)
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


@pytest.mark.parametrize(
    ("predictions", "kept", "counts"),
    [
        (True, "true", {"retain": 162, "forget": 18, "test": 360, "validation": 20}),
        ("forget", "forget", {"forget": 18}),
        ("all", "all", {"retain": 162, "forget": 18, "test": 360, "validation": 20}),
        (False, None, {}),
    ],
)
def test_as_many_predictions_are_kept_as_are_wanted(make_trial, run, results, predictions, kept, counts):
    trial = make_trial("original", dataset={"name": "digits", "limit": 200, "validation": 0.1})
    row = run(trial, predictions=predictions)
    table = results.predictions(trial.id)
    names = [] if table is None else table["split"].to_pylist()
    assert {name: names.count(name) for name in names} == counts
    assert (row["kept_predictions"], row["n_predictions"]) == (kept, sum(counts.values()))


@pytest.mark.parametrize("forget", [{}, {"fold": 2}])
def test_all_retain_samples_are_kept_where_all_are_wanted(make_trial, run, results, forget):
    trial = make_trial("original", dataset={"name": "digits"}, forget={"ratio": 0.1} | forget)
    samples = {}
    for predictions in (True, "all"):
        row = run(trial, predictions=predictions)
        rows = results.predictions(trial.id).to_pylist()
        samples[predictions] = {row["sample_id"]: row["logits"] for row in rows if row["split"] == "retain"}
    assert len(samples["all"]) == row["n_retain"] > 1200
    assert len(samples[True]) == 360
    assert samples["all"].items() >= samples[True].items()
    correct = [np.argmax(logits) == label for logits, label in labelled(samples["all"])]
    assert row["retain_accuracy"] == pytest.approx(100 * np.mean(correct), abs=0.5)  # logits are float16


def labelled(logits):
    labels = Digits().load().train_labels
    return [(each, labels[sample]) for sample, each in logits.items()]


def test_validation_samples_are_kept_with_their_true_labels(make_trial, run, results):
    options = {"name": "digits", "limit": 300, "validation": 0.2, "label_noise": 0.5}
    trial = make_trial("original", dataset=options, seeds=[3])
    row = run(trial)
    images = Digits().load()
    kept = limited(images.train_labels, 300)
    parts = class_splits(images.train_labels, images.test_labels, 10, None, options | {"limit": 300}).split(
        3, {"scenario": "random", "ratio": 0.1}
    )
    rows = [each for each in results.predictions(trial.id).to_pylist() if each["split"] == "validation"]
    assert [each["sample_id"] for each in rows] == kept[parts.validation].tolist()
    assert [each["label"] for each in rows] == images.train_labels[kept[parts.validation]].tolist()
    correct = [np.argmax(each["logits"]) == each["label"] for each in rows]
    assert row["validation_accuracy"] == pytest.approx(100 * np.mean(correct), abs=1.7)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_kept_was_computed_in_float32_whatever_training_was(make_trial, run, results, precision):
    training = {"epochs": 1, "lr": 0.05, "precision": precision}
    trial = make_trial("original", training=training, dataset={"name": "digits"})
    assert run(trial)["precision"] == precision
    model = MODELS["small-cnn"](10, 1, width=4)
    load_state(model, load_original(results, trial.original_id).state)
    options = {"limit": None, "label_noise": 0.0, "validation": 0.0, "crop": 0, "flip": False}
    test = Classification().on_device(Digits().load(), options, torch.device("cpu")).test()
    with torch.inference_mode():
        expected = model.eval().double()(next(test.in_order(360))[0].double()).numpy()
    rows = [each["logits"] for each in results.predictions(trial.id).to_pylist() if each["split"] == "test"]
    np.testing.assert_allclose(rows, expected, rtol=2**-10, atol=1e-6)  # half a step of float16


@pytest.mark.parametrize("precision", ["tf32", "float32"])
def test_no_evaluation_rounds_to_tf32(make_trial, make_worker, monkeypatch, precision):
    seen = {}

    def note(name, action):
        def noted(*args, **options):
            seen.setdefault(name, set()).add(torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32)
            return action(*args, **options)

        return noted

    monkeypatch.setattr("sweep.tasks.evaluation.predict", note("evaluation", predict))
    monkeypatch.setattr("sweep.trial.setting.train", note("training", train))
    make_worker().run(Job(make_trial("retrain", training={"epochs": 1, "precision": precision})))
    assert seen == {"training": {precision == "tf32"}, "evaluation": {False}}
    assert torch.backends.cuda.matmul.allow_tf32 == (precision == "tf32")
    set_arithmetic("float32")


def test_logits_too_large_for_float16_are_stored_shifted(make_trial):
    logits = torch.tensor([[1.0, -2.0, 3.0], [70_000.0, 70_002.0, -1e6], [-3e38, 1e30, 3e38]])
    part = Predictions(torch.arange(3), torch.tensor([2, 1, 0]), logits)
    [plain, shifted, widest] = prediction_rows("t", [("test", part, torch.arange(3))])["logits"].to_pylist()
    most = float(np.finfo(np.float16).max)
    assert (plain, shifted, widest) == ([1.0, -2.0, 3.0], [-2.0, 0.0, -most], [-most, -most, 0.0])
