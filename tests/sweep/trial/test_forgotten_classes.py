"""Trials that forget a class: what is forgotten, and which samples their accuracies are of."""

from __future__ import annotations

import numpy as np
import pytest
from plugin_examples import Stripes
from sklearn.svm import SVC

from sweep.tasks.datasets import Digits
from sweep.tasks.splits import Drawing, limited, noisy
from sweep.trial.job import Job

DIGITS = {"name": "digits", "limit": 200}


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
    held_out = true[Drawing(true, 0, 0.5).split(0.5).validation]

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
    [held_out] = Drawing(labels, 0, 0.05).split(ratio=0.5).validation
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
    parts = Drawing(noisy(true, 0.9, 10), 0, 0.5).split(ratio=0.1)
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
