"""What Ray Tune is given to run, and what is made of jobs that end and of processes that die."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from sweep.engine.driver import Driver, Request
from sweep.engine.schedule import GridSchedule
from sweep.on_ray import (
    executor,  # noqa: F401  which sets Ray's environment variables
    tune_jobs,
)
from sweep.on_ray.entry import RAY
from sweep.on_ray.tune_jobs import STILLBORN, UNSTORED, TuneJobs, job_of, tune_config
from sweep.plan.trials import Trial
from sweep.trial.job import Job

OK = {"status": "ok", "error": None, "device": "cpu", "busy": None, "hostname": "node"}
ACTOR = "Actor(JobTrainable, 0926e8)"


@pytest.fixture
def made(make_spec, tmp_path, monkeypatch):
    """Jobs of a schedule with trials that start from the originals given (None: from none), and what was recorded."""

    def make(*originals, room=9, local=True, gpus=0.0):
        trials = [trial if isinstance(trial, Trial) else named(place, trial) for place, trial in enumerate(originals)]
        out = str(tmp_path / "results")
        driver = Driver(Request(make_spec(max_retries=1), out, RAY, console=Console(file=io.StringIO())))
        monkeypatch.setattr(driver, "check_row", lambda trial, host: None)
        schedule = GridSchedule(trials, lost=driver.record)
        return driver, schedule, TuneJobs(driver, schedule, gpus, lambda: room, local)

    return make


def named(place, original):
    config = {"dataset": {"name": "digits"}, "model": {"name": "m"}, "forget": {"scenario": "random", "ratio": 0.1}}
    method = {"method": {"name": "uam", "params": {"rho": 2}}}
    return Trial(f"t{place}", json.dumps(config | method), "task", original, "uam", seed=0)


def begin(jobs, name):
    """Let Ray Tune ask for a job, and start it at once; the id of its trial or original."""
    config = jobs.next(name)
    jobs.began(name, ACTOR)
    return config.get("trial_id") or config["original_id"]


def test_a_config_says_what_a_job_is_and_holds_all_of_it(make_trial):
    trial = make_trial("uam", {"rho": 2.5})
    config = tune_config(Job(trial))
    shown = {name: config[name] for name in ("method", "rho", "gamma", "seed", "scenario", "forget_ratio", "trial_id")}
    assert shown == {
        "method": "uam",
        "rho": 2.5,
        "gamma": 1.7,
        "seed": 0,
        "scenario": "random",
        "forget_ratio": 0.1,
        "trial_id": trial.id,
    }
    assert job_of(config) == Job(trial)
    training = Job(trial, original_only=True)
    assert job_of(tune_config(training)) == training
    assert tune_config(training)["original_id"] == trial.original_id


def test_no_more_jobs_are_out_than_there_is_room_and_on_a_cluster_some_wait(made):
    _, schedule, here = made("a", "a", None, room=2)
    assert [here.next(f"{number}") is None for number in range(3)] == [False, False, True]
    here.began("1", ACTOR)
    here.ended("1", OK)
    assert here.next("3") is None  # what is left waits for the original
    schedule.stop()
    assert here.next("4") == "FINISHED"
    _, schedule, cluster = made(*[None] * 50, room=2, local=False)
    assert [cluster.next(f"{number}") is None for number in range(35)] == [False] * (2 + schedule.ahead) + [True]


def test_ray_tune_gets_so_many_trials_at_once_and_no_more(made, monkeypatch):
    monkeypatch.setattr(tune_jobs, "MOST_TRIALS", 2)
    _, schedule, jobs = made(None, None, None)
    assert [begin(jobs, "0"), begin(jobs, "1"), jobs.next("2")] == ["t0", "t1", "FINISHED"]
    for name in "01":
        jobs.ended(name, OK)
    assert not schedule.ended
    jobs.given = 0
    assert begin(jobs, "3") == "t2"


def test_what_a_dead_process_was_at_runs_again_as_often_as_retries_allow(made):
    driver, schedule, jobs = made(None)
    for name in "01":
        assert begin(jobs, name) == "t0"
        assert not schedule.ended
        jobs.died(name, "told")
    assert schedule.ended
    [row] = driver.results.trials().table.to_pylist()
    assert (row["trial_id"], row["status"]) == ("t0", "failed")
    assert row["error"].startswith("told")


@pytest.mark.parametrize(("gpu", "named", "unknown"), [(True, "NVIDIA H100", None), (False, "cpu", "cpu")])
def test_rows_of_the_driver_have_the_device_that_a_worker_named(made, make_trial, monkeypatch, gpu, named, unknown):
    def no_driver(device=None):
        raise RuntimeError("Found no NVIDIA driver on your system.")

    monkeypatch.setattr("torch.cuda.get_device_name", no_driver)
    lost, killed = make_trial("finetune"), make_trial("retrain")
    driver, schedule, jobs = made(lost, killed)
    with driver.described(gpus=0.25 if gpu else 0):
        assert [begin(jobs, "one"), begin(jobs, "two")] == [lost.original_id, killed.id]
        jobs.ended("one", OK | {"status": "failed", "error": "no luck", "device": named})
        for name in ("two", "three"):
            jobs.died(name, "")
            if name == "two":
                begin(jobs, "three")
    devices = {row["trial_id"]: row["device"] for row in driver.results.trials().table.to_pylist()}
    assert devices == {lost.id: named, killed.id: unknown}
    assert schedule.ended


def test_processes_that_never_begin_a_job_end_the_run_with_what_ray_said(made):
    _, schedule, jobs = made(None)
    for number in range(STILLBORN + 1):
        assert jobs.error is None
        jobs.next(f"{number}")
        jobs.died(f"{number}", "no such module")
    assert str(jobs.error) == "Ray's processes die before their first job: no such module"
    assert schedule.ended


def test_results_that_cannot_be_stored_end_the_run_after_the_jobs_under_way(made):
    _, schedule, jobs = made(None, None, None)
    for name in "01":
        begin(jobs, name)
    jobs.ended("0", {"status": UNSTORED, "error": "disk full", "busy": None})
    assert jobs.next("2") == "FINISHED"
    jobs.ended("1", OK)
    assert (str(jobs.error), schedule.ended) == ("disk full", True)


def test_ray_tells_how_many_gpus_there_are_and_workers_how_busy_theirs_are(made, monkeypatch):
    monkeypatch.setattr(tune_jobs.ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": 4.0})
    driver, _, jobs = made(None, None, gpus=0.5)
    for name in "01":
        begin(jobs, name)
    assert driver.progress.detail() == "2 running, GPU 1/4 in use"
    jobs.ended("0", OK | {"busy": 70})
    assert driver.progress.detail() == "1 running, 1 ok, GPU 0.5/4 in use (70 % busy)"
