"""Live progress of a run: bars on a terminal and in a notebook; elsewhere a line per trial, and counts every minute."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.text import Text

from sweep.engine.forecast import Forecast, duration
from sweep.store.redaction import redacted
from sweep.trial.job import Job, Outcome

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

SUMMARY_SECONDS = 60.0
"""How often counts and time left are printed where there are no bars."""

NOTEBOOK_SECONDS = 0.5
"""How often the bars of a notebook are drawn anew at most: each time is a message to the browser."""


class Progress:
    """Counts jobs, and a search's suggestions, as they start and end. A context manager: the bars live inside it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: dict[Job, float] = {}
        self.forecast: Forecast | None = None
        self.counts: Counter[str] = Counter()
        self._bar = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            TimeLeft(self),
            console=console,
            disable=not console.is_terminal,
        )
        self._gpus = (0.0, 0.0)
        self._busy: float | None = None
        self._summarised = self._drawn = self._bar.get_time()
        self._bars_shown = console.is_terminal or console.is_jupyter
        self._cell: DisplayHandle | None = None
        self._total = {"originals": 0, "trials": 0}
        self._originals = self._bar.add_task("originals", total=0, visible=False, detail="")
        self._trials = self._bar.add_task("trials", total=0, detail="")
        self._studies: dict[str, StudyBar] = {}

    def __enter__(self) -> Progress:
        if self._console.is_jupyter:  # rich's own bars there would need ipywidgets
            from IPython.display import display

            self._cell = display(self._bar, display_id=True)
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()
        if self._cell is not None:
            self._cell.update(self._bar)

    def expect(self, trials: int = 0, originals: int = 0) -> None:
        """Expect so many more trials and originals to be run; negative numbers: fewer."""
        self._total["trials"] += trials
        self._total["originals"] += originals
        self._bar.update(self._trials, total=self._total["trials"])
        self._bar.update(self._originals, total=self._total["originals"], visible=self._total["originals"] > 0)

    def skip(self, job: Job) -> None:
        """Expect a job no longer, because results have its row already."""
        self.expect(trials=-1)
        if self.forecast is not None:
            self.forecast.drop(job)

    def gpus(self, each: float, there: float) -> None:
        """Note that each job takes a share `each` of a GPU, and that there are `there` GPUs."""
        self._gpus = (each, there)

    def busy(self, percent: float | None) -> None:
        """Note for how much of its time (percent) a job's GPU computed lately; None: unknown."""
        if percent is not None:
            self._busy = percent if self._busy is None else (self._busy + percent) / 2

    def say(self, line: str) -> None:
        """Print a line, above the bars if there are any."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def started(self, job: Job) -> None:
        """Note that a job began."""
        now = self._running[job] = self._bar.get_time()
        if self.forecast is not None:
            self.forecast.began(job, now)
        self._refresh()
        if not self._bars_shown:
            self._summarise()

    def interrupted(self, job: Job) -> None:
        """Note that a job's process died, and that the job will begin again."""
        self._running.pop(job, None)
        if self.forecast is not None:
            self.forecast.interrupted(job)
        self._refresh()

    def finished(self, job: Job, outcome: Outcome, gap: float | None = None) -> None:
        """Note that a job ended which had begun; `gap` is its average gap, where it has one."""
        now = self._bar.get_time()
        took = now - self._running.pop(job, now)
        if self.forecast is not None:
            self.forecast.ended(job, now, outcome.metrics.get("unlearn_seconds"))
        if job.original_only:
            self._bar.advance(self._originals)
        self._show(job, outcome, f" {duration(took)}" + ("" if gap is None else f", gap {gap:.1f}"))

    def never_ran(self, job: Job, outcome: Outcome) -> None:
        """Count and show the outcome of a job that never began."""
        if self.forecast is not None:
            self.forecast.drop(job)
        self._show(job, outcome, "")

    def _show(self, job: Job, outcome: Outcome, took: str) -> None:
        """Count an outcome, and print it where there is no bar, or where it is a bad one."""
        if not job.original_only:
            self.counts[outcome.status] += 1
            self._bar.advance(self._trials)
        reason = f": {redacted(outcome.error).strip().splitlines()[-1]}" if outcome.error else ""
        what = (
            f"training of original {job.trial.original_id}"
            if job.original_only
            else f"{job.trial.method} {job.trial.id}"
        )
        line = f"{what} seed {job.trial.seed} {outcome.status}{took}{reason}"
        if not self._bars_shown:
            self.say(f"[{sum(self.counts.values())}/{self._total['trials']}] {line}")
        elif outcome.status not in ("ok", "pruned"):
            self._console.print(line, markup=False, style="yellow")
        self._refresh()

    def study(self, name: str, budget: float, ended: float, best: float | None) -> None:
        """Show a bar for a study.

        Args:
            budget: how many suggestions the study will have, or how much it may compute.
            ended: how much of that is spent.
            best: the lowest value of its objective so far, if it has one objective.
        """
        task = self._bar.add_task(name, total=budget, detail="")
        self._studies[name] = StudyBar(task, budget, ended, best)
        self._show_study(name)

    def suggestion_began(self, name: str) -> None:
        """Note that a suggestion of a study begins."""
        self._studies[name].running += 1
        self._show_study(name)

    def suggestion_ended(self, name: str, line: str, value: float | None, spent: float, failed: bool) -> None:
        """Note that a suggestion of a study ended.

        Args:
            line: describes how it ended.
            value: of the objective, if the study has one objective and the suggestion is complete.
            spent: how much of the study's budget is spent now.
        """
        study = self._studies[name]
        study.running -= 1
        study.ended = spent
        if value is not None:
            study.best = value if study.best is None else min(study.best, value)
        if not self._bars_shown:
            self.say(f"[{study.ended:g}/{study.budget:g}] {line}")
        elif failed:
            self._console.print(line, markup=False, style="yellow")
        self._show_study(name)

    def detail(self) -> str:
        """How many trials run, how many ended in which way, and how much of the GPUs is in use."""
        running = len(self._running) - self._running_originals()
        words = [f"{running} running", *(f"{count} {status}" for status, count in sorted(self.counts.items()))]
        each, there = self._gpus
        if each:
            busy = "" if self._busy is None else f" ({self._busy:.0f} % busy)"
            words.append(f"GPU {len(self._running) * each:g}/{there:g} in use{busy}")
        return ", ".join(words)

    def _refresh(self) -> None:
        self._bar.update(self._trials, detail=self.detail())
        self._bar.update(self._originals, detail=f"{self._running_originals()} running")
        self._draw_in_notebook()

    def _show_study(self, name: str) -> None:
        study = self._studies[name]
        best = "" if study.best is None else f", best {study.best:.2f}"
        self._bar.update(study.task, completed=study.ended, detail=f"{study.running} running{best}")
        self._draw_in_notebook()

    def _draw_in_notebook(self) -> None:
        """Draw the bars of a notebook anew, unless that was done less than `NOTEBOOK_SECONDS` ago."""
        now = self._bar.get_time()
        if self._cell is not None and now - self._drawn >= NOTEBOOK_SECONDS:
            self._drawn = now
            self._cell.update(self._bar)

    def _running_originals(self) -> int:
        return sum(job.original_only for job in self._running)

    def _summarise(self) -> None:
        """Print counts and time left, unless that was done less than `SUMMARY_SECONDS` ago."""
        now = self._bar.get_time()
        if now - self._summarised < SUMMARY_SECONDS:
            return
        self._summarised = now
        self.say("; ".join(filter(None, [self.detail(), self.left()])))

    def left(self) -> str:
        """About how long it will take until everything has ended; empty where nobody can tell."""
        seconds = None if self.forecast is None else self.forecast.seconds_left(self._bar.get_time())
        return "" if seconds is None else f"about {duration(seconds)} left"


class TimeLeft(ProgressColumn):
    """The time left, beside the trials."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Task) -> Text:
        """Rich's hook."""
        return Text(self._progress.left() if task.description == "trials" and not task.finished else "")


@dataclass
class StudyBar:
    """A study's bar: rich's id of it, its budget and what is spent of it, its best value, its running suggestions."""

    task: TaskID
    budget: float
    ended: float
    best: float | None
    running: int = 0
