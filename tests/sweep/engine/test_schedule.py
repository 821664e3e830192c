"""The order of jobs: originals before the trials that start from them, each job once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.engine.schedule import GridSchedule, InTurn
from sweep.plan.trials import Trial
from sweep.trial.job import Job, Outcome

OK = Outcome("ok")


def trial(number: int, original: str | None) -> Trial:
    return Trial(f"t{number}", "{}", "task", original, "method", seed=0)


def trials(*originals: str | None) -> list[Trial]:
    """t0, t1, ...: a trial for each original given."""
    return [trial(number, original) for number, original in enumerate(originals)]


def handed_out(schedule: GridSchedule | InTurn) -> list[str]:
    """What can be started now: ids of trials, and of originals in brackets."""
    jobs = iter(schedule.next, None)
    return [f"[{job.trial.original_id}]" if job.original_only else job.trial.id for job in jobs]


def test_a_job_that_comes_back_is_the_next_one_and_the_schedule_has_not_ended_before():
    schedule = GridSchedule(trials(None, None, None))
    out = [schedule.next(), schedule.next()]
    schedule.back(out[1])
    assert schedule.next() is out[1]
    out.append(schedule.next())
    assert not schedule.ended
    schedule.back(out[2])
    assert handed_out(schedule) == ["t2"]
    for job in out:
        schedule.finished(job, OK)
    assert schedule.ended


def test_a_stopped_schedule_has_ended_and_takes_nothing_back():
    schedule = GridSchedule(trials(None, None))
    job = schedule.next()
    schedule.stop()
    schedule.back(job)
    assert schedule.ended
    assert schedule.next() is None


def test_originals_come_first_and_their_trials_after_them():
    schedule = GridSchedule(trials("a", None, "a"))
    assert handed_out(schedule) == ["[a]", "t1"]
    schedule.finished(Job(trial(0, "a"), original_only=True), OK)
    assert handed_out(schedule) == ["t0", "t2"]
    assert handed_out(schedule) == []


def test_the_original_that_most_trials_need_is_first():
    assert handed_out(GridSchedule(trials("a", "b", "c", "b", "c", "c"))) == ["[c]", "[b]", "[a]"]


def test_a_stored_original_is_not_trained_and_its_trials_go_together():
    schedule = GridSchedule(trials("b", "a", "b", "new", "a"), stored={"a", "b"})
    assert schedule.originals == 1
    assert handed_out(schedule) == ["[new]", "t1", "t4", "t0", "t2"]


def test_originals_may_be_trained_for_trials_that_are_not_run():
    schedule = GridSchedule(
        trials("a"), stored={"b"}, originals=[trial(7, "a"), trial(8, "b"), trial(9, "c"), trial(6, None)]
    )
    assert schedule.originals == 2
    assert handed_out(schedule) == ["[a]", "[c]"]
    for number, original in ((0, "a"), (9, "c")):
        schedule.finished(Job(trial(number, original), original_only=True), OK)
    assert handed_out(schedule) == ["t0"]
    schedule.finished(Job(trial(0, "a")), OK)
    assert schedule.ended


def test_nothing_to_run_has_ended_at_once():
    schedule = GridSchedule([])
    assert schedule.ended
    assert schedule.next() is None


def test_a_schedule_that_waits_for_an_original_has_not_ended():
    schedule = GridSchedule(trials("a"))
    job = schedule.next()
    assert schedule.next() is None
    assert not schedule.ended
    schedule.finished(job, OK)
    assert not schedule.ended
    assert schedule.next() == Job(trial(0, "a"))


def test_trials_whose_original_failed_or_diverged_are_lost_with_its_outcome():
    lost = []
    schedule = GridSchedule(trials("a", "b", "a"), lost=lambda *found: lost.append(found))
    first, second = schedule.next(), schedule.next()
    failed, diverged = Outcome("failed", "why"), Outcome("diverged", "why")
    schedule.finished(first, failed)
    schedule.finished(second, diverged)
    assert lost == [(trial(0, "a"), failed), (trial(2, "a"), failed), (trial(1, "b"), diverged)]
    assert schedule.next() is None
    assert schedule.ended


def test_a_trial_that_failed_takes_no_other_with_it():
    schedule = GridSchedule(trials(None, None), lost=lambda *found: pytest.fail("lost"))
    schedule.finished(schedule.next(), Outcome("failed", "why"))
    assert handed_out(schedule) == ["t1"]


def test_schedules_in_turn_are_made_when_the_one_before_has_ended():
    made = []

    def phase(*originals):
        def make():
            made.append(originals)
            return GridSchedule(trials(*originals))

        return make

    schedule = InTurn([phase(), phase(None, None), phase(), phase("a")])
    assert made == [(), (None, None)]
    first, second = schedule.next(), schedule.next()
    schedule.back(second)
    schedule.finished(first, OK)
    assert handed_out(schedule) == ["t1"]
    assert made == [(), (None, None)]
    schedule.finished(second, OK)
    assert len(made) == 4
    original = schedule.next()
    schedule.finished(original, OK)
    assert not schedule.ended
    schedule.finished(schedule.next(), OK)
    assert schedule.ended
    assert InTurn([phase()]).ended


def test_a_schedule_that_ends_while_it_is_asked_hands_over_to_the_next():
    class Known(GridSchedule):
        """Finds out that there is nothing to run when it is asked."""

        asked = False

        def next(self):
            self.asked = True

        def _exhausted(self):
            return self.asked

    schedule = InTurn([lambda: Known([]), lambda: Known([]), lambda: GridSchedule(trials(None))])
    assert handed_out(schedule) == ["t0"]


def test_schedules_in_turn_that_are_stopped_make_no_other():
    schedule = InTurn([lambda: GridSchedule(trials(None)), lambda: pytest.fail("made")])
    job = schedule.next()
    schedule.stop()
    schedule.finished(job, OK)
    assert schedule.ended
    assert schedule.next() is None


@given(
    st.lists(st.sampled_from([None, *"abcd"]), max_size=20),
    st.sets(st.sampled_from("abcd")),
    st.sets(st.sampled_from("abcd")),
    st.randoms(),
)
def test_whatever_the_order_of_ends_every_trial_runs_once_or_is_given_back(originals, stored, failing, random):
    there, running, ran, trained = set(stored), [], [], []
    schedule = GridSchedule(trials(*originals), stored, lost=lambda lost, outcome: ran.append(lost.id))
    while True:
        while job := schedule.next():
            running.append(job)
        if not running:
            break
        job = running.pop(random.randrange(len(running)))
        name = job.trial.original_id
        if job.original_only:
            trained.append(name)
            failed = name in failing
            there |= set() if failed else {name}
            schedule.finished(job, Outcome("failed") if failed else OK)
        else:
            assert name is None or name in there
            ran.append(job.trial.id)
            schedule.finished(job, OK)
    assert schedule.ended
    assert sorted(ran) == sorted(f"t{number}" for number in range(len(originals)))
    assert sorted(trained) == sorted(set(originals) - {None} - stored)
    assert schedule.originals == len(trained)
