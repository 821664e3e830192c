import json

import pandas as pd
import pytest
from made_results import row

from analysis.wording import names
from analysis.wording.names import configuration_labels, display_labels, task_labels, task_words
from methods import METHODS
from sweep.store.labels import learn_labels, write_labels
from sweep.store.results import Results


def test_labels_spell_out_only_hyperparameters_that_vary_within_the_method():
    grid = [{"rho": rho, "gamma": 1.0, "schedule": schedule} for rho in (1.0, 2.0) for schedule in ("cosine", None)]
    rows = [row("retrain"), row("finetune", params={"lr": 0.1}), *(row("uam", params=params) for params in grid)]
    assert configuration_labels(pd.DataFrame(rows)).tolist() == [
        "retrain",
        "finetune",
        "uam (rho=1.0, schedule=cosine)",
        "uam (rho=1.0, schedule=None)",
        "uam (rho=2.0, schedule=cosine)",
        "uam (rho=2.0, schedule=None)",
    ]


def test_a_hyperparameter_that_not_every_trial_has_is_spelled_out_where_it_is():
    rows = [row("retrain"), row("uam", params={"rho": 1.0}), row("uam", params={"rho": 1.0, "layers": [1, 2]})]
    assert configuration_labels(pd.DataFrame(rows)).tolist() == ["retrain", "uam", "uam (layers=[1, 2])"]


def test_every_built_in_method_has_a_name_and_no_two_the_same():
    assert set(names.METHODS) == set(METHODS)
    assert len(set(names.METHODS.values())) == len(METHODS)


FORGET_SETS = {
    "share": ({}, "10 % at random"),
    "first": ({"forget_fold": 0}, "10 %, fold 0"),
    "third": ({"forget_fold": 2, "forget_ratio": 0.125}, "12.5 %, fold 2"),
    "rows": ({"scenario": "rows", "forget_rows": "0123456789abcdef", "n_forget": 50}, "50 listed rows (01234567)"),
    "alike": ({"scenario": "rows", "forget_rows": "01234567ffffffff", "n_forget": 50}, "50 listed rows (01234567)"),
    "lost": ({"scenario": "rows", "forget_rows": "fedcba9876543210"}, "listed rows (fedcba98)"),
    "later": (
        {"scenario": "dated", "config": '{"forget": {"scenario": "dated", "before": 2020}}'},
        "dated before 2020",
    ),
}


def test_forget_sets_are_told_apart_in_words():
    rows = [row("retrain", task=task, **columns) for task, (columns, _) in FORGET_SETS.items()]
    words = [f"digits, small-cnn, forget {words}" for _, words in FORGET_SETS.values()]
    words[3:5] = [f"{words[3]} [rows]", f"{words[4]} [alike]"]
    assert task_labels(pd.DataFrame(rows)).tolist() == words


def test_tasks_with_the_same_words_have_what_differs_in_their_configs_after_them():
    configs = {
        "a": {"training": {"epochs": 3, "lr": 0.1}, "dataset": {"fingerprint": "0" * 64}, "seed": 0},
        "b": {"training": {"epochs": 6, "lr": 0.1}, "dataset": {"fingerprint": "1" * 64, "limit": 400}, "seed": 1},
        "c": {"training": {"epochs": 6, "lr": 0.1}, "dataset": {"fingerprint": "2" * 64, "limit": 400}, "seed": 2},
    }
    rows = [row("retrain", task=task, config=json.dumps(config)) for task, config in configs.items()]
    words = "digits, small-cnn, forget 10 % at random, training.epochs="
    assert task_labels(pd.DataFrame(rows)).tolist() == [
        f"{words}3",
        f"{words}6, dataset.limit=400 [b]",
        f"{words}6, dataset.limit=400 [c]",
    ]


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("share", "forget ratio 10 %"),
        ("first", "10 %, fold 0 forgotten"),
        ("rows", "50 listed rows (01234567) forgotten"),
    ],
)
def test_a_figures_task_names_its_forget_set(task, words):
    trials = pd.DataFrame([row("retrain", task=task, **FORGET_SETS[task][0])])
    assert task_words(trials, task) == f"digits, small-cnn, {words}"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.123456789012345, 1.0, 5e-06, 3], ["0.1235", "1.0", "5e-06", "3"]),
        ([0.12341, 0.12342, 2.000000001], ["0.12341", "0.12342", "2"]),
        ([0.1 + 0.2, 0.3], ["0.30000000000000004", "0.3"]),
        ([1.00001, 1, [0.123456]], ["1.00001", "1", "[0.123456]"]),
        ([True, "a", None, 1234567.5], ["True", "a", "None", "1.235e+06"]),
    ],
)
def test_numbers_in_labels_are_as_short_as_they_differ(values, words):
    rows = [row("uam", seed=seed, params={"rho": value}) for seed, value in enumerate(values)]
    assert configuration_labels(pd.DataFrame(rows)).tolist() == [f"uam (rho={word})" for word in words]


@pytest.mark.usefixtures("labels_forgotten")
def test_labels_of_the_results_are_what_everything_is_called(tmp_path):
    results = Results(str(tmp_path))
    data = row("my_labelled:Mine", params={"lr": 1}, dataset="parquet", model="my_net:wide")
    data["config"] = '{"dataset": {"name": "parquet", "fingerprint": "77"}}'
    trials = pd.DataFrame([data, data | {"method": "my_labelled:Mine (tuned)"}])
    write_labels(results, {"my_labelled:Mine": "Mine+", "parquet 77": "CIFAR-5", "my_net:wide": "Wide"}, {})
    assert task_labels(trials).iloc[0] == "parquet, my_net:wide, forget 10 % at random"
    learn_labels(results)
    assert task_labels(trials).iloc[0] == "CIFAR-5, Wide, forget 10 % at random"
    assert configuration_labels(trials).tolist() == ["Mine+", "Mine+ (tuned)"]
    assert display_labels(trials).tolist() == ["Mine+", "Mine+ (tuned)"]
    assert names.method_words("my_labelled:Mine (tuned)") == "Mine+ (tuned)"
    other = pd.DataFrame([data | {"config": '{"dataset": {"name": "parquet", "fingerprint": "78"}}'}])
    assert task_labels(other).iloc[0] == "parquet, Wide, forget 10 % at random"


def test_without_labels_methods_are_called_as_the_field_writes_them():
    trials = pd.DataFrame([row("uam"), row("unheard_of:Mine")])
    assert display_labels(trials).tolist() == ["UAM", "unheard_of:Mine"]
    assert configuration_labels(trials).tolist() == ["uam", "unheard_of:Mine"]
