"""Live progress of a run: a bar on a terminal, a line per finished trial elsewhere."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sweep.redaction import redacted
from sweep.trial import Job, Outcome


class RunProgress:
    """Counts jobs as they start and end. A context manager: the bar lives inside it."""

    def __init__(self, console: Console, trials: int, originals: int) -> None:
        self._console = console
        self._total = trials
        self._running: set[Job] = set()
        self.counts: Counter[str] = Counter()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._originals = self._bar.add_task("originals", total=originals, visible=originals > 0, detail="")
        self._trials = self._bar.add_task("trials", total=trials, detail="")

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def started(self, job: Job) -> None:
        """A job began."""
        self._running.add(job)
        self._refresh()

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
        ended = ", ".join(f"{count} {status}" for status, count in sorted(self.counts.items()))
        originals = sum(job.original_only for job in self._running)
        running = len(self._running) - originals
        self._bar.update(self._trials, detail=f"{running} running{', ' + ended if ended else ''}")
        self._bar.update(self._originals, detail=f"{originals} running")
