"""Processes that die: what Ray tells of it, whether the job they were at may be to blame, whether it runs again."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from sweep.trial.timeout import GRACE

INNOCENT = 10
"""Times that a job is run again whose process ended for no fault of its own."""

PREEMPTED = "its node was preempted"
LOST = re.compile(rf"The actor \w+ is unavailable|its node has died|{PREEMPTED}")
"""What Ray says of a process on a node that is lost, or does not answer."""

SHORT_OF_MEMORY = "killed due to the node running low on memory"
"""What Ray's memory monitor says of every process that it killed at once, the newest ones first."""

KILLED = re.compile(r"Actor\((\w+)\).*?actual memory used=([\d.]+)GB")
LARGEST = re.compile(r"^\d+\s+([\d.]+)\s+ray::", re.MULTILINE)
"""What it says of the memory, in GB, of those processes and of the node's largest."""


@dataclass(frozen=True)
class Death:
    """The end of a process.

    Attributes:
        reason: what is known of it; the last line says it in short.
        innocent: whether it certainly was no fault of the job that the process was at.
    """

    reason: str
    innocent: bool = False


def death(told: str, actor: str | None, late: float | None = None) -> Death:
    """What Ray's words mean.

    Args:
        told: Ray's words.
        actor: id of the process's actor; None if the process had not begun its job.
        late: the time limit, if the job had taken longer than that.
    """
    innocent = False
    if SHORT_OF_MEMORY in told:
        used = {found: float(size) for found, size in KILLED.findall(told)}
        largest = max([*used.values(), *map(float, LARGEST.findall(told))], default=0)
        innocent = actor is None or used.get(actor, largest) < largest
        short = "the worker process was killed because its node ran low on memory"
    elif LOST.search(told):
        innocent = True
        short = "the worker's node was lost, or did not answer"
    elif late is not None:
        short = f"took longer than trial_timeout: {late:g} s, and no exception reached it: its process was ended"
    else:
        short = "the worker process died (killed, out of memory, or as told above)"
    return Death(f"{told}\n{short}".strip(), innocent)


class Deaths:
    """Counts deaths of processes, and says whether the job that a process was at runs again.

    Args:
        max_retries: times that a job is run again which may be to blame.
        time_limit: seconds that a job may take.
    """

    def __init__(self, max_retries: int, time_limit: float | None) -> None:
        self._retries = {False: max_retries, True: INNOCENT}
        self._limit = time_limit
        self._at: dict[str, tuple[str, float]] = {}
        self._counts: Counter[tuple[Hashable, bool]] = Counter()

    def began(self, name: str, process: str) -> None:
        """A process begins a job.

        Args:
            name: of the trial of Ray Tune's that the job is.
            process: how Ray shows its actor: Actor(class, id).
        """
        self._at[name] = process.rpartition(" ")[2].rstrip(")"), time.monotonic()

    def ended(self, name: str) -> None:
        """The job of that name ended."""
        del self._at[name]

    def died(self, name: str, told: str, job: Hashable) -> tuple[Death, bool]:
        """How a process died that was at `job`, and whether to run that again.

        Args:
            name: of the trial of Ray Tune's that the job was.
            told: Ray's words.
        """
        actor, began = self._at.pop(name)
        late = self._limit is not None and time.monotonic() - began > self._limit + GRACE
        found = death(told, actor, self._limit if late else None)
        self._counts[job, found.innocent] += 1
        return found, self._counts[job, found.innocent] <= self._retries[found.innocent]
