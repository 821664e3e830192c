"""Jobs through Ray Tune: a searcher that hands them out, a function that runs them in reused processes, a callback."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "86400",
}
"""Settings of Ray's that the user's environment overrides; Ray reads them when it is imported."""

for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402
from ray import tune  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

import methods  # noqa: E402
import sweep  # noqa: E402
from sweep.engine import Run, described_run, sigterm_interrupts  # noqa: E402
from sweep.errors import InputError  # noqa: E402
from sweep.plan import trial_for  # noqa: E402
from sweep.reach import check_nodes  # noqa: E402
from sweep.schedule import Schedule  # noqa: E402
from sweep.spec import Spec  # noqa: E402
from sweep.trial import Context, Job, Outcome, Worker  # noqa: E402

CONNECT_SECONDS = 10
"""How long a cluster's address may take to accept a connection."""

SHARED_GPU = 0.25
"""Share of a GPU that a trial takes where the spec does not say and there is a GPU."""


def run_ray(run: Run, spec: Spec, address: str | None) -> None:
    """Run a schedule's jobs with Ray Tune, on this machine or on the cluster at `address`.

    Raises:
        InputError: the resources asked for are not there, or no cluster answers.
        OSError: results cannot be stored.
    """
    with ExitStack() as stack:
        stack.enter_context(session(address))
        stack.enter_context(sigterm_interrupts())  # again: Ray's start put its own handler in the place of ours
        gpus = gpus_per_trial(spec, local=address is None)
        if address is not None:
            check_nodes(run.context.out, spec.resources.cpus, gpus)
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="unlearn-sweep-"))
        stack.enter_context(described_run(run, spec, "ray", gpus))
        callback = JobCallback(run)
        tuner = tune.Tuner(
            tune.with_resources(job_function(run.context), {"cpu": spec.resources.cpus, "gpu": gpus}),
            tune_config=tune.TuneConfig(
                search_alg=JobSearcher(run.schedule),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=_job_name,
                trial_dirname_creator=_job_name,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                name="tune",
                verbose=0,
                callbacks=[callback],
                failure_config=tune.FailureConfig(max_failures=spec.max_retries),
            ),
        )
        tuner.fit()
        if callback.error is not None:
            raise callback.error


class Unsaved:
    """Ray Tune saves the state of an experiment; here results are the only state, so there is nothing to save."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class JobSearcher(Unsaved, Searcher):  # type: ignore[misc]
    """Suggests the schedule's next job; nothing while the ones left wait for their original."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(metric=None, mode=None)
        self._schedule = schedule

    def suggest(self, trial_id: str) -> Any:
        """Ray Tune's hook: the next configuration, None for not now, or FINISHED."""
        job = self._schedule.next()
        if job is not None:
            return _job_config(job)
        return Searcher.FINISHED if self._schedule.done else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: `JobCallback` hears of it."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: results are the only state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: results are the only state."""


class JobCallback(Unsaved, tune.Callback):  # type: ignore[misc]
    """Tells a run of its jobs' starts and ends; `error` is what kept a result from being stored."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.error: OSError | None = None

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook."""
        self._run.progress.started(_job(trial.config))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: the job ended, and its worker stored the result or could not."""
        result = trial.last_result
        if result["status"] == UNSTORED:
            self._abandon(OSError(result["error"]))
        else:
            self._finish(_job(trial.config), Outcome(result["status"], result["error"]))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: the process died as often as retries allow."""
        job = _job(trial.config)
        outcome = Outcome("failed", f"the worker process died: {trial.get_error() or 'no reason known'}")
        self._finish(job, outcome, record=not job.original_only)

    def _finish(self, job: Job, outcome: Outcome, record: bool = False) -> None:
        try:
            if record:
                self._run.record(job.trial, outcome)
            self._run.finished(job, outcome)
        except OSError as error:
            self._abandon(error)

    def _abandon(self, error: OSError) -> None:
        """Results cannot be stored: start nothing more, so that the run ends with this error."""
        self.error = error
        self._run.schedule.stop()


def job_function(context: Context) -> Callable[[dict[str, str]], dict[str, str | None]]:
    """The function that Ray Tune runs for each job."""

    def run_job(config: dict[str, str]) -> dict[str, str | None]:
        try:
            outcome = kept_worker(context).run(_job(config))
        except OSError as error:
            return {"status": UNSTORED, "error": str(error)}
        return {"status": outcome.status, "error": outcome.error}

    return run_job


UNSTORED = "unstored"
"""What a job reports whose result its worker could not store."""

_workers: list[Worker] = []
"""At most one: Ray reuses the process for the next trial, which finds its dataset and original here."""


def kept_worker(context: Context) -> Worker:
    """The worker of this process."""
    if not _workers or _workers[0].context != context:
        _workers[:] = [Worker(context)]
    return _workers[0]


def _job_config(job: Job) -> dict[str, str | None]:
    kind = f"original-{job.trial.original_id}" if job.original_only else f"trial-{job.trial.id}"
    return {"job": kind, "trial": job.trial.config, "study": job.trial.study}


def _job(config: dict[str, str]) -> Job:
    trial = trial_for(json.loads(config["trial"]), config["study"])
    return Job(trial, original_only=config["job"].startswith("original-"))


def _job_name(trial: Any) -> str:
    return str(trial.config["job"])


@contextmanager
def session(address: str | None) -> Iterator[None]:
    """Ray, started here or on the cluster at `address`; inside another session, that one.

    Raises:
        InputError: no cluster answers.
    """
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"include_dashboard": False}
    if address is not None:
        _check_reachable(address)
        packages = [str(Path(str(module.__file__)).parent) for module in (sweep, methods)]
        options = {"address": address, "runtime_env": {"py_modules": packages}}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **options)
    except (ConnectionError, ValueError) as error:
        why = str(error).splitlines()[0]
        hint = "; if the cluster asks for a token, set RAY_AUTH_MODE=token" if why.startswith("Failed to conn") else ""
        raise InputError(f"--address {address}: {why}{hint}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself tries an address for minutes.

    Raises:
        InputError: nothing listens at `address` (host:port, or ray://host:port).
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--address {address}: no cluster answers: {error}") from error


def gpus_per_trial(spec: Spec, local: bool) -> float:
    """GPUs per trial. A cluster may still grow; this machine's resources are what they are.

    Raises:
        InputError: this machine does not have what is asked for.
    """
    available = ray.cluster_resources()
    if local:
        for key, wanted in (("CPU", spec.resources.cpus), ("GPU", spec.resources.gpus or 0)):
            if wanted > available.get(key, 0):
                name = f"resources.{key.lower()}s"
                raise InputError(f"{name}: {wanted:g} wanted, and Ray finds {available.get(key, 0):g} on this machine")
    if spec.resources.gpus is None:
        return SHARED_GPU if available.get("GPU", 0) else 0
    return spec.resources.gpus
