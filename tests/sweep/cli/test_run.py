"""A run whose trials another command ended before it began plans again."""

from __future__ import annotations

import time

import pytest
from rich.console import Console

import sweep
from sweep.cli import arguments
from sweep.cli.run import perform
from sweep.engine.driver import Driver, Executor
from sweep.engine.inline import INLINE
from sweep.store.results import Results

SPEC = {
    "name": "tiny",
    "dataset": {"name": "digits", "limit": 200},
    "model": {"name": "small-cnn", "width": 4},
    "training": {"epochs": 1, "lr": 0.05},
    "seeds": [0, 1],
    "methods": [{"name": "retrain"}],
}


@pytest.mark.parametrize("overtaken", [[0], [0, 1]])
def test_a_run_that_another_one_overtakes_runs_the_rest_once_and_within_its_first_budget(
    tmp_path, monkeypatch, overtaken
):
    ended, budgets = {}, []

    def overtake():
        """Import an executor: so slow that meanwhile another command runs some seeds."""
        if not ended:
            sweep.run(SPEC | {"seeds": overtaken}, out=tmp_path, executor="inline")
            ended.update(times(tmp_path))
        return INLINE.load()

    whole_run = Driver.run

    def note_budget(driver, *arguments):
        if driver.request.time_budget is not None:
            budgets.append((driver.request.time_budget, time.monotonic()))
        return whole_run(driver, *arguments)

    named = arguments.executor_named
    late = {arguments.ExecutorName.ray: Executor("late", overtake)}
    monkeypatch.setattr(arguments, "executor_named", lambda name: late.get(name) or named(name))
    monkeypatch.setattr(Driver, "run", note_budget)
    ran = perform(
        Console(quiet=True),
        SPEC,
        out=str(tmp_path),
        overrides=None,
        executor=arguments.ExecutorName.ray,
        address=None,
        refresh=False,
        retry_failed=False,
        time_budget=1000,
        track=(),
    )
    assert sorted(trial.seed for trial in ran.left) == sorted({0, 1} - set(overtaken))
    assert len(times(tmp_path)) == 2
    assert {name: times(tmp_path)[name] for name in ended} == ended, "none ran again"

    (first, begun), *later = budgets
    assert len(later) == 2 - len(overtaken)
    for budget, again in later:
        assert first - budget == pytest.approx(again - begun, abs=0.1), "the time that passed is spent"


def times(folder):
    """When each trial of a results directory ended."""
    return {row["trial_id"]: row["finished_at"] for row in Results(str(folder)).trials().table.to_pylist()}
