"""The schedule of a shard: a grid whose originals other shards need too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Set

from sweep.engine.claims import Claims
from sweep.engine.schedule import GridSchedule
from sweep.plan.trials import Trial
from sweep.trial.job import Job, Outcome

PAUSE = 1.0
"""Seconds after which another command's claim is looked at again."""


class SharedGrid(GridSchedule):
    """A grid that trains only those originals which it can claim, and waits for those that others train.

    Args:
        claims: this command's claims.
        found: is called with each original that another command has trained meanwhile.
        others: as in `GridSchedule`.
    """

    def __init__(
        self,
        trials: Iterable[Trial],
        stored: Set[str],
        originals: Iterable[Trial],
        lost: Callable[[Trial, Outcome], None],
        claims: Claims,
        found: Callable[[str], None],
    ) -> None:
        super().__init__(trials, stored, originals, lost)
        self._claims = claims
        self._found = found
        self._looked: dict[str, float] = {}

    def next(self) -> Job | None:
        """The next job; None while all that is left waits for an original, trained here or by another command.

        Raises:
            OSError: an original cannot be claimed.
        """
        waiting = 0
        while waiting < len(self._ready):
            job = super().next()
            if job is None or not job.original_only:
                return job
            name = str(job.trial.original_id)
            if not self._claimed(name):
                super().back(job)
                self._ready.rotate(-1)  # behind everything else
                waiting += 1
            elif self._claims.stored(name):
                self._found(name)
                self.finished(job, Outcome("ok"))
            else:
                return job
        return None

    def finished(self, job: Job, outcome: Outcome) -> None:
        """As in `GridSchedule`; others may claim the original now."""
        super().finished(job, outcome)
        if job.original_only:
            self._claims.release(str(job.trial.original_id))

    def _claimed(self, original_id: str) -> bool:
        """Whether this command may train an original now. Asks no more often than every `PAUSE` seconds."""
        now = time.monotonic()
        if now - self._looked.get(original_id, -PAUSE) < PAUSE:
            return False
        self._looked[original_id] = now
        return self._claims.take(original_id)
