"""The order of jobs: originals before the trials that start from them, each job once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sweep.plan import Trial
from sweep.schedule import Schedule
from sweep.trial import Job, Outcome

OK = Outcome("ok")


def trial(number: int, original: str | None) -> Trial:
    return Trial(f"t{number}", "{}", "task", original, "method", seed=0)


def trials(*originals: str | None) -> list[Trial]:
    """t0, t1, ...: a trial for each original given."""
    return [trial(number, original) for number, original in enumerate(originals)]


def handed_out(schedule: Schedule) -> list[str]:
    """What can be started now: ids of trials, and of originals in brackets."""
    jobs = iter(schedule.next, None)
    return [f"[{job.trial.original_id}]" if job.original_only else job.trial.id for job in jobs]


def test_a_job_that_comes_back_is_the_next_one_and_the_schedule_has_not_ended_before():
    schedule = Schedule(trials(None, None, None))
    out = [schedule.next(), schedule.next()]
    schedule.back(out[1])
    assert schedule.next() is out[1]
    out.append(schedule.next())
    assert schedule.done
    assert not schedule.ended
    schedule.back(out[2])
    assert not schedule.done
    assert handed_out(schedule) == ["t2"]
    for job in out:
        schedule.finished(job, OK)
    assert schedule.ended


def test_a_stopped_schedule_has_ended_and_takes_nothing_back():
    schedule = Schedule(trials(None, None))
    job = schedule.next()
    schedule.stop()
    schedule.back(job)
    assert schedule.ended
    assert schedule.next() is None


def test_originals_come_first_and_their_trials_after_them():
    schedule = Schedule(trials("a", None, "a"))
    assert handed_out(schedule) == ["[a]", "t1"]
    schedule.finished(Job(trial(0, "a"), original_only=True), OK)
    assert handed_out(schedule) == ["t0", "t2"]
    assert schedule.done


def test_the_original_that_most_trials_need_is_first():
    assert handed_out(Schedule(trials("a", "b", "c", "b", "c", "c"))) == ["[c]", "[b]", "[a]"]


def test_a_stored_original_is_not_trained_and_its_trials_go_together():
    schedule = Schedule(trials("b", "a", "b", "new", "a"), stored={"a", "b"})
    assert schedule.originals == 1
    assert handed_out(schedule) == ["[new]", "t1", "t4", "t0", "t2"]


def test_originals_may_be_trained_for_trials_that_are_not_run():
    schedule = Schedule(
        trials("a"), stored={"b"}, originals=[trial(7, "a"), trial(8, "b"), trial(9, "c"), trial(6, None)]
    )
    assert schedule.originals == 2
    assert handed_out(schedule) == ["[a]", "[c]"]
    for number, original in ((0, "a"), (9, "c")):
        assert schedule.finished(Job(trial(number, original), original_only=True), OK) == []
    assert handed_out(schedule) == ["t0"]
    assert schedule.done


def test_what_is_left_are_jobs_that_have_not_ended_wherever_they_are():
    schedule = Schedule(trials("a", None, "a"))
    assert schedule.left == 4
    original = schedule.next()
    other = schedule.next()
    assert schedule.left == 4
    schedule.finished(other, OK)
    assert schedule.left == 3
    schedule.finished(original, OK)
    assert schedule.left == 2


def test_nothing_to_run_is_done_at_once():
    schedule = Schedule([])
    assert schedule.done
    assert schedule.next() is None


def test_a_schedule_that_waits_for_an_original_is_not_done():
    schedule = Schedule(trials("a"))
    job = schedule.next()
    assert schedule.next() is None
    assert not schedule.done
    schedule.finished(job, OK)
    assert schedule.next() == Job(trial(0, "a"))
    assert schedule.done


def test_trials_whose_original_failed_or_diverged_are_given_back_and_not_handed_out():
    schedule = Schedule(trials("a", "b", "a"))
    first, second = schedule.next(), schedule.next()
    assert schedule.finished(first, Outcome("failed", "why")) == [trial(0, "a"), trial(2, "a")]
    assert schedule.finished(second, Outcome("diverged", "why")) == [trial(1, "b")]
    assert schedule.next() is None
    assert schedule.done


def test_a_trial_that_failed_takes_no_other_with_it():
    schedule = Schedule(trials(None, None))
    assert schedule.finished(schedule.next(), Outcome("failed", "why")) == []
    assert handed_out(schedule) == ["t1"]


@given(
    st.lists(st.sampled_from([None, *"abcd"]), max_size=20),
    st.sets(st.sampled_from("abcd")),
    st.sets(st.sampled_from("abcd")),
    st.randoms(),
)
def test_whatever_the_order_of_ends_every_trial_runs_once_or_is_given_back(originals, stored, failing, random):
    schedule = Schedule(trials(*originals), stored)
    there, running, ran, trained = set(stored), [], [], []
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
            ran.extend(lost.id for lost in schedule.finished(job, Outcome("failed") if failed else OK))
        else:
            assert name is None or name in there
            ran.append(job.trial.id)
            schedule.finished(job, OK)
    assert schedule.done
    assert sorted(ran) == sorted(f"t{number}" for number in range(len(originals)))
    assert sorted(trained) == sorted(set(originals) - {None} - stored)
    assert schedule.originals == len(trained)
