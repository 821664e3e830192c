"""Each job is one trial of Ray Tune: its config says what is run, and its result has the metrics of the row.

Processes are reused: whichever is free takes the next job. A trial of Ray Tune is called tune_trial here.
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

# First, because it sets Ray's environment variables.
from sweep.on_ray.session import asked_ahead, gpus_per_trial, in_use, room, session

# isort: split
import ray
import torch
from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweep.engine.driver import Driver
from sweep.engine.interrupts import interruptible
from sweep.engine.schedule import Schedule
from sweep.errors import InputError, Unsuccessful
from sweep.on_ray.node_check import check_nodes
from sweep.on_ray.process_deaths import Deaths
from sweep.on_ray.tune_repairs import repair_tune
from sweep.plan.trials import Trial, describe
from sweep.spec.plugins import search_last
from sweep.store.columns import MEASURED
from sweep.trial.job import Context, Job, Outcome
from sweep.trial.worker import Worker, warm_up

repair_tune()

MOST_TRIALS = 10_000
"""How many jobs one call of Ray Tune gets: it keeps about 24 kB of each until all of them have ended."""

STILLBORN = 10
"""How many processes may die one after another before any of them began a job."""

UNSTORED = "unstored"
"""The status of a job whose worker could not store its result."""


def run_ray(driver: Driver, schedule: Schedule) -> tune.ResultGrid | None:
    """Run a schedule's jobs with Ray Tune, on this machine or on a cluster.

    Returns:
        Ray Tune's results: of the last `MOST_TRIALS` jobs, if there were more.

    Raises:
        InputError: the resources asked for are not there, or no cluster answers.
        Unsuccessful: Ray does not start, or how earlier jobs ended makes it pointless to go on.
        OSError: results cannot be stored.
    """
    spec, grid = driver.request.spec, None
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # rows and progress say how each job ended
    with ExitStack() as stack:
        local = stack.enter_context(session(driver.request.address))
        stack.enter_context(interruptible())  # again, because Ray replaced our handler when it started
        gpus = gpus_per_trial(spec, local)
        resources = {"cpu": spec.resources.cpus, "gpu": gpus}
        if not local and (taken := in_use(resources)):
            driver.progress.say(f"waiting: {taken}")
        if not local and not check_nodes(driver.context.out, spec.resources.cpus, gpus):
            driver.progress.say(f"no node has {spec.resources.cpus:g} CPUs and {gpus:g} GPUs: waiting for one to join")
        stack.enter_context(asked_ahead())
        here = room(resources)  # which does not change on this machine
        stack.enter_context(driver.described(gpus, slots=here))
        jobs = TuneJobs(driver, schedule, gpus, room=lambda: here if local else room(resources), local=local)
        while not schedule.ended:
            grid = None  # what is known of those before is given up first
            grid = _fit(jobs, driver.context, resources)
        if jobs.error is not None:
            raise jobs.error
    return grid


def _fit(jobs: TuneJobs, context: Context, resources: dict[str, float]) -> tune.ResultGrid:
    """Let Ray Tune run jobs until the schedule has ended or it has run `MOST_TRIALS`."""
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
                progress_reporter=tune.CLIReporter(),  # silent as well; that of notebooks clears the cell
                callbacks=[JobCallback(jobs)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
        return tuner.fit()


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


class Unsaved:
    """Has no state for Ray Tune to save with the experiment: results are the only state."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class JobSearcher(Unsaved, Searcher):  # type: ignore[misc]
    """Asks the schedule for jobs."""

    def __init__(self, jobs: TuneJobs) -> None:
        super().__init__(metric=None, mode=None)
        self._jobs = jobs

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Ray Tune's hook: the next config; None for not now; or FINISHED."""
        return self._jobs.next(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Ray Tune's hook: nothing to do, because `JobCallback` is told."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: results are the only state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: results are the only state."""


class AnyFreeProcess(Unsaved, FIFOScheduler):  # type: ignore[misc]
    """Gives a waiting job to whichever process is free.

    Ray Tune's own scheduler would give a free process the job whose own process is still starting, and end that one. So
    where a process takes longer to start than a job to run, one process would run all jobs.
    """

    def __init__(self, jobs: TuneJobs) -> None:
        super().__init__()
        self._jobs = jobs

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Ray Tune's hook: prefer no tune_trial. Once the run is stopped, end those that wait."""
        if not self._jobs.stopped:
            return
        for tune_trial in list(tune_controller.get_live_trials()):
            if tune_trial.status == tune_trial.PENDING:
                tune_trial.init_local_path()  # Ray Tune expects the path when it collects results
                tune_controller.stop_trial(tune_trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Ray Tune's hook: a job ends with its first result."""
        return str(TrialScheduler.STOP)


class JobCallback(Unsaved, TrialProgressCallback):  # type: ignore[misc]
    """Tells `TuneJobs` of jobs that begin and end, and of processes that die.

    Ray Tune adds a TrialProgressCallback, which prints, unless there is a callback of that class: this one.
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
        """Ray Tune's hook: nothing to do, because the result came before."""

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook."""
        self._jobs.died(trial.trial_id, Path(trial.error_file).read_text() if trial.error_file else "")


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


def job_trainable(context: Context) -> type[tune.Trainable]:
    """The class that Ray Tune runs in each process. A job is one step of it."""

    class JobTrainable(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            """Ray Tune's hook: prepare a new process."""
            self._worker = kept_worker(context)
            warm_up(torch.device("cpu"))

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            """Ray Tune's hook: take the next job in the same process."""
            return True

        def step(self) -> dict[str, Any]:
            """Ray Tune's hook: run the job; return how it ended."""
            try:
                outcome = self._worker.run(job_of(self.config))
            except OSError as error:
                return {"status": UNSTORED, "error": str(error), "busy": None, "done": True}
            ended = {"status": outcome.status, "error": outcome.error, "device": outcome.device}
            return {**outcome.metrics, **ended, "busy": self._worker.busy, "done": True}

    return JobTrainable


_workers: list[Worker] = []
"""At most one worker. Ray reuses this process, and the next job finds its dataset and original in the worker."""


def kept_worker(context: Context) -> Worker:
    """The worker of this process."""
    if not _workers or _workers[0].context != context:
        search_last(context.plugins)
        _workers[:] = [Worker(context)]
    return _workers[0]


def tune_trial_name(tune_trial: Any) -> str:
    """The name of a tune_trial and of its folder."""
    return str(tune_trial.trial_id)
