"""Running pending trials: in this process, or scheduled by Ray Tune on one machine or a cluster."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Literal

import torch
from rich.console import Console

from sweep.errors import InputError
from sweep.originals import load_original
from sweep.plan import Trial, location_options
from sweep.progress import RunProgress
from sweep.results import Results
from sweep.schedule import Schedule
from sweep.spec import Spec
from sweep.trial import Context, Job, Outcome, Worker, trial_row

Executor = Literal["ray", "inline"]


class Run:
    """The driver's view of a run: what is left, and what is shown. Results hold everything that must last."""

    def __init__(self, schedule: Schedule, context: Context, progress: RunProgress) -> None:
        self.schedule = schedule
        self.context = context
        self.progress = progress

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Note a job's end; trials that lost their original by it are recorded with its outcome.

        Raises:
            OSError: results cannot be stored.
        """
        self.progress.finished(job, outcome)
        for trial in self.schedule.finished(job, outcome):
            self.record(trial, outcome)
            self.progress.ended(Job(trial), outcome)

    def record(self, trial: Trial, outcome: Outcome) -> None:
        """Store the row of a trial that no worker could store.

        Raises:
            OSError: it cannot be stored.
        """
        row = trial_row(trial, self.context, outcome, datetime.now(UTC))
        Results(self.context.out).write_trial(row)


def run_trials(
    spec: Spec, pending: list[Trial], out: str, executor: Executor, address: str | None, console: Console
) -> None:
    """Run `pending` and store their rows in the results directory `out`. Starts nothing if there are none.

    Raises:
        InputError: the resources asked for are not there, or no cluster answers at `address`.
        OSError: results cannot be stored.
        KeyboardInterrupt: interrupted (Ctrl-C or SIGTERM); rows of finished trials are stored.
    """
    if not pending:
        return
    results = Results(out)
    needed = {trial.original_id for trial in pending if trial.original_id is not None}
    schedule = Schedule(pending, {name for name in needed if load_original(results, name) is not None})
    context = Context(
        sweep=spec.name,
        out=out if "://" in out else str(Path(out).expanduser().absolute()),
        location=location_options(spec.dataset),
        threads=max(1, int(spec.resources.cpus)),
        gpu=False,
        max_retries=spec.max_retries,
        predictions=spec.predictions,
    )
    progress = RunProgress(console, len(pending), schedule.originals)
    run = Run(schedule, context, progress)
    with _sigterm_interrupts(), progress:
        if executor == "inline":
            _run_inline(run, spec)
        else:
            from sweep.ray_executor import run_ray

            run_ray(run, spec, address)


def _run_inline(run: Run, spec: Spec) -> None:
    wanted = spec.resources.gpus
    if wanted and not torch.cuda.is_available():
        raise InputError(f"resources.gpus: {wanted:g} wanted, and this machine has no GPU that torch can use")
    run.context = replace(run.context, gpu=wanted != 0 and torch.cuda.is_available())
    worker = Worker(run.context)
    while job := run.schedule.next():
        run.progress.started(job)
        run.finished(job, worker.run(job))


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
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
