"""The jobs that Ray Tune has: what it is given to run, and what is made of jobs that end and of processes that die."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import ray
from ray.tune.search import Searcher

from sweep.engine.driver import Driver
from sweep.engine.schedule import Schedule
from sweep.errors import InputError, Unsuccessful
from sweep.on_ray.process_deaths import Deaths
from sweep.plan.trials import Trial, describe
from sweep.store.columns import MEASURED
from sweep.trial.job import Job, Outcome

MOST_TRIALS = 10_000
"""How many jobs one call of Ray Tune gets: it keeps about 24 kB of each until all of them have ended."""

STILLBORN = 10
"""How many processes may die one after another before any of them began a job."""

UNSTORED = "unstored"
"""The status of a job whose worker could not store its result."""


class TuneJobs:
    """The jobs that Ray Tune has, by the names of their tune_trials.

    Args:
        driver: is told how jobs end.
        schedule: hands out jobs.
        gpus: how many GPUs, or which share of one, a job takes.
        room: returns how many jobs Ray has room for at once.
        local: whether Ray runs on this machine only. On a cluster more jobs are asked for than there is room, so that
            an autoscaler sees that they wait.

    Attributes:
        error: the first error that ends the run; None if there was none.
        given: how many jobs the current call of Ray Tune has had.
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
        """Whether no further job may begin."""
        return self._schedule.stopped

    def next(self, name: str) -> dict[str, Any] | str | None:
        """The config of the next tune_trial, which gets this name; None if there is none at the moment; or FINISHED."""
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
        """Note that a process begins a job.

        Args:
            process: the process's actor as Ray shows it: Actor(class, id).
        """
        self._stillborn = 0
        if self._gpus:
            self._driver.progress.gpus(self._gpus, ray.cluster_resources().get("GPU", 0))
        job = self._running[name] = self._waiting.pop(name)
        self._deaths.began(name, process)
        self._driver.started(job)

    def ended(self, name: str, result: dict[str, Any]) -> None:
        """Note that a job ended, and whether its worker could store the result."""
        job = self._running.pop(name)
        self._deaths.ended(name)
        self._driver.progress.busy(result["busy"])
        if result["status"] == UNSTORED:
            self._abandon(OSError(result["error"]))
        else:
            metrics = {name: result.get(name) for name in MEASURED}
            ended = Outcome(result["status"], result["error"], result["device"], metrics)
            self._finish(job, ended, result["hostname"])

    def died(self, name: str, told: str) -> None:
        """Run the job of a process that died again, or record it as failed if it was run too often.

        Args:
            told: what Ray says of the death.
        """
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            self._guarded(lambda: self._schedule.back(waiting))
            self._stillborn += 1
            if self._stillborn > STILLBORN:
                self._abandon(OSError(f"Ray's processes die before their first job: {told.strip()}"))
            return
        job = self._running.pop(name)
        death, again = self._deaths.died(name, told, job)
        if again:
            self._driver.progress.interrupted(job)
            self._guarded(lambda: self._schedule.back(job))
        else:
            self._finish(job, Outcome("failed", death.reason))

    def _finish(self, job: Job, outcome: Outcome, host: str | None = None) -> None:
        """Note that a job ended. The worker on `host` stored its row; without a host, store it here."""

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
        """What `action` returns. An error ends the run once Ray Tune has returned: raised here, it would be lost."""
        try:
            return action()
        except (OSError, InputError, Unsuccessful) as error:
            self._abandon(error)
            return None

    def _abandon(self, error: Exception) -> None:
        """Start no further job, so that the run ends with this error."""
        self.error = self.error or error
        self._schedule.stop()


def tune_config(job: Job) -> dict[str, Any]:
    """The config that Ray Tune shows for a job; the key `job` holds the whole job as JSON."""
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
    """The job that a config holds."""
    stored = json.loads(config["job"])
    return Job(Trial(**stored["trial"]), stored["original_only"])
