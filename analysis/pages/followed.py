"""The pages of a results directory that changes: made anew when something was stored, and not too often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

from analysis.pages.plan import Plan
from analysis.pages.samples import Open
from analysis.pages.site import OVERVIEW, Site
from analysis.reading.frames import read_frames
from sweep.store.results import Results
from sweep.store.running import Running, RunningFiles

SECONDS = 5
"""How often a page that is open asks for what is new."""

REST = 10
"""After results were read this many times as long passes before they are read again: a sweep needs the processor."""

LONGEST = 60.0
"""But never more than so many seconds."""

WATCHED = ("trials", "suggestions")
"""Folders whose files tell that something was stored."""


class Followed:
    """Makes pages for several threads, one at a time."""

    def __init__(self, results: Results, open_samples: Open, plan: Callable[[], Plan]) -> None:
        """Reads nothing yet.

        Args:
            plan: what the directory's spec asks for as far as it is known when this is called, which must be quick.
        """
        self._results, self._open, self._plan = results, open_samples, plan
        self._lock = threading.Lock()
        self._files = RunningFiles(results)
        self._running: list[Running] = []
        self._site: Site | None = None
        self._read: Hashable = None
        self._not_before = 0.0

    def page(self, path: str) -> str | None:
        """The page at a path as results are now, or were a moment ago; None if there is none.

        Raises:
            OSError: the results cannot be read.
        """
        with self._lock:
            return self._current().page(path, self._running)

    def _current(self) -> Site:
        if self._site is not None and time.monotonic() < self._not_before:
            return self._site
        began = time.monotonic()
        running = self._files.trials()  # before the rows: a trial that ends meanwhile is in one of both
        stored = tuple(self._listed(folder) for folder in WATCHED)
        if self._site is None or stored != self._read:
            frames = read_frames(self._results, paths=False)
            self._site, self._read = Site(frames, self._results, self._open, self._plan, SECONDS), stored
            self._site.page(OVERVIEW, running)
        self._running = running
        now = time.monotonic()
        self._not_before = now + min(REST * (now - began), LONGEST)
        return self._site

    def _listed(self, folder: str) -> tuple[tuple[str, int, int], ...]:
        return tuple((info.base_name, info.mtime_ns, info.size) for info in self._results.files(folder))
