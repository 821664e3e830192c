"""Each job is one trial of Ray Tune: its config says what is run, and its result has the metrics of the row.

Processes are reused: whichever is free takes the next job. A trial of Ray Tune is called tune_trial here.
"""

from __future__ import annotations

import logging
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

# First, because it sets Ray's environment variables.
from sweep.on_ray.session import asked_ahead, gpus_per_trial, in_use, room, session

# isort: split
import torch
from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweep.engine.driver import Driver
from sweep.engine.interrupts import interruptible
from sweep.engine.schedule import Schedule
from sweep.on_ray.node_check import check_nodes
from sweep.on_ray.tune_jobs import UNSTORED, TuneJobs, job_of
from sweep.on_ray.tune_repairs import repair_tune
from sweep.spec.plugins import search_last
from sweep.trial.job import Context
from sweep.trial.worker import Worker, warm_up

repair_tune()


def run_ray(driver: Driver, schedule: Schedule) -> tune.ResultGrid | None:
    """Run a schedule's jobs with Ray Tune, on this machine or on a cluster.

    Returns:
        Ray Tune's results: of the last `tune_jobs.MOST_TRIALS` jobs, if there were more.

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
    """Let Ray Tune run jobs until the schedule has ended or it has run `tune_jobs.MOST_TRIALS`."""
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
