"""The order of jobs: originals first, then trials that need none, then trials whose original is there; in chunks."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Set

from sweep.plan import Trial
from sweep.trial import Job, Outcome

CHUNK_SECONDS = 5.0
"""Work that is handed to a process at once: much more than handing it out costs, and little to lose by waiting."""


class Schedule:
    """Hands out jobs, each once, and trials only after the original they start from.

    Args:
        trials: what is to be run.
        stored: ids of originals that need no training.
        originals: trials that are not run, but whose originals are trained if they are not stored.
    """

    def __init__(
        self, trials: Iterable[Trial], stored: Set[str] = frozenset(), originals: Iterable[Trial] = ()
    ) -> None:
        self._ready: deque[Job] = deque()
        self._waiting: dict[str, list[Trial]] = {}
        self._out = 0
        self._stopped = False
        self._pace = Pace()
        independent, startable = [], []
        for trial in trials:
            if trial.original_id is None:
                independent.append(Job(trial))
            elif trial.original_id in stored:
                startable.append(Job(trial))
            else:
                self._waiting.setdefault(trial.original_id, []).append(trial)
        first = {name: waiting[0] for name, waiting in self._waiting.items()}
        for trial in originals:
            if trial.original_id is not None and trial.original_id not in stored:
                self._waiting.setdefault(trial.original_id, [])
                first.setdefault(trial.original_id, trial)
        most_needed = sorted(self._waiting, key=lambda name: len(self._waiting[name]), reverse=True)
        training = [Job(first[name], original_only=True) for name in most_needed]
        startable.sort(key=lambda job: str(job.trial.original_id))  # a worker keeps its last original
        self._add([*training, *independent, *startable])
        self.originals = len(training)

    @property
    def done(self) -> bool:
        """Whether nothing is left to hand out, unless a job that is out comes back."""
        return self._stopped or (not self._ready and not self._waiting)

    @property
    def ended(self) -> bool:
        """Whether nothing will be handed out any more."""
        return self._stopped or (self.done and not self._out)

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def next(self) -> Job | None:
        """The next job; None if there is none at the moment."""
        if self._stopped or not self._ready:
            return None
        self._out += 1
        job = self._ready.popleft()
        self._pace.remove(job)
        return job

    def chunk(self, slots: int) -> tuple[Job, ...]:
        """The next jobs for one of `slots` processes, to be run in this order; none if there are none at the moment.

        Together they should take `CHUNK_SECONDS`, and less towards the end, so that all processes end at about the same
        time: at most half of what is ready, divided by `slots`. How long a job takes is known from those before it
        (`took`); one of which nothing is known is a chunk of its own, and so is one that takes longer.
        """
        left = min(CHUNK_SECONDS, self._pace.remaining() / (2 * slots))
        chunk: list[Job] = []
        while self._ready:
            seconds = self._pace.of(self._ready[0])
            if chunk and (seconds is None or seconds > left):
                break
            job = self.next()
            if job is None:
                break
            chunk.append(job)
            left = left - seconds if seconds is not None else 0.0
        return tuple(chunk)

    def took(self, job: Job, seconds: float) -> None:
        """Note how long a job took."""
        self._pace.note(job, seconds)

    def back(self, jobs: Iterable[Job]) -> None:
        """Jobs that were handed out and not run are the next ones again."""
        returned = list(jobs)
        self._out -= len(returned)
        self._ready.extendleft(reversed(returned))
        self._pace.add(returned)

    def stop(self) -> None:
        """Hand out nothing more. Any thread may call this."""
        self._stopped = True

    def finished(self, job: Job, outcome: Outcome) -> list[Trial]:
        """Note how a job ended; returns trials that now cannot run because their original could not be trained."""
        self._out -= 1
        if not job.original_only:
            return []
        trials = self._waiting.pop(str(job.trial.original_id), [])
        if outcome.status != "ok":
            return trials
        self._add([Job(trial) for trial in trials])
        return []

    def _add(self, jobs: list[Job]) -> None:
        self._ready.extend(jobs)
        self._pace.add(jobs)


class Pace:
    """How long jobs take, one kind after another (originals, and each method), and how many of each are ready."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._ready: Counter[str] = Counter()

    def of(self, job: Job) -> float | None:
        """Seconds that a job may take; None before one of its kind has ended."""
        return self._seconds.get(_kind(job))

    def remaining(self) -> float:
        """Seconds that the jobs that are ready may take, as far as it is known."""
        return sum(self._seconds.get(kind, 0.0) * count for kind, count in self._ready.items())

    def note(self, job: Job, seconds: float) -> None:
        """A job took `seconds`. The last ones count most: the first of a process also loads the dataset."""
        before = self._seconds.get(_kind(job), seconds)
        self._seconds[_kind(job)] = (before + seconds) / 2

    def add(self, jobs: Iterable[Job]) -> None:
        """Jobs became ready."""
        self._ready.update(map(_kind, jobs))

    def remove(self, job: Job) -> None:
        """A ready job was handed out."""
        self._ready[_kind(job)] -= 1


def _kind(job: Job) -> str:
    return "original" if job.original_only else f"trial {job.trial.method}"
