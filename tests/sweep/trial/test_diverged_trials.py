"""Trials whose losses, weights or outputs stop being numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sweep.store.columns import METRICS
from sweep.store.originals import load_original
from sweep.tasks.evaluation import predict
from sweep.trial.job import Job, Outcome


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
    def broken(model, samples):
        found = predict(model, samples)
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
