"""Which process gets which job, and when none begins any more; Ray Tune's controller and trials are made up."""

from types import SimpleNamespace

import pytest

from sweep.deaths import Processes
from sweep.engine import Run
from sweep.plan import Trial
from sweep.ray_executor import STILLBORN, UNSTORED, Jobs, JobScheduler, ProcessSearcher
from sweep.schedule import Schedule

OK = {"status": "ok", "error": None, "device": "cpu", "busy": None, "hostname": "node"}
IDLE = {"status": "idle"}


class Process:
    """A trial of Ray Tune's whose process notes what it is to do."""

    PENDING = "PENDING"

    def __init__(self, name, status="RUNNING"):
        self.trial_id, self.status, self.error_file = name, status, None
        self.taken = []
        actor = SimpleNamespace(_actor_id=name.encode(), take=SimpleNamespace(remote=self.take))
        self.temporary_state = SimpleNamespace(ray_actor=actor)

    def take(self, job, wait):
        self.taken.append(
            wait if job is None else f"original {job.trial.original_id}" if job.original_only else job.trial.id
        )

    def init_local_path(self):
        pass


class Progress:
    def __getattr__(self, name):
        return lambda *values, **named: None


@pytest.fixture
def made(make_worker, monkeypatch):
    """Jobs of a schedule with trials that start from the originals given (None: from none)."""

    def make(*originals):
        trials = [Trial(f"t{place}", "{}", "task", name, "uam", seed=0) for place, name in enumerate(originals)]
        run = Run(Schedule(trials), make_worker().context, Progress())
        monkeypatch.setattr(run, "check_row", lambda trial, host: None)
        monkeypatch.setattr(run, "record", lambda trial, outcome: recorded.append((trial.id, outcome.status)))
        recorded = run.recorded = []
        return run, Jobs(run, Processes(max_retries=1, time_limit=None), gpus=0)

    return make


def test_a_process_waits_while_the_original_of_the_last_trials_is_trained_and_longer_each_time(made):
    run, jobs = made("a", "a")
    scheduler, one, two = JobScheduler(run.schedule, jobs), Process("one"), Process("two")
    for process in (one, two):
        jobs.on_trial_start(0, [], process)
    assert scheduler.on_trial_result(None, two, IDLE) == "CONTINUE"
    assert one.taken == ["original a"]
    assert all(0 < wait < 0.1 for wait in two.taken)
    assert two.taken == sorted(two.taken)
    assert scheduler.on_trial_result(None, one, OK) == "CONTINUE"
    assert scheduler.on_trial_result(None, two, IDLE) == "CONTINUE"
    assert (one.taken[-1], two.taken[-1]) == ("t0", "t1")
    assert scheduler.on_trial_result(None, one, OK) == "STOP"
    assert scheduler.on_trial_result(None, two, OK) == "STOP"
    assert run.schedule.ended


def test_what_a_dead_process_was_at_goes_to_another_as_often_as_retries_allow(made):
    run, jobs = made(None)
    for number in range(2):
        jobs.on_trial_start(0, [], Process(f"{number}"))
        assert run.schedule.done
        jobs.on_trial_error(0, [], Process(f"{number}"))
    assert run.schedule.ended
    assert run.recorded == [("t0", "failed")]


@pytest.mark.parametrize(("gpu", "named", "unknown"), [(True, "NVIDIA H100", None), (False, "cpu", "cpu")])
def test_rows_of_the_driver_have_the_device_that_a_worker_named(
    make_trial, make_worker, results, monkeypatch, gpu, named, unknown
):
    def no_driver(device=None):
        raise RuntimeError("Found no NVIDIA driver on your system.")

    monkeypatch.setattr("torch.cuda.get_device_name", no_driver)
    lost, killed = make_trial("finetune"), make_trial("retrain")
    run = Run(Schedule([lost, killed]), make_worker(gpu=gpu).context, Progress())
    jobs, one, two = Jobs(run, Processes(max_retries=0, time_limit=None), gpus=0.25), Process("one"), Process("two")
    jobs.give(one), jobs.give(two)
    assert [one.taken, two.taken] == [[f"original {lost.original_id}"], [killed.id]]
    jobs.ended(one, OK | {"status": "failed", "error": "no luck", "device": named})
    jobs.on_trial_error(0, [], two)
    devices = {row["trial_id"]: row["device"] for row in results.trials().table.to_pylist()}
    assert devices == {lost.id: named, killed.id: unknown}
    assert run.schedule.ended


def test_processes_that_never_begin_a_job_end_the_run_with_what_ray_said(made):
    run, jobs = made(None)
    for number in range(STILLBORN):
        jobs.on_trial_error(0, [], Process(f"{number}"))
    assert jobs.error is None
    jobs.on_trial_error(0, [], Process("one more"))
    assert "no process of Ray's gets to its first job" in str(jobs.error)
    assert run.schedule.ended


def test_results_that_cannot_be_stored_end_the_run_after_the_jobs_under_way(made):
    run, jobs = made(None, None, None)
    scheduler, one, two = JobScheduler(run.schedule, jobs), Process("one"), Process("two")
    for process in (one, two):
        jobs.on_trial_start(0, [], process)
    assert scheduler.on_trial_result(None, one, {"status": UNSTORED, "error": "disk full", "busy": None}) == "STOP"
    assert scheduler.on_trial_result(None, two, OK) == "STOP"
    assert str(jobs.error) == "disk full"


def test_there_are_no_more_processes_than_room_or_jobs_and_none_begins_when_nothing_is_left(made):
    run, jobs = made("a", "a", None)
    here, cluster = ProcessSearcher(run.schedule, room=2), ProcessSearcher(run.schedule, room=None)
    assert [here.suggest(f"{number}") for number in range(3)] == [{}, {}, None]
    assert [cluster.suggest(f"{number}") for number in range(5)] == [{}, {}, {}, {}, None]  # with the original
    here.on_trial_complete("0")
    assert here.suggest("3") == {}
    scheduler, stopped = JobScheduler(run.schedule, jobs), []
    waiting = [Process("waiting", "PENDING"), Process("running")]
    controller = SimpleNamespace(
        get_live_trials=lambda: waiting, stop_trial=lambda trial: stopped.append(trial.trial_id)
    )
    run.schedule.stop()
    assert scheduler.choose_trial_to_run(controller) is None
    assert stopped == ["waiting"]
    assert here.suggest("4") == "FINISHED"
