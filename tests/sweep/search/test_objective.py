"""What a search minimises, on rows made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sweep.search.objective import WORST, pareto_front, running_means, seed_values, standing, standings

RETRAIN = {
    "status": "ok",
    "study": None,
    "retain_accuracy": 100.0,
    "forget_accuracy": 80.0,
    "validation_accuracy": 90.0,
    "validation_mia": 40.0,
    "unlearn_seconds": 10.0,
}


def row(status="ok", forget=84.0, study="s", **changes):
    return RETRAIN | {"status": status, "forget_accuracy": forget, "study": study, "unlearn_seconds": 2.5} | changes


def test_average_gap_is_the_mean_distance_to_retrain_on_validation_data():
    trial = row(forget=84.0, retain_accuracy=98.0, validation_accuracy=91.0, validation_mia=31.0)
    assert seed_values(trial, RETRAIN, ["average_gap"]) == ((2 + 4 + 1 + 9) / 4,)
    assert seed_values(trial, RETRAIN, ["forget_gap", "retain_gap", "cost"]) == ((4 + 9) / 2, (2 + 1) / 2, 0.25)


WITHOUT_OUTSIDERS = {"kind": "language", "validation_attack_auc": None}


def test_what_neither_has_is_no_part_of_a_gap():
    trial = row(forget=84.0, retain_accuracy=98.0, validation_accuracy=91.0, **WITHOUT_OUTSIDERS)
    reference = RETRAIN | WITHOUT_OUTSIDERS
    assert seed_values(trial, reference, ["average_gap", "forget_gap"]) == ((2 + 4 + 1) / 3, 4)
    assert seed_values(trial, reference | {"validation_attack_auc": 50.0}, ["forget_gap"]) == ((4 + WORST) / 2,)
    assert seed_values(trial | {"forget_accuracy": None}, reference, ["retain_gap", "forget_gap"]) == (1.5, WORST)
    nothing = {"forget_accuracy": None}
    assert seed_values(trial | nothing, reference | nothing, ["forget_gap"]) == (WORST,)


def test_rows_of_other_kinds_than_classification_are_complete_without_its_attack():
    trial, reference = (row(validation_mia=None, **WITHOUT_OUTSIDERS) for _ in range(2))
    assert standing([trial], [reference], ["average_gap"]).state == "complete"


@pytest.mark.parametrize("name", ["average_gap", "forget_gap", "retain_gap", "cost"])
def test_test_data_has_no_part_in_any_objective(name):
    trial = row() | {"test_accuracy": 0.0, "mia": 0.0}
    reference = RETRAIN | {"test_accuracy": 100.0, "mia": 100.0}
    assert seed_values(trial, reference, [name]) == seed_values(row(), RETRAIN, [name])


def test_a_diverged_trial_counts_as_the_worst():
    assert seed_values(row("diverged", forget=None), RETRAIN, ["average_gap", "cost"]) == (WORST, WORST)


def test_running_means():
    assert running_means([(1.0, 10.0), (3.0, 30.0)]) == ((1.0, 10.0), (2.0, 20.0))


@pytest.mark.parametrize(
    ("rows", "state", "means"),
    [
        ([None, None], "unfinished", 0),
        ([row(), None], "unfinished", 1),
        ([row(), row("diverged")], "complete", 2),
        ([row(), row("pruned")], "pruned", 1),
        ([row(), row("pruned", study="another")], "pruned", 1),
        ([row(), row("pruned", study=None)], "unfinished", 1),
        ([row(), row("failed")], "failed", 1),
        ([row("failed"), row("pruned")], "failed", 0),
        ([None, row()], "unfinished", 0),
        ([row(), row(validation_mia=None)], "unfinished", 1),
    ],
)
def test_how_a_suggestion_stands_follows_from_its_rows(rows, state, means):
    found = standing(rows, [RETRAIN, RETRAIN], ["average_gap"])
    assert (found.state, len(found.means)) == (state, means)
    assert (found.values is None) == (state != "complete")


def test_a_complete_suggestions_value_is_the_mean_over_seeds():
    found = standing([row(forget=84.0), row(forget=72.0)], [RETRAIN, RETRAIN], ["average_gap"])
    assert found.means == ((1.0,), (1.5,))
    assert found.values == (1.5,)


@pytest.mark.parametrize(
    ("status", "state"),
    [("ok", "unfinished"), ("diverged", "complete"), ("failed", "failed"), ("pruned", "pruned")],
)
def test_only_what_ended_ok_needs_a_retrain_to_be_judged(status, state):
    assert standing([row(status)], [None], ["average_gap"]).state == state


def stored(trial_id, method, seed, version=1, **changes):
    config = json.dumps({"method": {"name": method, "version": version}})
    return row(**changes) | {"trial_id": trial_id, "task_id": "t", "seed": seed, "method": method, "config": config}


def suggested(number, *trial_ids):
    return {"study": "s", "number": number, "trial_ids": trial_ids, "objectives": ["average_gap"]}


def test_every_suggestion_of_a_directory_stands_by_its_own_tasks_retrain():
    trials = [
        stored("r0", "retrain", 0, forget=80.0),
        stored("r1", "retrain", 1, forget=70.0, status="failed"),
        stored("r2", "retrain", 2, validation_mia=None),
        stored("a0", "uam", 0),
        stored("b0", "uam", 1),
        stored("d0", "uam", 2),
        stored("e0", "uam", 1, status="failed"),
    ]
    found = standings([suggested(number, f"{name}0") for number, name in enumerate("abcde")], trials)
    assert found["s", 0].values == (1.0,)
    assert [found["s", number].state for number in (1, 2, 3, 4)] == ["unfinished", "unfinished", "unfinished", "failed"]
    assert standings([suggested(0, "a0")], trials, ["cost"])["s", 0].values == (1.0,)


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_versions_of_retrain_the_newest_is_the_reference(order):
    retrain = [stored("old", "retrain", 0, 1, forget=40.0), stored("new", "retrain", 0, 2, forget=80.0)]
    found = standings([suggested(0, "a0")], [*retrain[::order], stored("a0", "uam", 0)])
    assert found["s", 0].values == (1.0,)


def test_the_pareto_front_leaves_out_what_another_beats():
    points = {0: (1.0, 5.0), 1: (2.0, 2.0), 2: (2.0, 3.0), 3: (5.0, 1.0), 4: (2.0, 2.0), 5: (6.0, 1.0)}
    assert pareto_front(points) == [0, 1, 3]
    assert pareto_front(dict(reversed(points.items()))) == [0, 1, 3]


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_pareto_front_is_what_no_other_point_dominates(objectives):
    points = np.random.default_rng(0).integers(0, 12, (60, objectives)).astype(float)
    points = np.random.default_rng(1).permutation(np.unique(points, axis=0))
    dominated = [
        any((other <= point).all() and (other < point).any() for other in points if other is not point)
        for point in points
    ]
    expected = [number for number, beaten in enumerate(dominated) if not beaten]
    assert pareto_front(dict(enumerate(points.tolist()))) == expected
