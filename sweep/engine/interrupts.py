"""What ends a run early: its time budget, and signals."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sweep.engine.schedule import Schedule


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
def interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM raise KeyboardInterrupt. Ctrl-C stays ignored where it is, as in background jobs.

    A library may swallow the exception and raise its own, as Arrow does while it imports a module: what leaves the body
    after a signal is KeyboardInterrupt all the same.
    """
    came: list[int] = []

    def interrupt(signum: int, frame: FrameType | None) -> None:
        came.append(signum)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
    previous = {each: signal.signal(each, interrupt) for each in heard}
    try:
        yield
    except Exception as error:
        if came:
            raise KeyboardInterrupt from error
        raise
    finally:
        for each, handler in previous.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
