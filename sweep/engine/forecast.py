"""How long jobs will take: each by its passes, at the pace of one batch, then at the pace of the jobs that ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sweep.plan.check import Checked
from sweep.plan.passes import original_passes, passes_of
from sweep.trial.job import Job
from sweep.words import counted

EVALUATION = 0.5
"""What judging a model is expected to take, in passes over the training set, as long as no trial has ended: forward
passes over it and the test set, and an attack."""
FIXED_SECONDS = 0.3
"""What a trial is expected to take beside that, whatever its size."""

Name = tuple[str, str | None]
"""Jobs of one name are alike: a method and the study that asks for its trials, or `ORIGINAL`."""
ORIGINAL: Name = ("", None)


@dataclass
class Amount:
    """Jobs of one name: how many, their passes in all, and how many of them have unknown passes."""

    count: int = 0
    passes: float = 0.0
    unknown: int = 0

    def add(self, count: int, passes: float | None) -> None:
        """Add so many jobs of `passes` each; None: unknown. A negative count takes them away."""
        self.count = max(0, self.count + count)
        if passes is None:
            self.unknown = max(0, self.unknown + count)
        else:
            self.passes = max(0.0, self.passes + count * passes)


@dataclass
class Spent:
    """What jobs of one name took: how many ended, the passes of those whose passes are known, seconds."""

    count: int = 0
    passes: float = 0.0
    seconds: float = 0.0


class Forecast:
    """What is left of a run, in seconds.

    Args:
        checked: of the spec.
        epochs: of originals' training.
        pace: seconds that a pass takes as long as nothing has ended; None: unknown.

    Attributes:
        slots: how many jobs run at once.
    """

    def __init__(self, checked: Checked, epochs: int, pace: float | None) -> None:
        self._checked = checked
        self._epochs = epochs
        self._pace = pace
        self._left: dict[Name, Amount] = {}
        self._running: dict[Job, float] = {}
        self._spent: dict[Name, Spent] = {}
        self._rest = Spent()
        self.slots = 1

    def expect(self, jobs: Iterable[Job]) -> Forecast:
        """Expect these jobs; return the forecast."""
        for job in jobs:
            self._amount(_name(job)).add(1, self._passes(job))
        return self

    def expect_drawn(self, method: str, study: str, count: int, passes: float | None) -> None:
        """Expect so many trials of a study, whose hyperparameters are not known yet; `passes` is their mean."""
        self._amount((method, study)).add(count, passes)

    def began(self, job: Job, now: float) -> None:
        """Note that a job begins at the time `now`, in seconds."""
        self._running[job] = now

    def interrupted(self, job: Job) -> None:
        """Note that a job that began must begin again."""
        self._running.pop(job, None)

    def drop(self, job: Job) -> None:
        """Expect a job no longer: it ended, or will not be run."""
        amount = self._amount(_name(job))
        drawn = job.trial.study is not None and not job.original_only
        known = amount.count - amount.unknown
        mean = amount.passes / known if known else None
        amount.add(-1, mean if drawn else self._passes(job))

    def ended(self, job: Job, now: float, unlearn_seconds: float | None) -> None:
        """Note that a job ended which had begun, and what its unlearning took; None: unknown, or it has none."""
        took = now - self._running.pop(job, now)
        name, passes = _name(job), self._passes(job)
        inner = took if unlearn_seconds is None else unlearn_seconds
        spent = self._spent.setdefault(name, Spent())
        spent.count, spent.seconds = spent.count + 1, spent.seconds + inner
        spent.passes += passes or 0.0
        if not job.original_only:
            self._rest.count, self._rest.seconds = self._rest.count + 1, self._rest.seconds + max(0.0, took - inner)
        self.drop(job)

    def seconds_left(self, now: float) -> float | None:
        """Seconds until everything has ended; None: nobody can tell yet."""
        pace = self._overall_pace()
        if pace is None:
            return None
        prices = {name: self._price(name, amount, pace) for name, amount in self._left.items() if amount.count}
        whole = sum(prices.values())
        each = {name: price / self._left[name].count for name, price in prices.items()}
        done = {job: min(now - began, each.get(_name(job), 0.0)) for job, began in self._running.items()}
        chain = each.pop(ORIGINAL, 0.0) + max(each.values(), default=0.0) - min(done.values(), default=0.0)
        return max((whole - sum(done.values())) / self.slots, chain, 0.0)

    def words(self) -> str | None:
        """How long all takes from now, as in `about 6 min on 2 slots`; None: nobody can tell."""
        left = self.seconds_left(0.0)
        if left is None:
            return None
        return f"about {duration(left)} on {counted(self.slots, 'slot')}"

    def _amount(self, name: Name) -> Amount:
        return self._left.setdefault(name, Amount())

    def _passes(self, job: Job) -> float | None:
        if job.original_only:
            return original_passes(self._checked, self._epochs)
        return passes_of(job.trial, self._checked)

    def _overall_pace(self) -> float | None:
        """Seconds of a pass over all jobs that ended, else of the batches that were timed."""
        passes = sum(spent.passes for spent in self._spent.values())
        seconds = sum(spent.seconds for spent in self._spent.values() if spent.passes)
        return seconds / passes if passes else self._pace

    def _price(self, name: Name, amount: Amount, pace: float) -> float:
        """Seconds of all jobs of one name together, if they ran one after another."""
        whole = original_passes(self._checked, 1)
        spent = next((found for key, found in self._spent.items() if key[0] == name[0] and found.count), None)
        if spent is not None and spent.passes:
            pace = spent.seconds / spent.passes
        unknown = spent.seconds / spent.count if spent is not None else self._epochs * whole * pace
        rest = 0.0
        if name != ORIGINAL:
            expected = FIXED_SECONDS + EVALUATION * whole * pace
            rest = self._rest.seconds / self._rest.count if self._rest.count else expected
        return amount.passes * pace + amount.unknown * unknown + amount.count * rest


def _name(job: Job) -> Name:
    return ORIGINAL if job.original_only else (job.trial.method, job.trial.study)


def duration(seconds: float) -> str:
    """A time as people say it: 40 s, 6 min, 2 h 10 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h" + (f" {minutes} min" if minutes and hours < 10 else "")
