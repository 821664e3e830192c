"""Shards that need the same original: one trains it, the others wait for it, and none waits for the dead."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys

import pytest

from sweep.engine import shared_grid
from sweep.engine.claims import Claims
from sweep.engine.shared_grid import SharedGrid
from sweep.plan.trials import Trial
from sweep.trial.job import Outcome

OK = Outcome("ok")


@pytest.fixture
def grid(results, monkeypatch):
    """A shard of these trials (the name of each one's original), beside others; `trained` are those stored."""
    monkeypatch.setattr(shared_grid, "PAUSE", 0.0)
    trained: set[str] = set()

    def make(*originals):
        lost, found = [], []
        trials = [Trial(f"t{number}", "{}", "task", name, "method", 0) for number, name in enumerate(originals)]
        claims = Claims(results, trained.__contains__)
        schedule = SharedGrid(trials, set(trained), (), lambda *each: lost.append(each), claims, found.append)
        return schedule, lost, found

    make.trained = trained
    return make


def names(schedule):
    """What can be started now: ids of trials, and of originals in brackets."""
    jobs = list(iter(schedule.next, None))
    return [f"[{job.trial.original_id}]" if job.original_only else job.trial.id for job in jobs]


def test_one_shard_trains_an_original_and_another_goes_on_with_what_needs_none(grid):
    (first, _, _), (second, _, found) = grid("a"), grid("a", None)
    training = first.next()
    assert training.original_only
    assert names(second) == ["t1"]
    assert not second.ended
    grid.trained.add("a")
    first.finished(training, OK)
    assert names(second) == ["t0"]
    assert names(first) == ["t0"]
    assert found == ["a"]


def test_an_original_that_could_not_be_trained_is_tried_by_the_next_shard(grid):
    (first, lost, _), (second, _, _) = grid("a"), grid("a")
    first.finished(first.next(), Outcome("diverged", "why"))
    assert [each.id for each, _ in lost] == ["t0"]
    assert names(second) == ["[a]"]


def test_a_job_that_comes_back_keeps_its_claim(grid):
    (first, _, _), (second, _, _) = grid("a"), grid("a")
    job = first.next()
    first.back(job)
    assert names(second) == []
    assert first.next() == job
    assert names(second) == []


def test_the_claim_of_a_command_that_was_killed_is_free(grid, results):
    code = (
        "import time; from sweep.engine.claims import Claims; from sweep.store.results import Results;"
        f"claims = Claims(Results({results.location!r}), bool); print(claims.take('a'), flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "True\n"
        schedule, _, _ = grid("a")
        before = names(schedule)
    finally:
        process.kill()
        process.communicate()
    assert (before, names(schedule)) == ([], ["[a]"])


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_where_files_cannot_be_locked_no_original_is_claimed(results, monkeypatch, number):
    def refuse(descriptor, operation):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    for _ in range(2):
        with pytest.raises(OSError, match=r"\.claims: .*no locks here"):
            Claims(results, bool).take("a")


def test_claims_are_asked_for_no_more_often_than_the_pause(grid, monkeypatch):
    (first, _, _), (second, _, _) = grid("a"), grid("a")
    training = first.next()
    monkeypatch.setattr(shared_grid, "PAUSE", 600.0)
    assert names(second) == []
    grid.trained.add("a")
    first.finished(training, OK)
    assert names(second) == []
    monkeypatch.setattr(shared_grid, "PAUSE", 0.0)
    assert names(second) == ["t0"]
