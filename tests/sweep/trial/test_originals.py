"""Originals: trained once, stored, and used again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rich.console import Console

from sweep.engine.driver import Driver, Request
from sweep.engine.inline import INLINE
from sweep.store.original_labels import original_path, read_label
from sweep.store.originals import load_original, store_original
from sweep.store.results import Results
from sweep.tasks.datasets import Digits
from sweep.trial.job import Job, Outcome


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
    monkeypatch.setattr("sweep.trial.setting.train", lambda *_, **__: pytest.fail("trained again"))
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
    whole = results.read(path)
    for damaged in (whole[:-1], whole + b"x"):
        results.write(path, damaged)
        run_again()
        assert read_label(results, trial.original_id) == label
        assert results.size(path) == len(whole)


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


def test_a_network_with_tied_weights_is_stored_and_loaded(make_trial, run, results):
    trial = make_trial("original", model={"name": "plugin_examples:tied"})
    assert run(trial)["status"] == "ok"
    state = load_original(results, trial.original_id).state
    assert torch.equal(state["second.weight"], state["third.weight"])
