"""How long jobs are expected to take."""

from __future__ import annotations

import os

import pytest
import torch

from sweep.engine.forecast import EVALUATION, FIXED_SECONDS, Forecast, duration
from sweep.engine.pace import timed_pace
from sweep.plan.check import check_task
from sweep.plan.passes import original_passes, passes_of
from sweep.store.content_ids import canonical_json
from sweep.trial.job import Job

PACE = 0.01
"""Seconds of a pass."""


@pytest.fixture(scope="module")
def checked(make_spec):
    return check_task(make_spec(training={"epochs": 4}))


@pytest.fixture(scope="module")
def jobs(make_trial):
    """An original's training, then FineTune of 1 and of 3 epochs: 4 n, n_r and 3 n_r passes."""
    trials = [make_trial(params={"epochs": epochs}, training={"epochs": 4}) for epochs in (1, 3)]
    return [Job(trials[0], original_only=True), *map(Job, trials)]


def test_passes_are_those_that_a_method_counts(checked, make_trial, make_worker):
    assert checked.sizes == {canonical_json({"ratio": 0.1, "scenario": "random"}): (180, 20)}
    assert original_passes(checked, 4) == 800
    for method, params in (("finetune", {"epochs": 3}), ("retrain", {}), ("original", {})):
        trial = make_trial(method, params, training={"epochs": 4})
        counted = make_worker().measure(Job(trial))[0].columns["samples_processed"]
        assert passes_of(trial, checked) == counted, method
    bounded = make_trial("influence", {"iterations": 1000}, training={"epochs": 4})
    assert passes_of(bounded, checked) == 4 * 180
    unknown = make_trial("rum", training={"epochs": 4})
    assert passes_of(unknown, checked) is None


def test_a_run_is_priced_by_its_passes_and_shared_by_its_slots(checked, jobs):
    forecast = Forecast(checked, epochs=4, pace=PACE).expect(jobs)
    trial = FIXED_SECONDS + EVALUATION * 200 * PACE
    whole = PACE * (800 + 180 + 540) + 2 * trial
    assert forecast.seconds_left(0) == pytest.approx(whole)
    assert forecast.words() == f"about {round(whole)} s on 1 slot"
    forecast.slots = 100  # the longest chain: the original, then a trial
    assert forecast.seconds_left(0) == pytest.approx(PACE * (800 + 360) + trial)


def test_what_jobs_took_corrects_what_is_left(checked, jobs):
    forecast = Forecast(checked, epochs=4, pace=PACE).expect(jobs)
    original, short, long = jobs
    forecast.began(original, 0)
    forecast.ended(original, 80, None)  # a tenth of a second for a pass: ten times what was timed
    assert forecast.seconds_left(80) == pytest.approx(0.1 * 720 + 2 * (FIXED_SECONDS + EVALUATION * 200 * 0.1))
    forecast.began(short, 80)
    forecast.ended(short, 120, unlearn_seconds=36)  # FineTune's pass takes 0.2 s, and what a trial does besides 4 s
    assert forecast.seconds_left(120) == pytest.approx(0.2 * 540 + 4)
    forecast.began(long, 120)
    assert forecast.seconds_left(140) == pytest.approx(0.2 * 540 + 4 - 20)
    forecast.interrupted(long)
    assert forecast.seconds_left(140) == pytest.approx(0.2 * 540 + 4)


def test_without_a_timed_batch_nothing_is_said_before_a_job_ends(checked, jobs):
    forecast = Forecast(checked, epochs=4, pace=None).expect(jobs)
    assert forecast.words() is None
    forecast.began(jobs[0], 0)
    forecast.ended(jobs[0], 80, None)
    assert forecast.seconds_left(80) > 0.1 * 720


def test_drawn_trials_are_taken_away_one_by_one_whatever_they_cost(checked, make_trial):
    cheap = make_trial(params={"epochs": 1}, training={"epochs": 4})
    cheap = Job(type(cheap)(**{name: getattr(cheap, name) for name in cheap.__slots__} | {"study": "s"}))
    forecast = Forecast(checked, epochs=4, pace=PACE)
    forecast.expect_drawn("finetune", "s", 3, passes=1000)
    before = forecast.seconds_left(0)
    forecast.drop(cheap)
    assert forecast.seconds_left(0) == pytest.approx(before * 2 / 3)


def test_a_batch_is_timed_on_this_machine(checked, make_spec):
    spec = make_spec(training={"epochs": 4})
    before = torch.get_num_threads(), torch.random.get_rng_state()
    pace = timed_pace(spec, checked)
    assert 1e-7 < pace < 0.1
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])


def test_a_batch_is_timed_with_no_more_threads_than_there_are_cores(checked, make_spec, monkeypatch):
    taken, before = [], torch.get_num_threads()
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    timed_pace(make_spec(resources={"cpus": 1024}), checked)
    assert taken == [os.cpu_count(), before]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "1 s"), (40.4, "40 s"), (100, "2 min"), (7199, "2 h"), (7800, "2 h 10 min"), (90000, "25 h")],
)
def test_durations_read_as_people_say_them(seconds, words):
    assert duration(seconds) == words
