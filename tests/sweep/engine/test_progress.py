"""What a run shows while it goes on."""

from __future__ import annotations

import io
import re
from unittest.mock import Mock

import pytest
import torch
from rich.console import Console

from sweep.engine.forecast import Forecast
from sweep.engine.progress import Progress
from sweep.plan.check import Checked
from sweep.trial.device import busy
from sweep.trial.job import Job, Outcome

CHECKED = Checked(kind=None, outline=Mock(outputs=10), sizes={"": (180, 20)})


@pytest.fixture
def jobs(make_trial):
    return [Job(make_trial(params={"lr": 0.01 * step})) for step in range(1, 11)]


@pytest.fixture
def clock():
    """Seconds that pass only when a test says so."""
    return [0.0]


def watched(trials, clock, terminal=False, left=()):
    console = Console(file=io.StringIO(), width=200, force_terminal=terminal, get_time=lambda: clock[0])
    shown = Progress(console)
    shown.expect(trials)
    shown.forecast = Forecast(CHECKED, epochs=1, pace=None).expect(left)
    return shown, console.file


def test_without_a_terminal_each_trial_is_a_line_and_counts_and_time_left_one_a_minute(jobs, clock):
    shown, printed = watched(len(jobs), clock, left=jobs)
    with shown:
        shown.started(jobs[-1])
        for number, job in enumerate(jobs[:6]):
            shown.started(job)
            clock[0] += 25
            failed = Outcome("failed", "Traceback\nValueError: no")
            shown.finished(job, failed if number == 1 else Outcome("ok"), 3.25 if number == 2 else None)
    lines = printed.getvalue().splitlines()
    assert lines[1:3] == [
        f"[2/10] finetune {jobs[1].trial.id} seed 0 failed 25 s: ValueError: no",
        f"[3/10] finetune {jobs[2].trial.id} seed 0 ok 25 s, gap 3.2",
    ]
    assert [line.split(" finetune")[0] for line in lines] == [
        *("[1/10]", "[2/10]", "[3/10]"),
        "2 running, 1 failed, 2 ok; about 2 min left",  # 7 trials at 25 s, and one has run for 75 s
        *("[4/10]", "[5/10]", "[6/10]"),
    ]


def test_suggestions_are_lines_with_their_study_s_count_and_on_a_terminal_a_bar_with_the_best(jobs, clock):
    shown, printed = watched(0, clock)
    shown.study("uam-1", budget=9, ended=2, best=None)
    with shown:
        shown.suggestion_began("uam-1")
        shown.suggestion_ended("uam-1", "uam-1 5 complete: average_gap 3.64 (lr=0.1)", 3.64, 3, failed=False)
    assert printed.getvalue() == "[3/9] uam-1 5 complete: average_gap 3.64 (lr=0.1)\n"
    shown, printed = watched(0, clock, terminal=True)
    shown.study("uam-1", budget=9, ended=2, best=4.0)
    with shown:
        shown.suggestion_began("uam-1")
        shown.suggestion_began("uam-1")
        shown.suggestion_ended("uam-1", "not shown", 3.64, 3, failed=False)
        shown.suggestion_ended("uam-1", "uam-1 6 failed", None, 4, failed=True)
        shown.suggestion_began("uam-1")
    text = " ".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.getvalue()).split())
    assert "not shown" not in text
    assert "uam-1 6 failed" in text
    assert "4/9 1 running, best 3.64" in text


def test_what_is_expected_may_grow_and_shrink(jobs, clock):
    shown, printed = watched(1, clock)
    shown.expect(trials=3)
    shown.expect(trials=-1)
    with shown:
        shown.finished(jobs[0], Outcome("ok"))
    assert printed.getvalue().startswith("[1/3] ")


def test_a_terminal_has_a_bar_with_counts_and_time_left_even_if_trials_take_minutes(jobs, clock):
    shown, printed = watched(len(jobs), clock, terminal=True, left=jobs)
    with shown:
        for job in jobs[:3]:
            shown.started(job)
            clock[0] += 300
            shown.finished(job, Outcome("diverged") if job is jobs[0] else Outcome("ok"))
        shown.started(jobs[3])
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.getvalue()).splitlines()[-1]
    assert "3/10 1 running, 1 diverged, 2 ok 0:15:00 about 35 min left" in " ".join(last.split())


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


def test_how_busy_a_gpu_is_is_none_where_nobody_can_tell(monkeypatch):
    assert busy() is None
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "utilization", lambda: 62)
    assert busy() == 62

    def fail():
        raise ModuleNotFoundError("nvidia-ml-py does not seem to be installed")

    monkeypatch.setattr(torch.cuda, "utilization", fail)
    assert busy() is None


class Cell:
    """What a notebook shows in place of bars, and how often it was drawn anew."""

    def __init__(self, bars):
        self.bars, self.drawn = bars, []

    def update(self, bars):
        console = Console(file=io.StringIO(), width=200)
        console.print(bars)
        self.drawn.append(console.file.getvalue())


def test_a_notebook_draws_bars_at_most_twice_a_second_and_names_only_what_did_not_end_well(jobs, clock, monkeypatch):
    cells = []

    def display(shown, display_id=False):
        cells.append(Cell(shown) if display_id else shown)
        return cells[-1]

    monkeypatch.setattr("IPython.display.display", display)
    console = Console(width=200, force_jupyter=True, color_system=None, get_time=lambda: clock[0])
    shown = Progress(console)
    shown.expect(len(jobs))
    with shown:
        for number, job in enumerate(jobs):
            shown.started(job)
            clock[0] += 0.2
            shown.finished(job, Outcome("failed", "Traceback\nValueError: no") if number == 1 else Outcome("ok"))
    bars, *lines = cells
    assert len(bars.drawn) == 3 + 1  # after 0.6, 1.2 and 1.8 s, and at the end
    assert "10/10" in bars.drawn[-1]
    assert "9 ok" in bars.drawn[-1]
    assert [line.text.strip() for line in lines] == [f"finetune {jobs[1].trial.id} seed 0 failed 1 s: ValueError: no"]
