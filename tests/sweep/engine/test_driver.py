"""What a driver says of trials that begin, and what it leaves of those that do not end."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from sweep.engine.driver import Driver, Executor, Overtaken, Request
from sweep.engine.inline import INLINE
from sweep.store.results import Results
from sweep.store.running import running_path
from sweep.trial.job import Job, Outcome


def test_trials_that_begin_and_end_are_told_and_originals_are_not(make_spec, make_trial, results):
    told = []
    request = Request(
        make_spec(),
        results.location,
        INLINE,
        console=Console(file=io.StringIO()),
        began=lambda trial_id: told.append(("began", trial_id)),
        tell=lambda trial_id: told.append(("ended", trial_id)),
    )
    driver, trial = Driver(request), make_trial()
    driver.run(driver.grid([trial]), lambda: None)
    assert told == [("began", trial.id), ("ended", trial.id)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_of_trials_that_did_not_end_nothing_seems_to_run(make_spec, make_trial, tmp_path, error):
    trials = [make_trial("finetune", {"epochs": epochs}) for epochs in (1, 2, 3)]
    results = Results(str(tmp_path))
    for trial in trials:
        results.write(running_path(trial.id), b"{}")

    def cut_off(driver, schedule):
        for trial in trials[:2]:
            driver.started(Job(trial))
        driver.ended(schedule, Job(trials[0]), Outcome("ok"))
        raise error

    request = Request(make_spec(), str(tmp_path), Executor("cut off", lambda: cut_off), console=Console(quiet=True))
    driver = Driver(request)
    with pytest.raises(error):
        driver.run(driver.grid(trials), lambda: None)
    kept = sorted(f"{trial.id}.json" for trial in (trials[0], trials[2]))
    assert results.names("running") == kept, "the first one's worker removes it itself; the last is another command's"


def test_a_row_in_place_of_a_worker_that_was_killed_ends_what_it_said(make_spec, make_trial, results):
    trial = make_trial()
    results.write(running_path(trial.id), b"{}")
    Driver(Request(make_spec(), results.location, INLINE)).store(trial, Outcome("failed", "its process died"))
    assert results.trial(trial.id)["status"] == "failed"
    assert results.names("running") == []


def test_a_trial_that_another_command_ended_meanwhile_is_not_run_again(make_spec, make_trial, results):
    trial = make_trial()
    store = Driver(Request(make_spec(), results.location, INLINE)).store
    store(trial, Outcome("failed", "it failed"))
    before = {trial.id: results.trial(trial.id)}
    asked = Request(
        make_spec(), results.location, INLINE, console=Console(quiet=True), alone={trial.id, "a study"}, before=before
    )
    store(trial, Outcome("ok"))
    late = Driver(asked)
    with pytest.raises(Overtaken):
        late.run(late.grid([trial]), lambda: None)
    assert (results.trial(trial.id)["status"], results.names("models")) == ("ok", [])

    again = Driver(replace(asked, before={trial.id: results.trial(trial.id)}))
    ended = results.trial(trial.id)["finished_at"]
    again.run(again.grid([trial]), lambda: None)
    assert results.trial(trial.id)["finished_at"] > ended
