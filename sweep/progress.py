"""Live progress of a run: a bar on a terminal; elsewhere a line per finished trial, and one of counts every minute."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sweep.redaction import redacted
from sweep.trial import Job, Outcome

PACE_SECONDS = 3600.0
"""How far back the pace is looked at that time left is estimated from: trials may take minutes."""

SUMMARY_SECONDS = 60.0
"""How often counts and time left are printed where there is no bar."""


def progress_bar(console: Console) -> Progress:
    """A bar for each task, which needs a field `detail`; nothing where there is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        speed_estimate_period=PACE_SECONDS,
    )


class RunProgress:
    """Counts jobs as they start and end. A context manager: the bar lives inside it."""

    def __init__(self, console: Console, trials: int, originals: int) -> None:
        self._console = console
        self._total = trials
        self._running: set[Job] = set()
        self.counts: Counter[str] = Counter()
        self._bar = progress_bar(console)
        self._gpus = (0.0, 0.0)
        self._busy: float | None = None
        self._summarised = self._bar.get_time()
        self._originals = self._bar.add_task("originals", total=originals, visible=originals > 0, detail="")
        self._trials = self._bar.add_task("trials", total=trials, detail="")

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def gpus(self, each: float, there: float) -> None:
        """A job takes `each` of the `there` GPUs."""
        self._gpus = (each, there)

    def busy(self, percent: float | None) -> None:
        """The share of its time that a job's GPU computed lately, where that is known."""
        if percent is not None:
            self._busy = percent if self._busy is None else (self._busy + percent) / 2

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def started(self, job: Job) -> None:
        """A job began."""
        self._running.add(job)
        self._refresh()
        if not self._console.is_terminal:
            self._summarise()

    def interrupted(self, job: Job) -> None:
        """A job's process died; it will begin again."""
        self._running.discard(job)
        self._refresh()

    def finished(self, job: Job, outcome: Outcome) -> None:
        """A started job ended."""
        self._running.discard(job)
        if job.original_only:
            self._bar.advance(self._originals)
        self.ended(job, outcome)

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A job has an outcome, whether or not it was started."""
        if not job.original_only:
            self.counts[outcome.status] += 1
            self._bar.advance(self._trials)
        reason = f": {redacted(outcome.error).strip().splitlines()[-1]}" if outcome.error else ""
        what = (
            f"training of original {job.trial.original_id}"
            if job.original_only
            else f"{job.trial.method} {job.trial.id}"
        )
        line = f"{what} seed {job.trial.seed}"
        done = sum(self.counts.values())
        if not self._console.is_terminal:
            self._console.print(f"[{done}/{self._total}] {line} {outcome.status}{reason}", markup=False, soft_wrap=True)
        elif outcome.status != "ok":
            self._console.print(f"{line} {outcome.status}{reason}", markup=False, style="yellow")
        self._refresh()

    def _refresh(self) -> None:
        self._bar.update(self._trials, detail=self.detail())
        self._bar.update(self._originals, detail=f"{self._running_originals()} running")

    def detail(self) -> str:
        """What runs, how what ended did, and how much of the GPUs is in use."""
        running = len(self._running) - self._running_originals()
        words = [f"{running} running", *(f"{count} {status}" for status, count in sorted(self.counts.items()))]
        each, there = self._gpus
        if each:
            busy = "" if self._busy is None else f" ({self._busy:.0f} % busy)"
            words.append(f"GPU {len(self._running) * each:g}/{there:g} in use{busy}")
        return ", ".join(words)

    def _running_originals(self) -> int:
        return sum(job.original_only for job in self._running)

    def _summarise(self) -> None:
        """Print counts and time left, unless that was done a moment ago."""
        now, task = self._bar.get_time(), self._bar.tasks[self._trials]
        if now - self._summarised < SUMMARY_SECONDS or task.time_remaining is None:
            return
        self._summarised = now
        left = timedelta(seconds=int(task.time_remaining))
        self._console.print(f"{self.detail()}; about {left} left", markup=False, highlight=False, soft_wrap=True)
