"""What a search minimises, on rows made by hand."""

from __future__ import annotations

import pytest

from sweep.objective import WORST, pareto_front, running_means, seed_values, standing, standings

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
        ([row(), row("pruned", study="another")], "unfinished", 1),
        ([row(), row("failed")], "failed", 1),
        ([row("failed"), row("pruned")], "failed", 0),
        ([None, row()], "unfinished", 0),
        ([row(), row(validation_mia=None)], "unfinished", 1),
    ],
)
def test_how_a_suggestion_stands_follows_from_its_rows(rows, state, means):
    found = standing("s", rows, [RETRAIN, RETRAIN], ["average_gap"])
    assert (found.state, len(found.means)) == (state, means)
    assert (found.values is None) == (state != "complete")


def test_a_complete_suggestions_value_is_the_mean_over_seeds():
    found = standing("s", [row(forget=84.0), row(forget=72.0)], [RETRAIN, RETRAIN], ["average_gap"])
    assert found.means == ((1.0,), (1.5,))
    assert found.values == (1.5,)


def test_every_suggestion_of_a_directory_stands_by_its_own_tasks_retrain():
    def stored(trial_id, method, seed, **changes):
        return row(**changes) | {"trial_id": trial_id, "task_id": "t", "seed": seed, "method": method}

    trials = [
        stored("r0", "retrain", 0, forget=80.0),
        stored("r1", "retrain", 1, forget=70.0, status="failed"),
        stored("a0", "uam", 0),
        stored("b0", "uam", 1),
    ]
    suggestions = [
        {"study": "s", "number": 0, "trial_ids": ["a0"], "objectives": ["average_gap"]},
        {"study": "s", "number": 1, "trial_ids": ["b0"], "objectives": ["average_gap"]},
        {"study": "s", "number": 2, "trial_ids": ["c0"], "objectives": ["average_gap"]},
    ]
    found = standings(suggestions, trials)
    assert found["s", 0].values == (1.0,)
    assert [found["s", number].state for number in (1, 2)] == ["unfinished", "unfinished"]


def test_the_pareto_front_leaves_out_what_another_beats():
    points = {0: (1.0, 5.0), 1: (2.0, 2.0), 2: (2.0, 3.0), 3: (5.0, 1.0), 4: (2.0, 2.0), 5: (6.0, 1.0)}
    assert pareto_front(points) == [0, 1, 3]
