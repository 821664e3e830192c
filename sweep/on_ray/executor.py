"""Jobs as trials of Ray Tune: their configs say what is run, and their results are the metrics of the rows.

Processes are reused: a trial of Ray Tune's is one job, and whichever process is free takes the next one.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

# First, because it sets Ray's environment.
from sweep.on_ray.session import asked_ahead, gpus_per_trial, room, session

# isort: split
import ray
import torch
from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweep.errors import InputError, Unsuccessful
from sweep.on_ray.node_check import check_nodes
from sweep.on_ray.process_deaths import Deaths
from sweep.on_ray.tune_repairs import repair_tune
from sweep.plan.trials import Trial, describe
from sweep.run.driver import Driver
from sweep.run.interrupts import sigterm_interrupts
from sweep.run.schedule import Schedule
from sweep.spec.plugins import search_last
from sweep.trial.job import Context, Job, Outcome
from sweep.trial.worker import Worker, warm_up

repair_tune()

MOST_TRIALS = 10_000
"""Trials that Ray Tune gets at once: it keeps about 24 kB of each until all have ended."""

STILLBORN = 10
"""Processes that may die one after another before they began a job."""

UNSTORED = "unstored"
"""The status that a job reports whose result its worker could not store."""


def run_ray(driver: Driver, schedule: Schedule) -> tune.ResultGrid | None:
    """Run a schedule's jobs with Ray Tune, on this machine or on a cluster.

    Returns:
        What Ray Tune knows of the jobs, of the last ones if there were more than `MOST_TRIALS`.

    Raises:
        InputError: the resources asked for are not there, or no cluster answers.
        Unsuccessful: Ray does not start, or what ended leaves nothing to go on with.
        OSError: results cannot be stored.
    """
    spec, grid = driver.request.spec, None
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # rows and progress say what ended, and how
    with ExitStack() as stack:
        local = stack.enter_context(session(driver.request.address))
        stack.enter_context(sigterm_interrupts())  # again: Ray's start put its own handler in the place of ours
        gpus = gpus_per_trial(spec, local)
        if not local and not check_nodes(driver.context.out, spec.resources.cpus, gpus):
            driver.progress.say(f"no node has {spec.resources.cpus:g} CPUs and {gpus:g} GPUs: waiting for one to join")
        stack.enter_context(asked_ahead())
        stack.enter_context(driver.described(gpus))
        resources = {"cpu": spec.resources.cpus, "gpu": gpus}
        here = room(resources)  # which does not change on this machine
        jobs = TuneJobs(driver, schedule, gpus, room=lambda: here if local else room(resources), local=local)
        while not schedule.ended:
            grid = None  # what is known of those before is given up first
            grid = _fit(jobs, driver.context, resources)
        if jobs.error is not None:
            raise jobs.error
    return grid


def _fit(jobs: TuneJobs, context: Context, resources: dict[str, float]) -> tune.ResultGrid:
    """Let Ray Tune run jobs until the schedule has ended, or it has had as many as it may get."""
    jobs.given = 0
    with tempfile.TemporaryDirectory(prefix="unlearn-sweep-") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(job_trainable(context), resources),
            tune_config=tune.TuneConfig(
                search_alg=JobSearcher(jobs),
                scheduler=AnyFreeProcess(jobs),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=tune_trial_name,
                trial_dirname_creator=tune_trial_name,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                name="tune",
                verbose=0,
                callbacks=[JobCallback(jobs)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
        return tuner.fit()


class TuneJobs:
    """The jobs that are trials of Ray Tune, by those trials' names.

    Args:
        driver: is told how jobs end.
        schedule: hands them out.
        gpus: share of GPUs that a job takes.
        room: how many jobs Ray has room for at once.
        local: whether Ray runs on this machine only. On a cluster more jobs are asked for than there is room, so that
            an autoscaler sees that they wait.

    Attributes:
        error: what ends the run.
        given: jobs that the present call of Ray Tune has had.
    """

    def __init__(self, driver: Driver, schedule: Schedule, gpus: float, room: Callable[[], int], local: bool) -> None:
        self._driver = driver
        self._schedule = schedule
        self._gpus = gpus
        self._room = room
        self._local = local
        spec = driver.request.spec
        self._deaths = Deaths(spec.max_retries, spec.trial_timeout)
        self._waiting: dict[str, Job] = {}
        self._running: dict[str, Job] = {}
        self._stillborn = 0
        self._hosts: set[str] = set()
        self.error: Exception | None = None
        self.given = 0

    @property
    def stopped(self) -> bool:
        """Whether no job is to begin any more."""
        return self._schedule.stopped

    def next(self, name: str) -> dict[str, Any] | str | None:
        """The config of Ray Tune's next trial, None if there is none at the moment, or FINISHED."""
        if self._schedule.ended or self.given == MOST_TRIALS:
            return str(Searcher.FINISHED)
        open_jobs = len(self._waiting) + len(self._running)
        if open_jobs >= self._room() + (0 if self._local else self._schedule.ahead):
            return None
        job = self._guarded(self._schedule.next)
        if job is None:
            return None
        self.given += 1
        self._waiting[name] = job
        return tune_config(job)

    def began(self, name: str, process: str) -> None:
        """A process begins a job.

        Args:
            process: how Ray shows its actor: Actor(class, id).
        """
        self._stillborn = 0
        if self._gpus:
            self._driver.progress.gpus(self._gpus, ray.cluster_resources().get("GPU", 0))
        job = self._running[name] = self._waiting.pop(name)
        self._deaths.began(name, process)
        self._driver.progress.started(job)

    def ended(self, name: str, result: dict[str, Any]) -> None:
        """A job ended, and its worker stored the result or could not."""
        job = self._running.pop(name)
        self._deaths.ended(name)
        self._driver.progress.busy(result["busy"])
        if result["status"] == UNSTORED:
            self._abandon(OSError(result["error"]))
        else:
            self._finish(job, Outcome(result["status"], result["error"], result["device"]), result["hostname"])

    def died(self, name: str, told: str) -> None:
        """A process died, and with it its job, which is run again as often as may be.

        Args:
            told: Ray's words.
        """
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            self._guarded(lambda: self._schedule.back(waiting))
            self._stillborn += 1
            if self._stillborn > STILLBORN:
                self._abandon(OSError(f"no process of Ray's gets to its first job: {told.strip()}"))
            return
        job = self._running.pop(name)
        death, again = self._deaths.died(name, told, job)
        if again:
            self._driver.progress.interrupted(job)
            self._guarded(lambda: self._schedule.back(job))
        else:
            self._finish(job, Outcome("failed", death.reason))

    def _finish(self, job: Job, outcome: Outcome, host: str | None = None) -> None:
        """A job ended. `host` has stored its row; without one, it is stored here."""

        def finish() -> None:
            if not job.original_only:
                if host is None:
                    self._driver.store(job.trial, outcome)
                elif host not in self._hosts:
                    self._driver.check_row(job.trial, host)
                    self._hosts.add(host)
            self._driver.ended(self._schedule, job, outcome)

        self._guarded(finish)

    def _guarded(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (OSError, InputError, Unsuccessful) as error:
            self._abandon(error)
            return None

    def _abandon(self, error: Exception) -> None:
        """Start nothing more, so that the run ends with this error."""
        self.error = self.error or error
        self._schedule.stop()


class Unsaved:
    """Ray Tune saves the state of an experiment; here results are the only state, so there is nothing to save."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class JobSearcher(Unsaved, Searcher):  # type: ignore[misc]
    """Asks the schedule for jobs."""

    def __init__(self, jobs: TuneJobs) -> None:
        super().__init__(metric=None, mode=None)
        self._jobs = jobs

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Ray Tune's hook: the next configuration, None for not now, or FINISHED."""
        return self._jobs.next(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Ray Tune's hook. `JobCallback` hears of it."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: results are the only state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: results are the only state."""


class AnyFreeProcess(Unsaved, FIFOScheduler):  # type: ignore[misc]
    """Gives a job to any process that is free.

    Ray Tune's own choice would give a process that comes free the job whose own process is starting, and end that one.
    So where processes start for longer than jobs run, one process would run them all.
    """

    def __init__(self, jobs: TuneJobs) -> None:
        super().__init__()
        self._jobs = jobs

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Ray Tune's hook: none in particular. What waits when a run is stopped is ended."""
        if not self._jobs.stopped:
            return
        for waiting in [trial for trial in tune_controller.get_live_trials() if trial.status == trial.PENDING]:
            waiting.init_local_path()  # Ray Tune takes it for granted when it sums up
            tune_controller.stop_trial(waiting)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Ray Tune's hook: a job has one result, with which it ends."""
        return str(TrialScheduler.STOP)


class JobCallback(Unsaved, TrialProgressCallback):  # type: ignore[misc]
    """Tells of jobs that begin and end, and of processes that die.

    It takes the place of the callback that Ray Tune adds where there is none of its class, and that prints.
    """

    def __init__(self, jobs: TuneJobs) -> None:
        super().__init__()
        self._jobs = jobs

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook."""
        self._jobs.began(trial.trial_id, repr(trial.temporary_state.ray_actor))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Ray Tune's hook."""
        self._jobs.ended(trial.trial_id, result)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: told before, with the result."""

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook."""
        self._jobs.died(trial.trial_id, Path(trial.error_file).read_text() if trial.error_file else "")


def tune_config(job: Job) -> dict[str, Any]:
    """What Ray Tune shows of a job, and under `job` all of it as JSON."""
    config = describe(job.trial)
    shown = {"dataset": config["dataset"]["name"], "model": config["model"]["name"], "seed": job.trial.seed}
    if job.original_only:
        shown |= {"original_id": job.trial.original_id}
    else:
        forget = {key if key == "scenario" else f"forget_{key}": value for key, value in config["forget"].items()}
        shown |= {"trial_id": job.trial.id, "method": job.trial.method} | forget
    params = {} if job.original_only else config["method"]["params"]
    return params | shown | {"job": json.dumps(asdict(job))}


def job_of(config: dict[str, Any]) -> Job:
    """The job that a config shows."""
    stored = json.loads(config["job"])
    return Job(Trial(**stored["trial"]), stored["original_only"])


def job_trainable(context: Context) -> type[tune.Trainable]:
    """What Ray Tune runs in each process: a job is a trial with one step."""

    class JobTrainable(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            """Ray Tune's hook: a new process."""
            self._worker = kept_worker(context)
            warm_up(torch.device("cpu"))

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            """Ray Tune's hook: the process is used again."""
            return True

        def step(self) -> dict[str, Any]:
            """Ray Tune's hook: run the job, and say how it ended."""
            try:
                outcome = self._worker.run(job_of(self.config))
            except OSError as error:
                return {"status": UNSTORED, "error": str(error), "busy": None, "done": True}
            ended = {"status": outcome.status, "error": outcome.error, "device": outcome.device}
            return {**outcome.metrics, **ended, "busy": self._worker.busy, "done": True}

    return JobTrainable


_workers: list[Worker] = []
"""At most one: Ray uses the process again, and what runs next finds its dataset and original here."""


def kept_worker(context: Context) -> Worker:
    """The worker of this process."""
    if not _workers or _workers[0].context != context:
        search_last(context.plugins)
        _workers[:] = [Worker(context)]
    return _workers[0]


def tune_trial_name(trial: Any) -> str:
    """What Ray Tune calls a trial of its own, and the trial's folder."""
    return str(trial.trial_id)
