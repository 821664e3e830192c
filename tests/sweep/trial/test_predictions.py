"""The predictions that a trial stores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sweep.tasks.datasets import Digits
from sweep.tasks.evaluation import Predictions
from sweep.tasks.splits import Drawing, limited
from sweep.trial.rows import prediction_rows


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


def test_logits_too_large_for_float16_are_stored_shifted(make_trial):
    logits = torch.tensor([[1.0, -2.0, 3.0], [70_000.0, 70_002.0, -1e6], [-3e38, 1e30, 3e38]])
    part = Predictions(torch.arange(3), torch.tensor([2, 1, 0]), logits)
    [plain, shifted, widest] = prediction_rows("t", [("test", part, torch.arange(3))])["logits"].to_pylist()
    most = float(np.finfo(np.float16).max)
    assert (plain, shifted, widest) == ([1.0, -2.0, 3.0], [-2.0, 0.0, -most], [-most, -most, 0.0])
