"""Trials made by hand: stored ones, and ones that run."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from made_runs import CURVES, EPOCHS, START

from sweep.store.columns import MEASURED
from sweep.store.running import write_running


@pytest.fixture
def made(make_row):
    """A row of `trials`, and its rows of `traces`."""

    def made(trial_id="t", **changes):
        own = {"method": "uam", "seed": 3, "params": '{"rho": 2.0, "hessian": null}', "sweep": "tiny", "mia": 12.5}
        absent = dict.fromkeys(("error", "validation_accuracy", "forget_class", "forget_class_name"))
        traces = [
            {
                "trial_id": trial_id,
                "epoch": epoch,
                "step": 10 * epoch,
                "seconds": 1.0 * epoch,
                "samples": 0,
                **{name: values[place] for name, values in CURVES.items() if name != "penalty"},
                "other": json.dumps({"penalty": CURVES["penalty"][place], "words": "not a number"}),
            }
            for place, epoch in enumerate(EPOCHS)
        ]
        return make_row(trial_id, **(own | absent | changes)), traces

    return made


@pytest.fixture
def store(results, made):
    """Store a trial that started and ended `later` seconds after the others."""

    def store(trial_id="t", later=0.0, **changes):
        started = START + timedelta(seconds=later)
        results.write_trial(*made(trial_id, **({"started_at": started, "finished_at": started} | changes)))

    return store


@pytest.fixture
def go_on(results, made):
    """Write of a trial that runs its first `points` points."""

    def go_on(trial_id="t", points=3, later=0.0, **changes):
        row, traces = made(trial_id, started_at=START + timedelta(seconds=later), config="{}", notes="{}", **changes)
        known = {name: value for name, value in row.items() if name not in ("status", "finished_at", *MEASURED)}
        write_running(results, known, traces[:points], START)

    return go_on
