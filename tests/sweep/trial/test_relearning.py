"""Relearning: what it gives, and that it leaves the trial alone."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from methods import Diverged, Task
from methods.task import derived_seed
from sweep.store.columns import TRIALS, VARYING
from sweep.store.relearning import Relearning
from sweep.tasks.classification import Classification
from sweep.tasks.kind import Evaluation
from sweep.tasks.regression import Regression
from sweep.trial import worker
from sweep.trial.relearning import relearn

RETAIN = Relearning("retain", 2, 0.05, 16)
FORGET = Relearning("forget", 2, 0.05, 8)
KINDS = {
    "classification": ({"dataset": {"name": "digits", "limit": 200}}, "forget_accuracy", "retain_accuracy"),
    "regression": (
        {"dataset": {"name": "diabetes", "limit": 100}, "model": {"name": "mlp", "width": 4}},
        "forget_error",
        "retain_error",
    ),
    "language": (
        {
            "dataset": {"name": "invented-people", "people": 10, "public": 2, "outsiders": 2},
            "model": {"name": "tiny-llama", "width": 8, "layers": 2, "heads": 2},
        },
        "forget_likelihood",
        "retain_likelihood",
    ),
}


def determined(row):
    return {name: row[name] for name in TRIALS.names if name not in VARYING}


def points(results, trial):
    rows = results.relearned().table.to_pylist()
    return sorted((row for row in rows if row["trial_id"] == trial.id), key=lambda row: row["step"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recipe", [RETAIN, FORGET], ids=["retain", "forget"])
def test_the_path_begins_at_the_trials_metrics_and_leaves_its_row_as_it_was(make_trial, run, results, kind, recipe):
    changes, forget, retain = KINDS[kind]
    trial = make_trial("finetune", {"epochs": 1}, **changes)
    alone = run(trial)
    said = results.predictions(trial.id)
    assert results.relearned().table.num_rows == 0
    row = run(trial, relearning=recipe)
    assert determined(row) == determined(alone)
    assert results.predictions(trial.id).equals(said)

    path = points(results, trial)
    first, *between, last = path
    assert (first["epoch"], first["step"], first[forget], first[retain]) == (0, 0, row[forget], row[retain])
    steps = -(-(row["n_retain"] if recipe.data == "retain" else row["n_forget"]) // recipe.batch_size)
    where = [steps, 2 * steps] if recipe.data == "retain" else range(1, 2 * steps + 1)
    assert [point["step"] for point in path[1:]] == [*where]
    assert [point["epoch"] for point in path[1:]] == [-(-step // steps) for step in where]
    assert all(point[forget] is not None and point[retain] is None for point in between)
    assert last[retain] is not None
    assert last[forget] != first[forget] or last[retain] != first[retain]
    assert {(point["status"], point["relearning_id"], point["recipe"]) for point in path} == {
        ("ok", recipe.id, recipe.text)
    }
    assert {point["model_sha256"] for point in path} == {row["model_sha256"]}


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_relearned_model_says_of_the_forget_set_is_kept(make_trial, run, results, kind):
    changes, forget, _ = KINDS[kind]
    trial = make_trial("finetune", {"epochs": 1}, **changes)
    run(trial, relearning=FORGET)
    before = [row for row in results.predictions(trial.id).to_pylist() if row["split"] == "forget"]
    after = results.relearned_predictions(trial.id, FORGET.id).to_pylist()
    last = points(results, trial)[-1]
    assert last["n_predictions"] == len(after) == len(before)
    names = ("trial_id", "sample_id", "split", "label", "target")
    assert [[row[name] for name in names] for row in after] == [[row[name] for name in names] for row in before]
    outputs = np.array([row["logits"] or row["outputs"] for row in after])
    if kind == "regression":
        found = 100 * np.abs(outputs[:, 0] - [row["target"] for row in after]).mean()
    else:
        labels = np.array([row["label"] for row in after])
        own = outputs[np.arange(len(labels)), labels]
        found = 100 * (np.exp(own) if kind == "language" else outputs.max(axis=1) == own).mean()
    assert found == pytest.approx(last[forget], rel=1e-2)


@pytest.mark.parametrize("context", [{"predictions": False}, {}], ids=["none", "some"])
def test_outputs_are_kept_only_where_those_of_trials_are(make_trial, run, results, context):
    trial = make_trial("original")
    run(trial, relearning=RETAIN, **context)
    kept = results.relearned_predictions(trial.id, RETAIN.id)
    assert (kept is None, points(results, trial)[0]["n_predictions"] == 0) == (bool(context), bool(context))


@pytest.mark.parametrize("kind", KINDS)
def test_on_the_way_the_forget_set_is_judged_as_at_the_end(make_trial, run, results, kind):
    changes, forget, _ = KINDS[kind]
    trial = make_trial("finetune", {"epochs": 1}, **changes)
    run(trial, relearning=RETAIN)
    _, between, _ = points(results, trial)
    shorter = Relearning("retain", 1, RETAIN.lr, RETAIN.batch_size)
    run(trial, relearning=shorter)
    [last] = [row for row in points(results, trial) if row["relearning_id"] == shorter.id and row["step"]]
    assert between["step"] == last["step"]
    assert between[forget] == last[forget]


def test_a_kind_that_judges_in_its_own_way_does_so_of_the_forget_set_alone():
    class Own(Regression):
        def evaluate(self, *arguments):
            return Evaluation({"forget_own": 1.0, "retain_own": 2.0}, (("retain", 3, 4), ("forget", 5, 6)))

    assert Own().evaluate_forget(*[None] * 5) == Evaluation({"forget_own": 1.0}, (("forget", 5, 6),))


def breaks(*arguments):
    raise Diverged("outputs are not finite")


@pytest.mark.parametrize("evaluate", [Classification.evaluate, breaks], ids=["unlearning", "evaluation"])
def test_a_trial_that_diverged_is_not_relearned(make_trial, run, results, monkeypatch, evaluate):
    monkeypatch.setattr(Classification, "evaluate", evaluate)
    params = {"epochs": 3, "lr": 1e6} if evaluate is not breaks else {"epochs": 1}
    assert run(make_trial("neggrad", params), relearning=RETAIN)["status"] == "diverged"
    assert results.relearned().table.num_rows == 0


def test_the_time_limit_covers_relearning(make_trial, run, results, monkeypatch):
    def endless(*arguments):
        while True:
            torch.ones(1).add_(1)

    monkeypatch.setattr(worker, "relearn", endless)
    row = run(make_trial("original"), relearning=RETAIN, trial_timeout=5.0)
    assert (row["status"], row["error"]) == ("failed", "took longer than trial_timeout: 5 s")
    assert results.relearned().table.num_rows == 0


def test_a_relearning_that_diverges_says_so_and_the_trial_stands(make_trial, run, results):
    trial = make_trial("original")
    row = run(trial, relearning=Relearning("retain", 2, 1e30, 16))
    path = points(results, trial)
    assert (row["status"], {point["status"] for point in path}) == ("ok", {"diverged"})
    assert path[0]["forget_accuracy"] == row["forget_accuracy"]
    assert path[-1]["forget_accuracy"] is None
    assert results.relearned_predictions(trial.id, path[0]["relearning_id"]) is None


def test_rows_of_a_run_that_led_to_other_weights_do_not_count(make_trial, run, results):
    trial = make_trial("original")
    row = run(trial, relearning=RETAIN)
    run(trial)
    assert len(points(results, trial)) == 3  # the same weights
    results.write_row(row | {"model_sha256": "other"})
    assert points(results, trial) == []


def told(number):
    return Evaluation({"forget_accuracy": number}, ())


def a_task(make_samples, model):
    torch.manual_seed(0)
    retain, forget = (make_samples(torch.randn(n, 3), torch.randint(0, 2, (n,))) for n in (40, 12))
    return Task(model=model, retain=retain, forget=forget, classes=2, seed=7, build=None, fit=None)


@pytest.mark.parametrize("recipe", [RETAIN, FORGET], ids=["retain", "forget"])
def test_steps_are_those_of_sgd_with_momentum_on_the_set_that_is_taught(make_samples, recipe):
    model = nn.Linear(3, 2)
    task = a_task(make_samples, model)
    before = copy.deepcopy(model.state_dict())
    seen = []

    def judge(judged):
        seen.append(judged.weight.detach().clone())
        return told(0.0)

    relearn("t", model, task, recipe, told(1.0), judge, judge, keep=False)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

    # independently: v <- 0.9 v + g, w <- w - lr v, the gradients by hand, on batches of the same generator
    samples = task.retain if recipe.data == "retain" else task.forget
    weight, bias = before["weight"].double(), before["bias"].double()
    velocity = [torch.zeros_like(weight), torch.zeros_like(bias)]
    random = torch.Generator().manual_seed(derived_seed(derived_seed(7, "relearning"), "batches"))
    expected = []
    for _ in range(recipe.epochs):
        steps = []
        for inputs, targets in samples.epoch(recipe.batch_size, random):
            error = (inputs.double() @ weight.T + bias).softmax(dim=1)
            error[torch.arange(len(targets)), targets] -= 1
            gradients = error.T @ inputs.double() / len(targets), error.mean(dim=0)
            velocity = [0.9 * old + new for old, new in zip(velocity, gradients, strict=True)]
            weight, bias = weight - recipe.lr * velocity[0], bias - recipe.lr * velocity[1]
            steps.append(weight)
        expected += steps if recipe.data == "forget" else steps[-1:]
    assert len(seen) == len(expected)
    for found, by_hand in zip(seen, expected, strict=True):
        torch.testing.assert_close(found.double(), by_hand, rtol=1e-4, atol=1e-6)


def test_batchnorm_keeps_its_statistics_on_the_forget_set_and_estimates_them_on_the_retain_set(make_samples):
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    task = a_task(make_samples, model)
    found = {}

    def judge(judged):
        found["mean"] = judged[0].running_mean.clone()
        return told(0.0)

    relearn("t", model, task, FORGET, told(1.0), judge, judge, keep=False)
    assert torch.equal(found["mean"], torch.zeros(3))
    relearn("t", model, task, RETAIN, told(1.0), judge, judge, keep=False)
    batches = task.retain.inputs.mean(dim=0)
    torch.testing.assert_close(found["mean"], batches, rtol=0, atol=0.1)
    assert found["mean"].abs().max() > 0.01


def test_only_what_the_method_left_free_learns_and_a_frozen_model_is_what_it_was(make_samples):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    model[0].requires_grad_(False)
    task = a_task(make_samples, model)
    kept = []

    def judge(judged):
        kept.append([judged[0].weight.clone(), judged[1].weight.detach().clone()])
        return told(0.0)

    relearn("t", model, task, RETAIN, told(1.0), judge, judge, keep=False)
    assert torch.equal(kept[-1][0], model[0].weight)
    assert not torch.equal(kept[-1][1], model[1].weight)
    model.requires_grad_(False)
    assert len(relearn("t", model, task, RETAIN, told(1.0), judge, judge, keep=False).rows) == 3
    assert torch.equal(kept[-1][1], model[1].weight)


def test_the_last_point_is_judged_as_a_whole_and_the_others_by_the_forget_set(make_samples):
    task = a_task(make_samples, nn.Linear(3, 2))

    def forgotten(model):
        return told(2.0)

    def whole(model):
        return told(3.0)

    found = relearn("t", task.model, task, FORGET, told(1.0), forgotten, whole, keep=False)
    assert [row["forget_accuracy"] for row in found.rows] == [1, 2, 2, 2, 3]

    found = relearn("t", task.model, task, FORGET, told(1.0), breaks, whole, keep=False)
    assert [(row["step"], row.get("forget_accuracy"), row["status"]) for row in found.rows] == [
        (0, 1, "diverged"),
        (1, None, "diverged"),
    ]
