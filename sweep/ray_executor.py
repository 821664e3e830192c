"""Jobs through Ray Tune: a searcher that hands them out in chunks, a trainable that runs one job a step, a callback.

A Ray Tune trial costs scheduling, a step of one hardly anything. So a chunk of short jobs is one trial of Ray Tune's,
and each job one step of it: the driver hears of each job's end, and, when a process dies, knows which one it was at.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
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
from sweep.device import busy  # noqa: E402
from sweep.engine import Run, described_run, sigterm_interrupts  # noqa: E402
from sweep.errors import InputError  # noqa: E402
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
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # that processes died is told by rows and progress
    with ExitStack() as stack:
        stack.enter_context(session(address))
        stack.enter_context(sigterm_interrupts())  # again: Ray's start put its own handler in the place of ours
        gpus = gpus_per_trial(spec, local=address is None)
        if address is not None:
            check_nodes(run.context.out, spec.resources.cpus, gpus)
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="unlearn-sweep-"))
        stack.enter_context(described_run(run, spec, "ray", gpus))
        callback = JobCallback(run, spec.max_retries, gpus)
        tuner = tune.Tuner(
            tune.with_resources(chunk_trainable(run.context), {"cpu": spec.resources.cpus, "gpu": gpus}),
            tune_config=tune.TuneConfig(
                search_alg=ChunkSearcher(run.schedule, spec.resources.cpus, gpus),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=_trial_name,
                trial_dirname_creator=_trial_name,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                name="tune",
                verbose=0,
                stop=StopSign(run.schedule),
                callbacks=[callback],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
        tuner.fit()
        if callback.error is not None:
            raise callback.error


class Unsaved:
    """Ray Tune saves the state of an experiment; here results are the only state, so there is nothing to save."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class ChunkSearcher(Unsaved, Searcher):  # type: ignore[misc]
    """Suggests the schedule's next chunk of jobs; nothing while the ones left wait for their original."""

    def __init__(self, schedule: Schedule, cpus: float, gpus: float) -> None:
        super().__init__(metric=None, mode=None)
        self._schedule = schedule
        self._cpus = cpus
        self._gpus = gpus

    def suggest(self, trial_id: str) -> Any:
        """Ray Tune's hook: the next configuration, None for not now, or FINISHED."""
        if self._schedule.ended:
            return Searcher.FINISHED
        chunk = () if self._schedule.done else self._schedule.chunk(self._slots())
        return {"chunk": Chunk(list(chunk))} if chunk else None

    def _slots(self) -> int:
        """Trials that the cluster runs at once, as large as it is now."""
        there = ray.cluster_resources()
        slots = there.get("CPU", 0) / self._cpus
        if self._gpus:
            slots = min(slots, there.get("GPU", 0) / self._gpus)
        return max(1, int(slots))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: `JobCallback` hears of it."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: results are the only state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: results are the only state."""


class Chunk:
    """Jobs for one process. The driver takes away what has ended, so that Ray Tune, which keeps every configuration to
    the end of a run, keeps none of it.
    """

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs

    def __deepcopy__(self, memo: dict[int, Any]) -> Chunk:
        """Itself: Ray Tune copies configurations."""
        return self


class StopSign(Unsaved, tune.Stopper):  # type: ignore[misc]
    """Ends a chunk after the job that it is at, once the schedule was stopped."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Ray Tune's hook."""
        return self._schedule.stopped

    def stop_all(self) -> bool:
        """Ray Tune's hook: never, because it would end jobs in their middle."""
        return False


class JobCallback(Unsaved, tune.Callback):  # type: ignore[misc]
    """Tells a run of its jobs' starts and ends; `error` is what kept a result from being stored."""

    def __init__(self, run: Run, max_retries: int, gpus: float) -> None:
        self._run = run
        self._max_retries = max_retries
        self._gpus = gpus
        self._deaths: Counter[Job] = Counter()
        self.error: OSError | None = None

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: a process has a chunk."""
        if self._gpus:
            self._run.progress.gpus(self._gpus, ray.cluster_resources().get("GPU", 0))
        self._run.progress.started(trial.config["chunk"].jobs[0])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Ray Tune's hook: a job ended, and its worker stored the result or could not."""
        left = trial.config["chunk"].jobs
        job = left.pop(0)
        self._run.schedule.took(job, result["seconds"])
        self._run.progress.busy(result["busy"])
        if result["status"] == UNSTORED:
            self._abandon(OSError(result["error"]))
        else:
            self._finish(job, Outcome(result["status"], result["error"]))
        if not result["done"]:
            self._run.progress.started(left[0])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: a process died, and with it one job, which is run again as often as retries allow."""
        left = trial.config["chunk"].jobs
        job, rest = left[0], left[1:]
        left.clear()
        self._run.schedule.back(rest)
        self._deaths[job] += 1
        if self._deaths[job] <= self._max_retries:
            self._run.progress.interrupted(job)
            self._run.schedule.back([job])
        else:
            outcome = Outcome("failed", death(trial))
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


def death(trial: Any) -> str:
    """What is known of the end of a Ray Tune trial's process; the last line says it in short."""
    found = Path(trial.error_file).read_text() if trial.error_file else ""
    return f"{found}\nthe worker process died (killed, out of memory, or as told above)".strip()


def chunk_trainable(context: Context) -> type[tune.Trainable]:
    """What Ray Tune runs in processes that it uses again: a chunk of jobs, one a step."""

    class ChunkTrainable(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            """Ray Tune's hook: a new process."""
            self._worker = kept_worker(context)
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            """Ray Tune's hook: the next chunk."""
            self._jobs = new_config["chunk"].jobs
            self.config: dict[str, Any] = {}  # Ray Tune sends it back with every result
            return True

        def step(self) -> dict[str, Any]:
            """Ray Tune's hook: run the next job, and say how it ended."""
            job = self._jobs.pop(0)
            began = time.perf_counter()
            try:
                outcome = self._worker.run(job)
                ended = {"status": outcome.status, "error": outcome.error, "done": not self._jobs}
            except OSError as error:
                ended = {"status": UNSTORED, "error": str(error), "done": True}
            return ended | {"seconds": time.perf_counter() - began, "busy": busy()}

    return ChunkTrainable


UNSTORED = "unstored"
"""What a job reports whose result its worker could not store."""


_workers: list[Worker] = []
"""At most one: Ray uses the process again, and what runs next finds its dataset and original here."""


def kept_worker(context: Context) -> Worker:
    """The worker of this process."""
    if not _workers or _workers[0].context != context:
        _workers[:] = [Worker(context)]
    return _workers[0]


def _trial_name(trial: Any) -> str:
    return str(trial.trial_id)


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
