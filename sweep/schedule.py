"""The order of jobs: originals first, then trials that need none, then trials whose original is there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Set

from sweep.plan import Trial
from sweep.trial import Job, Outcome


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
        self._ready.extend([*training, *independent, *startable])
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
    def left(self) -> int:
        """Jobs that have not ended."""
        return len(self._ready) + self._out + sum(map(len, self._waiting.values()))

    def next(self) -> Job | None:
        """The next job; None if there is none at the moment."""
        if self._stopped or not self._ready:
            return None
        self._out += 1
        return self._ready.popleft()

    def back(self, job: Job) -> None:
        """A job that was handed out and not run is the next one again."""
        self._out -= 1
        self._ready.appendleft(job)

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
        self._ready.extend(Job(trial) for trial in trials)
        return []
