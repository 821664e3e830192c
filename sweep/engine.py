"""Running pending trials: in this process, or scheduled by Ray Tune on one machine or a cluster."""

from __future__ import annotations

import importlib
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType
from typing import Literal, Protocol

import torch
from rich.console import Console

from sweep.environment import environment_json
from sweep.errors import InputError
from sweep.location import absolute_location
from sweep.merging import Merging
from sweep.originals import DIFFER, of_several_weights, read_label
from sweep.plan import Trial, check_task, describe, location_options
from sweep.progress import RunProgress
from sweep.results import Results
from sweep.rows import trial_row
from sweep.schedule import Schedule
from sweep.spec import Spec
from sweep.trial import Context, Job, Outcome, Worker
from sweep.versions import original_version

Executor = Literal["ray", "inline"]


class Described(Protocol):
    """What `described_run` needs of a run."""

    context: Context
    results: Results
    merging: Merging

    @property
    def progress(self) -> AbstractContextManager[object]:
        """What shows the run while it goes on."""


class Stoppable(Protocol):
    """What hands out jobs until it is stopped. Any thread may do that."""

    def stop(self) -> None:
        """Hand out nothing more."""


def nobody(what: str) -> None:
    """Nobody is told."""


class Run:
    """The driver's view of a run: what is left, and what is shown. Results hold everything that must last.

    Args:
        tell: is told the id of every trial that ended, once its row is stored.
    """

    def __init__(
        self, schedule: Schedule, context: Context, progress: RunProgress, tell: Callable[[str], None] = nobody
    ) -> None:
        self.schedule = schedule
        self.context = context
        self.progress = progress
        self.results = Results(context.out)
        self.merging = Merging(self.results, progress.say)
        self._tell = tell

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Note a job's end; trials that lost their original by it are recorded with its outcome.

        Raises:
            OSError: results cannot be stored.
        """
        self.progress.finished(job, outcome)
        if not job.original_only:
            self._stored(job.trial)
        for trial in self.schedule.finished(job, outcome):
            self.record(trial, outcome)
            self.progress.ended(Job(trial), outcome)
            self._stored(trial)

    def check_row(self, trial: Trial, host: str) -> None:
        """Make sure that a row which `host` stored is here.

        Raises:
            OSError: it is not, because `host` has other storage in that place, or results cannot be read.
        """
        row = self.results.trial(trial.id)
        if row is None or row["host"] != host:
            where = f"{self.results.location}: node {host}"
            raise OSError(f"{where} stored a row that does not appear here: it is not the same storage")

    def record(self, trial: Trial, outcome: Outcome) -> None:
        """Store the row of a trial that no worker could store.

        Raises:
            OSError: it cannot be stored.
        """
        row = trial_row(trial, self.context, outcome, datetime.now(UTC))
        self.results.write_trial(row)

    def _stored(self, trial: Trial) -> None:
        self.merging.stored()
        self._tell(trial.id)


def run_trials(
    spec: Spec,
    pending: list[Trial],
    out: str,
    executor: Executor,
    address: str | None,
    console: Console,
    refresh: bool = False,
    originals: Sequence[Trial] = (),
    time_budget: float | None = None,
    tell: Callable[[str], None] = nobody,
    warn: Callable[[str], None] = nobody,
    checked: bool = False,
) -> None:
    """Run `pending` and store their rows in the results directory `out`. Starts nothing if there is nothing to do.

    With `refresh`, originals that another code version trained are trained again. The originals of the trials in
    `originals` are trained too, where they are missing, though those trials are not run. After `time_budget` seconds
    nothing more is started; what runs then is ended and stored. `tell` is as in `Run`; `warn` is told what
    `check_task` tells, and, without `refresh`, of originals of another code version. `checked`: whether
    `check_task` was called before.

    Raises:
        InputError: what `check_task` finds, the resources asked for are not there, or no cluster answers.
        OSError: results cannot be stored.
        KeyboardInterrupt: interrupted (Ctrl-C or SIGTERM); rows of finished trials are stored.
    """
    if not pending and not originals:
        return
    results = Results(out)
    stored, stale, weights = _stored_originals(results, [*pending, *originals])
    columns = ["original_id", "original_sha256"]
    rows = results.trials(columns).table.select(columns).to_pylist()
    if other := of_several_weights([*rows, *weights]) & stored:
        warn(f"{len(other)} originals {DIFFER}")
    if refresh:
        stored -= stale.keys()
    elif stale:
        versions = ", ".join(sorted(set(stale.values())))
        warn(f"{len(stale)} originals are of another code version, {versions}: --refresh trains them again")
    schedule = Schedule(pending, stored, originals)
    if schedule.done:
        return
    with ThreadPoolExecutor(1) as pool:
        checking = None if checked else pool.submit(check_task, spec, warn)
        if executor == "ray":
            importlib.import_module("sweep.ray_executor")  # takes as long as the check, so both at once
        if checking is not None:
            checking.result()
    progress = RunProgress(console, len(pending), schedule.originals)
    run = Run(schedule, run_context(spec, out, refresh), progress, tell)
    with sigterm_interrupts(), deadline(schedule, time_budget):
        if executor == "inline":
            gpus = gpus_of_this_process(spec)
            with described_run(run, spec, "inline", gpus):
                _run_inline(run)
        else:
            from sweep.ray_executor import run_ray

            run_ray(run, spec, address)


def _stored_originals(
    results: Results, trials: list[Trial]
) -> tuple[set[str], dict[str, str], list[dict[str, str | None]]]:
    """The ids of the originals that trials need and that are stored, by their heads, and two things known of them.

    Of those of another code version, the versions; of all, the weights, in the columns of `of_several_weights`.
    """
    needed = {trial.original_id: trial for trial in trials if trial.original_id is not None}
    found: dict[str, str] = {}
    weights: list[dict[str, str | None]] = []
    for name in needed:
        if (label := read_label(results, name)) is not None:
            found[name] = label.version
            weights.append({"original_id": name, "original_sha256": label.sha256})
    stale = {name: found[name] for name in found if found[name] != original_version(describe(needed[name]))}
    return set(found), stale, weights


def run_context(spec: Spec, out: str, refresh: bool) -> Context:
    """What all jobs share; whether they have a GPU is found out later."""
    return Context(
        sweep=spec.name,
        out=absolute_location(out),
        location=location_options(spec.dataset),
        threads=max(1, int(spec.resources.cpus)),
        gpu=False,
        max_retries=spec.max_retries,
        predictions=spec.predictions,
        probe_every=spec.probe.every,
        probe_samples=spec.probe.samples,
        trial_timeout=spec.trial_timeout,
        refresh=refresh,
        plugins=os.getcwd(),
    )


@contextmanager
def described_run(run: Described, spec: Spec, executor: Executor, gpus: float) -> Iterator[None]:
    """What an executor runs its jobs in, once it knows that it can: the results directory says what is run, with live
    progress, and rows are merged where there are many.

    Raises:
        OSError: results cannot be stored.
    """
    run.context = replace(run.context, gpu=gpus > 0, expendable=executor == "ray")
    run.results.write("spec.yaml", spec.to_yaml().encode())
    run.results.write("environment.json", environment_json(executor, spec.training.precision).encode())
    with run.progress, run.merging:
        yield


def gpus_of_this_process(spec: Spec) -> float:
    """GPUs per trial where trials run in this process.

    Raises:
        InputError: more are wanted than there are.
    """
    wanted, found = spec.resources.gpus, torch.cuda.device_count()
    if wanted and wanted > found:
        raise InputError(f"resources.gpus: {wanted:g} wanted, and torch finds {found} on this machine")
    return found if wanted is None else wanted


def _run_inline(run: Run) -> None:
    worker = Worker(run.context)
    while job := run.schedule.next():
        run.progress.started(job)
        run.finished(job, worker.run(job))


@contextmanager
def deadline(run: Stoppable, seconds: float | None) -> Iterator[None]:
    """Let a run hand out nothing more after so many seconds."""
    timer = threading.Timer(min(threading.TIMEOUT_MAX, math.inf if seconds is None else seconds), run.stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
