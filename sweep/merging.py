"""Merging rows while a run goes on.

A run stores each trial in files of its own, and thousands of those take long to read. So where that many have come
together another process, of low priority, merges them (sweep/compaction.py), and the run waits for nothing. Only where
files can be renamed: elsewhere a row that is stored again at the wrong moment could be lost (`remove_unchanged`).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

from sweep import compaction
from sweep.folders import PLAIN, layer
from sweep.results import Results

LOOSE = 5000
"""Rows in files of their own that are worth merging."""

PATIENCE = 10.0
"""Seconds that a process which is asked to end is given."""


class Merging:
    """Has rows merged, by one process at a time, whenever `LOOSE` of them are there that no process began to merge.

    A context manager, whose end ends that process. However it ends, the run goes on and no row is lost.

    Args:
        say: is told why rows were not merged, once for each reason.
    """

    def __init__(self, results: Results, say: Callable[[str], None]) -> None:
        self._results = results
        self._say = say
        self._said: set[str] = set()
        self._loose = 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Merging:
        if self._results.local:
            self._loose = sum(layer(info.base_name) == PLAIN for info in self._results.files("trials"))
            self._merge()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            end(self._process)

    def stored(self) -> None:
        """A row of `trials` is stored. One that is stored again counts again."""
        self._loose += 1
        if self._process is not None and self._process.poll() is not None:
            self._ended(self._process)
        self._merge()

    def _merge(self) -> None:
        """Start a process if there is reason to and none runs."""
        if self._loose < LOOSE or self._process is not None or not self._results.local:
            return
        self._loose = 0
        try:
            self._process = subprocess.Popen(
                command(self._results.location),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except OSError as error:
            self._failed(str(error))

    def _ended(self, process: subprocess.Popen[str]) -> None:
        self._process = None
        _, told = process.communicate()
        if process.returncode:
            self._failed((told.strip() or f"the process that does it ended with {process.returncode}").splitlines()[-1])

    def _failed(self, why: str) -> None:
        if why not in self._said:
            self._said.add(why)
            self._say(f"rows were not merged, and are read from a file each: {why}")


def command(location: str) -> list[str]:
    """What merges the rows of a results directory."""
    return [sys.executable, "-P", "-m", compaction.__name__, location]


def end(process: subprocess.Popen[str]) -> None:
    """End a process: at once if it can, and if it cannot for its storage hangs, as soon as that does not."""
    for ask in (process.terminate, process.kill):
        ask()
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=PATIENCE)
            return
