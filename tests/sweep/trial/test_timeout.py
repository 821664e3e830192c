"""What hangs is ended: by an exception where that can reach it, else with its process."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from sweep.trial.timeout import OutOfTime, time_limit


def test_a_call_that_waits_is_ended_in_the_main_thread():
    began = time.monotonic()
    with pytest.raises(OutOfTime), time_limit(0.1, expendable=False):
        time.sleep(60)
    assert time.monotonic() - began < 30


def test_a_loop_is_ended_in_any_thread():
    ended = []

    def loops():
        try:
            with time_limit(0.1, expendable=False):
                while True:
                    pass
        except OutOfTime:
            ended.append(True)

    thread = threading.Thread(target=loops, daemon=True)
    thread.start()
    thread.join(30)
    assert ended == [True]


@pytest.mark.parametrize("seconds", [60, None])
def test_what_ends_in_time_is_left_alone(seconds):
    handler = signal.getsignal(signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 0)  # of pytest-timeout
    with time_limit(seconds, expendable=True):
        assert (signal.getitimer(signal.ITIMER_REAL) == (0, 0)) == (seconds is None)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is handler


BEYOND_REACH = """
import ctypes, signal
from sweep.trial import timeout
timeout.GRACE = 0.2
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
with timeout.time_limit(0.2, expendable=True):
    ctypes.PyDLL(None).sleep(300)  # a call that keeps the interpreter's lock
print("not reached")
"""


def test_a_process_that_no_exception_reaches_is_ended():
    ended = subprocess.run([sys.executable, "-c", BEYOND_REACH], capture_output=True, text=True, timeout=250)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Timeout (0:00:00.4")
