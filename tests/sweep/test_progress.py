"""What a run shows while it goes on."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from sweep.search_progress import SearchProgress

from sweep.deaths import Processes
from sweep.device import busy
from sweep.engine import Run
from sweep.objective import Standing
from sweep.progress import RunProgress
from sweep.schedule import Schedule
from sweep.trial import Job, Outcome


@pytest.fixture
def jobs(make_trial):
    return [Job(make_trial(params={"lr": 0.01 * step})) for step in range(1, 11)]


@pytest.fixture
def clock():
    """Seconds that pass only when a test says so."""
    return [0.0]


def watched(trials, clock, terminal=False):
    console = Console(file=io.StringIO(), width=200, force_terminal=terminal, get_time=lambda: clock[0])
    return RunProgress(console, trials, originals=0), console.file


def test_without_a_terminal_each_trial_is_a_line_and_counts_and_time_left_one_a_minute(jobs, clock):
    shown, printed = watched(len(jobs), clock)
    with shown:
        shown.started(jobs[-1])
        for number, job in enumerate(jobs[:6]):
            shown.started(job)
            clock[0] += 25
            shown.finished(job, Outcome("failed", "Traceback\nValueError: no") if number == 1 else Outcome("ok"))
    lines = printed.getvalue().splitlines()
    assert lines[1] == f"[2/10] finetune {jobs[1].trial.id} seed 0 failed: ValueError: no"
    assert [line.split(" finetune")[0] for line in lines] == [
        *("[1/10]", "[2/10]", "[3/10]"),
        "2 running, 1 failed, 2 ok; about 0:02:55 left",  # 7 trials at 25 s, after 75 s
        *("[4/10]", "[5/10]", "[6/10]"),
    ]


@pytest.mark.parametrize(
    ("state", "means", "said"), [("pruned", 1, "3.64 after 1 of 2 seeds"), ("complete", 2, "3.64")]
)
def test_a_suggestion_that_ended_early_says_of_how_many_seeds_its_value_is(state, means, said):
    study = SimpleNamespace(
        name="uam-1",
        definition=SimpleNamespace(budget=9),
        finished=list,
        named=lambda values: f"average_gap {values[0]:.2f}",
        drawn=lambda suggestion: "lr=0.1",
    )
    suggestion = SimpleNamespace(study="uam-1", number=5, trials=(0, 1))
    console = Console(file=io.StringIO(), width=200)
    with SearchProgress(console, [study]) as shown:
        shown.ended(study, suggestion, Standing(state, ((3.64,),) * means))
    assert console.file.getvalue() == f"[1/9] uam-1 5 {state}: average_gap {said} (lr=0.1)\n"


def test_a_terminal_has_a_bar_with_counts_and_time_left_even_if_trials_take_minutes(jobs, clock):
    shown, printed = watched(len(jobs), clock, terminal=True)
    with shown:
        for job in jobs[:3]:
            shown.started(job)
            clock[0] += 300
            shown.finished(job, Outcome("diverged") if job is jobs[0] else Outcome("ok"))
        shown.started(jobs[3])
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.getvalue()).splitlines()[-1]
    assert "3/10 1 running, 1 diverged, 2 ok 0:15:00 0:35:00" in " ".join(last.split())


def test_gpus_in_use_are_shown_where_trials_take_some(jobs, clock):
    shown, printed = watched(len(jobs), clock, terminal=True)
    with shown:
        shown.started(jobs[0])
    assert "GPU" not in printed.getvalue()
    shown, printed = watched(len(jobs), clock, terminal=True)
    with shown:
        shown.gpus(each=0.25, there=2)
        for job in jobs[:3]:
            shown.started(job)
        shown.busy(None)
        assert shown.detail() == "3 running, GPU 0.75/2 in use"
        shown.busy(80)
        shown.busy(40)
    assert shown.detail() == "3 running, GPU 0.75/2 in use (60 % busy)"


def process(name):
    """A trial of Ray Tune's, whose process takes any job."""
    actor = SimpleNamespace(_actor_id=name.encode(), take=SimpleNamespace(remote=lambda job, wait: None))
    return SimpleNamespace(trial_id=name, temporary_state=SimpleNamespace(ray_actor=actor))


def test_ray_tells_how_many_gpus_there_are_and_workers_how_busy_theirs_are(jobs, clock, make_worker, monkeypatch):
    from sweep import ray_executor

    monkeypatch.setattr(ray_executor.ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": 4.0})
    shown, _ = watched(len(jobs), clock)
    run = Run(Schedule([job.trial for job in jobs], {jobs[0].trial.original_id}), make_worker().context, shown)
    monkeypatch.setattr(run, "check_row", lambda trial, host: None)
    given = ray_executor.Jobs(run, Processes(max_retries=0, time_limit=None), gpus=0.5)
    processes = [process(name) for name in "ab"]
    for each in processes:
        given.on_trial_start(0, processes, each)
    assert shown.detail() == "2 running, GPU 1/4 in use"
    given.ended(processes[0], {"status": "ok", "error": None, "busy": 70, "hostname": "node", "device": "cpu"})
    assert shown.detail() == "1 running, 1 ok, GPU 0.5/4 in use (70 % busy)"


def test_how_busy_a_gpu_is_is_none_where_nobody_can_tell(monkeypatch):
    assert busy() is None
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "utilization", lambda: 62)
    assert busy() == 62

    def fail():
        raise ModuleNotFoundError("nvidia-ml-py does not seem to be installed")

    monkeypatch.setattr(torch.cuda, "utilization", fail)
    assert busy() is None
