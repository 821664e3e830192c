"""Schedules: what hands out jobs, and hears how each ended. A search's own is in `sweep.search.suggestions`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Set

from sweep.plan.trials import Trial
from sweep.trial.job import Job, Outcome


class Schedule(ABC):
    """Hands out jobs one by one. One thread asks it; any thread may stop it.

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
            InputError, Unsuccessful: what ended before leaves nothing to go on with.
        """

    @abstractmethod
    def back(self, job: Job) -> None:
        """Take back a job that was handed out and did not end: it will be handed out again."""

    @abstractmethod
    def finished(self, job: Job, outcome: Outcome) -> None:
        """Note how a job ended whose row, if it has one, is stored.

        Raises:
            OSError: what follows from it cannot be stored.
        """

    @property
    def ended(self) -> bool:
        """Whether nothing will be handed out any more."""
        return self._stopped or self._exhausted()

    @property
    def stopped(self) -> bool:
        """Whether somebody stopped it."""
        return self._stopped

    def stop(self) -> None:
        """Hand out nothing more. Any thread may call this."""
        self._stopped = True

    @abstractmethod
    def _exhausted(self) -> bool:
        """Whether every job was handed out and has ended."""


class GridSchedule(Schedule):
    """Trials that are known beforehand.

    Originals come first, then trials that need none, then trials whose original is there.

    Args:
        trials: what is to be run.
        stored: ids of originals that need no training.
        originals: trials that are not run, but whose originals are trained if they are not stored.
        lost: is told each trial that nobody will run, because its original could not be trained, and why.
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
        """Let the trials start that waited for an original, or, if it could not be trained, tell that they are lost."""
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
    """Several schedules, one after another: each is made once the one before has ended.

    Args:
        phases: make them, in their order.
    """

    def __init__(self, phases: Iterable[Callable[[], Schedule]]) -> None:
        super().__init__()
        self._phases: Iterator[Callable[[], Schedule]] = iter(phases)
        self._phase: Schedule = GridSchedule([])
        self._last = False
        self._go_on()

    @property
    def ahead(self) -> int:  # type: ignore[override]
        """What the schedule says whose turn it is."""
        return self._phase.ahead

    def next(self) -> Job | None:
        """The next job of the schedule whose turn it is."""
        job = None
        while job is None and not self.ended:
            job = self._phase.next()
            if job is None and not self._phase.ended:
                break
            self._go_on()
        return None if self._stopped else job

    def back(self, job: Job) -> None:
        """Give a job back to the schedule whose turn it is."""
        self._phase.back(job)

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Tell the schedule whose turn it is."""
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
