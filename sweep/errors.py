"""Errors that the user is told in one line, and their words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Bad input, said in one line: the command line prints it and exits with status 2."""


class Unsuccessful(Exception):
    """What was run ended so that nothing can go on: the command line prints the line and exits with status 1."""


@contextmanager
def inside(place: str) -> Iterator[None]:
    """Let an InputError of the body name the place that it is about: a file, an option, or a key of a spec."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def first_line(error: BaseException) -> str:
    """What an error says first; its class, if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def nearest(name: str, valid: Iterable[str]) -> str:
    """What to append to a message about an unknown name: the nearest valid one, or all of them."""
    names = sorted(valid)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"valid: {', '.join(names)}" if names else "none is valid here"
