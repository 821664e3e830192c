"""What a spec says of relearning, and which trials are run again for it."""

from __future__ import annotations

import pytest

from sweep.errors import InputError
from sweep.plan.pending import Again, pending
from sweep.plan.relearning import asked_relearning, relearning_words, unrelearned
from sweep.plan.trials import plan_trials
from sweep.store.relearning import Relearning
from sweep.store.results import Relearned

RECIPE = Relearning("retain", 3, 0.01, 64)
POINT = {"status": "ok", "epoch": 0, "step": 0, "seconds": 0.0}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, Relearning("retain", 3, 0.005, 64)),
        ({"lr": 0.2, "batch_size": 8, "epochs": 1}, Relearning("retain", 1, 0.2, 8)),
        ({"data": "forget"}, Relearning("forget", 3, 0.005, 64)),
    ],
)
def test_what_is_left_out_follows_the_training(make_spec, section, expected):
    assert asked_relearning(make_spec(relearn=section)) == expected
    assert asked_relearning(make_spec()) is None


@pytest.mark.parametrize("section", [{"epochs": 0}, {"lr": 0}, {"data": "test"}, {"batch_size": 0}, {"steps": 3}])
def test_what_makes_no_sense_is_refused_with_its_key(make_spec, section):
    with pytest.raises(InputError, match=f"relearn.{next(iter(section))}"):
        make_spec(relearn=section)


def test_recipes_that_differ_have_different_ids_and_are_read_back():
    recipes = [RECIPE, *(Relearning(**(vars(RECIPE) | change)) for change in ({"lr": 0.02}, {"data": "forget"}))]
    assert len({recipe.id for recipe in recipes}) == 3
    assert [Relearning.of(recipe.text) for recipe in recipes] == recipes
    assert RECIPE.id == Relearning("retain", 3, 0.01, 64).id


def test_only_trials_that_ended_ok_without_it_are_run_again_and_only_once(make_spec, make_row, results):
    methods = [{"name": "finetune", "epochs": number} for number in range(1, 5)]
    done, missing, other, failed = trials = plan_trials(make_spec(methods=methods, relearn={}))
    relearned = Relearned(RECIPE, [POINT], None)
    results.write_trial(make_row(done.id), relearned=relearned)
    results.write_trial(make_row(missing.id))
    results.write_trial(make_row(other.id), relearned=Relearned(Relearning("forget", 3, 0.01, 64), [POINT], None))
    results.write_trial(make_row(failed.id, status="failed"))
    rows = {row["trial_id"]: row for row in results.trials().table.to_pylist()}
    told = []
    found = unrelearned(results, rows, RECIPE, told.append)
    assert found.keys() == {missing.id, other.id}
    assert len(told) == 1
    assert unrelearned(results, rows, None, told.append) == {}
    again = Again(unrelearned=found)
    assert pending(trials, rows, again) == [missing, other]
    ran = rows[missing.id] | {"finished_at": rows[missing.id]["finished_at"].replace(year=2031)}
    assert pending(trials, rows | {missing.id: ran}, again) == [other]
    [line] = relearning_words({trial.id for trial in trials}, found, RECIPE)
    assert line.startswith("2 trials done before are run again, ")
    assert line.endswith("3 epochs on the retain set, lr 0.01, batches of 64")
    assert relearning_words({done.id}, found, RECIPE) == []
