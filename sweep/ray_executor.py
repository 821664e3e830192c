"""Jobs through Ray Tune: each of its trials is a process that takes one job after another until none is left.

Ray Tune's trials cost scheduling, and a process that starts costs seconds; a step of a trial costs hardly anything. So
Ray Tune has as many trials as there is room for, and each job is one step of one of them: the driver hears of each
job's end, answers with the next job, and, when a process dies, knows which one it was at.
"""

from __future__ import annotations

import logging
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

# First, because it sets Ray's environment.
from sweep.ray_session import asked_ahead, gpus_per_trial, room, session

# isort: split
import ray
import torch
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweep.deaths import Processes
from sweep.engine import Run, described_run, sigterm_interrupts
from sweep.reach import check_nodes
from sweep.registry import search_last
from sweep.schedule import Schedule
from sweep.spec import Spec
from sweep.trial import Context, Job, Outcome, Worker, warm_up
from sweep.tune_repairs import repair_tune

repair_tune()

LONGEST_WAIT = 2.0
"""Seconds after which a process that has nothing to do asks again."""

STILLBORN = 10
"""Processes that may die one after another before they began a job."""


def run_ray(run: Run, spec: Spec, address: str | None) -> None:
    """Run a schedule's jobs with Ray Tune, on this machine or on the cluster at `address`.

    Raises:
        InputError: the resources asked for are not there, or no cluster answers.
        Unsuccessful: Ray does not start.
        OSError: results cannot be stored.
    """
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # that processes died is told by rows and progress
    with ExitStack() as stack:
        local = stack.enter_context(session(address))
        stack.enter_context(sigterm_interrupts())  # again: Ray's start put its own handler in the place of ours
        gpus = gpus_per_trial(spec, local)
        if not local and not check_nodes(run.context.out, spec.resources.cpus, gpus):
            run.progress.say(f"no node has {spec.resources.cpus:g} CPUs and {gpus:g} GPUs: waiting for one to join")
        stack.enter_context(asked_ahead())
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="unlearn-sweep-"))
        stack.enter_context(described_run(run, spec, "ray", gpus))
        resources = {"cpu": spec.resources.cpus, "gpu": gpus}
        jobs = Jobs(run, Processes(spec.max_retries, spec.trial_timeout), gpus)
        tuner = tune.Tuner(
            tune.with_resources(job_trainable(run.context), resources),
            tune_config=tune.TuneConfig(
                search_alg=ProcessSearcher(run.schedule, room(resources) if local else None),
                scheduler=JobScheduler(run.schedule, jobs),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=trial_name,
                trial_dirname_creator=trial_name,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                name="tune",
                verbose=0,
                callbacks=[jobs],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
        tuner.fit()
        if jobs.error is not None:
            raise jobs.error


class Unsaved:
    """Ray Tune saves the state of an experiment; here results are the only state, so there is nothing to save."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class ProcessSearcher(Unsaved, Searcher):  # type: ignore[misc]
    """Asks for a process as long as there are more jobs than processes.

    Args:
        room: processes that can run at once; None on a cluster, which may grow.
    """

    def __init__(self, schedule: Schedule, room: int | None) -> None:
        super().__init__(metric=None, mode=None)
        self._schedule = schedule
        self._room = room
        self._open: set[str] = set()

    def suggest(self, trial_id: str) -> Any:
        """Ray Tune's hook: the next configuration, None for not now, or FINISHED."""
        if self._schedule.ended:
            return Searcher.FINISHED
        most = self._schedule.left if self._room is None else min(self._schedule.left, self._room)
        if self._schedule.done or len(self._open) >= most:
            return None
        self._open.add(trial_id)
        return {}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Ray Tune's hook: a process ended, or has no more to do."""
        self._open.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: results are the only state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: results are the only state."""


class JobScheduler(Unsaved, FIFOScheduler):  # type: ignore[misc]
    """Goes on with a process while there are jobs, and starts none when there are none."""

    def __init__(self, schedule: Schedule, jobs: Jobs) -> None:
        super().__init__()
        self._schedule = schedule
        self._jobs = jobs

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Ray Tune's hook: which of those that wait is the next one."""
        if not self._schedule.done:
            return super().choose_trial_to_run(tune_controller)
        stop_waiting(tune_controller)
        return None

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Ray Tune's hook: a job ended."""
        self._jobs.ended(trial, result)
        return str(TrialScheduler.CONTINUE if self._jobs.give(trial) else TrialScheduler.STOP)


def stop_waiting(tune_controller: Any) -> None:
    """End what Ray Tune has not started yet."""
    for trial in [trial for trial in tune_controller.get_live_trials() if trial.status == trial.PENDING]:
        trial.init_local_path()  # Ray Tune takes it for granted when it sums up
        tune_controller.stop_trial(trial)


class Jobs(Unsaved, tune.Callback):  # type: ignore[misc]
    """Gives jobs to processes and tells a run of their ends; `error` is what kept a result from being stored."""

    def __init__(self, run: Run, processes: Processes, gpus: float) -> None:
        self._run = run
        self._processes = processes
        self._gpus = gpus
        self._at: dict[str, Job] = {}
        self._idle_since: dict[str, float] = {}
        self._stillborn = 0
        self._hosts: set[str] = set()
        self.error: OSError | None = None

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: a process is there."""
        self._stillborn = 0
        if self._gpus:
            self._run.progress.gpus(self._gpus, ray.cluster_resources().get("GPU", 0))
        self.give(trial)

    def give(self, trial: Any) -> bool:
        """Give the process of a trial of Ray Tune's its next job, or let it wait for one; False: there will be none."""
        job, name = self._run.schedule.next(), trial.trial_id
        if job is not None:
            self._idle_since.pop(name, None)
            self._at[name] = job
            self._processes.began(trial)
            self._run.progress.started(job)
            wait = 0.0
        else:
            since = self._idle_since.setdefault(name, time.monotonic())
            wait = min(LONGEST_WAIT, 0.05 + (time.monotonic() - since) / 10)
        trial.temporary_state.ray_actor.take.remote(job, wait)
        return job is not None or not self._run.schedule.done

    def ended(self, trial: Any, result: dict[str, Any]) -> None:
        """A job ended, and its worker stored the result or could not; or a wait for a job."""
        job = self._at.pop(trial.trial_id, None)
        if job is None:
            return
        self._processes.ended(trial)
        self._run.progress.busy(result["busy"])
        if result["status"] == UNSTORED:
            self._abandon(OSError(result["error"]))
        else:
            self._finish(job, Outcome(result["status"], result["error"], result["device"]), result["hostname"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: a process died, and with it its job, which is run again as often as may be."""
        job = self._at.pop(trial.trial_id, None)
        self._idle_since.pop(trial.trial_id, None)
        if job is None:
            self._stillborn += 1
            if self._stillborn > STILLBORN:
                self._abandon(OSError(f"no process of Ray's gets to its first job: {told(trial).strip()}"))
            return
        death, again = self._processes.died(trial, told(trial), job)
        if again:
            self._run.progress.interrupted(job)
            self._run.schedule.back(job)
        else:
            self._finish(job, Outcome("failed", death.reason))

    def _finish(self, job: Job, outcome: Outcome, host: str | None = None) -> None:
        """A job ended. `host` has stored its row; without one, it is stored here."""
        try:
            if not job.original_only:
                if host is None:
                    self._run.record(job.trial, outcome)
                elif host not in self._hosts:
                    self._run.check_row(job.trial, host)
                    self._hosts.add(host)
            self._run.finished(job, outcome)
        except OSError as error:
            self._abandon(error)

    def _abandon(self, error: OSError) -> None:
        """Results cannot be stored: start nothing more, so that the run ends with this error."""
        self.error = self.error or error
        self._run.schedule.stop()


def told(trial: Any) -> str:
    """What Ray said when a process died that had a trial of Ray Tune's."""
    return Path(trial.error_file).read_text() if trial.error_file else ""


def job_trainable(context: Context) -> type[tune.Trainable]:
    """What Ray Tune runs in each process: a job a step."""

    class JobTrainable(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            """Ray Tune's hook: a new process."""
            self._worker = kept_worker(context)
            warm_up(torch.device("cpu"))  # it may have to wait for its first job

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            """Ray Tune's hook: the process is used again."""
            return True

        def take(self, job: Job | None, wait: float) -> None:
            """What the next step does: a job, or wait for so many seconds."""
            self._job, self._wait = job, wait

        def step(self) -> dict[str, Any]:
            """Ray Tune's hook: run a job, and say how it ended."""
            if self._job is None:
                time.sleep(self._wait)
                return {"status": "idle"}
            try:
                outcome = self._worker.run(self._job)
            except OSError as error:
                return {"status": UNSTORED, "error": str(error), "busy": None}
            return {
                "status": outcome.status,
                "error": outcome.error,
                "device": outcome.device,
                "busy": self._worker.busy,
            }

    return JobTrainable


UNSTORED = "unstored"
"""What a job reports whose result its worker could not store."""


_workers: list[Worker] = []
"""At most one: Ray uses the process again, and what runs next finds its dataset and original here."""


def kept_worker(context: Context) -> Worker:
    """The worker of this process."""
    if not _workers or _workers[0].context != context:
        search_last(context.plugins)
        _workers[:] = [Worker(context)]
    return _workers[0]


def trial_name(trial: Any) -> str:
    """What Ray Tune calls a trial of its own, and the trial's folder."""
    return str(trial.trial_id)
