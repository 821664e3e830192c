"""What ends a run early: its time budget, and signals."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sweep.run.schedule import Schedule


@contextmanager
def deadline(schedule: Schedule, seconds: float | None) -> Iterator[None]:
    """Stop a schedule after so many seconds, at once if they are 0 or fewer; None: never."""
    if seconds is not None and seconds <= 0:
        schedule.stop()
    timer = threading.Timer(min(threading.TIMEOUT_MAX, math.inf if seconds is None else seconds), schedule.stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, as Ctrl-C does."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
