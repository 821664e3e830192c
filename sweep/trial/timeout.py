"""Time limits: an exception for code that Python runs, and the end of the process for a call that never returns."""

from __future__ import annotations

import ctypes
import faulthandler
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE = 10
"""Seconds after the time limit at which a process is ended that the exception did not reach."""


class OutOfTime(BaseException):
    """The time limit has passed. Not a subclass of Exception, because methods may catch those and go on."""


@contextmanager
def time_limit(seconds: float | None, expendable: bool) -> Iterator[None]:
    """Raise OutOfTime in the body when it takes longer than `seconds`; None: no limit.

    The exception is raised between two steps of Python code; in the main thread it also interrupts calls that wait.
    With `expendable`, a process that it does not reach is ended `GRACE` seconds later, with status 1.
    """
    if seconds is None:
        yield
        return
    if expendable:
        faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=2)
    try:
        in_main = threading.current_thread() is threading.main_thread()
        with _alarm(seconds) if in_main else _raised_in_thread(seconds):
            yield
    finally:
        if expendable:
            faulthandler.cancel_dump_traceback_later()


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def end(signum: int, frame: FrameType | None) -> None:
        raise OutOfTime

    previous = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@contextmanager
def _raised_in_thread(seconds: float) -> Iterator[None]:
    thread = ctypes.c_ulong(threading.get_ident())
    timer = threading.Timer(seconds, ctypes.pythonapi.PyThreadState_SetAsyncExc, (thread, ctypes.py_object(OutOfTime)))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
