"""One stored trial again, from nothing but its results directory."""

import json

import pytest

from sweep.engine.rerun import rerun
from sweep.errors import InputError
from sweep.trial.job import Job


@pytest.fixture
def stored(make_trial, make_worker, make_spec, results):
    trial = make_trial("uam", {"epochs": 1, "rho": 0.5})
    make_worker().run(Job(trial))
    results.write("spec.yaml", make_spec().to_yaml().encode())
    return trial


def test_a_trial_run_again_is_equal_and_nothing_is_stored(stored, results):
    before = results.read(f"trials/{stored.id}.parquet")

    found = rerun(results.location, stored.id)

    assert found.equal
    assert found.new["forget_accuracy"] == found.old["forget_accuracy"] is not None
    assert results.read(f"trials/{stored.id}.parquet") == before


def test_a_row_that_says_otherwise_is_told_apart(stored, results):
    [row] = results.trials().table.to_pylist()
    results.write_trial(row | {"forget_accuracy": row["forget_accuracy"] - 1})

    found = rerun(results.location, stored.id)

    assert not found.equal
    assert found.new["forget_accuracy"] == row["forget_accuracy"]


def test_an_unknown_trial_names_the_nearest(stored, results):
    with pytest.raises(InputError, match=f"no trial '{stored.id[:-1]}'; did you mean '{stored.id}'"):
        rerun(results.location, stored.id[:-1])


def test_another_datasets_spec_is_refused(stored, results):
    [row] = results.trials().table.to_pylist()
    config = json.loads(row["config"])
    config["dataset"]["name"] = "cifar10"
    results.write_trial(row | {"config": json.dumps(config)})

    with pytest.raises(InputError, match=r"spec\.yaml is of dataset 'digits', the trial of 'cifar10'"):
        rerun(results.location, stored.id)
