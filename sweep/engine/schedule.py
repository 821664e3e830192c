"""Schedules hand out jobs and are told how each ended. The schedule of a search is in `sweep.search.suggestions`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Set

from sweep.plan.trials import Trial
from sweep.trial.job import Job, Outcome


class Schedule(ABC):
    """Hands out jobs one by one. One thread calls its methods; any thread may call `stop`.

    Attributes:
        ahead: how many jobs an executor may ask for before there is room to run them.
    """

    ahead: int = 1

    def __init__(self) -> None:
        self._stopped = False

    @abstractmethod
    def next(self) -> Job | None:
        """The next job; None if there is none at the moment.

        Raises:
            OSError: what a search suggests cannot be stored.
            InputError, Unsuccessful: how earlier jobs ended makes it pointless to go on.
        """

    @abstractmethod
    def back(self, job: Job) -> None:
        """Take back a job that was handed out and did not end: it will be handed out again."""

    @abstractmethod
    def finished(self, job: Job, outcome: Outcome) -> None:
        """Note how a job ended. Its row, if it has one, is stored already.

        Raises:
            OSError: a row that follows from this cannot be stored.
        """

    @property
    def ended(self) -> bool:
        """Whether the schedule will hand out no further job."""
        return self._stopped or self._exhausted()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """Hand out no further job. Any thread may call this."""
        self._stopped = True

    @abstractmethod
    def _exhausted(self) -> bool:
        """Whether every job was handed out and has ended."""


class GridSchedule(Schedule):
    """A schedule of trials that are known beforehand.

    It hands out missing originals first, then trials that need no original, then trials whose original is stored.

    Args:
        trials: the trials to run.
        stored: ids of originals that need no training.
        originals: trials that are not run, but whose originals are trained if they are not stored.
        lost: is called with each trial that will not be run because its original could not be trained, and with the
            outcome of that training.
    """

    ahead = 32

    def __init__(
        self,
        trials: Iterable[Trial],
        stored: Set[str] = frozenset(),
        originals: Iterable[Trial] = (),
        lost: Callable[[Trial, Outcome], None] = lambda trial, outcome: None,
    ) -> None:
        super().__init__()
        self._lost = lost
        self._ready: deque[Job] = deque()
        self._waiting: dict[str, list[Trial]] = {}
        self._out = 0
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
    def jobs(self) -> list[Job]:
        """The jobs that have not been handed out."""
        return [*self._ready, *(Job(trial) for waiting in self._waiting.values() for trial in waiting)]

    def next(self) -> Job | None:
        """The next job; None while all that is left waits for an original."""
        if self._stopped or not self._ready:
            return None
        self._out += 1
        return self._ready.popleft()

    def back(self, job: Job) -> None:
        """Hand out a job again, before all others."""
        self._out -= 1
        self._ready.appendleft(job)

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Make the trials ready that waited for an original; if it could not be trained, call `lost` with each."""
        self._out -= 1
        if not job.original_only:
            return
        trials = self._waiting.pop(str(job.trial.original_id), [])
        if outcome.status == "ok":
            self._ready.extend(Job(trial) for trial in trials)
            return
        for trial in trials:
            self._lost(trial, outcome)

    def _exhausted(self) -> bool:
        return not (self._ready or self._waiting or self._out)


class InTurn(Schedule):
    """Several schedules, one after another: each is made when the one before has ended.

    Args:
        phases: functions that make the schedules, in their order.
    """

    def __init__(self, phases: Iterable[Callable[[], Schedule]]) -> None:
        super().__init__()
        self._phases: Iterator[Callable[[], Schedule]] = iter(phases)
        self._phase: Schedule = GridSchedule([])
        self._last = False
        self._go_on()

    @property
    def ahead(self) -> int:  # type: ignore[override]
        """As the current schedule says."""
        return self._phase.ahead

    def next(self) -> Job | None:
        """The next job of the current schedule, or of the next one that has a job."""
        job = None
        while job is None and not self.ended:
            job = self._phase.next()
            if job is None and not self._phase.ended:
                break
            self._go_on()
        return None if self._stopped else job

    def back(self, job: Job) -> None:
        """Give a job back to the current schedule."""
        self._phase.back(job)

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Tell the current schedule, and make the next one if it has ended."""
        self._phase.finished(job, outcome)
        self._go_on()

    def _go_on(self) -> None:
        while not self._stopped and not self._last and self._phase.ended:
            make = next(self._phases, None)
            if make is None:
                self._last = True
            else:
                self._phase = make()

    def _exhausted(self) -> bool:
        return self._last
