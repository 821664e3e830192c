"""Methods that shape training: originals of their own, trained and stored like others."""

from __future__ import annotations

import json

import pytest
import torch

from sweep.store.columns import METRICS
from sweep.store.original_labels import original_path
from sweep.store.originals import load_original
from sweep.tasks.datasets import Digits
from sweep.tasks.splits import Drawing, limited
from sweep.trial.job import Job


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
    parts = Drawing(labels, 0, 0).split(ratio=0.01)
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
    parts = Drawing(labels, 0, 0).split(ratio=0.01)

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
    initial = make_worker()._setting(trial).build().state_dict()
    torch.testing.assert_close(initial["0.weight"] + first, state["network.0.weight"], rtol=0, atol=1e-5)
    row = run(trial)
    labels = Digits().load().train_labels[limited(Digits().load().train_labels, 200)]
    forgotten = Drawing(labels, 0, 0).split(ratio=0.01).forget
    hit = len(set(state["batch"][forgotten].tolist()))
    apart = "none: the model has other parameters than the original"
    assert json.loads(row["notes"]) == {"batches": 13, "batches_taken_back": hit, "weight_distance": apart}
    assert (row["status"], row["samples_processed"]) == ("ok", 2 * 198)
