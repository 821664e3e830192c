"""What Ray says of a process that died, shortened, and how often the job of the process runs again."""

import pytest

from sweep.on_ray.process_deaths import INNOCENT, PREEMPTED, Deaths, death
from sweep.trial.timeout import GRACE

DIED = """The actor died unexpectedly before finishing this task.
	pid: 16345
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker
unexpectedly exits with a connection error code 2. End of file."""
LOST = """The actor 1c88400ace6f93ca8c6ecdac01000000 is unavailable: The actor is temporarily unavailable: RpcError: RPC
error: Socket closed rpc_code: 14. The task may or may not have been executed on the actor."""
MEMORY = """2 worker(s) were killed due to the node running low on memory. Memory on the node was 3.64GB / 4.00GB
Considered workers: [
Selected to kill: (Actor(0926e8): job ID=01000000, task name=A.__init__, pid=16959, actual memory used=0.06GB, worker)
Selected to kill: (Actor(0b59df): job ID=01000000, task name=A.__init__, pid=16958, actual memory used=3.15GB, worker)
]"""
NODE = "The actor died because its node has died. Node Id: 5c0c"
TOP = "Top 10 memory users:\nPID\tMEM(GB)\tCOMMAND\n410\t3.20\tray::Other.step"

ACTOR = "Actor(JobTrainable, 0926e8)"
KILLED = "the worker process died (killed, out of memory, or as Ray says above)"
SHORT = "the worker process was killed because its node ran low on memory"
LATE = "took longer than trial_timeout: 60 s, and no exception reached it: its process was ended"
GONE = "the worker's node was lost, or did not answer"


DEATHS = {
    "died": (DIED, "0926e8", False, KILLED),
    "no answer": (LOST, "0926e8", True, GONE),
    "node died": (NODE, "0926e8", True, GONE),
    "node preempted": (f"The actor died.\n{PREEMPTED}", "0926e8", True, GONE),
    "short of memory, not the largest": (MEMORY, "0926e8", True, SHORT),
    "short of memory, the largest killed": (MEMORY, "0b59df", False, SHORT),
    "short of memory, a larger one lives": (f"{MEMORY}\n{TOP}", "0b59df", True, SHORT),
}


@pytest.mark.parametrize(("told", "actor", "innocent", "reason"), DEATHS.values(), ids=DEATHS)
def test_a_job_is_innocent_where_ray_names_another_cause(told, actor, innocent, reason):
    found = death(told, actor)
    assert (found.innocent, found.reason) == (innocent, f"{told}\n{reason}")


def test_deaths_that_are_no_fault_of_a_job_do_not_count_as_its_retries_and_are_not_endless():
    deaths = Deaths(max_retries=1, time_limit=None)

    def died(told, job="job"):
        deaths.began("t", ACTOR)
        return deaths.died("t", told, job)[1]

    assert [died(told) for told in [LOST, DIED, MEMORY, DIED]] == [True, True, True, False]
    assert all(died(LOST) for _ in range(INNOCENT - 2))
    assert not died(LOST)
    assert died(LOST, "another job")


@pytest.mark.parametrize(("after", "reason"), [(60 + GRACE - 1, KILLED), (60 + GRACE + 1, LATE)])
def test_a_process_that_dies_well_after_the_time_limit_was_ended_for_it(monkeypatch, after, reason):
    now = [5.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    deaths = Deaths(max_retries=0, time_limit=60)
    deaths.began("t", ACTOR)
    now[0] += after
    found, again = deaths.died("t", DIED, "job")
    assert (found.reason, again) == (f"{DIED}\n{reason}", False)
