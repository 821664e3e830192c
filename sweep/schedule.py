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
    """

    def __init__(self, trials: Iterable[Trial], stored: Set[str] = frozenset()) -> None:
        self._ready: deque[Job] = deque()
        self._waiting: dict[str, list[Trial]] = {}
        independent, startable = [], []
        for trial in trials:
            if trial.original_id is None:
                independent.append(Job(trial))
            elif trial.original_id in stored:
                startable.append(Job(trial))
            else:
                self._waiting.setdefault(trial.original_id, []).append(trial)
        most_needed = sorted(self._waiting.values(), key=len, reverse=True)
        originals = [Job(trials[0], original_only=True) for trials in most_needed]
        startable.sort(key=lambda job: str(job.trial.original_id))  # a worker keeps its last original
        self._ready.extend([*originals, *independent, *startable])
        self.originals = len(originals)

    @property
    def done(self) -> bool:
        """Whether nothing is left to hand out, now or later."""
        return not self._ready and not self._waiting

    def next(self) -> Job | None:
        """The next job; None if there is none at the moment."""
        return self._ready.popleft() if self._ready else None

    def stop(self) -> None:
        """Hand out nothing more."""
        self._ready.clear()
        self._waiting.clear()

    def finished(self, job: Job, outcome: Outcome) -> list[Trial]:
        """Note how a job ended; returns trials that now cannot run because their original could not be trained."""
        if not job.original_only:
            return []
        trials = self._waiting.pop(str(job.trial.original_id), [])
        if outcome.status != "ok":
            return trials
        self._ready.extend(Job(trial) for trial in trials)
        return []
