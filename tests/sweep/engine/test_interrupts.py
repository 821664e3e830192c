"""Signals that end a run, whatever a library makes of them."""

from __future__ import annotations

import os
import signal

import pytest

from sweep.engine.interrupts import interruptible

BOTH = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("signum", BOTH)
def test_a_signal_raises_keyboard_interrupt_and_the_handlers_come_back(signum):
    before = [signal.getsignal(each) for each in BOTH]
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), signum)
    assert [signal.getsignal(each) for each in BOTH] == before


@pytest.mark.parametrize("signum", BOTH)
def test_an_interrupt_that_a_library_makes_its_own_error_of_is_one_still(signum):
    def swallows() -> None:
        try:
            os.kill(os.getpid(), signum)
        except KeyboardInterrupt:
            raise ValueError("a module is missing") from None

    with pytest.raises(KeyboardInterrupt) as caught, interruptible():
        swallows()
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_error_without_a_signal_stays_what_it_is():
    with pytest.raises(ValueError, match="mine"), interruptible():
        raise ValueError("mine")


def test_ctrl_c_stays_ignored_where_it_is():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
