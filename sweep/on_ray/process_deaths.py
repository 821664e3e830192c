"""Processes that die: what Ray says of it, whether their job may be the cause, and whether the job runs again."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from sweep.trial.timeout import GRACE

INNOCENT = 10
"""How often a job is run again whose process died for a reason that was certainly not the job."""

PREEMPTED = "its node was preempted"
LOST = re.compile(rf"The actor \w+ is unavailable|its node has died|{PREEMPTED}")
"""What Ray says of a process whose node is lost or does not answer."""

SHORT_OF_MEMORY = "killed due to the node running low on memory"
"""What Ray's memory monitor says of every process that it killed. It kills several at once, the newest first."""

KILLED = re.compile(r"Actor\((\w+)\).*?actual memory used=([\d.]+)GB")
LARGEST = re.compile(r"^\d+\s+([\d.]+)\s+ray::", re.MULTILINE)
"""What the monitor says of the memory, in GB, of each process that it killed, and of the node's largest processes."""


@dataclass(frozen=True)
class Death:
    """Why a process died.

    Attributes:
        reason: Ray's words, and as the last line a short reason.
        innocent: whether the job that the process ran was certainly not the cause.
    """

    reason: str
    innocent: bool = False


def death(told: str, actor: str, late: float | None = None) -> Death:
    """Why a process died, by what Ray says.

    Args:
        told: what Ray says of the death.
        actor: id of the process's actor.
        late: the time limit in seconds, if the job had taken longer than that; else None.
    """
    innocent = False
    if SHORT_OF_MEMORY in told:
        used = {found: float(size) for found, size in KILLED.findall(told)}
        largest = max([*used.values(), *map(float, LARGEST.findall(told))], default=0)
        innocent = used.get(actor, largest) < largest
        short = "the worker process was killed because its node ran low on memory"
    elif LOST.search(told):
        innocent = True
        short = "the worker's node was lost, or did not answer"
    elif late is not None:
        short = f"took longer than trial_timeout: {late:g} s, and no exception reached it: its process was ended"
    else:
        short = "the worker process died (killed, out of memory, or as Ray says above)"
    return Death(f"{told}\n{short}".strip(), innocent)


class Deaths:
    """Counts deaths of processes by job, and decides whether a job runs again.

    Args:
        max_retries: how often a job is run again that may be the cause.
        time_limit: seconds that a job may take; None: no limit.
    """

    def __init__(self, max_retries: int, time_limit: float | None) -> None:
        self._retries = {False: max_retries, True: INNOCENT}
        self._limit = time_limit
        self._at: dict[str, tuple[str, float]] = {}
        self._counts: Counter[tuple[Hashable, bool]] = Counter()

    def began(self, name: str, process: str) -> None:
        """Note that a process begins a job.

        Args:
            name: of the job's tune_trial.
            process: the process's actor as Ray shows it: Actor(class, id).
        """
        self._at[name] = process.rpartition(" ")[2].rstrip(")"), time.monotonic()

    def ended(self, name: str) -> None:
        """Note that the job of this tune_trial ended."""
        del self._at[name]

    def died(self, name: str, told: str, job: Hashable) -> tuple[Death, bool]:
        """Why the process that ran `job` died, and whether to run the job again.

        Args:
            name: of the job's tune_trial.
            told: what Ray says of the death.
        """
        actor, began = self._at.pop(name)
        late = self._limit is not None and time.monotonic() - began > self._limit + GRACE
        found = death(told, actor, self._limit if late else None)
        self._counts[job, found.innocent] += 1
        return found, self._counts[job, found.innocent] <= self._retries[found.innocent]
