"""Jobs through Ray Tune: a searcher that hands them out in chunks, a trainable that runs one job a step, a callback.

A Ray Tune trial costs scheduling, a step of one hardly anything. So a chunk of short jobs is one trial of Ray Tune's,
and each job one step of it: the driver hears of each job's end, and, when a process dies, knows which one it was at.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

# First, because it sets Ray's environment.
from sweep.ray_session import gpus_per_trial, session

# isort: split
import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweep.deaths import Processes, let_tune_survive
from sweep.device import busy
from sweep.engine import Run, described_run, sigterm_interrupts
from sweep.reach import check_nodes
from sweep.schedule import Schedule
from sweep.spec import Spec
from sweep.trial import Context, Job, Outcome, Worker

let_tune_survive()

PENDING = "TUNE_MAX_PENDING_TRIALS_PG"
"""Ray Tune's variable for the number of its trials that may wait for room; without it, one."""

AHEAD = 32
"""Chunks that may wait for room on a cluster, which may grow."""


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
        if address is not None and not check_nodes(run.context.out, spec.resources.cpus, gpus):
            run.progress.say(f"no node has {spec.resources.cpus:g} CPUs and {gpus:g} GPUs: waiting for one to join")
        stack.enter_context(asked_ahead(slots(spec.resources.cpus, gpus) + 1, address))
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="unlearn-sweep-"))
        stack.enter_context(described_run(run, spec, "ray", gpus))
        callback = JobCallback(run, Processes(spec.max_retries, spec.trial_timeout), gpus)
        tuner = tune.Tuner(
            tune.with_resources(chunk_trainable(run.context), {"cpu": spec.resources.cpus, "gpu": gpus}),
            tune_config=tune.TuneConfig(
                search_alg=ChunkSearcher(run.schedule, spec.resources.cpus, gpus),
                scheduler=ChunkScheduler(run.schedule),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=trial_name,
                trial_dirname_creator=trial_name,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                name="tune",
                verbose=0,
                callbacks=[callback],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
        tuner.fit()
        if callback.error is not None:
            raise callback.error


@contextmanager
def asked_ahead(chunks: int, address: str | None) -> Iterator[None]:
    """Let Ray Tune ask for room for so many chunks at once: all processes are started together, not one after another,
    and on a cluster, where it asks for `AHEAD` at least, an autoscaler starts several nodes together.
    """
    if PENDING in os.environ:
        yield
        return
    os.environ[PENDING] = str(chunks if address is None else max(chunks, AHEAD))
    try:
        yield
    finally:
        del os.environ[PENDING]


def slots(cpus: float, gpus: float) -> int:
    """Trials that Ray runs at once, on what it has now; at least one."""
    there = ray.cluster_resources()
    found = there.get("CPU", 0) / cpus
    if gpus:
        found = min(found, there.get("GPU", 0) / gpus)
    return max(1, int(found))


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
        chunk = () if self._schedule.done else self._schedule.chunk(slots(self._cpus, self._gpus))
        return {"chunk": Chunk(list(chunk))} if chunk else None

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


class ChunkScheduler(Unsaved, FIFOScheduler):  # type: ignore[misc]
    """Once the schedule was stopped, ends each chunk after the job that it is at, and lets no other begin.

    Until then a process that is free gets a chunk for which none is being started. Ray Tune itself would give it the
    first that waits, and stop the process that is being started for that one: where this takes longer than a chunk, a
    node that joins would never have a process.
    """

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Ray Tune's hook: which of those that wait is the next one."""
        live = tune_controller.get_live_trials()
        waiting = sorted((trial for trial in live if trial.status == trial.PENDING), key=trial_name)
        if not self._schedule.stopped:
            return next((trial for trial in waiting if not has_process(tune_controller, trial)), None)
        for trial in waiting:
            trial.init_local_path()  # Ray Tune takes it for granted when it sums up
            tune_controller.stop_trial(trial)
        return None

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Ray Tune's hook."""
        return str(TrialScheduler.STOP if self._schedule.stopped else TrialScheduler.CONTINUE)


def has_process(tune_controller: Any, trial: Any) -> bool:
    """Whether a process is there, or being started, for a trial of Ray Tune's."""
    controller = tune_controller._tune_controller
    actor = controller._trial_to_actor.get(trial)
    return actor is not None and bool(controller._actor_manager.is_actor_started(actor))


class JobCallback(Unsaved, tune.Callback):  # type: ignore[misc]
    """Tells a run of its jobs' starts and ends; `error` is what kept a result from being stored."""

    def __init__(self, run: Run, processes: Processes, gpus: float) -> None:
        self._run = run
        self._processes = processes
        self._gpus = gpus
        self._hosts: set[str] = set()
        self.error: OSError | None = None

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: a process has a chunk."""
        if self._gpus:
            self._run.progress.gpus(self._gpus, ray.cluster_resources().get("GPU", 0))
        self._begin(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Ray Tune's hook: a job ended, and its worker stored the result or could not."""
        job = trial.config["chunk"].jobs.pop(0)
        self._run.schedule.took(job, result["seconds"])
        self._run.progress.busy(result["busy"])
        if result["status"] == UNSTORED:
            self._abandon(OSError(result["error"]))
        else:
            self._finish(job, Outcome(result["status"], result["error"]), result["hostname"])
        if result["done"]:
            self._processes.ended(trial)
        else:
            self._begin(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: a process died, and with it one job, which is run again as often as may be."""
        left = trial.config["chunk"].jobs
        job, rest = left[0], left[1:]
        left.clear()
        self._run.schedule.back(rest)
        death, again = self._processes.died(trial, told(trial), job)
        if again:
            self._run.progress.interrupted(job)
            self._run.schedule.back([job])
        else:
            self._finish(job, Outcome("failed", death.reason))

    def _begin(self, trial: Any) -> None:
        self._processes.began(trial)
        self._run.progress.started(trial.config["chunk"].jobs[0])

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
        self.error = error
        self._run.schedule.stop()


def told(trial: Any) -> str:
    """What Ray said when a process died that had a trial of Ray Tune's."""
    return Path(trial.error_file).read_text() if trial.error_file else ""


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


def trial_name(trial: Any) -> str:
    """What Ray Tune calls a trial of its own, and the trial's folder."""
    return str(trial.trial_id)
