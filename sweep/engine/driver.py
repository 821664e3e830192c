"""The driver runs the jobs of a schedule, in this process or with Ray Tune, and shows how each ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pyarrow.compute as pc
from rich.console import Console

from sweep.engine.claims import Claims
from sweep.engine.environment import environment_json
from sweep.engine.exclusive import exclusively
from sweep.engine.forecast import Forecast
from sweep.engine.interrupts import deadline, interruptible
from sweep.engine.pace import computes_on_gpu, here
from sweep.engine.progress import Progress
from sweep.engine.schedule import GridSchedule, Schedule
from sweep.engine.shared_grid import SharedGrid
from sweep.plan.check import Checked, check_task
from sweep.plan.labels import store_labels
from sweep.plan.pending import NOTHING, Again, untouched
from sweep.plan.relearning import asked_relearning
from sweep.plan.trials import Trial, describe, location_options, model_location
from sweep.plan.versions import original_version
from sweep.spec.plugins import find_kind
from sweep.spec.sweep_spec import Spec
from sweep.store.columns import METRICS
from sweep.store.location import absolute_location
from sweep.store.metrics import KINDS, gap_between
from sweep.store.original_labels import Label, differ_words, of_several_weights, read_label
from sweep.store.results import Results
from sweep.store.row_lists import write_row_list
from sweep.store.running import running_path
from sweep.trial.job import Context, Job, Outcome
from sweep.trial.rows import trial_row
from sweep.words import counted, them


def ignore(message: str) -> None:
    """Do nothing."""


class Overtaken(Exception):
    """Another command has ended some of the trials since they were planned: plan again."""


@dataclass(frozen=True)
class Executor:
    """A way to run jobs.

    Attributes:
        name: as on the command line.
        load: imports what the executor needs, which may take seconds, and returns the function that runs a schedule's
            jobs for a driver.
        own_processes: whether jobs run in processes of their own, which may be ended without harm to the driver.
    """

    name: str
    load: Callable[[], Callable[[Driver, Schedule], object]]
    own_processes: bool = False


@dataclass(frozen=True)
class Request:
    """What a command asks for.

    Attributes:
        spec: what to run.
        out: the results directory.
        executor: what runs it.
        address: of a Ray cluster; None: this machine, or what RAY_ADDRESS says.
        storage: URL of the Optuna storage that a search's studies live in; None: memory.
        again: which trials are run again though they have a row.
        time_budget: seconds after which no further job is started; None: no limit.
        console: where progress is shown.
        began: is called with the id of every trial that begins, each time that it does.
        tell: is called with the id of every trial that ended, once its row is stored.
        warn: is called with every warning, one line each.
        heading: lines to show first, once nothing refuses to run.
        shared: whether other commands run other trials of the sweep into the same directory, which must be a path.
        alone: ids of trials, or names of studies, that no other command may be running into the same directory.
        before: by their ids the rows that those trials had when it was decided to run them.
    """

    spec: Spec
    out: str
    executor: Executor
    address: str | None = None
    storage: str | None = None
    again: Again = NOTHING
    time_budget: float | None = None
    console: Console = field(default_factory=Console)
    began: Callable[[str], None] = ignore
    tell: Callable[[str], None] = ignore
    warn: Callable[[str], None] = ignore
    heading: Sequence[str] = ()
    shared: bool = False
    alone: Set[str] = frozenset()
    before: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Driver:
    """Runs the jobs of one request, and shows how they end. It keeps no state of its own that must last."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.results = Results(request.out)
        self.context = run_context(request.spec, request.out, request.again.refresh)
        self.progress = Progress(request.console)
        self._running: set[str] = set()

    def grid(self, trials: Sequence[Trial], originals: Sequence[Trial] = ()) -> GridSchedule:
        """A schedule of trials and of the missing originals that they start from.

        Args:
            trials: the trials to run.
            originals: trials that are not run, but whose originals are trained if they are missing.

        Raises:
            OSError: results cannot be read.
        """
        labels, stale = self._labels([*trials, *originals])
        columns = ["original_id", "original_sha256"]
        rows = self.results.trials(columns).table.select(columns).to_pylist() if labels else []
        rows += [{"original_id": name, "original_sha256": label.sha256} for name, label in labels.items()]
        if other := of_several_weights(rows) & labels.keys():
            self.request.warn(differ_words(len(other)))
        stored = set(labels)
        if self.request.again.refresh:
            stored -= stale.keys()
        elif stale:
            versions = ", ".join(sorted(set(stale.values())))
            which = counted(len(stale), "original is", "originals are")
            again = f"--refresh trains {them(len(stale))} again"
            self.request.warn(f"{which} of another code version, {versions}: {again}")
        schedule = self._schedule(trials, stored, originals)
        self.progress.expect(trials=len(trials), originals=schedule.originals)
        return schedule

    def _schedule(self, trials: Sequence[Trial], stored: set[str], originals: Sequence[Trial]) -> GridSchedule:
        if not self.request.shared:
            return GridSchedule(trials, stored, originals, lost=self.record)
        of = {trial.original_id: trial for trial in (*trials, *originals)}

        def there(original_id: str) -> bool:
            labels, stale = self._labels([of[original_id]])
            return bool(labels) and not (self.request.again.refresh and stale)

        claims = Claims(self.results, there)
        return SharedGrid(trials, stored, originals, self.record, claims, lambda _: self.progress.expect(originals=-1))

    def _labels(self, trials: Sequence[Trial]) -> tuple[dict[str, Label], dict[str, str]]:
        """The labels of the stored originals that trials need, by id; the versions of those that other code trained."""
        needed = {trial.original_id: trial for trial in trials if trial.original_id is not None}
        labels = {name: label for name in needed if (label := read_label(self.results, name)) is not None}
        versions = {name: label.version for name, label in labels.items()}
        ours = {name: original_version(describe(needed[name])) for name in labels}
        return labels, {name: version for name, version in versions.items() if version != ours[name]}

    def forecast(self, checked: Checked) -> Forecast:
        """A forecast that expects nothing yet, as `here` says.

        Where Ray's processes compute on a GPU, that stays theirs, and nothing is timed.
        """
        spec = self.request.spec
        if self.request.executor.own_processes and computes_on_gpu(spec):
            return Forecast(checked, spec.training.epochs, None)
        return here(spec, checked)

    def run(self, schedule: Schedule, check: Callable[[], Forecast | None]) -> None:
        """Run a schedule's jobs until it has ended or the time budget is spent. Load no executor if it ended before.

        Args:
            check: is called before the first job, and says how long all will take, or None; an exception that it raises
                ends the run.

        Raises:
            InputError: the resources asked for are not there, or no cluster answers.
            Overtaken: another command has run some of it since it was planned.
            Unsuccessful: Ray does not start, or how earlier jobs ended makes it pointless to go on.
            OSError: results cannot be stored.
            KeyboardInterrupt: interrupted (Ctrl-C or SIGTERM); rows of finished trials are stored.
        """
        with interruptible(), deadline(schedule, self.request.time_budget):
            if schedule.ended:
                store_labels(self.results, self.request.spec)
                self._show_heading()
                return
            with ThreadPoolExecutor(1) as pool:
                checking = pool.submit(check)
                execute = self.request.executor.load()  # at the same time, because both take seconds
                self.progress.forecast = checking.result()
            try:
                execute(self, schedule)
            finally:
                self._no_longer_run(*self._running)

    @contextmanager
    def described(self, gpus: float, slots: int = 1) -> Iterator[None]:
        """Write into the results directory what is run, and show progress while the body runs.

        An executor runs its jobs in this, once it knows how many GPUs each job has, and how many jobs run at once.

        Raises:
            InputError: another command is running the same into this directory.
            Overtaken: another command has run some of it since it was planned.
            OSError: results cannot be read or stored.
        """
        with exclusively(self.results.location, self.request.alone):
            self._require_untouched()
            self._describe(gpus)
            if self.progress.forecast is not None:
                self.progress.forecast.slots = slots
            self._show_heading()
            with self.progress:
                yield

    def _require_untouched(self) -> None:
        """Raise Overtaken if a trial that is to be run got another row while Ray started."""
        columns = ["trial_id", "finished_at"]
        now = {row["trial_id"]: row for row in self.results.trials(columns).table.select(columns).to_pylist()}
        if untouched(self.request.alone, self.request.before, now) != self.request.alone:
            raise Overtaken

    def _describe(self, gpus: float) -> None:
        spec, executor = self.request.spec, self.request.executor
        self.context = replace(self.context, gpu=gpus > 0, expendable=executor.own_processes)
        self.results.write("spec.yaml", spec.to_yaml().encode())
        for listed in (each for grid in spec.forget for each in grid.lists()):
            write_row_list(self.results, listed)
        kind = find_kind(spec.dataset.name)
        if kind.name not in KINDS:
            self.results.write_metrics(kind.name, kind.metrics)
        store_labels(self.results, spec)
        self.results.write("environment.json", environment_json(executor.name, spec.training.precision).encode())

    def started(self, job: Job) -> None:
        """Show that a job began."""
        self.progress.started(job)
        if not job.original_only:
            self._running.add(job.trial.id)
            self.request.began(job.trial.id)

    def ended(self, schedule: Schedule, job: Job, outcome: Outcome) -> None:
        """Show that a job ended, and tell the schedule. The job's row is stored already.

        Raises:
            OSError: a row that follows from this cannot be stored.
        """
        self.progress.finished(job, outcome, self._gap(job, outcome))
        if not job.original_only:
            self._running.discard(job.trial.id)
            self.request.tell(job.trial.id)
        schedule.finished(job, outcome)

    def record(self, trial: Trial, outcome: Outcome) -> None:
        """Store and show the outcome of a trial that no worker ran.

        Raises:
            OSError: its row cannot be stored.
        """
        self.store(trial, outcome)
        self.progress.never_ran(Job(trial), outcome)
        if outcome.status != "pruned":
            self.request.tell(trial.id)

    def store(self, trial: Trial, outcome: Outcome) -> None:
        """Store a trial's row in place of a worker that could not.

        Raises:
            OSError: it cannot be stored.
        """
        self.results.write_trial(trial_row(trial, self.context, outcome, datetime.now(UTC)))
        self._no_longer_run(trial.id)

    def _no_longer_run(self, *trial_ids: str) -> None:
        """Remove what workers that were killed said of trials."""
        with suppress(OSError):
            for trial_id in trial_ids:
                self.results.remove(running_path(trial_id))

    def _gap(self, job: Job, outcome: Outcome) -> float | None:
        """The average gap of a trial that ended ok, where Retrain of its seed has ended; on validation data if a study
        asked for the trial.
        """
        if job.original_only or outcome.status != "ok":
            return None
        key = job.trial.task_id, job.trial.seed
        if job.trial.method == "retrain":
            self._retrain[key] = outcome.metrics
            return None
        return gap_between(outcome.metrics, self._retrain.get(key, {}), self._kind, validation=bool(job.trial.study))

    @cached_property
    def _retrain(self) -> dict[tuple[str, int], Mapping[str, float | None]]:
        """The metrics of Retrain by task and seed: those that are stored, then those that end."""
        columns = ["task_id", "seed", "method", "status", *METRICS]
        rows = self.results.trials(columns).table.select(columns)
        chosen = rows.filter((pc.field("method") == "retrain") & (pc.field("status") == "ok")).to_pylist()
        return {(row["task_id"], row["seed"]): row for row in chosen}

    @cached_property
    def _kind(self) -> str:
        return find_kind(self.request.spec.dataset.name).name

    def _show_heading(self) -> None:
        forecast = self.progress.forecast
        for position, line in enumerate(self.request.heading):
            words = forecast.words() if forecast is not None and position == 0 else None
            self.progress.say(line + (f", {words}" if words else ""))

    def check_row(self, trial: Trial, host: str) -> None:
        """Make sure that this process sees the row that `host` stored.

        Raises:
            OSError: it does not, because `host` has other storage in that place, or results cannot be read.
        """
        row = self.results.trial(trial.id)
        if row is None or row["host"] != host:
            where = f"{self.results.location}: node {host}"
            raise OSError(f"{where} stored a row that does not appear here: it is not the same storage")


def run_sweep(request: Request, pending: Sequence[Trial]) -> None:
    """Run the `pending` trials of a sweep and store their rows; show the heading if there are none, too.

    Raises:
        InputError: what `check_task` finds.
        InputError, Overtaken, Unsuccessful, OSError, KeyboardInterrupt: as in `Driver.run`.
    """
    driver = Driver(request)
    schedule = driver.grid(pending)
    driver.run(schedule, lambda: driver.forecast(check_task(request.spec, request.warn)).expect(schedule.jobs))


def run_context(spec: Spec, out: str, refresh: bool) -> Context:
    """What all jobs share. The executor finds out later whether they have a GPU, and corrects `gpu`."""
    return Context(
        sweep=spec.name,
        out=absolute_location(out),
        location=location_options(spec.dataset),
        model_location=model_location(spec.model),
        threads=max(1, int(spec.resources.cpus)),
        gpu=False,
        max_retries=spec.max_retries,
        predictions=spec.predictions,
        forget_information=spec.forget_information,
        relearning=asked_relearning(spec),
        probe_every=spec.probe.every,
        probe_samples=spec.probe.samples,
        trial_timeout=spec.trial_timeout,
        refresh=refresh,
        plugins=os.getcwd(),
    )
