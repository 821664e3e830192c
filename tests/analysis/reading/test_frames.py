import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_results import TWO_SEEDS, row, versioned
from scipy import stats

from analysis.comparison import comparisons
from analysis.methods_table import methods_table
from analysis.reading.frames import (
    Frames,
    flatten_params,
    metrics_in,
    read_frames,
    read_trials,
    with_another_seed,
    with_gaps,
)
from sweep.errors import InputError
from sweep.store import metrics
from sweep.store.metrics import Metric
from sweep.store.results import Results


def one(trials, method, seed=0):
    """The only trial of a method and seed."""
    found = trials[(trials["method"] == method) & (trials["seed"] == seed)]
    assert len(found) == 1
    return found.iloc[0]


def test_gaps_are_distances_to_the_retrain_of_the_same_seed(directory):
    trials = read_frames(directory(TWO_SEEDS)).trials
    first, second = one(trials, "finetune", 0), one(trials, "finetune", 1)
    assert (first["gap.retain_accuracy"], first["gap.forget_accuracy"]) == (1, 6)
    assert (first["gap.test_accuracy"], first["gap.mia"]) == (1, 20)
    assert (first["average_gap"], second["average_gap"]) == (7, 5.5)


def test_costs_are_shares_of_the_retrain_of_the_same_seed(directory):
    trials = read_frames(directory(TWO_SEEDS)).trials
    assert [one(trials, "finetune", seed)["relative_seconds"] for seed in (0, 1)] == [0.5, 0.25]
    assert one(trials, "finetune")["relative_samples"] == 0.1


def test_two_kinds_of_one_name_are_not_read_in_one_process(directory, tmp_path, monkeypatch):
    for known in ("_learnt", "_read"):
        monkeypatch.setattr(metrics, known, {})
    found = [Results(str(directory(TWO_SEEDS)))]
    for name in ("alike", "other"):
        found.append(Results(str(shutil.copytree(found[0].location, tmp_path / name))))
    first, alike, other = found
    words = Metric("mine", "M", "what a plugin measures", "forget")
    for results, metric in ((first, words), (alike, words), (other, replace(words, side="retain"))):
        results.write_metrics("own", [metric])
    for results in (first, alike, first):
        read_frames(results)
    metrics.learn("own", [replace(words, side="retain")])  # as an edited plugin has it
    with pytest.raises(InputError, match=f"{other.location}: its kind of task own .* than that of {first.location}"):
        read_frames(other)
    first.write_metrics("own", [replace(words, label="N")])
    read_frames(first)
    assert metrics.columns()["mine"].label == "N"


def test_retrain_has_no_gap_to_itself(directory):
    retrain = one(read_frames(directory(TWO_SEEDS)).trials, "retrain")
    assert (retrain["average_gap"], retrain["relative_seconds"]) == (0, 1)


def test_a_gap_is_to_the_retrain_of_the_same_task():
    metrics = (100.0, 90.0, 90.0, 50.0)
    rows = [row("retrain", task="easy", metrics=metrics), row("retrain", task="hard", metrics=(80.0, 70.0, 70.0, 50.0))]
    rows += [row("uam", task="easy", metrics=metrics), row("uam", task="hard", metrics=metrics)]
    trials = with_gaps(pd.DataFrame(rows))
    assert trials["average_gap"].tolist() == [0, 0, 0, 15]


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_without_a_retrain_that_ended_ok_there_is_no_gap(directory, status):
    rows = [row("retrain", status=status, metrics=(10.0, 10.0, 10.0, 10.0), seconds=1.0), TWO_SEEDS[2]]
    finetune = one(read_frames(directory(rows)).trials, "finetune")
    assert finetune[["gap.mia", "average_gap", "relative_seconds", "relative_samples"]].isna().all()
    assert finetune["test_accuracy"] == 91


def said(method, seed=0, *, epochs=20, **metrics):
    """A row of a language model that is trained for so many epochs."""
    config = json.dumps({"training": {"epochs": epochs}, "method": {"name": method}})
    columns = {"attack_auc": None, "chance": None, "config": config, "seconds": 2.0}
    return row(method, seed, kind="language", **(columns | metrics))


def accuracies(retain, forget, test):
    return {"retain_accuracy": retain, "forget_accuracy": forget, "test_accuracy": test}


def test_what_neither_has_is_no_part_of_a_gap():
    rows = [
        said("retrain", **accuracies(100.0, 30.0, None)),
        said("npo", **accuracies(90.0, 50.0, None)),
        said("rmu", **accuracies(90.0, None, None)),
        said("uam", **accuracies(90.0, 50.0, 80.0)),
        said("undial", status="failed"),
    ]
    trials = with_gaps(pd.DataFrame(rows))
    assert trials["average_gap"].fillna(-1).tolist() == [0, 15, -1, -1, -1]
    assert trials["retain_gap"].fillna(-1).tolist() == [0, 10, 10, -1, -1]
    assert trials["forget_gap"].fillna(-1).tolist() == [0, 20, -1, 20, -1]


def test_without_training_gaps_are_to_an_ideal_made_of_the_original():
    untrained = {"epochs": 0, "chance": 25.0}
    rows = [
        said("original", 0, **untrained, **accuracies(70.0, 60.0, 55.0), attack_auc=90.0),
        said("original", 1, **untrained, **accuracies(80.0, 65.0, 55.0), attack_auc=None),
        said("rmu", 0, **untrained, **accuracies(66.0, 30.0, 54.0), attack_auc=40.0),
        said("rmu", 1, **untrained, **accuracies(66.0, 35.0, 54.0), attack_auc=None),
        said("rmu", 2, **untrained, **accuracies(66.0, 35.0, 54.0), attack_auc=None),
    ]
    trials = with_gaps(pd.DataFrame(rows))
    assert trials["gap.forget_accuracy"].fillna(-1).tolist() == [35, 40, 5, 10, -1]
    assert trials["gap.retain_accuracy"].fillna(-1).tolist() == [0, 0, 4, 14, -1]
    assert trials["gap.attack_auc"].fillna(-1).tolist() == [40, -1, 10, -1, -1]
    assert trials["average_gap"].fillna(-1).tolist() == [75 / 4, 40 / 3, 20 / 4, 25 / 3, -1]
    assert trials["original_gap"].fillna(-1).tolist() == [75 / 4, 40 / 3, 75 / 4, 40 / 3, -1]
    assert trials["to_ideal"].tolist() == [True, True, True, True, False]
    assert trials[["relative_seconds", "relative_samples"]].isna().all(axis=None)
    figures = Frames(trials, pd.DataFrame(), []).beside_retrain().trials
    assert figures[["average_gap", "gap.forget_accuracy", "original_gap"]].isna().all(axis=None)
    assert figures["forget_accuracy"].tolist() == trials["forget_accuracy"].tolist()


def test_a_trained_original_is_no_ideal():
    rows = [said("original", chance=25.0, **accuracies(70.0, 60.0, 55.0)), said("npo", **accuracies(70.0, 60.0, 55.0))]
    trials = with_gaps(pd.DataFrame(rows))
    assert trials["average_gap"].isna().all()
    assert not trials["to_ideal"].any()


def test_metrics_that_no_trial_has_are_in_no_sentence():
    trials = with_gaps(pd.DataFrame([said("npo", **accuracies(90.0, 50.0, None))]))
    assert [metric.label for metric in metrics_in(trials)] == ["RA", "FA"]
    nothing = with_gaps(pd.DataFrame([said("npo", status="failed")]))
    assert [metric.label for metric in metrics_in(nothing)][:3] == ["RA", "FA", "TA"]


OF_TWO_VERSIONS = [
    *(versioned(one, 1) for one in TWO_SEEDS),
    *(versioned(one | {"forget_accuracy": 50.0}, 2) for one in TWO_SEEDS),
]


@pytest.mark.parametrize("rows", [OF_TWO_VERSIONS, OF_TWO_VERSIONS[::-1]], ids=["old first", "new first"])
def test_of_several_versions_of_a_method_only_the_newest_is_compared(directory, rows):
    frames = read_frames(directory(rows))
    assert frames.superseded == 4
    assert methods_table(frames.trials)[["method", "seeds", "FA.mean", "FA.gap"]].to_numpy().tolist() == [
        ["retrain", 2, 50.0, 0.0],
        ["retrain, another seed", 2, 50.0, 0.0],
        ["finetune", 2, 50.0, 0.0],
    ]
    [comparison] = comparisons(frames.trials)[0]
    assert [(one.n, one.values["forget_accuracy"].mean) for one in comparison.rows] == 3 * [(2, 50.0)]


def test_the_gaps_of_another_seed_have_an_interval_that_leaves_out_each_retrain_in_turn(directory):
    accuracies = [80.0, 84.0, 79.0, 90.0, 86.0]
    rows = [row("retrain", seed, metrics=(100.0, forget, 90.0, 40.0)) for seed, forget in enumerate(accuracies)]
    rows.append(row("retrain", 0, task="other", metrics=(100.0, 80.0, 90.0, 40.0)))
    every = read_frames(directory(rows)).trials
    assert sorted(len(each.rows) for each in comparisons(every)[0]) == [1, 2]
    trials = every[every["task_id"] == "task"]
    rest = [trials[trials["seed"] != seed] for seed in range(5)]
    gaps = [with_another_seed(kept).query("method != 'retrain'")["gap.forget_accuracy"].mean() for kept in rest]
    half = stats.t.ppf(0.975, 4) * np.sqrt(4 * np.var(gaps))
    another = comparisons(trials)[0][0].rows[1]
    found = another.values["gap.forget_accuracy"]
    assert (found.mean, found.low, found.high) == pytest.approx((6.0, 6.0 - half, 6.0 + half))
    low, high = stats.t.interval(0.95, 4, np.mean(accuracies), stats.sem(accuracies))
    found = another.values["forget_accuracy"]
    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_version_is_superseded_on_its_own_task_and_by_its_own_method_only(directory):
    rows = [versioned(row("uam", task="easy"), 1), versioned(row("uam", task="hard"), 2), versioned(row("neggrad"), 3)]
    assert len(read_frames(directory(rows)).trials) == 3


def test_a_newer_version_supersedes_seeds_and_configurations_that_it_did_not_run(directory):
    rows = [versioned(one, 1) for one in TWO_SEEDS] + [versioned(row("finetune", 0, params={"lr": 0.2}), 2)]
    trials = read_frames(directory(rows)).trials
    assert trials[trials["method"] == "finetune"]["params"].tolist() == ['{"lr": 0.2}']


def test_trials_asked_for_count_though_there_are_newer_ones(directory):
    location = directory(OF_TWO_VERSIONS)
    wanted = [one["trial_id"] for one in OF_TWO_VERSIONS[:4]]
    trials = read_trials(location, wanted)
    assert sorted(trials["trial_id"]) == sorted(wanted)
    assert one(trials, "finetune")["gap.forget_accuracy"] == 6


def test_a_missing_metric_leaves_no_average_gap():
    trials = with_gaps(pd.DataFrame([TWO_SEEDS[0], TWO_SEEDS[2] | {"mia": None}]))
    assert one(trials, "finetune")["gap.forget_accuracy"] == 6
    assert pd.isna(one(trials, "finetune")["average_gap"])


def test_hyperparameters_become_columns():
    rows = [row("finetune", params={"lr": 0.1}), row("uam", params={"rho": 2.0, "rho_schedule": "cosine"})]
    trials = flatten_params(pd.DataFrame(rows))
    assert trials["param.lr"].tolist()[0] == 0.1
    assert trials["param.rho_schedule"].tolist()[1] == "cosine"
    assert pd.isna(trials.loc[0, "param.rho"])


def test_an_empty_directory_gives_an_empty_frame_with_every_column(tmp_path):
    frames = read_frames(str(tmp_path))
    assert frames.trials.empty
    assert {"trial_id", "average_gap", "gap.mia", "relative_seconds"} <= set(frames.trials.columns)
    assert frames.damaged == []


def test_a_damaged_file_is_named_and_the_others_are_read(directory, tmp_path):
    location = directory(TWO_SEEDS)
    (tmp_path / "results" / "trials" / "broken.parquet").write_bytes(b"not Parquet")
    frames = read_frames(location)
    assert len(frames.trials) == len(TWO_SEEDS)
    assert [problem.partition(":")[0] for problem in frames.damaged] == ["trials/broken.parquet"]


def test_figures_show_no_network_that_was_never_trained():
    names = ["retrain", "untrained", "finetune"]
    trials = with_gaps(pd.DataFrame([said(name, **accuracies(90.0, 80.0, 70.0)) for name in names]))
    assert Frames(trials, pd.DataFrame(), []).beside_retrain().trials["method"].tolist() == ["retrain", "finetune"]
